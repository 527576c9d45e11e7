"""What axe-core finds in reports and on the site.

Run with ``AXE=node_modules/axe-core/axe.min.js pytest -m axe``, after ``npm install axe-core``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.browser.chromium import look, show
from tests.browser.pages import pages_of

pytestmark = pytest.mark.axe

_FOUND = """
const done = arguments[0];
axe.run().then(({ violations }) => done(violations.flatMap(({ id, nodes }) =>
  nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 120)}: ${failureSummary}`))));
"""


@pytest.fixture(scope="module")
def axe() -> str:
    """Return axe-core, which npm installs."""
    return Path(os.environ["AXE"]).read_text("utf-8")


@pytest.fixture(autouse=True)
def _time_for_scripts(chromium):
    chromium.set_script_timeout(120)


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("unfolded", [False, True])
def test_axe_finds_nothing_in_a_report(chromium, page, axe, width, scheme, unfolded):
    look(chromium, page, width, scheme)
    if unfolded:
        chromium.execute_script("for (const each of document.querySelectorAll('details')) each.open = true;")
    chromium.execute_script(axe)
    assert chromium.execute_async_script(_FOUND) == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_axe_finds_nothing_on_any_page_of_the_site(chromium, site, axe, width, scheme):
    show(chromium, width, scheme)
    found = {}
    for page in pages_of(site):
        chromium.get(page.as_uri())
        chromium.execute_script(axe)
        found[page.relative_to(site).as_posix()] = chromium.execute_async_script(_FOUND)
    assert len(found) > 40
    assert {page: wrong for page, wrong in found.items() if wrong} == {}


def test_axe_would_find_a_control_without_a_name(chromium, page, axe):
    look(chromium, page)
    chromium.execute_script("document.querySelector('main').append(document.createElement('button'));" + axe)
    found = chromium.execute_async_script(_FOUND)
    assert [each.split(":")[0] for each in found] == ["button-name"]

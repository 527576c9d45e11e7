"""What axe-core finds in reports: run with ``AXE=node_modules/axe-core/axe.min.js pytest -m axe``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.browser.chromium import look

pytestmark = pytest.mark.axe

_FOUND = """
const done = arguments[0];
axe.run().then(({ violations }) => done(violations.flatMap(({ id, nodes }) =>
  nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 120)}: ${failureSummary}`))));
"""


@pytest.fixture(scope="module")
def axe() -> str:
    """Return axe-core, which npm installs: ``npm install axe-core`` and its file ``axe.min.js``."""
    return Path(os.environ["AXE"]).read_text("utf-8")


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("unfolded", [False, True])
def test_axe_finds_nothing(chromium, page, axe, width, scheme, unfolded):
    look(chromium, page, width, scheme)
    if unfolded:
        chromium.execute_script("for (const each of document.querySelectorAll('details')) each.open = true;")
    chromium.execute_script(axe)
    chromium.set_script_timeout(120)
    assert chromium.execute_async_script(_FOUND) == []


def test_axe_would_find_a_control_without_a_name(chromium, page, axe):
    look(chromium, page)
    chromium.execute_script("document.querySelector('main').append(document.createElement('button'));" + axe)
    found = chromium.execute_async_script(_FOUND)
    assert [each.split(":")[0] for each in found] == ["button-name"]

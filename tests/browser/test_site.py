"""The site, opened from disk in a browser: no page complains on the console or is wider than a telephone."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from inspect import ismodule
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from tests.browser.chromium import show
from tests.browser.pages import pages_of

import steepest as st

pytestmark = pytest.mark.browser


def asked_of_a_network(driver) -> list[str]:
    """Return the addresses on a network that were asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [
        each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"
    ]
    return [url for url in sent if url.startswith(("http:", "https:"))]


@pytest.mark.parametrize("width", [400, 1280])
def test_every_page_is_silent_fits_and_asks_no_network(chromium, site, width):
    show(chromium, width)
    assert len(pages_of(site)) > 40
    for page in pages_of(site):
        chromium.get(page.as_uri())
        assert chromium.get_log("browser") == [], page
        assert chromium.execute_script("return document.documentElement.scrollWidth") <= width, page
        assert asked_of_a_network(chromium) == [], page
        broken = "return [...document.images].filter((each) => each.complete && !each.naturalWidth).length"
        assert chromium.execute_script(broken) == 0, page


class Anchors(HTMLParser):
    """The identifiers and the links of a page."""

    def __init__(self, page: Path):
        super().__init__()
        self.identifiers, self.links = set(), []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.identifiers.add(values.get("id"))
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])


def test_formulas_are_not_taken_for_emphasis_and_no_mark_of_a_block_is_left(site):
    for page in pages_of(site):
        text = page.read_text(encoding="utf-8")
        for attributes, words in re.findall(r"<em([^>]*)>(.*?)</em>", text, re.DOTALL):
            assert (attributes, re.search(r"[=‖_{}Σ∇⟨⟩]", words)) == ("", None), (page, words)
        assert re.findall(r".*::</p>|.*\.\. [a-z-]+::.*", text) == [], page


def test_names_in_prose_lead_to_the_reference_and_no_link_holds_another(site):
    def leads(page, name, identifier):
        text = (site / page).read_text(encoding="utf-8")
        return f'{identifier}"><code>{name}</code></a>' in text

    assert leads("max-margins.html", "st.max_margin(problem, norm)", "#steepest.maxmargin.max_margin")
    assert leads("reports.html", "steepest.theory.margin_bound", "#steepest.theory.margin_bound")
    assert leads("theory.html", "bound.margin_bound", "#steepest.theory.margin_bound")
    for page in pages_of(site):
        links = re.findall(r"<(/?)a\b", page.read_text(encoding="utf-8"))
        assert links == ["", "/"] * (len(links) // 2), page


def test_every_public_name_of_a_room_has_its_place_in_the_reference(site):
    pages = {page.stem for page in (site / "api").glob("*.html")}
    rooms = [name for name in st.__all__ if name in pages and hasattr(getattr(st, name), "__all__")]
    assert len(rooms) > 8
    for name in rooms:
        room = getattr(st, name)
        places = Anchors(site / "api" / f"{name}.html").identifiers
        names = [each for each in room.__all__ if not ismodule(getattr(room, each))]
        assert [each for each in names if f"steepest.{name}.{each}" not in places] == []


def test_links_and_their_anchors_lead_somewhere(site):
    read = {page: Anchors(page) for page in pages_of(site)}
    for page, anchors in read.items():
        for link in anchors.links:
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.scheme == "https", (page, link)
                assert re.fullmatch(r"[\w.-]+\.[a-z]{2,}", parts.netloc), (page, link)
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert target.is_file(), (page, link)
            fragment = unquote(parts.fragment)
            assert target not in read or fragment in read[target].identifiers | {""}, (page, link)


def test_the_search_works_from_disk(chromium, site):
    chromium.get((site / "index.html").as_uri())
    chromium.execute_script("document.querySelector('[data-md-toggle=search]').click()")
    chromium.find_element(By.CSS_SELECTOR, "input.md-search__input").send_keys("separability")
    found = WebDriverWait(chromium, 20).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, ".md-search-result__link")
    )
    assert any("separability.html" in str(each.get_attribute("href")) for each in found)
    assert chromium.get_log("browser") == []

"""The site, opened from disk in a browser: no page complains on the console or is wider than a telephone."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Return the folder of the site, built as continuous integration builds it."""
    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder)))
    return folder


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver") or "chromedriver"))
    yield driver
    driver.quit()


def pages_of(site: Path) -> list[Path]:
    """Return all pages but the one that a server shows for addresses that do not exist."""
    return [page for page in sorted(site.rglob("*.html")) if page.name != "404.html"]


def asked_of_a_network(driver) -> list[str]:
    """Return the addresses on a network that were asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [
        each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"
    ]
    return [url for url in sent if url.startswith(("http:", "https:"))]


@pytest.mark.parametrize("width", [400, 1280])
def test_every_page_is_silent_fits_and_asks_no_network(chromium, site, width):
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
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


def test_links_and_their_anchors_lead_somewhere(site):
    read = {page: Anchors(page) for page in pages_of(site)}
    for page, anchors in read.items():
        for link in anchors.links:
            parts = urlsplit(link)
            if parts.scheme:
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

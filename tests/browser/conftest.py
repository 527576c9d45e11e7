"""A report on three sweeps, and a browser that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.remote.webdriver import WebDriver
from tests.browser.chromium import look, started
from tests.browser.pages import built_into
from tests.experiments.small import run_into

from steepest.experiments import write_page


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """Return a report on three sweeps: a grid over everything, and two of one batch size each."""
    folder = tmp_path_factory.mktemp("results")
    run_into(
        folder / "grid",
        name="grid",
        steps=4000,
        claims=["worst-case-condition-is-vacuous", "full-batch-converges"],
    )
    run_into(
        folder / "single",
        name="single",
        norm="spectral",
        loss="exponential",
        batch_size=3,
        momentum=0.0,
        variance_reduction=False,
        seed=1,
        claims=[],
    )
    data = {"kind": "gaussian", "classes": 3, "samples_per_class": 5, "features": 20}
    alone = {"norm": "max", "momentum": 0.0, "variance_reduction": False, "seed": 1, "claims": []}
    run_into(folder / "larger", name="larger", data=data, batch_size="full", **alone)
    return write_page(folder).path.as_uri()


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """Return the folder of the site."""
    return built_into(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def chromium(tmp_path_factory) -> Iterator[WebDriver]:
    driver = started(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium, page):
    """Return a browser that has just loaded the page, 1280 pixels wide."""
    look(chromium, page)
    return chromium

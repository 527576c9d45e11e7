"""Chromium without a window, and how a page is opened in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def started(profile: Path) -> WebDriver:
    """Return a Chromium whose profile is an empty folder."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options, Service(shutil.which("chromedriver") or "chromedriver"))


def show(driver, width=1280, scheme="light"):
    """Show pages at a width and in a colour scheme; the logs hold nothing older."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    for log in ("browser", "performance"):
        driver.get_log(log)


def look(driver, page, width=1280, scheme="light"):
    """Load a report at a width and in a colour scheme, its charts drawn."""
    show(driver, width, scheme)
    driver.get(page)
    drawn = "return document.querySelector('#maps table') !== null"
    WebDriverWait(driver, 60, 0.05).until(lambda _: driver.execute_script(drawn))

"""The page of ``steepest report`` in Chromium: run with ``pytest -m browser``."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait
from tests.browser.chromium import look

pytestmark = pytest.mark.browser

_CONTROLS = "a[href], button, input, select, summary, [tabindex='0']"
_DRAWN = """
return document.getElementById("chart").data.map((trace) => ({
  name: trace.name ?? null, x: [...trace.x], y: [...trace.y], dash: trace.line.dash ?? null, mode: trace.mode,
}));
"""


def drawn(browser):
    """Return what the chart draws now."""
    return browser.execute_script(_DRAWN)


def lines(browser):
    """Return the measured lines of the chart by name."""
    return {each["name"]: each for each in drawn(browser) if each["name"] and each["name"].startswith("b =")}


def choose(browser, identifier, text):
    Select(browser.find_element(By.ID, identifier)).select_by_visible_text(text)


def box(browser, fieldset, label):
    """Return the check box with a label in a group."""
    path = f"//fieldset[@id='pick-{fieldset}']/label[normalize-space()='{label}']/input"
    return browser.find_element(By.XPATH, path)


def test_it_loads_without_a_word_on_the_console_or_to_a_network(browser, page):
    assert browser.title.endswith("steepest report")
    assert len(lines(browser)) == 2
    for identifier in ("show-theory", "log-steps", "log-values"):
        browser.find_element(By.ID, identifier).click()
    choose(browser, "curve-experiment", "single")
    choose(browser, "map-experiment", "single")
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if url != page and not url.startswith(("data:", "blob:"))] == []
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_every_selector_changes_what_is_drawn(browser):
    before = drawn(browser)
    for identifier, choice in (
        ("curve-norm", "max"),
        ("curve-quantity", "Cosine to the max-margin solution"),
        ("curve-quantity", "Anytime upper bound of the max margin"),
        ("curve-quantity", "Log-loss"),
        ("curve-experiment", "single"),
    ):
        choose(browser, identifier, choice)
        after = drawn(browser)
        assert after != before, (identifier, choice)
        before = after
    assert list(lines(browser)) == ["b = 3, β = 0"]
    assert Select(browser.find_element(By.ID, "curve-loss")).first_selected_option.text == "exponential"
    assert Select(browser.find_element(By.ID, "curve-norm")).first_selected_option.text == "spectral"


def test_boxes_add_and_take_lines_which_look_different(browser):
    assert list(lines(browser)) == ["b = 3, β = 0", "b = 12 (full), β = 0"]
    box(browser, "momentum", "0.9").click()
    box(browser, "signal", "svrg").click()
    found = lines(browser)
    assert len(found) == 8
    assert found["b = 3, β = 0"]["dash"] != found["b = 3, β = 0.9"]["dash"]
    assert found["b = 3, β = 0, svrg"]["mode"] == "lines+markers"
    legend = browser.find_elements(By.CSS_SELECTOR, "#legend li")
    assert [item.text for item in legend] == list(found)
    rows = browser.find_elements(By.CSS_SELECTOR, "#values tbody tr")
    assert len(rows) == 8
    box(browser, "batch_size", "3").click()
    assert len(lines(browser)) == 4
    box(browser, "batch_size", "12 (full)").click()
    assert lines(browser) == {}
    assert "No lines" in browser.find_element(By.ID, "chart-caption").text


def test_what_was_chosen_outlives_a_look_at_another_experiment(browser):
    box(browser, "momentum", "0.9").click()
    box(browser, "momentum", "0").click()
    before = list(lines(browser))
    assert before == ["b = 3, β = 0.9", "b = 12 (full), β = 0.9"]
    choose(browser, "curve-experiment", "single")
    assert list(lines(browser)) == ["b = 3, β = 0"]
    choose(browser, "curve-experiment", "larger")
    assert list(lines(browser)) == ["b = 15 (full), β = 0"]
    choose(browser, "curve-experiment", "grid")
    assert set(lines(browser)) == {*before, "b = 3, β = 0", "b = 12 (full), β = 0"}


def test_pointing_at_a_line_reads_it(browser):
    place = [each["name"] for each in drawn(browser)].index("b = 12 (full), β = 0")
    browser.execute_script(f"Plotly.Fx.hover('chart', [{{curveNumber: {place}, pointNumber: 3}}])")
    hovered = browser.find_element(By.CSS_SELECTOR, "#chart .hoverlayer").text
    line = lines(browser)["b = 12 (full), β = 0"]
    assert "b = 12 (full), β = 0" in hovered
    assert f"step {line['x'][3]}: {line['y'][3]:.4g}" in hovered
    assert " to " in hovered


def test_axes_can_be_linear_and_zoom_is_undone_by_a_button(browser):
    def axis(name):
        return browser.execute_script(f"return document.getElementById('chart')._fullLayout.{name}.type")

    assert (axis("xaxis"), axis("yaxis")) == ("log", "log")
    browser.find_element(By.ID, "log-steps").click()
    browser.find_element(By.ID, "log-values").click()
    assert (axis("xaxis"), axis("yaxis")) == ("linear", "linear")
    choose(browser, "curve-quantity", "Log-loss")
    logarithmic = browser.find_element(By.ID, "log-values")
    assert not logarithmic.is_selected()
    look_at = "return document.getElementById('chart')._fullLayout.xaxis.range"
    whole = browser.execute_script(look_at)
    browser.execute_script("Plotly.relayout('chart', {'xaxis.range': [10, 20]})")
    assert browser.execute_script(look_at) == [10, 20]
    browser.find_element(By.ID, "reset-zoom").click()
    assert browser.execute_script(look_at) == whole


def test_the_theory_lies_over_the_measured_error_and_is_explained(browser):
    assert not browser.find_element(By.ID, "theory-text").is_displayed()
    browser.find_element(By.ID, "show-theory").click()
    assert browser.find_element(By.ID, "theory-text").is_displayed()
    by_name = {each["name"]: each for each in drawn(browser) if each["name"]}
    bound, measured = by_name["bound: b = 12 (full), β = 0"], by_name["b = 12 (full), β = 0"]
    pairs = [
        (above, below) for above, below in zip(bound["y"], measured["y"], strict=True) if above is not None
    ]
    assert pairs
    assert all(above >= below for above, below in pairs)
    assert "slope: b = 12 (full), β = 0" in by_name
    assert "bound: b = 3, β = 0" not in by_name
    assert "slope: b = 3, β = 0" not in by_name
    table = browser.find_element(By.ID, "values").text
    assert "Vacuous: with 4 batches an epoch" in table
    assert "Proven at every recorded step from" in table
    choose(browser, "curve-quantity", "Cosine to the max-margin solution")
    assert not browser.find_element(By.ID, "show-theory").is_enabled()
    assert not [each for each in drawn(browser) if each["name"] and "bound" in each["name"]]


def test_the_table_follows_the_step_by_keyboard(browser):
    shown = browser.find_element(By.ID, "value-step-shown")
    table = browser.find_element(By.ID, "values")
    assert shown.text == "4,000"
    before = table.text
    slider = browser.find_element(By.ID, "value-step")
    slider.send_keys(Keys.HOME)
    assert shown.text == "1"
    assert table.text != before
    first = lines(browser)["b = 12 (full), β = 0"]["y"][0]
    assert f"{first:.4g}" in table.text


def test_heat_maps_hold_the_final_values_in_readable_cells(browser):
    def maps():
        found = browser.find_elements(By.CSS_SELECTOR, "#maps table")
        return {table.find_element(By.TAG_NAME, "caption").text: table for table in found}

    assert list(maps()) == [
        "frobenius norm, signal minibatch",
        "frobenius norm, signal svrg",
        "max norm, signal minibatch",
        "max norm, signal svrg",
    ]
    table = maps()["frobenius norm, signal minibatch"]
    assert [cell.text for cell in table.find_elements(By.CSS_SELECTOR, "th")] == [
        "β = 0",
        "β = 0.9",
        "b = 3",
        "b = 12 (full)",
    ]
    final = lines(browser)["b = 12 (full), β = 0"]["y"][-1]
    cells = table.find_elements(By.CSS_SELECTOR, "tbody td")
    assert cells[2].text.splitlines()[0] == f"{final:.3g}"
    assert " to " in cells[2].text
    for cell in cells:
        assert (
            contrast(cell.value_of_css_property("color"), cell.value_of_css_property("background-color"))
            >= 4.5
        )
    choose(browser, "map-quantity", "Cosine to the max-margin solution")
    after = maps()["frobenius norm, signal minibatch"].find_elements(By.CSS_SELECTOR, "tbody td")
    assert float(after[2].text.splitlines()[0]) > 0.9
    choose(browser, "map-experiment", "single")
    assert list(maps()) == ["spectral norm, signal minibatch"]


def test_verdicts_are_words_beside_colours_a_line_each_and_unfold(browser):
    verdicts = browser.find_elements(By.CSS_SELECTOR, "#claims .claim")
    heads = [verdict.find_element(By.TAG_NAME, "summary") for verdict in verdicts]
    assert {head.find_element(By.CLASS_NAME, "verdict").text for head in heads} == {
        "✓ supported",
        "? undecided",
    }
    line = float(heads[0].value_of_css_property("line-height").removesuffix("px"))
    assert all(head.rect["height"] < 2 * line for head in heads)
    first = verdicts[0]
    evidence = first.find_element(By.CLASS_NAME, "evidence")
    assert not evidence.is_displayed()
    heads[0].send_keys(Keys.ENTER)
    assert evidence.is_displayed()
    assert "effective margin ρ" in evidence.text
    assert "Seed 1" in evidence.text


def test_a_link_to_evidence_unfolds_it(browser):
    last = browser.find_elements(By.CSS_SELECTOR, "#claims .evidence")[-1]
    assert not last.is_displayed()
    browser.execute_script(f"location.hash = '{last.get_attribute('id')}'")
    WebDriverWait(browser, 10).until(lambda _: last.is_displayed())


def test_the_first_view_is_a_picture(browser):
    picture = browser.find_element(By.CSS_SELECTOR, "main img.picture")
    assert browser.execute_script("return arguments[0].complete && arguments[0].naturalWidth > 300", picture)
    assert picture.rect["y"] < 450
    assert picture.get_attribute("alt").startswith("grid: points, frobenius, cross-entropy")


@pytest.mark.parametrize("width", [1280, 400])
def test_the_list_of_sections_stays_in_view_and_says_where_one_is(chromium, page, width):
    look(chromium, page, width)
    for link in chromium.find_elements(By.CSS_SELECTOR, "nav a"):
        name = link.get_attribute("hash")[1:]
        chromium.execute_script("document.getElementById(arguments[0]).scrollIntoView()", name)
        current = f"return document.querySelector('nav a[href=\"#{name}\"]').ariaCurrent === 'true'"
        WebDriverWait(chromium, 10).until(lambda _, current=current: chromium.execute_script(current))
        top = chromium.execute_script("return document.querySelector('nav').getBoundingClientRect().top")
        title = f"return document.querySelector('#{name} h2').getBoundingClientRect().top"
        assert top >= 0
        assert chromium.execute_script(title) > top + 30
    assert chromium.execute_script("return scrollY") > 1000


def test_without_scripts_pictures_verdicts_and_margins_are_there(chromium, page):
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        chromium.get(page)
        body = chromium.find_element(By.TAG_NAME, "body").text
        assert chromium.find_element(By.CSS_SELECTOR, "main img.picture").rect["width"] > 300
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "Trajectories to choose from need JavaScript" in body
    assert "✓ supported" in body
    assert "Reset zoom" not in body
    assert "Max margins" in body


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read_at_every_width_and_in_both_schemes(chromium, page, width, scheme):
    look(chromium, page, width, scheme)
    chromium.find_element(By.ID, "show-theory").click()
    for summary in chromium.find_elements(By.TAG_NAME, "summary"):
        summary.send_keys(Keys.ENTER)
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    chart = chromium.find_element(By.ID, "chart").rect
    assert 0 <= chart["x"] <= chart["x"] + chart["width"] <= width
    assert chart["width"] >= 0.85 * min(width, 1216)
    page_colour = chromium.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
    assert (luminance(page_colour) < 0.1) == (scheme == "dark")
    for selector in ("h1", ".quiet", "figcaption", "a", ".verdict", "thead th", "legend", "summary"):
        colour = chromium.find_element(By.CSS_SELECTOR, selector).value_of_css_property("color")
        assert contrast(colour, page_colour) >= 4.5, selector
    assert chromium.get_log("browser") == []


def test_the_tabulator_reaches_every_control(browser):
    browser.execute_script("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    wanted = browser.execute_script(
        f'return [...document.querySelectorAll("{_CONTROLS}")].filter((each) => !each.disabled).length'
    )
    assert wanted > 40
    reached = set()
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the report"
    for _ in range(wanted + 5):
        active = browser.switch_to.active_element
        reached.add(active.id)
        outline = active.value_of_css_property("outline-style")
        assert active.tag_name == "body" or outline != "none", active.get_attribute("outerHTML")
        active.send_keys(Keys.TAB)
    controls = browser.find_elements(By.CSS_SELECTOR, _CONTROLS)
    missed = [
        each.get_attribute("outerHTML")[:80]
        for each in controls
        if each.is_enabled() and each.id not in reached
    ]
    assert missed == []


def test_every_control_has_a_name(browser):
    for control in browser.find_elements(By.CSS_SELECTOR, "select, input, button"):
        assert control.accessible_name, control.get_attribute("outerHTML")
    levels = [int(each.tag_name[1]) for each in browser.find_elements(By.CSS_SELECTOR, "h1, h2, h3, h4")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def luminance(colour):
    """Return the relative luminance of a CSS colour (WCAG 2)."""
    channels = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """Return the contrast ratio of two CSS colours (WCAG 2)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)

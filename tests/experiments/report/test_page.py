"""The page of a folder of results: its numbers, what it says, and that nothing on it can break out."""

import base64
import gzip
import hashlib
import io
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from tests.experiments.report.charts import charts_of
from tests.experiments.small import files_of_runs, run_into

from steepest.errors import InvalidArgument, RunError
from steepest.experiments import CLAIMS, open_results, write_page
from steepest.experiments.claims.claim import Claim
from steepest.experiments.claims.measurement import over_seeds
from steepest.experiments.claims.promises import promise_of
from steepest.experiments.claims.selection import Runs
from steepest.experiments.report.folder import read_folder
from steepest.experiments.report.pictures import MOST_PICTURES, pictures_of
from steepest.experiments.report.plotly import VERSION, compressed_bundle
from steepest.experiments.store.store import Store
from steepest.theory import predicted_rate

PUBLISHED = "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"
"""SHA-256 of ``plotly-basic.min.js`` in the npm package plotly.js-basic-dist-min 4.1.1."""

HOSTILE = """<script>alert("x")</script> & 'quotes' {{ 7 * 7 }} </title>"""


def words_of(page):
    """Return a page's text before its scripts, without tags, each run of blanks as one."""
    text = page.read_text("utf-8").split('<script type="application/gzip')[0]
    text = re.sub(r"<(style)>.*?</\1>", " ", text, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return run_into(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Return a folder whose page takes little time: two norms and two seeds, one line each."""
    return run_into(
        tmp_path_factory.mktemp("tiny"), batch_size="full", momentum=0.0, variance_reduction=False, steps=20
    )


@pytest.fixture(scope="module")
def page(folder):
    return write_page(folder).path


def test_curves_are_medians_and_ranges_of_the_stored_runs(folder, page):
    charts = charts_of(page)
    (experiment,) = charts["experiments"]
    assert [(group["data"], group["norm"], group["loss"]) for group in experiment["groups"]] == [
        ("points", "frobenius", "cross-entropy"),
        ("points", "max", "cross-entropy"),
    ]
    assert list(charts["quantities"])[:3] == ["relative_margin_error", "cosine", "normalized_margin"]
    dataset = open_results(folder)
    for group in experiment["groups"]:
        assert len(group["lines"]) == 8
        for line in group["lines"]:
            chosen = {name: line[name] for name in ("batch_size", "momentum", "signal")}
            stored = dataset["cosine"].sel(
                data="points", norm=group["norm"], loss="cross-entropy", step=group["steps"], **chosen
            )
            values = stored.transpose("seed", "step").values
            cosines = line["values"]["cosine"]
            np.testing.assert_allclose(cosines["middle"], np.median(values, axis=0), rtol=1e-6)
            np.testing.assert_allclose(cosines["low"], values.min(axis=0), rtol=1e-6)
            np.testing.assert_allclose(cosines["high"], values.max(axis=0), rtol=1e-6)
            assert line["seeds"] == [1, 2]


def test_the_theory_beside_a_run_is_the_library_s(tmp_path):
    run_into(tmp_path, steps=4000, norm="frobenius", momentum=0.0, batch_size=[3, "full"])
    (runs,) = Runs.of(open_results(tmp_path))
    full = promise_of(runs, 12, 0.0, "minibatch")
    assert (full.share, full.vacuous, full.proven) == (1.0, False, True)
    worst = runs.curve("relative_margin_error", 12, 0.0).max(axis=0)
    known = np.isfinite(full.error)
    assert np.all(full.error[known] >= worst[known])
    lowest = runs.curve("margin_floor", 12, 0.0).min(axis=0)
    np.testing.assert_array_equal(full.floor[known], lowest[known])
    first = runs.steps[known][0]
    assert full.says.startswith(f"Proven at every recorded step from {first:,} on: at step 4,000")
    assert full.slope is not None
    steps, multiples = full.slope
    rate = predicted_rate(0.5, 12, steps)
    np.testing.assert_allclose(multiples, rate / rate[-1])
    small = promise_of(runs, 3, 0.0, "minibatch")
    assert (small.vacuous, small.proven, small.slope) == (True, False, None)
    assert small.says.startswith("Vacuous: with 4 batches an epoch the noise of sampling may")
    reduced = promise_of(runs, 3, 0.0, "svrg")
    assert reduced.share == 1.0
    assert not reduced.vacuous
    lines = charts_of(write_page(tmp_path).path)["experiments"][0]["groups"][0]["lines"]
    (drawn,) = [line for line in lines if (line["batch_size"], line["signal"]) == (12, "minibatch")]
    np.testing.assert_allclose(np.array(drawn["theory"]["error"], float)[known], full.error[known], rtol=1e-6)
    assert [value is None for value in drawn["theory"]["error"]] == (~known).tolist()
    # Of b = 3 no theorem says anything; what its own steps did is a bound all the same.
    (small_line,) = [line for line in lines if (line["batch_size"], line["signal"]) == (3, "minibatch")]
    proven = np.array(small_line["theory"]["realised_error"], float)
    reached = runs.curve("relative_margin_error", 3, 0.0).max(axis=0)
    assert np.isfinite(proven).any()
    assert np.all(proven[np.isfinite(proven)] >= reached[np.isfinite(proven)])
    older = Runs.of(open_results(tmp_path).drop_vars("margin_floor"))
    assert "stored without the theory's bound" in promise_of(next(older), 12, 0.0, "minibatch").says


def test_the_page_says_claims_data_margins_settings_and_versions(folder, page):
    words = words_of(page)
    assert "Claims: 2 undecided." in words
    assert "too few steps: 400 were run, the claim is about 20,000" in words
    asked = CLAIMS["full-batch-converges"].threshold.split("; ")[1]
    assert asked.startswith("1 - cosine falls")
    assert asked in words
    dataset = open_results(folder)
    for norm in ("frobenius", "max"):
        margin = float(dataset["max_margin"].sel(data="points", norm=norm, seed=2))
        assert f"points 2 {norm} {margin:.10g}" in words
    assert "points gaussian 1 12 20 3" in words
    assert "data[0].samples_per_class 4" in words
    assert "batch_size 3, full" in words
    assert re.search(r"versions steepest \S+, numpy", words)
    assert re.search(r"machine \S+, \S+, \d+ cores python 3\.", words)


def test_pictures_come_first_then_verdicts_a_line_each(folder, page):
    text = page.read_text("utf-8")
    order = [
        text.index(f'<section id="{name}"') for name in ("pictures", "claims", "curves", "final", "data")
    ]
    assert order == sorted(order)
    pictures = [
        base64.b64decode(each, validate=True)
        for each in re.findall(r'<img class="picture"[^>]* src="data:image/webp;base64,([^"]*)"', text)
    ]
    assert len(pictures) == 2
    for picture in pictures:
        with Image.open(io.BytesIO(picture)) as shown:
            assert shown.format == "WEBP"
            assert f'width="{shown.width}" height="{shown.height}"' in text
    lines = re.findall(r'<details class="claim">\s*<summary>(.*?)</summary>', text, re.S)
    said = [" ".join(re.sub(r"<[^>]+>", " ", line).split()) for line in lines]
    assert [each.split(" too few")[0] for each in said] == [
        "? undecided full-batch-converges points, frobenius",
        "? undecided full-batch-converges points, max",
    ]
    assert "<table" not in text[: text.index(lines[-1])].split("<main")[1].split('<details class="claim">')[0]


def test_each_contradiction_links_to_its_evidence(tiny, tmp_path, monkeypatch):
    def measure(runs):
        values = [0.2, 0.3] if runs.norm == "frobenius" else [0.7, 0.8]
        yield over_seeds(runs, "error", "b = 3", values, at_most=0.5)

    claim = Claim("full-batch-converges", "It does.", "error ≤ 0.5", measure, steps=0)
    monkeypatch.setitem(CLAIMS._parts, claim.name, claim)
    text = write_page(tiny, tmp_path / "page.html").path.read_text("utf-8")
    (link,) = re.findall(
        r'<p>Contradicted: <a href="#(.*?)">full-batch-converges</a> \(points, max\)\.', text
    )
    assert link == "experiment-0-full-batch-converges-2"
    assert text.count(f'id="{link}"') == 1


def test_six_pictures_at_most_the_first_of_each_experiment_before_second_ones(tmp_path):
    alone = {
        "norm": "frobenius",
        "batch_size": "full",
        "momentum": 0.0,
        "variance_reduction": False,
        "seed": 1,
    }
    alone |= {"steps": 20, "claims": []}
    points = {"kind": "gaussian", "classes": 2, "samples_per_class": 2}
    data = [{**points, "name": f"d{i}", "features": 5 + i} for i in range(7)]
    run_into(tmp_path / "a", name="many", data=data, **alone)
    run_into(tmp_path / "b", name="one", **alone)
    pictures = pictures_of(read_folder(tmp_path))
    assert len(pictures) == MOST_PICTURES
    assert [each.title.partition(",")[0] for each in pictures] == [
        *("many: d0", "one: points", "many: d1", "many: d2", "many: d3", "many: d4")
    ]


def test_the_bundle_is_the_published_one():
    script = gzip.decompress(compressed_bundle())
    assert hashlib.sha256(script).hexdigest() == PUBLISHED
    assert f"plotly.js (basic - minified) v{VERSION}".encode() in script[:200]


def test_the_page_asks_nothing_of_a_network(page):
    text = page.read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=[\"'](?!data:)", text)
    assert "@import" not in text.split("</style>")[0]


def test_hostile_names_stay_text(tmp_path):
    run_into(
        tmp_path / HOSTILE.replace("/", "-"), title=HOSTILE, norm="max", batch_size="full", seed=1, steps=20
    )
    (inside,) = tmp_path.iterdir()
    text = write_page(inside).path.read_text("utf-8")
    before = text.split('<script type="application/gzip')[0]
    assert "<script>alert" not in before
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; &#39;quotes&#39; {{ 7 * 7 }}" in before


def test_hostile_labels_in_a_stored_file_stay_text(tiny, tmp_path):
    description, dataset = next(Store(tiny / "cells").everything("runs"))
    dataset["cosine"].attrs["long_name"] = HOSTILE
    Store(tmp_path / "cells").save(description, dataset.assign_coords(data=[HOSTILE]))
    page = write_page(tmp_path).path
    text = page.read_text("utf-8")
    assert "<script>alert" not in text
    assert charts_of(page)["experiments"][0]["groups"][0]["data"] == HOSTILE
    assert charts_of(page)["quantities"]["cosine"]["meaning"] == HOSTILE
    assert "The folder does not say which experiment these runs belong to" in words_of(page)


def test_an_unfinished_sweep_says_so_and_shows_what_there_is(folder, tmp_path):
    copied = shutil.copytree(folder, tmp_path / "copied")
    first, *_ = files_of_runs(copied, "max")
    first.unlink()
    page = write_page(copied).path
    assert "no: 7 of 8 cells" in words_of(page)
    assert "unfinished: 3 of 4 cells of these runs are computed" in words_of(page)
    lines = charts_of(page)["experiments"][0]["groups"][1]["lines"]
    assert {tuple(line["seeds"]) for line in lines} == {(1, 2), (2,)}
    (alone,) = {tuple(line["values"]["cosine"]) for line in lines if line["seeds"] == [2]}
    assert alone == ("middle",)


def test_reference_norms_and_the_bias_are_quantities_of_their_own(tmp_path):
    run_into(
        tmp_path,
        data={"kind": "orthogonal", "classes": 3, "samples": 12},
        norm="frobenius",
        batch_size=1,
        momentum=0.0,
        variance_reduction=False,
        reference=["max", "frobenius"],
        bias=True,
        seed=1,
        steps=50,
    )
    quantities = charts_of(write_page(tmp_path).path)["quantities"]
    assert {"bias_cosine", "reference_cosine@max", "reference_relative_margin_error@frobenius"} <= set(
        quantities
    )
    assert quantities["reference_cosine@max"]["title"] == "Cosine to the max-margin solution, max norm"
    assert "margin_floor" not in quantities


def test_what_only_some_runs_were_measured_for_is_there_for_those_alone(tmp_path):
    run_into(
        tmp_path,
        data={"kind": "orthogonal", "classes": 3, "samples": 12},
        norm=["frobenius", "max"],
        batch_size=[1, "full"],
        momentum=[0.0, 0.5],
        variance_reduction=False,
        bias=True,
        naive="max",
        seed=1,
        steps=50,
    )
    (experiment,) = charts_of(write_page(tmp_path).path)["experiments"]
    there = [
        (group["norm"], line["batch_size"], line["momentum"])
        for group in experiment["groups"]
        for line in group["lines"]
        if "naive_bias_cosine" in line["values"]
    ]
    assert there == [("max", 1, 0.0)]


def test_values_outside_what_was_expected_are_noted_beside_their_claim(tiny, tmp_path, monkeypatch):
    def measure(runs):
        yield over_seeds(runs, "error", "b = 3", [0.2, 0.3], at_most=0.5, expected=(0.25, 0.4))
        yield over_seeds(runs, "loss", "b = 3", [0.2, 0.3], expected=(0.1, 0.4))

    claim = Claim("full-batch-converges", "It does.", "error ≤ 0.5", measure, steps=0)
    monkeypatch.setitem(CLAIMS._parts, claim.name, claim)
    words = words_of(write_page(tiny, tmp_path / "page.html").path)
    for norm in ("frobenius", "max"):
        assert (
            f"Noted, points, {norm}, cross-entropy: error expected from 0.25 to 0.4: "
            "1 of 2 values are outside, from 0.2 to 0.2."
        ) in words
    assert "Noted, points, max, cross-entropy: loss" not in words
    assert "error b = 3 0.2 0.3 ≤ 0.5 on every seed; expected 0.25 to 0.4" in words
    assert "0.2 0.3 expected 0.1 to 0.4" in words


def test_a_page_replaces_an_older_one_whole(tiny, tmp_path):
    target = tmp_path / "page.html"
    target.write_text("older", encoding="utf-8")
    assert write_page(tiny, target).path == target
    assert target.read_text("utf-8").startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [target]


def test_a_page_that_cannot_be_written_is_refused_before_or_said_after(tiny, tmp_path):
    with pytest.raises(InvalidArgument, match=r"output=.*: give a file name that ends in \.html"):
        write_page(tiny, tmp_path / "page.pdf")
    with pytest.raises(InvalidArgument, match=r"output=.*: make the folder .*missing first"):
        write_page(tiny, tmp_path / "missing" / "page.html")
    (tmp_path / "page.html").mkdir()
    with pytest.raises(InvalidArgument, match=r"output=.*: this is a folder: give the name of a"):
        write_page(tiny, tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    copied = shutil.copytree(tiny, tmp_path / "copied")
    (copied / "report.html").unlink(missing_ok=True)
    (copied / "report.html").mkdir()
    with pytest.raises(RunError, match=r"report.html: cannot be written"):
        write_page(copied)


@pytest.mark.parametrize("scale", [1e60, 1e-60])
def test_numbers_beyond_single_precision_come_whole(tmp_path, scale):
    data = {"kind": "gaussian", "name": "points", "classes": 3, "samples_per_class": 4, "features": 20}
    alike = {"norm": "max", "batch_size": "full", "momentum": 0.0, "variance_reduction": False, "seed": 1}
    run_into(tmp_path, data={**data, "scale": scale}, steps=100, **alike)
    (line,) = charts_of(write_page(tmp_path).path)["experiments"][0]["groups"][0]["lines"]
    stored = open_results(tmp_path)["normalized_margin"].squeeze().values[1:]
    assert len(stored) > 16
    np.testing.assert_allclose(line["values"]["normalized_margin"]["middle"], stored, rtol=1e-6)

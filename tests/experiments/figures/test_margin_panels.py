import numpy as np
import pytest
import xarray as xr
from matplotlib import image
from matplotlib.backends.backend_agg import FigureCanvasAgg
from tests.experiments.synthetic import BATCH_SIZES, results

from steepest.experiments.claims.selection import Runs
from steepest.experiments.figures.draw import save_figure
from steepest.experiments.figures.margin_panels import margin_panels


@pytest.fixture(scope="module")
def figure():
    (runs,) = Runs.of(results())
    return margin_panels(runs, "Normalized descent")


def test_nine_panels_lettered_as_in_the_paper(figure):
    titles = [axes.get_title(loc="left").split() for axes in figure.axes]
    assert [title[0] for title in titles] == [f"({letter})" for letter in "acebdfghi"]
    assert [title[3] for title in titles[:3]] == ["0", "0.5", "0.99"]


def test_each_panel_has_a_line_a_batch_size_on_log_axes(figure):
    for axes in figure.axes:
        assert [line.get_label().split()[0] for line in axes.lines] == [str(b) for b in BATCH_SIZES]
        assert len(axes.collections) == len(BATCH_SIZES)  # the range over seeds
        assert axes.get_xscale() == "log"
    assert [axes.get_yscale() for axes in figure.axes] == ["log"] * 3 + ["linear"] * 3 + ["log"] * 3


def test_lines_are_medians_over_seeds(figure):
    dataset = results()
    expected = dataset["relative_margin_error"].sel(
        data="gaussian", loss="cross-entropy", norm="frobenius", batch_size=5, momentum=0.5
    )
    line = figure.axes[1].lines[1]
    wanted = expected.sel(signal="minibatch").median("seed").values[1:]
    assert line.get_ydata() == pytest.approx(wanted)


def test_one_legend_and_panels_that_compare_share_their_scale(figure):
    assert len(figure.legends) == 1
    assert [text.get_text() for text in figure.legends[0].get_texts()][-1] == "100 (full)"
    assert figure.axes[0].get_ylim() == figure.axes[8].get_ylim()


def test_files_are_pictures_and_the_same_each_time(figure, tmp_path):
    png, pdf = save_figure(figure, tmp_path / "figure1-v2.0")
    assert (png.name, pdf.name) == ("figure1-v2.0.png", "figure1-v2.0.pdf")
    height, width, _ = image.imread(png).shape
    assert width > 1200
    assert height > 1000
    assert pdf.read_bytes().startswith(b"%PDF")
    (runs,) = Runs.of(results())
    again = save_figure(margin_panels(runs, "Normalized descent"), tmp_path / "again")
    assert [path.read_bytes() for path in again] == [png.read_bytes(), pdf.read_bytes()]


def test_runs_that_are_missing_leave_their_lines_out():
    dataset = results().isel(seed=[0])
    left_out = (dataset["signal"] == "svrg") & (dataset["momentum"] > 0)
    kept = dataset["relative_margin_error"].where(~left_out)
    (runs,) = Runs.of(dataset.assign(relative_margin_error=kept))
    figure = margin_panels(runs)
    assert [len(axes.lines) for axes in figure.axes] == [6] * 7 + [0] * 2
    assert "seed 0" in figure.get_suptitle()


def test_every_signal_has_its_row_of_errors_on_the_same_scale():
    dataset = results()
    saga = dataset.sel(signal=["svrg"]).assign_coords(signal=["saga"])
    (runs,) = Runs.of(xr.concat([saga, dataset], "signal", data_vars="minimal"))
    figure = margin_panels(runs)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title.split(", ")[-1] for title in titles[6::3]] == ["saga", "variance reduction"]
    assert [title.split()[0] for title in titles] == [f"({letter})" for letter in "acebdfghijkl"]
    limits = {axes.get_ylim() for axes in (*figure.axes[:3], *figure.axes[6:])}
    assert len(limits) == 1
    (alone,) = Runs.of(saga)
    assert len(margin_panels(alone).axes) == 6


def with_theory():
    """Return results in which the full batch alone has a bound, from the fortieth record on."""
    dataset = results()
    floor = xr.full_like(dataset["relative_margin_error"], -np.inf)
    floor.loc[{"batch_size": 100, "step": dataset["step"].values[40:]}] = 0.4
    share = xr.where(dataset["batch_size"] == 100, 1.0, -3.0)
    return dataset.assign(margin_floor=floor, effective_margin=dataset["effective_margin"] * 0 + share)


def test_the_theory_is_drawn_over_the_errors_and_what_is_vacuous_is_named():
    (runs,) = Runs.of(with_theory())
    plain, figure = margin_panels(runs), margin_panels(runs, bound=True)
    for row in (0, 2):
        for axes, before in zip(
            figure.axes[3 * row : 3 * row + 3], plain.axes[3 * row : 3 * row + 3], strict=True
        ):
            *measured, bound, slope = [np.asarray(line.get_xydata()) for line in axes.lines]
            assert len(measured) == len(before.lines)
            known = np.isfinite(bound[:, 1])
            assert bound[known, 0].tolist() == runs.steps[39:].tolist()
            assert bound[known, 1] == pytest.approx(0.6)
            assert slope[-1] == pytest.approx(measured[-1][-1])
            assert slope[0, 0] == 200
            (words,) = axes.texts
            assert words.get_text() == "no bound, least ρ ≤ 0: b = 1, 5, 10, 20, 50"
    assert [len(axes.lines) for axes in figure.axes[3:6]] == [6, 6, 6]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[-2:] == ["margin bound", "predicted slope"]


def test_a_bound_that_comes_later_is_named_too():
    dataset = with_theory()
    (runs,) = Runs.of(dataset.assign(effective_margin=dataset["effective_margin"] * 0 + 0.5))
    (words,) = margin_panels(runs, bound=True).axes[0].texts
    assert words.get_text() == "no bound by t = 20,000: b = 1, 5, 10, 20, 50"


def test_a_single_momentum_leaves_room_for_title_and_legend():
    (runs,) = Runs.of(results().isel(momentum=[0]))
    figure = margin_panels(runs, "Long runs")
    save_width = figure.get_figwidth() * figure.dpi
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    suptitle = next(text for text in figure.texts if text.get_text() == figure.get_suptitle())
    for part in (suptitle, figure.legends[0]):
        box = part.get_window_extent(renderer)
        assert box.x0 >= 0
        assert box.x1 <= save_width

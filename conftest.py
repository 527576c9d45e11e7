"""Settings that must stand before anything is imported, and marks for what needs an extra."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from _pytest.doctest import DoctestItem

# The tests share the cores between processes; libraries that start a thread a core would fight over them.
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

_ROOT = Path(__file__).parent
_PLACES = {
    "src/steepest/cli": "lab",
    "src/steepest/estimators": "sklearn",
    "src/steepest/experiments": "lab",
    "src/steepest/monitor": "torch",
    "src/steepest/optim": "torch",
    "tests/browser": "browser",
    "tests/cli": "lab",
    "tests/contracts/test_docstrings.py": "lab",
    "tests/datasets/test_defects_in_files.py": "tables",
    "tests/datasets/test_files.py": "tables",
    "tests/datasets/written.py": "tables",
    "tests/estimators": "sklearn",
    "tests/experiments": "lab",
    "tests/examples": "torch",
    "tests/features/test_spread.py": "dask",
    "tests/integrations": "integrations",
    "tests/monitor": "torch",
    "tests/optim": "torch",
    "tests/site/test_commands.py": "lab",
    "tests/site/test_gallery.py": "lab",
}
"""Folders and files whose every test needs an extra."""

_THOROUGH = (
    "tests/maxmargin/separability/test_squared_hinge.py::test_large_noisy_data",
    "tests/maxmargin/relaxed/test_methods.py::test_all_methods_find",
    "tests/maxmargin/relaxed/test_methods.py::test_rows_of_many_samples",
    "tests/cli/test_reproduce.py::test_an_interrupted_figure",
    "tests/cli/test_run.py::test_experiments_that_come",
    "tests/cli/test_run.py::test_settings_and_the_reduced_form",
    "tests/descent/engines/test_engines.py::test_code_that_cannot_be_kept",
    "tests/estimators/test_max_margin_path.py::test_gaps_that_time",
    "tests/estimators/test_scikit_learn.py",
    "tests/estimators/test_tensors.py::test_with_the_array_api",
    "tests/experiments/claims/test_single_samples.py",
    "tests/experiments/figures/test_margin_panels.py::test_files_are_pictures",
    "tests/experiments/spec/test_shipped.py::test_the_reduced_form",
    "tests/experiments/sweep/test_executors.py",
    "tests/experiments/sweep/test_nothing_is_lost.py",
    "tests/experiments/sweep/test_sweep.py::test_a_killed_process",
    "tests/experiments/test_norms.py",
    "tests/experiments/test_plugins.py::test_an_experiment_of_ones_own",
    "tests/experiments/test_reproduction.py::test_all_figures",
    "tests/maxmargin/first_order/test_halpern.py::test_code_compiled_now",
    "tests/maxmargin/relaxed/test_centred.py::test_words_that_are_rare",
    "tests/maxmargin/relaxed/test_near_samples.py::test_paths",
    "tests/maxmargin/relaxed/test_no_margin.py::test_many_features_and_classes",
    "tests/maxmargin/relaxed/test_saddle.py::test_gradient_steps_end",
    "tests/maxmargin/separability/test_recession.py::test_digits_with_labels_drawn_anew",
    "tests/maxmargin/test_hard_inputs.py::test_a_thousand_classes",
    "tests/monitor/test_margin_monitor.py::test_a_network_in_distributed",
    "tests/optim/distributed/",
    "tests/optim/test_contract.py::test_pytorch_s_own_file",
    "tests/optim/test_fused.py::test_large_groups",
    "tests/optim/test_fused.py::test_threads_of_a_forked",
    "tests/test_wrong_arguments.py::test_only_errors_of_ours_come_of_wrong_arguments_of_experiments",
    "tests/theory/limits/test_outside.py",
    "tests/theory/limits/test_predict.py::test_momentum_of_gradients",
    "tests/theory/test_realised_along_runs.py",
)
"""Tests of several seconds each: left out where pytest is given no path, run by ``pytest -m thorough``."""

_LEAVES_THOROUGH = "leaves_thorough"

_SIGNS = {
    "torch": ("import torch",),
    "sklearn": ("digits(", "digits_pair(", "sklearn", "estimators"),
    "lab": ("to_xarray(", "steepest.experiments"),
    "tables": ("from_file(",),
    "dask": ("import dask",),
}
"""What examples that need an extra call."""


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of xdist's, which knows nothing of how pytest was called, what is left out."""
    node.workerinput[_LEAVES_THOROUGH] = _leaves_thorough(node.config)


def _leaves_thorough(config: pytest.Config) -> bool:
    told = getattr(config, "workerinput", None)
    if told is not None:
        return told[_LEAVES_THOROUGH]
    given = config.args_source is pytest.Config.ArgsSource.ARGS
    return not given and "thorough" not in config.option.markexpr


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave places uncollected whose extra is deselected: their imports alone would fail without it."""
    extra = _extra_of(collection_path)
    return True if extra is not None and f"not {extra}" in config.option.markexpr else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test and example that needs an extra; leave out what takes long unless it is asked for."""
    for item in items:
        extra = _extra_of(item.path)
        if extra is not None:
            item.add_marker(extra)
        if isinstance(item, DoctestItem):
            source = "".join(example.source for example in item.dtest.examples)
            for extra, signs in _SIGNS.items():
                if any(sign in source for sign in signs):
                    item.add_marker(extra)
    thorough = [item for item in items if item.nodeid.startswith(_THOROUGH)]
    for item in thorough:
        item.add_marker("thorough")
    if _leaves_thorough(config):
        config.hook.pytest_deselected(items=thorough)
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]


def _extra_of(path: Path) -> str | None:
    if not path.is_relative_to(_ROOT):
        return None
    place = path.relative_to(_ROOT).as_posix()
    return next((extra for start, extra in _PLACES.items() if f"{place}/".startswith(f"{start}/")), None)

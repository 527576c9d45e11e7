"""Experiments as files: sweeps whose results are kept, figures, and claims that are checked.

:func:`reproduce` redoes a figure of the paper, :func:`load_experiment` reads an experiment of your own, and
:func:`write_page` shows what a folder of results holds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_HOME = {
    "CLAIMS": "claims",
    "ClaimResult": "claims",
    "Executor": "executors",
    "Experiment": "spec",
    "Page": "report",
    "Plan": "plan",
    "Report": "reproduction",
    "Store": "store",
    "Verdict": "claims",
    "carry_out": "reproduction",
    "check_claims": "claims",
    "extensions": "shipped",
    "find_experiment": "shipped",
    "load_experiment": "spec",
    "open_results": "results",
    "paper_experiment": "shipped",
    "paper_figures": "shipped",
    "parse_overrides": "spec",
    "plan_experiment": "plan",
    "reproduce": "reproduction",
    "run_experiment": "sweep",
    "write_page": "report",
}

__all__ = [
    "CLAIMS",
    "ClaimResult",
    "Executor",
    "Experiment",
    "Page",
    "Plan",
    "Report",
    "Store",
    "Verdict",
    "carry_out",
    "check_claims",
    "extensions",
    "find_experiment",
    "load_experiment",
    "open_results",
    "paper_experiment",
    "paper_figures",
    "parse_overrides",
    "plan_experiment",
    "reproduce",
    "run_experiment",
    "write_page",
]

if TYPE_CHECKING:
    from steepest.experiments.claims import CLAIMS, ClaimResult, Verdict, check_claims
    from steepest.experiments.executors import Executor
    from steepest.experiments.plan import Plan, plan_experiment
    from steepest.experiments.report import Page, write_page
    from steepest.experiments.reproduction import Report, carry_out, reproduce
    from steepest.experiments.results import open_results
    from steepest.experiments.shipped import (
        extensions,
        find_experiment,
        paper_experiment,
        paper_figures,
    )
    from steepest.experiments.spec import Experiment, load_experiment, parse_overrides
    from steepest.experiments.store import Store
    from steepest.experiments.sweep import run_experiment


def __getattr__(name: str):
    # Imported on first use: the command line names this room long before it needs xarray or pydantic.
    if name in _HOME:
        return getattr(import_module(f"steepest.experiments.{_HOME[name]}"), name)
    raise AttributeError(f"module 'steepest.experiments' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

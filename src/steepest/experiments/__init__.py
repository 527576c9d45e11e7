"""Experiments as files: sweeps whose results are kept, figures, and claims that are checked.

:func:`reproduce` redoes a figure of the paper, :func:`load_experiment` reads an experiment of your own, and
:func:`write_page` shows what a folder of results holds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from steepest.extras import require

_HOME = {
    "CLAIMS": "claims.check",
    "ClaimResult": "claims.claim",
    "Executor": "sweep.executors",
    "Experiment": "spec.experiment",
    "FIGURES": "figures.draw",
    "Needs": "claims.needs",
    "OneRun": "claims.needs",
    "Page": "report.page",
    "Plan": "sweep.plan",
    "Report": "reproduction",
    "ResolvedExperiment": "spec.resolved",
    "Runs": "claims.selection",
    "Store": "store.store",
    "Verdict": "claims.claim",
    "carry_out": "reproduction",
    "check_claims": "claims.check",
    "claim": "claims.claim",
    "extensions": "spec.shipped",
    "figure": "figures.figure",
    "find_experiment": "spec.shipped",
    "load_experiment": "spec.experiment",
    "open_results": "store.results",
    "over_seeds": "claims.measurement",
    "paper_experiment": "spec.shipped",
    "paper_figures": "spec.shipped",
    "parse_overrides": "spec.experiment",
    "plan_experiment": "sweep.plan",
    "reproduce": "reproduction",
    "resolve": "spec.resolved",
    "run_experiment": "sweep.sweep",
    "write_page": "report.page",
}

__all__ = [
    "CLAIMS",
    "FIGURES",
    "ClaimResult",
    "Executor",
    "Experiment",
    "Needs",
    "OneRun",
    "Page",
    "Plan",
    "Report",
    "ResolvedExperiment",
    "Runs",
    "Store",
    "Verdict",
    "carry_out",
    "check_claims",
    "claim",
    "extensions",
    "figure",
    "find_experiment",
    "load_experiment",
    "open_results",
    "over_seeds",
    "paper_experiment",
    "paper_figures",
    "parse_overrides",
    "plan_experiment",
    "reproduce",
    "resolve",
    "run_experiment",
    "write_page",
]

if TYPE_CHECKING:
    from steepest.experiments.claims.check import CLAIMS, check_claims
    from steepest.experiments.claims.claim import ClaimResult, Verdict, claim
    from steepest.experiments.claims.measurement import over_seeds
    from steepest.experiments.claims.needs import Needs, OneRun
    from steepest.experiments.claims.selection import Runs
    from steepest.experiments.figures.draw import FIGURES
    from steepest.experiments.figures.figure import figure
    from steepest.experiments.report.page import Page, write_page
    from steepest.experiments.reproduction import Report, carry_out, reproduce
    from steepest.experiments.spec.experiment import Experiment, load_experiment, parse_overrides
    from steepest.experiments.spec.resolved import ResolvedExperiment, resolve
    from steepest.experiments.spec.shipped import (
        extensions,
        find_experiment,
        paper_experiment,
        paper_figures,
    )
    from steepest.experiments.store.results import open_results
    from steepest.experiments.store.store import Store
    from steepest.experiments.sweep.executors import Executor
    from steepest.experiments.sweep.plan import Plan, plan_experiment
    from steepest.experiments.sweep.sweep import run_experiment


def __getattr__(name: str):
    # Imported on first use: the command line names this room long before it needs xarray or pydantic.
    if name in _HOME:
        # Of the whole extra: a sweep is not to learn at its figure, hours later, that nothing can draw it.
        require("lab", f"steepest.experiments.{name}")
        return getattr(import_module(f"steepest.experiments.{_HOME[name]}"), name)
    raise AttributeError(f"module 'steepest.experiments' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

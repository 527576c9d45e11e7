"""The core stands alone; whatever an extra brings is asked for in one line that says how to install it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.problems import random_problem

import steepest as st
from steepest.__main__ import main
from steepest.errors import MissingExtra
from steepest.extras import MODULES, require

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

PROJECT = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text("utf-8"))["project"]


def packages(requirements):
    """Return the names of the packages required here, by Python's version."""
    here = [
        each for each in requirements if "python_version < '3.11'" not in each or sys.version_info < (3, 11)
    ]
    return {re.split(r"[<>=;\[ ]", each)[0] for each in here}


def test_the_modules_of_an_extra_are_those_of_its_packages():
    listed = {name: packages(each) for name, each in PROJECT["optional-dependencies"].items()}
    for extra, modules in MODULES.items():
        assert {{"sklearn": "scikit-learn"}.get(module, module) for module in modules} == listed[extra]
    # Beside them are all of them together, and four for those who work on steepest itself.
    assert set(listed) - MODULES.keys() == {"all", "test", "integrations", "docs", "dev"}
    assert PROJECT["optional-dependencies"]["all"] == [f"steepest[{','.join(sorted(MODULES))}]"]


@pytest.mark.lab
def test_versions_that_are_recorded_are_of_packages_that_an_experiment_has():
    settings = import_module("steepest.experiments.store.settings")
    there = packages([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["lab"]])
    assert set(settings._VERSIONS_OF) <= there | {"steepest"}


def test_the_core_imports_what_it_requires_and_nothing_else():
    # torch is left out: array-api-compat asks whether it was imported, and would import it.
    absent = sorted({module for modules in MODULES.values() for module in modules} - {"torch"})
    code = f"""if True:
        import sys
        sys.modules.update(dict.fromkeys({absent}))
        import steepest as st
        problem = st.datasets.gaussian(classes=3, samples_per_class=2, features=12, seed=0)
        solution = st.max_margin(problem, "max")
        run = st.descend(problem, st.Method("max", batch_size=2), steps=20, reference=solution)
        st.theory.summarize(problem, run.method, solution)
        for name in st.__all__:
            getattr(st, name)
    """
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_a_direction_takes_no_compiler_and_no_scipy():
    code = """if True:
        import sys
        import numpy as np
        import steepest as st
        for name in ("max", "spectral", "nuclear", "schatten-3"):
            st.norm(name).direction(np.eye(3))
        heavy = {"scipy", "numba", "llvmlite", "threadpoolctl"} & sys.modules.keys()
        assert not heavy, heavy
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def without(monkeypatch, *modules):
    """Make these modules be missing, and those of [lab] that are not installed be there."""
    for name in MODULES["lab"]:
        if find_spec(name) is None:
            monkeypatch.setitem(sys.modules, name, sys)
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)


def opened(backend):
    with import_module("steepest.experiments.sweep.executors").Executor(backend).opened(1, 1.0):
        pass


def trajectory():
    method = st.Method("max", batch_size=4, schedule=st.PolynomialDecay(0.1, 0.5))
    return st.descend(random_problem(), method, 3)


@pytest.mark.parametrize(
    ("module", "call", "message"),
    [
        (
            "sklearn",
            st.datasets.digits,
            "the digits data needs scikit-learn: run pip install 'steepest[sklearn]'",
        ),
        (
            "sklearn",
            lambda: st.estimators.MaxMarginClassifier,
            "steepest.estimators.MaxMarginClassifier needs scikit-learn: run pip install 'steepest[sklearn]'",
        ),
        (
            "clarabel",
            lambda: st.max_margin(random_problem(), "spectral", method="conic-program"),
            "method=\"conic-program\" needs clarabel: run pip install 'steepest[peers]'",
        ),
        (
            "xarray",
            lambda: trajectory().to_xarray(),
            "Trajectory.to_xarray needs xarray: run pip install 'steepest[lab]'",
        ),
        (
            "matplotlib",
            lambda: st.experiments.reproduce,
            "steepest.experiments.reproduce needs matplotlib: run pip install 'steepest[lab]'",
        ),
        pytest.param(
            "distributed",
            lambda: opened("dask"),
            "the backend dask needs distributed: run pip install 'steepest[dask]'",
            marks=pytest.mark.lab,
        ),
        pytest.param(
            "ray",
            lambda: opened("ray"),
            "the backend ray needs ray: run pip install 'steepest[ray]'",
            marks=pytest.mark.lab,
        ),
    ],
)
def test_a_missing_extra_is_one_line_with_its_remedy(monkeypatch, module, call, message):
    without(monkeypatch, module)
    with pytest.raises(MissingExtra) as error:
        call()
    assert str(error.value) == message


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_table_names_its_extra(monkeypatch, tmp_path, ending):
    without(monkeypatch, "pyarrow")
    file = tmp_path / f"flowers{ending}"
    file.write_text("width,class\n1.5,rose\n0.5,tulip\n")
    with pytest.raises(MissingExtra, match=rf"a {ending} file needs pyarrow: run .*'steepest\[tables\]'"):
        st.datasets.from_file(file)


def test_every_package_that_is_missing_is_named(monkeypatch):
    without(monkeypatch, "filelock", "netCDF4")
    with pytest.raises(MissingExtra, match=r"^this needs filelock, netCDF4: run pip") as error:
        require("lab", "this")
    assert (error.value.extra, error.value.package) == ("lab", "filelock, netCDF4")


def test_the_command_without_its_extra_is_one_line_and_exit_code_3(monkeypatch, capsys):
    without(monkeypatch, "typer")
    assert main() == 3
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == (
        "",
        "error: the command line needs typer: run pip install 'steepest[lab]'\n",
    )


@pytest.mark.lab
@pytest.mark.parametrize("command", [["-m", "steepest"], [f"{sys.exec_prefix}/bin/steepest"]])
def test_module_and_command_are_one(command):
    run = subprocess.run([sys.executable, *command, "--version"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, f"steepest {st.__version__}\n", "")

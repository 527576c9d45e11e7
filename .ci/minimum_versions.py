"""Print constraints: the lowest versions that pyproject.toml allows, of the core and of the extras named.

Tools for the tests are held at the versions of constraints.txt; pandas, which goes with NumPy, is not. For
instance:
python .ci/minimum_versions.py lab > minimum.txt && pip install -c minimum.txt '.[lab,test]'
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import tomllib

root = Path(__file__).parents[1]
project = tomllib.loads(root.joinpath("pyproject.toml").read_text("utf-8"))["project"]
extras = project["optional-dependencies"]
libraries = [each for each in extras["test"] if each.startswith("pandas")]
lowest = [*project["dependencies"], *(each for name in sys.argv[1:] for each in extras[name]), *libraries]
tools = tuple(re.match(r"[\w-]+", each)[0] + "==" for each in extras["test"] if each not in libraries)
constraints = root.joinpath("constraints.txt").read_text("utf-8").splitlines()
held = [line for line in constraints if line.startswith(tools)]
sys.stdout.write("\n".join([*(each.replace(">=", "==", 1) for each in lowest), *held]) + "\n")

"""Print constraints: the lowest version of every requirement in pyproject.toml, of the core and of the extras named.

Tools for the tests are held at the versions of constraints.txt. For instance:
python .ci/minimum_versions.py lab > minimum.txt && pip install -c minimum.txt '.[lab,test]'
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

root = Path(__file__).parents[1]
project = tomllib.loads(root.joinpath("pyproject.toml").read_text("utf-8"))["project"]
extras = project["optional-dependencies"]
lowest = [*project["dependencies"], *(each for name in sys.argv[1:] for each in extras[name])]
tools = tuple(re.match(r"[\w-]+", each)[0] + "==" for each in extras["test"])
held = [line for line in root.joinpath("constraints.txt").read_text("utf-8").splitlines() if line.startswith(tools)]
sys.stdout.write("\n".join([*(each.replace(">=", "==", 1) for each in lowest), *held]) + "\n")

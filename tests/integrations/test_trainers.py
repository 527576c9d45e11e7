"""Trainers of other libraries take our optimisers: the examples, run as a user would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def printed(name, *options):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(EXAMPLES / name), *options]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def test_hugging_face_s_trainer_trains_and_resumes_a_transformer():
    said = printed("huggingface.py", "--steps", "20")
    assert re.search(r"c_attn\.weight +64×192 +3 of 64×64 +spectral", said)
    assert re.search(r"wte\.weight +\d+×64 +\d+×64 +row-2/inf", said)
    found = re.search(r"losses ([\d.]+) to ([\d.]+), after 20 steps with one resumption", said)
    assert found is not None
    assert float(found[2]) < float(found[1])


def test_lightning_s_trainer_trains_and_resumes_a_network():
    said = printed("lightning_probe.py", "--steps", "20")
    assert re.search(r"20 steps with one resumption; loss [\d.]+", said)
    assert "averages are kept in torch.float32, torch.int8" in said
    assert "margin of the head in the spectral norm" in said

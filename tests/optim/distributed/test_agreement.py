"""One, two and four processes take the steps of one."""

from __future__ import annotations

import pytest
import torch
from tests.optim.distributed.cases import all_together, cases
from tests.optim.distributed.ranks import run


@pytest.mark.parametrize("world", [1, 2, 4])
def test_all_numbers_of_ranks_take_the_same_steps(world, tmp_path):
    results = run(world, all_together, tmp_path, world)
    for index, case in enumerate(cases(world)):
        expected = case.alone()
        for result in results:
            for own, param in zip(result[index], expected, strict=True):
                torch.testing.assert_close(own, param, rtol=0, atol=1e-6, msg=lambda text: f"{case}: {text}")

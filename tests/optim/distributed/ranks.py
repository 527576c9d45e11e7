"""Starts processes that work together over gloo, from a server that has imported PyTorch once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "torch.distributed.checkpoint.state_dict",
        "torch.distributed.fsdp",
        "torch.distributed.tensor.parallel",
        "steepest.optim.distributed",
        "tests.optim.distributed.cases",
    ]
)
Work = Callable[..., Any]


def run(size: int, work: Work, folder: Path, *args: Any, killed: int | None = None) -> list[Any]:
    """Return what ``work(*args)`` returns on each of some ranks; of a failed one its error's text.

    Work is a function of a module. ``killed`` is the rank that ends itself in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    processes = [
        _CONTEXT.Process(target=_start, args=(rank, size, str(folder), work, args), daemon=True)
        for rank in range(size)
    ]
    for process in processes:
        process.start()
    end = time.monotonic() + 120
    for process in processes:
        process.join(max(0, end - time.monotonic()))
        process.kill()
    results: list[Any] = []
    failed = ""
    for rank, process in enumerate(processes):
        if rank == killed:
            assert process.exitcode == -signal.SIGKILL
            results.append(None)
            continue
        assert process.exitcode == 0, f"rank {rank} ended with {process.exitcode}"
        value, error = torch.load(folder / f"{rank}.pt", weights_only=False)
        results.append(error if error else value)
        failed = f"{failed}rank {rank}: {error}" if error else failed
    assert killed is not None or not failed, failed
    return results


def _start(rank: int, size: int, folder: str, work: Work, args: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)

    dist.init_process_group(
        "gloo", f"file://{folder}/store", timeout=timedelta(seconds=60), rank=rank, world_size=size
    )
    value, error = None, ""
    try:
        value = work(*args)
    except Exception:  # noqa: BLE001
        error = traceback.format_exc()
    torch.save((value, error), Path(folder) / f"{rank}.pt")
    if error:
        os._exit(0)
    dist.destroy_process_group()

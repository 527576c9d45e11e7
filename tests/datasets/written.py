"""Files of data for the tests, in every format."""

from __future__ import annotations

import numpy as np
import pandas as pd

FRAME = pd.DataFrame({"a": [1.5, 2.0, -1.0], "b": [3, 4, 5], "label": ["rose", "tulip", "rose"]})


def written(tmp_path, name, content):
    """Write text, bytes or, through a function of the path, anything else."""
    path = tmp_path / name
    if callable(content):
        content(path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content, encoding="utf-8")
    return path


def csv(frame, **options):
    return lambda path: frame.to_csv(path, index=False, **options)


def parquet(frame):
    return frame.to_parquet


def npz(**arrays_by_name):
    return lambda path: np.savez(path, **arrays_by_name)

"""The basic bundle of plotly.js as its makers publish it, compressed; see README.md beside it."""

from __future__ import annotations

from importlib import resources

__all__ = ["VERSION", "compressed_bundle"]

VERSION = "4.1.1"
"""The version of plotly.js."""


def compressed_bundle() -> bytes:
    """Return the minified script, compressed with gzip.

    >>> import gzip
    >>> gzip.decompress(compressed_bundle())[:80].decode().splitlines()[1].strip()
    '* plotly.js (basic - minified) v4.1.1'
    """
    return (resources.files(__name__) / "plotly-basic.min.js.gz").read_bytes()

"""The compiled engine: one run at a time in numba, with its weights in a core's cache."""

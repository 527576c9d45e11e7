"""Settings of the whole test suite."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples on every run and machine; HYPOTHESIS_PROFILE=search looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None, max_examples=20, database=None)
settings.register_profile("search", deadline=None, max_examples=500, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

"""Settings for every test."""

import os

from hypothesis import HealthCheck, settings

# Before Triton is first imported: its kernels run in its interpreter, on CPU tensors, unless told otherwise.
os.environ.setdefault("TRITON_INTERPRET", "1")

# The same examples on every run, unless a person looks for new ones with HYPOTHESIS_PROFILE=search.
settings.register_profile("repeat", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))

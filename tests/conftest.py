"""Settings for every test."""

import os

from hypothesis import HealthCheck, settings

# Before Triton is first imported: its kernels run in its interpreter, on CPU tensors, unless told otherwise.
os.environ.setdefault("TRITON_INTERPRET", "1")

# Before OpenMP is first loaded, here and in processes that tests start: threads that wait for work sleep. Many small layers on
# two busy cores take three times as long, both in seconds and in seconds of the processor, where they turn in circles instead.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# The same examples on every run, unless a person looks for new ones with HYPOTHESIS_PROFILE=search.
settings.register_profile("repeat", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))

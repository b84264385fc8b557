"""Training on the embedded images in place of a set's official files, so that nothing has to be installed."""

from contextlib import contextmanager

import pytest
import torch

from addersim.train import loop


@contextmanager
def embedded(pixels):
    """Both splits of any set are these images; one thread, whose last digits are always the same."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "load", lambda name, root, split, limit: pixels.first(limit))
        torch.set_num_threads(1)
        yield
    torch.set_num_threads(threads)

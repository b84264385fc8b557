"""A torch module as it is at inference, and afterwards what it was."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator

import torch
from torch import nn

__all__ = ["as_inference"]


@contextlib.contextmanager
def as_inference(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode; afterwards mode, attributes, hooks, buffers and random numbers are what they were."""
    modules = list(module.modules())
    inner = ("_parameters", "_buffers", "_modules")
    states = [{key: copy.copy(value) if key in inner else value for key, value in vars(one).items()} for one in modules]
    buffers = [(one, one.detach().clone()) for one in module.buffers()]
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, of what the user wrote and nothing here can change
            module.eval()
            yield
    finally:
        for one, state in zip(modules, states, strict=True):
            vars(one).clear()
            vars(one).update(state)
        for buffer, before in buffers:
            if not torch.equal(buffer.detach().nan_to_num(), before.nan_to_num()):
                buffer.copy_(before)

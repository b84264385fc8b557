"""A torch module as it is at inference, and afterwards what it was."""

from __future__ import annotations

import contextlib
import copy
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["as_inference"]

Undo = Callable[[], None]


@contextlib.contextmanager
def as_inference(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode; afterwards it is what it was.

    That is its mode, attributes (what lists, dictionaries and tensors among them hold, too), hooks, parameters, buffers and
    which of them have gradients; and torch's random numbers. What forward prints goes to standard error.
    """
    undo = [*map(_undo_attributes, module.modules()), *map(_undo_tensor, (*module.parameters(), *module.buffers()))]
    try:
        with (
            torch.random.fork_rng(devices=[]),
            torch.no_grad(),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(sys.stderr),
        ):
            warnings.simplefilter("ignore")  # torch's own, of what the user wrote and nothing here can change
            module.eval()
            yield
    finally:
        with torch.no_grad():
            for step in undo:
                step()


def _undo_attributes(module: nn.Module) -> Undo:
    """Gives a module the attributes that it has now, and each container among them what it holds now."""
    state = dict(vars(module))
    held = [(one, copy.copy(one)) for one in state.values() if isinstance(one, (list, dict, set))]
    tensors = [_undo_tensor(one) for one in state.values() if isinstance(one, Tensor)]

    def undo() -> None:
        vars(module).clear()
        vars(module).update(state)
        for container, before in held:
            container.clear()
            _fill(container, before)
        for step in tensors:
            step()

    return undo


def _fill(container: Any, before: Any) -> None:
    if isinstance(container, list):
        container.extend(before)
    else:
        container.update(before)


def _undo_tensor(tensor: Tensor) -> Undo:
    """Gives a tensor the values that it has now, if it was written to."""
    before, version, gradient = tensor.detach().clone(), tensor._version, tensor.requires_grad

    def undo() -> None:
        if tensor._version != version:
            tensor.detach().copy_(before)
        if tensor.requires_grad != gradient and tensor.is_leaf:
            tensor.requires_grad_(gradient)

    return undo

"""Modules that remember: what their forward leaves behind decides what it gives the next time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from addersim.errors import LoweringError
from addersim.format_quantity import first_of
from addersim.frontends.proof import TOLERANCE, compare
from addersim.frontends.torch.inference import as_inference

__all__ = ["refuse_memory"]


def refuse_memory(title: str, module: nn.Module, image: Tensor) -> None:
    """Run a module twice on one image, and refuse one that gives something else the second time.

    A network has no memory: it would give what the module gives the first time. What forward keeps without reading it, such as
    a count of images or a grid of positions, changes nothing and stays allowed.

    Raises
    ------
    LoweringError
        With the buffers and attributes that changed between the runs.
    """
    with as_inference(module):
        first, before = _outputs(module, image), _state(module)
        second, after = _outputs(module, image), _state(module)
    pairs = list(zip(first, second, strict=False))
    if len(first) == len(second) and all(one.shape == other.shape and _near(one, other) for one, other in pairs):
        return
    changed = [name for name, value in after.items() if before.get(name) != value]
    where = f"its forward changes {first_of(changed)}" if changed else "its forward draws numbers, or remembers something"
    raise LoweringError(
        f"{title}: gives other values the second time it is run on the same image: {where}; a network has no memory"
    )


def _outputs(module: nn.Module, image: Tensor) -> list[Tensor]:
    found = torch.utils._pytree.tree_leaves(module(image.clone()))
    return [one.detach().clone() for one in found if isinstance(one, Tensor)]


def _near(first: Tensor, second: Tensor) -> bool:
    one, other = (value.cpu().double().numpy() for value in (first, second))
    return bool(np.array_equal(one, other, equal_nan=True)) or compare(one, other) <= TOLERANCE


def _state(module: nn.Module) -> Mapping[str, object]:
    """What tells whether a tensor or a plain attribute of any module is what it was, by its path."""
    found: dict[str, object] = {}
    for path, part in module.named_modules():
        for name, value in {**vars(part), **part._buffers, **part._parameters}.items():
            if isinstance(value, Tensor):
                found[f"{path}.{name}".strip(".")] = (id(value), value._version)
            elif isinstance(value, (bool, int, float, str)):
                found[f"{path}.{name}".strip(".")] = value
    return found

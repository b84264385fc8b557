"""Constants that are computed: how large they may get, and the number that stands for that of images."""

from __future__ import annotations

from typing import Any

import numpy as np

from addersim.frontends.onnx.file import Array, Node
from addersim.inputs.opening import MAX_FILE_BYTES

__all__ = ["BATCH", "MOST_REPEATED", "axes_of", "of_images", "room"]

BATCH = -2_000_000_011
"""Stands for the number of images in a shape: no sum, product or quotient of it with sizes is a size, 0 or -1."""

MAX_VALUES = 1 << 24
"""Values of a constant that is computed; weights that are only renamed or transposed take no memory and may be larger."""

MOST_REPEATED = MAX_FILE_BYTES // 8
"""Values of a constant that repeats others, which takes no memory of its own."""


def of_images(values: Array | None) -> bool:
    """Whether what stands for the number of images is among whole numbers, or has gone into them."""
    if values is None or values.dtype.kind != "i":
        return False
    sizes = np.abs(values[np.abs(values) < 1 << 60])  # the ends of int64 stand for the end of an axis
    return bool((sizes > 1_000_000_000).any())


def axes_of(node: Node, inputs: list[Any], place: int = 1) -> tuple[int, ...] | None:
    """Axes from an attribute (old opsets) or from a constant input; None where neither is there."""
    if "axes" in node.attributes:
        return tuple(node.attributes["axes"])
    given = inputs[place] if len(inputs) > place else None
    return None if given is None else tuple(int(one) for one in given.reshape(-1))


def room(node: Node, values: int, most: int | None = None) -> None:
    """Refuse to compute more values than are allowed."""
    most = MAX_VALUES if most is None else most
    if values > most:
        node.fail(f"would compute a constant of {values:,} values; at most {most:,} are allowed")

"""What a TFLite file holds, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from addersim.errors import LoweringError

__all__ = ["Array", "Graph", "Operator", "Shape", "Tensor"]

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor as plain values.

    Attributes
    ----------
    name
        How messages call it.
    type
        In TensorFlow Lite's words, such as ``INT8``.
    shape
        Batch first.
    signature
        The same with -1 where a size is open, or empty.
    scales, zero_points, axis
        How its codes stand for reals: none, one for all, or one for each place along an axis.
    data
        Of a constant, in its shape; None for what operators give.
    why_unread
        Why a constant has no data here, empty where it has.
    """

    name: str
    type: str
    shape: Shape
    signature: Shape
    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.int64]
    axis: int
    data: Array | None
    why_unread: str = ""

    def fail(self, why: str) -> NoReturn:
        """Refuse the tensor."""
        raise LoweringError(f"tensor {self.name!r}: {why}")


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator as plain values; inputs and outputs are tensors by number, -1 where an input is left out."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph with one input, its operators in an order in which they can run.

    Attributes
    ----------
    tensors
        All of the file, by number.
    image
        The input's number.
    outputs
        Those of the outputs, at least one.
    """

    name: str
    tensors: tuple[Tensor, ...]
    image: int
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...]

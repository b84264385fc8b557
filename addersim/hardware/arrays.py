"""The number types of closed forms that hold for one layer, and element by element for arrays of layers or candidates."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["AnyArray", "BoolArray", "BoolOrArray", "FloatArray", "IntArray", "IntLike", "IntOrArray", "fewer"]

IntArray: TypeAlias = npt.NDArray[np.signedinteger[Any]]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
IntOrArray: TypeAlias = int | IntArray
BoolOrArray: TypeAlias = bool | np.bool_ | npt.NDArray[np.bool_]
AnyArray: TypeAlias = Any
"""Numbers or arrays whose type numpy's own annotations lose."""
FloatArray: TypeAlias = npt.NDArray[np.float64]
IntLike = TypeVar("IntLike", int, IntOrArray)
"""Of a function that gives numbers for numbers, and arrays for arrays."""


def fewer(a: IntLike, b: IntLike) -> IntLike:
    """The lesser of two numbers, or of each pair."""
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else np.minimum(a, b)

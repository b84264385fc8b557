"""The fast kernels: the only importer of `addersim._core`, which checks nothing. Here everything is checked and allocated.

Values are channels last: x ``(images, height, width, channels)``, window weights
``(outputs, kernel_height, kernel_width, channels / groups)``. `addersim.reference` holds a slow twin of each function, which
is its specification. ``threads=None`` takes as many threads as OpenMP would (``OMP_NUM_THREADS``); no result depends on it.
The environment variable ``ADDERSIM_KERNELS`` forces one instruction set.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.errors import ConfigError, FormatError, NetworkError
from addersim.geometry import Geometry, Pair

try:
    from addersim import _core
except ImportError as error:
    raise ImportError(
        f"addersim._core, the compiled kernels, cannot load ({error}); build it with a C compiler: pip install -e . or make"
    ) from error

__all__ = [
    "KernelInfo",
    "kernel_info",
    "l1_forward",
    "l1_input_gradient",
    "l1_sign_filter_gradient",
    "mac_forward",
]

Floats = npt.NDArray[np.float32]

KNOWN_SETS = ("portable", "avx2", "avx512", "neon")


@dataclass(frozen=True, slots=True)
class KernelInfo:
    """What runs the kernels.

    Attributes
    ----------
    instruction_set
        The set in use.
    available
        Sets that this machine runs, best first.
    threads
        Threads of a call that does not say how many.
    openmp
        Whether the kernels were built with OpenMP; without it there is one thread.
    """

    instruction_set: str
    available: tuple[str, ...]
    threads: int
    openmp: bool


def kernel_info() -> KernelInfo:
    """The instruction set in use, those available, and the default number of threads."""
    available = _core.instruction_sets()
    threads = _core.default_threads()
    return KernelInfo(available[_kernels()], available, max(1, threads), threads > 0)


def _kernels() -> int:
    """Position of the instruction set in use: the best, or what ADDERSIM_KERNELS names."""
    name = os.environ.get("ADDERSIM_KERNELS", "")
    if not name:
        return 0
    available = _core.instruction_sets()
    if name not in available:
        found = "is not a known instruction set" if name not in KNOWN_SETS else "is not supported by this machine"
        raise ConfigError(f"ADDERSIM_KERNELS: {name!r} {found}; this machine runs {', '.join(available)}")
    return available.index(name)


def _threads(threads: int | None) -> int:
    if threads is None:
        return 0
    if not isinstance(threads, (int, np.integer)) or isinstance(threads, bool) or not 1 <= threads <= 1024:
        raise ConfigError(f"threads: {threads!r} is not a whole number in 1..1024, or None for as many as OpenMP takes")
    return int(threads)


def _array(what: str, values: npt.NDArray[Any], *types: str) -> npt.NDArray[Any]:
    """A contiguous array in native byte order, of one of some types."""
    if not isinstance(values, np.ndarray) or values.dtype.newbyteorder("=").name not in types:
        found = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
        raise FormatError(f"{what}: {found} is not an array of {' or '.join(types)}")
    return np.ascontiguousarray(values, values.dtype.newbyteorder("="))


def _floats(what: str, values: npt.NDArray[Any]) -> Floats:
    return _array(what, values, "float32")


def _numbers(geometry: Geometry, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> tuple[int, ...]:
    """Geometry in the order of the C struct."""
    sizes = (*x.shape, *y.shape[1:], *geometry.kernel)
    return (*sizes, *geometry.stride, *geometry.padding, *geometry.dilation, geometry.groups)


Moves = tuple[Pair, Pair, Pair, int]


def _window_geometry(weights: npt.NDArray[Any], moves: Moves) -> Geometry:
    if weights.ndim != 4 or weights.size == 0:
        raise NetworkError(f"weights: shape {weights.shape} is not (outputs, kernel_height, kernel_width, channels / groups)")
    return Geometry((weights.shape[1], weights.shape[2]), *moves)


def _forward(l1: bool, x: Floats, weights: Floats, moves: Moves, threads: int | None) -> Floats:
    x, weights = _floats("x", x), _floats("weights", weights)
    geometry = _window_geometry(weights, moves)
    y = np.empty(geometry.output_shape(x.shape, weights.shape), np.float32)
    count = _threads(threads)
    if y.size:
        _core.forward(x, weights, y, _numbers(geometry, x, y), l1, _kernels(), count)
    return y


def l1_forward(
    x: Floats,
    weights: Floats,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    threads: int | None = None,
) -> Floats:
    """Adder layer on floats: ``-sum |x - w|`` over each window; padding is an operand of value zero (arXiv 1912.13200, eq. 2).

    Parameters
    ----------
    x
        float32 ``(images, height, width, channels)``
    weights
        float32 ``(outputs, kernel_height, kernel_width, channels / groups)``
    stride, padding, dilation, groups
        See `addersim.geometry.Geometry`.
    threads
        How many; None takes what OpenMP would. The result does not depend on it.

    Returns
    -------
    float32 ``(images, out_height, out_width, outputs)``

    Raises
    ------
    FormatError, NetworkError, ConfigError
        For a wrong type, shapes that do not fit, or a number of threads out of range.

    Examples
    --------
    >>> x, w = np.array([[[[1, -2]]]], np.float32), np.array([[[[3, 1]]]], np.float32)
    >>> l1_forward(x, w).item()
    -5.0
    """
    return _forward(True, x, weights, (stride, padding, dilation, groups), threads)


def mac_forward(
    x: Floats,
    weights: Floats,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    threads: int | None = None,
) -> Floats:
    """Convolution on floats: ``sum x * w`` over each window. Arguments and result as `l1_forward`."""
    return _forward(False, x, weights, (stride, padding, dilation, groups), threads)


def _backward(gradient: Floats, x: Floats, weights: Floats, moves: Moves) -> tuple[Floats, Floats, Floats, Geometry]:
    gradient, x, weights = _floats("gradient", gradient), _floats("x", x), _floats("weights", weights)
    geometry = _window_geometry(weights, moves)
    if gradient.shape != (wanted := geometry.output_shape(x.shape, weights.shape)):
        raise NetworkError(f"gradient: shape {gradient.shape}; the layer's output has {wanted}")
    return gradient, x, weights, geometry


def l1_input_gradient(
    gradient: Floats,
    x: Floats,
    weights: Floats,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    threads: int | None = None,
) -> Floats:
    """Gradient of `l1_forward` for x, with the sign clipped to HardTanh (arXiv 1912.13200, eq. 6).

    ``sum gradient * clamp(w - x, -1, 1)`` over the outputs that see a pixel.

    Parameters
    ----------
    gradient
        float32 ``(images, out_height, out_width, outputs)``
    x, weights, stride, padding, dilation, groups, threads
        As in `l1_forward`.

    Returns
    -------
    float32, of the shape of `x`
    """
    gradient, x, weights, geometry = _backward(gradient, x, weights, (stride, padding, dilation, groups))
    out, count = np.empty(x.shape, np.float32), _threads(threads)
    if out.size:
        _core.l1_input_gradient(gradient, x, weights, out, _numbers(geometry, x, gradient), _kernels(), count)
    return out


def l1_sign_filter_gradient(
    gradient: Floats,
    x: Floats,
    weights: Floats,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    threads: int | None = None,
) -> Floats:
    """Gradient of `l1_forward` for the weights as it is, without the paper's full-precision form (arXiv 1912.13200, eq. 4).

    ``sum gradient * sign(x - w)`` over all windows. Arguments as in `l1_input_gradient`; the result has `weights`' shape.
    """
    gradient, x, weights, geometry = _backward(gradient, x, weights, (stride, padding, dilation, groups))
    out, count = np.zeros(weights.shape, np.float32), _threads(threads)
    if gradient.size:
        _core.l1_sign_filter_gradient(gradient, x, weights, out, _numbers(geometry, x, gradient), _kernels(), count)
    return out


_kernels()  # a wrong ADDERSIM_KERNELS is told at import, not at the first layer

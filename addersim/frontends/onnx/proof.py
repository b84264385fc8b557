"""The proof of an ONNX file's lowering."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from msgspec.structs import replace

from addersim.errors import AddersimError, LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.onnx.call import Number
from addersim.frontends.onnx.evaluator import EvaluatorFails, evaluator, has_runtime
from addersim.frontends.onnx.file import Array
from addersim.frontends.onnx.walk import Walk
from addersim.frontends.proof import (
    NOT_CHECKED,
    PROOF,
    Agreement,
    first_difference,
    made_up_images,
    nchw,
    network_values,
    prove,
)
from addersim.images import Images
from addersim.layers import Window
from addersim.network import Network

__all__ = ["proved"]

MOST_PRODUCTS = 2_000_000_000
"""Multiply-accumulates for one image that onnx's evaluator, which is slow, is given; onnxruntime takes any number."""


def proved(network: Network, walk: Walk, outputs: Sequence[str], images: Images | None) -> Network:
    """The network with a note of how far it is from its file, or why that could not be found out.

    Raises
    ------
    LoweringError
        Where they differ: by how much, and from which layer on.
    """
    if not has_runtime() and (products := _products(network)) > MOST_PRODUCTS:
        why = f"{products:,} products are too many for onnx's evaluator; install onnxruntime"
        return replace(network, metadata=network.metadata | {PROOF: f"{NOT_CHECKED}: {why}"})
    given = made_up_images(network) if images is None else images
    try:
        run, beside = evaluator(walk.graph, walk.last, walk.graph.outputs)
        with np.errstate(all="ignore"):
            found = prove(network, lambda part: _finite(_rows(run(part)), images is None), outputs, given)
    except EvaluatorFails as error:
        return replace(network, metadata=network.metadata | {PROOF: f"{NOT_CHECKED}: {error}"})
    except LoweringError:
        raise
    except AddersimError as error:
        raise LoweringError(f"{network.name}: the lowered network does not run: {error}") from None
    if isinstance(found, Agreement):
        return replace(network, metadata=network.metadata | {PROOF: f"{found}, beside {beside}"})
    place = _first_difference(network, walk, nchw(network, given[:1]))
    raise LoweringError(f"{network.name}: the lowered network differs from the file: {found}{place}")


def _products(network: Network) -> int:
    shapes = network.shapes()
    windows = [layer for layer in network.layers if isinstance(layer, Window)]
    return sum(int(np.prod(shapes[one.name][1:])) * one.weights.size for one in windows)


def _rows(found: Sequence[Array]) -> list[Array]:
    """Outputs with an axis for values: one number an image has one of size 1."""
    return [one.reshape(len(one), -1) if one.ndim == 1 else one for one in found]


def _finite(found: list[Array], made_up: bool) -> list[Array]:
    """Values that can be compared; made-up images may be such that there are none, such as logarithms of negative ones."""
    if made_up and not all(np.isfinite(one).all() for one in found):
        raise EvaluatorFails("the file gives NaN or infinite values for made-up images; give images")
    return found


def _first_difference(network: Network, walk: Walk, part: Array) -> str:
    names = [name for name, value in walk.values.items() if isinstance(value, (Flow, Number)) and name != walk.graph.image]
    try:
        run, _ = evaluator(walk.graph, walk.last, names)
        steps = list(_steps(walk, dict(zip(names, run(part), strict=True))))
    except EvaluatorFails:
        return ""
    found = first_difference(network_values(network, part), steps)
    return f"; {found}" if found else ""


def _steps(walk: Walk, wanted: Mapping[str, Array]) -> Iterator[tuple[Flow, str, Array]]:
    for name, found in wanted.items():
        value = walk.values[name]
        flow = value.flow if isinstance(value, Number) else value
        if isinstance(flow, Flow):
            yield flow, f"{name!r} of the file", _rows([found])[0]

"""The proof of an ONNX file's lowering."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from addersim.errors import AddersimError, LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.onnx.call import Number
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
from addersim.layers import Window
from addersim.network import Images, Network

__all__ = ["proved"]

MOST_PRODUCTS = 2_000_000_000
"""Multiply-accumulates for one image that onnx's evaluator, which is slow, is given; onnxruntime takes any number."""


class _Fails(Exception):
    """The evaluator itself fails."""


def proved(network: Network, walk: Walk, outputs: Sequence[str], images: Images | None) -> Network:
    """The network with a note of how far it is from its file, or why that could not be found out.

    Raises
    ------
    LoweringError
        Where they differ: by how much, and from which layer on.
    """
    if not _has_runtime() and (products := _products(network)) > MOST_PRODUCTS:
        why = f"{products:,} products are too many for onnx's evaluator; install onnxruntime"
        return replace(network, metadata=network.metadata | {PROOF: f"{NOT_CHECKED}: {why}"})
    given = made_up_images(network) if images is None else images
    try:
        run, beside = _evaluator(walk, walk.graph.outputs)
        found = prove(network, lambda part: _rows(run(part)), outputs, given)
    except _Fails as error:
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


def _first_difference(network: Network, walk: Walk, part: Array) -> str:
    names = [name for name, value in walk.values.items() if isinstance(value, (Flow, Number)) and name != walk.graph.image]
    try:
        run, _ = _evaluator(walk, names)
        steps = list(_steps(walk, dict(zip(names, run(part), strict=True))))
    except _Fails:
        return ""
    found = first_difference(network_values(network, part), steps)
    return f"; {found}" if found else ""


def _steps(walk: Walk, wanted: Mapping[str, Array]) -> Iterator[tuple[Flow, str, Array]]:
    for name, found in wanted.items():
        value = walk.values[name]
        flow = value.flow if isinstance(value, Number) else value
        if isinstance(flow, Flow):
            yield flow, f"{name!r} of the file", _rows([found])[0]


def _has_runtime() -> bool:
    try:
        import onnxruntime  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        return False
    return True


def _evaluator(walk: Walk, outputs: Sequence[str]) -> tuple[Callable[[Array], list[Array]], str]:
    """What runs the file on images, channels first, for some of its values; and its name."""
    kind = walk.graph.model.graph.input
    model = _with_outputs(walk.graph.model, outputs)
    session, name = _session(model)
    element = next(one.type.tensor_type.elem_type for one in kind if one.name == walk.graph.image)
    dtype = {10: np.float16, 11: np.float64}.get(element, np.float32)
    last, batch = walk.last, walk.graph.sizes[0]

    def run(images: Array) -> list[Array]:
        images = np.moveaxis(images, 1, -1) if last else images
        size = batch or len(images)
        found: list[list[Array]] = []
        for start in range(0, len(images), size):
            part = images[start : start + size]
            whole = np.ascontiguousarray(np.resize(part, (size, *part.shape[1:])), dtype)
            found.append([_cut(one, size, len(part)) for one in _run(session, outputs, walk.graph.image, whole)])
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]

    return run, name


def _cut(values: Any, size: int, wanted: int) -> Array:
    found = np.asarray(values, np.float32)
    if not found.ndim or len(found) != size:
        raise LoweringError(f"the file gives a value of shape {found.shape} for {size} images; the first axis must be theirs")
    return found[:wanted]


def _run(session: Any, outputs: Sequence[str], image: str, images: Array) -> Any:
    try:
        with np.errstate(all="ignore"):
            return session.run(list(outputs), {image: images})
    except Exception as error:  # the evaluator is not ours, and may fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise _Fails(f"the evaluator fails on {len(images)} images: {reason[:160]}") from None


def _with_outputs(given: Any, names: Sequence[str]) -> Any:
    """A model that gives some values, and in which batch norm uses its own statistics whatever the momentum."""
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(given)
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":  # onnx's evaluator trains it, in old versions, where there is a momentum
            kept = [one for one in node.attribute if one.name != "momentum"]
            del node.attribute[:]
            node.attribute.extend(kept)
    return model


def _session(model: Any) -> tuple[Any, str]:
    import onnx

    try:
        if _has_runtime():
            import onnxruntime

            session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            return session, f"onnxruntime {onnxruntime.__version__}"
        from onnx.reference import ReferenceEvaluator

        return ReferenceEvaluator(model), f"onnx {onnx.__version__}"
    except Exception as error:  # as above
        reason = " ".join(str(error).split()) or type(error).__name__
        raise _Fails(f"the evaluator cannot read the file: {reason[:160]}") from None

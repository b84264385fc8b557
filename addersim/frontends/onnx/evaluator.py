"""What runs an ONNX file: onnxruntime where it is installed, else onnx's own evaluator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from addersim.arithmetic.arithmetics import ARITHMETICS, Arithmetic
from addersim.errors import LoweringError
from addersim.frontends.onnx.file import OWN_DOMAIN, Array, Graph

__all__ = ["EvaluatorFails", "definitions", "evaluator", "has_runtime"]


class EvaluatorFails(Exception):
    """The evaluator itself fails, which says nothing of the network."""


def has_runtime() -> bool:
    """Whether onnxruntime is installed."""
    try:
        import onnxruntime  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        return False
    return True


def evaluator(graph: Graph, last: bool, outputs: Sequence[str]) -> tuple[Callable[[Array], list[Array]], str]:
    """What runs the file on images, channels first, for some of its values; and its name.

    Where the file is for a certain number of images, it is run on as many at a time, some of them again where there are fewer.
    """
    session, name = _session(_with_outputs(graph.model, outputs), graph.opset)
    element = next(one.type.tensor_type.elem_type for one in graph.model.graph.input if one.name == graph.image)
    dtype = {10: np.float16, 11: np.float64}.get(element, np.float32)
    batch = graph.sizes[0]

    def run(images: Array) -> list[Array]:
        images = np.moveaxis(images, 1, -1) if last else images
        size = batch or len(images)
        found: list[list[Array]] = []
        for start in range(0, len(images), size):
            part = images[start : start + size]
            whole = np.ascontiguousarray(np.resize(part, (size, *part.shape[1:])), dtype)
            found.append([_cut(one, size, len(part)) for one in _run(session, outputs, graph.image, whole)])
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
        raise EvaluatorFails(f"the evaluator fails on {len(images)} images: {reason[:160]}") from None


def _with_outputs(given: Any, names: Sequence[str]) -> Any:
    """A model that gives some values."""
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(given)
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    return model


def _session(model: Any, opset: int) -> tuple[Any, str]:
    import onnx

    own = any(node.domain == OWN_DOMAIN for node in model.graph.node)
    try:
        if has_runtime() and not own:
            import onnxruntime

            session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            return session, f"onnxruntime {onnxruntime.__version__}"
        from onnx.reference import ReferenceEvaluator

        return ReferenceEvaluator(model, new_ops=definitions(opset)), f"onnx {onnx.__version__}"
    except Exception as error:  # as above
        reason = " ".join(str(error).split()) or type(error).__name__
        raise EvaluatorFails(f"the evaluator cannot read the file: {reason[:160]}") from None


def definitions(opset: int) -> list[Any]:
    """Operators that onnx's evaluator does not know, our own, or computes in other ways than ONNX defines."""
    from onnx import defs
    from onnx.reference.op_run import OpRun

    operators: dict[str, Callable[..., tuple[Array, ...]]] = {
        "LRN": _local_response,
        "LpNormalization": _length,
        "MaxPool": _max_pool,
        "Resize": _resize,
        "GlobalMaxPool": lambda self, x: (x.max(tuple(range(2, x.ndim)), keepdims=True),),
    }
    if opset < 14:
        operators["BatchNormalization"] = _batch_norm  # which it trains
    if opset < 13:
        operators |= {"Softmax": _softmax, "LogSoftmax": _log_softmax}  # along one axis instead of all that follow
    schemas = {name: defs.get_schema(name, opset, "") for name in operators}
    known = [
        type(name, (OpRun,), {"op_domain": "", "op_schema": schemas[name], "_run": run}) for name, run in operators.items()
    ]
    return [*known, *(_window(OpRun, one) for one in ARITHMETICS.values() if one.has_own_operator)]


def _batch_norm(
    self: Any, x: Array, scale: Array, bias: Array, mean: Array, variance: Array, **settings: Any
) -> tuple[Array, ...]:
    one, shift, middle, spread = (values.reshape(-1, *[1] * (x.ndim - 2)) for values in (scale, bias, mean, variance))
    found = one * (x - middle) / np.sqrt(spread + np.float32(settings["epsilon"])) + shift
    return (found.astype(x.dtype),)


def _local_response(
    self: Any, x: Array, alpha: Any = None, beta: Any = None, bias: Any = None, size: Any = None
) -> tuple[Array, ...]:
    padded = np.pad(x * x, [(0, 0), ((size - 1) // 2, size - 1 - (size - 1) // 2), *[(0, 0)] * (x.ndim - 2)])
    sums = sum(padded[:, place : place + x.shape[1]] for place in range(size))
    return ((x / (bias + alpha / size * sums) ** beta).astype(x.dtype),)


def _max_pool(self: Any, x: Array, **settings: Any) -> tuple[Array, ...]:
    axes = x.ndim - 2
    kernel = settings["kernel_shape"]
    stride, spread = (settings.get(name) or [1] * axes for name in ("strides", "dilations"))
    reach = [step * (taps - 1) + 1 for step, taps in zip(spread, kernel, strict=True)]
    pads = settings.get("pads") or [0] * (2 * axes)
    mode = settings.get("auto_pad") or "NOTSET"
    around, places = [], []
    for axis, size in enumerate(x.shape[2:]):
        before, after = pads[axis], pads[axis + axes]
        if mode.startswith("SAME"):
            total = max(0, (-(-size // stride[axis]) - 1) * stride[axis] + reach[axis] - size)
            before = total // 2 if mode == "SAME_UPPER" else total - total // 2
            after = total - before
        room = size + before + after - reach[axis]
        count = (-(-room // stride[axis]) if settings.get("ceil_mode") else room // stride[axis]) + 1
        count -= (count - 1) * stride[axis] >= size + before  # no window starts behind the values
        around.append((before, max(after, (count - 1) * stride[axis] + reach[axis] - size - before)))
        places.append(slice(0, (count - 1) * stride[axis] + 1, stride[axis]))
    padded = np.pad(x, [(0, 0), (0, 0), *around], constant_values=-np.inf)
    seen = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=tuple(range(2, x.ndim)))
    taps = tuple(slice(None, None, step) for step in spread)
    found = seen[(slice(None), slice(None), *places, *taps)].max(tuple(range(-axes, 0)))
    return (found.astype(x.dtype),)


def _resize(self: Any, x: Array, roi: Any = None, scales: Any = None, sizes: Any = None, **settings: Any) -> tuple[Array, ...]:
    """Linear resizing; onnx's own takes the pixel before the right one where rounding puts a place just below it."""
    from onnx.reference.ops.op_resize import Resize

    way = settings.get("coordinate_transformation_mode") or "half_pixel"
    odd = [name for name in ("antialias", "exclude_outside") if settings.get(name)]
    if settings.get("mode") != "linear" or odd or way not in PLACES or settings.get("keep_aspect_ratio_policy") not in STRETCH:
        found: tuple[Array, ...] = Resize._run(self, x, roi, scales, sizes, **settings)
        return found
    y = x.astype(np.float64)
    axes = settings.get("axes") or range(x.ndim)
    for number, axis in enumerate(axes):
        width = x.shape[axis]
        scale = float(scales[number]) if scales is not None and len(scales) else sizes[number] / width
        wanted = math.floor(width * scale) if sizes is None or not len(sizes) else int(sizes[number])
        places = np.clip(PLACES[way](np.arange(wanted), scale, width), 0, width - 1)
        first = np.floor(places).astype(int)
        share = (places - first).reshape(-1, *[1] * (x.ndim - 1 - axis % x.ndim))
        y = y.take(first, axis) * (1 - share) + y.take(np.minimum(first + 1, width - 1), axis) * share
    return (y.astype(x.dtype),)


PLACES: Mapping[str, Callable[[Array, float, int], Array]] = {
    "half_pixel": lambda x, scale, width: (x + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda x, scale, width: x * 0.0 if scale * width == 1 else (x + 0.5) / scale - 0.5,
    "asymmetric": lambda x, scale, width: x / scale,
    "align_corners": lambda x, scale, width: x * 0.0 if scale * width == 1 else x * (width - 1) / (scale * width - 1),
}
"""Where between the values of an axis each output lies, by ONNX's names."""
STRETCH = (None, "stretch")


def _length(self: Any, x: Array, axis: Any = None, p: Any = None) -> tuple[Array, ...]:
    length = np.linalg.norm(x, p, axis, keepdims=True)
    return (np.divide(x, length, out=np.zeros_like(x), where=length != 0),)


def _softmax(self: Any, x: Array, axis: Any = None) -> tuple[Array, ...]:
    return (np.exp(_log_softmax(self, x, axis)[0]),)


def _log_softmax(self: Any, x: Array, axis: Any = None) -> tuple[Array, ...]:
    rows = x.reshape(int(np.prod(x.shape[: axis % x.ndim])), -1)
    below = rows - rows.max(1, keepdims=True)
    return ((below - np.log(np.exp(below).sum(1, keepdims=True))).reshape(x.shape),)


def _window(base: Any, arithmetic: Arithmetic) -> Any:
    """A window operator by its definition: the sum of terms over windows of the zero-padded input."""

    def run(
        self: Any,
        x: Array,
        w: Array,
        b: Array | None = None,
        strides: Any = None,
        pads: Any = None,
        dilations: Any = None,
        group: Any = None,
        auto_pad: Any = None,
        kernel_shape: Any = None,
    ) -> tuple[Array]:
        if (group or 1) != 1 or x.ndim != 4 or (auto_pad or "NOTSET") != "NOTSET":
            raise NotImplementedError(f"{arithmetic.layers[0]} of groups, of other axes or with auto_pad")
        (top, left, bottom, right), (down, across) = pads or (0, 0, 0, 0), strides or (1, 1)
        spread = dilations or (1, 1)
        padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
        reach = [step * (taps - 1) + 1 for step, taps in zip(spread, w.shape[2:], strict=True)]
        seen = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
        seen = seen[:, :, ::down, ::across, :: spread[0], :: spread[1]]
        found = np.stack([arithmetic.term(seen, one[None, :, None, None]).sum((1, -2, -1)) for one in w], 1)
        return (found.astype(x.dtype) if b is None else (found + b[:, None, None]).astype(x.dtype),)

    return type(arithmetic.layers[0], (base,), {"op_domain": OWN_DOMAIN, "_run": run})

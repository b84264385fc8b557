"""A quantised graph becomes a `Program` on the very codes that the file holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from addersim.errors import AddersimError, LoweringError
from addersim.frontends.graph import refuse_missing
from addersim.frontends.onnx.file import Graph
from addersim.frontends.onnx.image import channels_last, image_shape
from addersim.frontends.onnx.quantised.own_notes import own_notes
from addersim.frontends.onnx.quantised.walk import Walk
from addersim.frontends.quantised_building import QuantisedBuilding
from addersim.images import Preprocessing
from addersim.inputs.limits import IMAGE_SIDE
from addersim.inputs.opening import MAX_FILE_BYTES
from addersim.layers import Shape
from addersim.program import Program

__all__ = ["lower_quantised"]


def lower_quantised(
    graph: Graph,
    where: str,
    name: str,
    input_shape: Sequence[int] | None = None,
    classes: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
    prepared: Callable[[Shape], Preprocessing | None] = lambda shape: None,
) -> Program:
    """The program that a file of codes is. Images have channels first, also where the file itself brings them there."""
    last = channels_last(graph)
    shape = image_shape(graph, last, input_shape, where)
    if max(shape) > IMAGE_SIDE.most or math.prod(shape) > MAX_FILE_BYTES:
        most = f"sides of {IMAGE_SIDE.most:,} and {MAX_FILE_BYTES:,} values an image are the most"
        raise LoweringError(f"{where}: images have shape {shape}; {most}")
    walk = Walk(graph, shape, last)
    refuse_missing(where, walk.missing, countable=False)
    try:
        ends = walk.ends()
        building = walk.building
        layers = building.finished(ends, graph.outputs)
        assert building.image is not None
        own = own_notes(graph)
        notes = {"origin": f"ONNX graph {graph.name}"} | dict(metadata or {})
        if walk.left_out:
            notes["left out"] = f"behind the scores, whose order it keeps: {', '.join(dict.fromkeys(walk.left_out))}"
        if walk.rounded:
            notes["rounded"] = f"scores that the file leaves real: {', '.join(walk.rounded)}"
        return Program(
            name=name,
            input_shape=shape,
            input=building.image,
            rounding="half-even",
            layers=layers,
            classes=tuple(classes) or own.classes,
            metadata=notes,
            **_preparation(building, prepared(shape) or own.preprocessing),
        )
    except AddersimError as error:
        raise LoweringError(f"{where}: {error}") from None


def _preparation(building: QuantisedBuilding, said: Preprocessing | None) -> dict[str, Any]:
    """What is done to images before they become codes: by the file nothing, or one factor and one addend a channel.

    Pixels of 0..255 are then given to it as ``pixel / 255``; each of the 256 must get the file's own code.
    """
    if said is not None and (building.functions or building.integer_image):
        what = "the file prepares its images itself" if building.functions else "its images are codes"
        raise LoweringError(f"mean and std are given, and {what}; leave them out")
    if said is not None:
        return {"mean": said.mean, "std": said.std, "preprocessing_known": said.known, "takes_codes": False}
    if not building.functions:
        return {"mean": (0.0,), "std": (1.0,), "preprocessing_known": False, "takes_codes": True}
    channels = building.shape[0] if len(building.shape) > 1 else 1
    pixels = np.repeat((np.arange(256) / 255).astype(np.float32)[:, None], channels, axis=1)
    found = pixels
    for function in building.functions:
        found = function(found).astype(np.float32)
    found = np.broadcast_to(found, pixels.shape).astype(np.float64)
    span = found[255] - found[0]
    if not (span > 0).all():
        raise LoweringError("what the file does to its images is no positive factor and an addend")
    mean, std = -found[0] / span, 1 / span
    form, image = building.image, (np.arange(256)[:, None] / 255 - mean) / std
    assert form is not None
    rounding = form.rounding_for("half-even")
    ours = form.encode(image.astype(np.float32), rounding)
    if not np.array_equal(ours, form.encode(found.astype(np.float32), rounding)):
        raise LoweringError("what the file does to its images is no factor and addend a channel")
    same = len({*mean.tolist(), *std.tolist()}) <= 2 and channels > 1
    means, stds = (tuple(one[:1].tolist() if same else one.tolist()) for one in (mean, std))
    return {"mean": means, "std": stds, "preprocessing_known": True, "takes_codes": False}

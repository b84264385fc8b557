"""lower_tflite: a TFLite file becomes a `Program` on the very codes that it holds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from addersim.errors import AddersimError, LoweringError
from addersim.frontends.graph import refuse_missing
from addersim.frontends.tflite.file import read_graph
from addersim.frontends.tflite.walk import Walk
from addersim.inputs.opening import source
from addersim.network import INPUT
from addersim.program import Program

__all__ = ["lower_tflite"]


def lower_tflite(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    classes: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
    countable: bool = False,
) -> Program:
    """Read a TFLite file of int8 or uint8 codes (needs the extra ``tflite``) into the program that it is.

    Scales, zero points, weights and biases are those of the file; nothing is calibrated and nothing rounded again. Codes are
    rounded by rule ``tflite``, as the reference kernels of TensorFlow Lite do. Where images are given as reals, those halfway
    between two codes become the upper one; TensorFlow Lite's own QUANTIZE rounds them away from zero, in float32. ARG_MAX and
    LOG_SOFTMAX behind the scores are left out, which the metadata say; an output that layers read, too, is given by a copy.

    Parameters
    ----------
    path
        The model: one graph without control flow; one input of images x height x width x channels, images x length x channels
        or images x features, of codes, or of reals that become codes at once.
    name
        Name of the program; the file's otherwise.
    classes, metadata
        Names of the scores, and free text by key, kept in the program.
    countable
        Whether operators that have no layer may stay, as layers that can be counted around and not run.

    Raises
    ------
    LoweringError
        For a file that is damaged or no model; for networks in float, with activations of 16 bits or with weights only
        quantised; and for operators that have no layer, all of them in one message.
    """
    where = source(path)
    graph = read_graph(path)
    try:
        walk = Walk(graph)
        layers = walk.finished() if not walk.missing or countable else ()
    except LoweringError as error:
        raise LoweringError(f"{where}: {error}") from None
    if not countable:
        refuse_missing(where, walk.missing)
    shape, notes = walk.layers.values[INPUT].shape, {"origin": f"TFLite file {graph.name}"}
    if walk.tails:
        names = ", ".join(dict.fromkeys(one.name for one in walk.tails.values()))
        notes["left out"] = f"behind the scores, whose order it keeps: {names}"
    try:
        return Program(
            name=name or graph.name,
            input_shape=shape,
            mean=(0.0,),
            std=(1.0,),
            input=walk.image,
            rounding="half-up",
            layers=layers,
            classes=tuple(classes),
            metadata=notes | dict(metadata or {}),
            takes_codes=True,
        )
    except AddersimError as error:
        raise LoweringError(f"{where}: {error}") from None

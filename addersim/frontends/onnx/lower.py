"""lower_onnx: an ONNX file becomes a `Network` of plain arrays, or the `Program` that it is already."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from addersim.frontends.graph import refuse_missing
from addersim.frontends.onnx.file import read_graph
from addersim.frontends.onnx.image import channels_last, image_shape
from addersim.frontends.onnx.proof import proved
from addersim.frontends.onnx.quantised.lower import lower_quantised
from addersim.frontends.onnx.walk import Walk
from addersim.frontends.proof import NOT_CHECKED, PROOF
from addersim.images import Images, Preprocessing
from addersim.inputs.opening import source
from addersim.network import MISSING, WEIGHTS, Network
from addersim.program import Program

__all__ = ["lower_onnx"]


def lower_onnx(
    path: str | os.PathLike[str],
    input_shape: Sequence[int] | None = None,
    *,
    name: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
    images: Images | None = None,
    check: bool = True,
    countable: bool = False,
    channels_first: bool = False,
) -> Network | Program:
    """Lower an ONNX file (needs the extra ``onnx``), and prove that the result gives what the file gives.

    A file that was quantised elsewhere (QuantizeLinear and DequantizeLinear around operators, operators on codes, QONNX)
    becomes a `Program` on its own codes; nothing is calibrated and nothing rounded again, and only `name`, `input_shape`, the
    normalisation, `classes` and `metadata` are for it. Its images have channels first, also where the file brings them to the
    front at once. Files that `export_onnx` wrote bring normalisation and classes with them.

    Parameters
    ----------
    path
        The model; one input of batch x channels x height x width, batch x channels x length or batch x features, and an output
        of scores. A backbone's outputs may have any shape, where no other node reads them. The batch may be dynamic.
        A file whose weights are not there, or a ``countable`` network with something left out, can be counted and priced.
    input_shape
        ``(channels, height, width)``, ``(channels, length)`` or ``(features,)``; needed only where the file leaves them open.
    name
        Name of the network; the file's otherwise.
    mean, std
        Per channel, or one number for all, the normalisation ``(pixel / 255 - mean) / std`` that training used. Without both
        nothing is known of it, and accuracies carry a warning; ``mean=[0], std=[1]`` says that there is none.
    preprocessing
        The same as one record.
    classes, metadata
        Names of the scores, and free text by key, kept in the network.
    images
        Images for the proof, as `Network.values` takes them; otherwise some are made up.
    check
        Whether file and network run on the same images and must agree to 1e-4 of the largest value, beside onnxruntime or,
        where that is not installed, onnx's own evaluator; a network that was not checked says so.
    countable
        Whether operators that have no layer may stay, as layers that can be counted around and not run.
    channels_first
        Whether the network shall take images as channels x height x width where the file takes them as height x width x
        channels and brings the channels to the front at once. Otherwise it takes them as the file does.

    Raises
    ------
    LoweringError
        For what `read_graph` refuses; for operators, attributes and shapes that have no layer, all of them in one message; and
        for a network that differs from its file, with the first layer that does.
    """
    where = source(path)
    graph = read_graph(path)
    if graph.quantised:
        title, said = name or Path(where).stem, mean is not None or std is not None
        return lower_quantised(
            graph, where, title, input_shape, classes, metadata,
            lambda shape: Preprocessing.of(shape, mean, std) if said and preprocessing is None else preprocessing,
        )  # fmt: skip
    last = channels_first and channels_last(graph)
    shape = image_shape(graph, last, input_shape, where)
    walk = Walk(graph, shape, last, where)
    layers, ends = walk.finished()
    if not countable:
        refuse_missing(where, walk.layers.missing)
    notes = {"origin": f"ONNX graph {graph.name}"} | dict(metadata or {}) | {PROOF: NOT_CHECKED}
    if last:
        notes["layout"] = "the file takes images height x width x channels; this network takes channels x height x width"
    if graph.absent:
        notes[WEIGHTS] = MISSING
    network = Network.lowered(name or Path(where).stem, shape, layers, mean, std, classes, notes, preprocessing)
    if not check or walk.layers.missing or graph.absent:
        return network
    return proved(network, walk, ends, images)

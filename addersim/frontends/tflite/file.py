"""Reading a TFLite file: offsets and sizes are looked at before they are used, nothing in the file is executed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from addersim.errors import LoweringError
from addersim.frontends.graph import ONE_INPUT
from addersim.frontends.tflite.records import Graph
from addersim.inputs.opening import MAX_FILE_BYTES, parsing, read_file, source

if TYPE_CHECKING:
    from addersim.frontends.tflite.schema import Schema

__all__ = ["read_graph"]


def read_graph(path: str | os.PathLike[str]) -> Graph:
    """Read a model.

    Raises
    ------
    LoweringError
        Without the package tflite; for a file that is missing, too large, damaged or no model; for control flow and several
        inputs; for operators that read what nothing gives.
    """
    where = source(path)
    try:
        from addersim.frontends.tflite.schema import Schema
    except ImportError:
        raise LoweringError(f"{where}: reading TFLite needs tflite; install it with: pip install 'addersim[tflite]'") from None
    content = read_file(Path(path), MAX_FILE_BYTES, LoweringError)
    try:
        with parsing("not a TFLite model", "truncated or altered", LoweringError):
            schema = Schema(content)
        return _graph(schema, Path(where).stem)
    except LoweringError as error:
        raise LoweringError(f"{where}: {error}") from None


def _graph(schema: Schema, name: str) -> Graph:
    given, outputs = schema.inputs, schema.outputs
    if len(given) != 1:
        raise LoweringError(f"the graph has {len(given)} inputs; {ONE_INPUT}")
    if not outputs:
        raise LoweringError("the graph has no output")
    graph = Graph(name, schema.tensors, given[0], outputs, schema.operators)
    known = {graph.image, -1} | {place for place, tensor in enumerate(graph.tensors) if tensor.data is not None}
    known |= {place for place, tensor in enumerate(graph.tensors) if tensor.why_unread}
    for operator in graph.operators:
        for place in operator.inputs:
            if place not in known:
                raise LoweringError(f"{operator.name} reads {graph.tensors[place].name!r}, which no operator before it gives")
        for place in operator.outputs:
            if place in known:
                raise LoweringError(f"{operator.name} writes {graph.tensors[place].name!r}, which something else gives, too")
            known.add(place)
    for place in outputs:
        if place not in known:
            raise LoweringError(f"the output {graph.tensors[place].name!r} is given by no operator")
    return graph

"""Operators behind the scores that keep their order, or tell the first of them: left out, for choices are read from scores."""

from __future__ import annotations

from collections.abc import Mapping

from addersim.frontends.tflite.records import Graph, Operator

__all__ = ["tails"]

TAILS = ("ARG_MAX", "LOG_SOFTMAX")


def tails(graph: Graph) -> Mapping[int, Operator]:
    """By the output that it gives, each such operator along the last axis whose output nothing reads."""
    read = {place for operator in graph.operators for place in operator.inputs}
    ends = set(graph.outputs) - read
    return {
        operator.outputs[0]: operator
        for operator in graph.operators
        if operator.name in TAILS
        and len(operator.outputs) == 1
        and operator.outputs[0] in ends
        and _along_last(graph, operator)
    }


def _along_last(graph: Graph, operator: Operator) -> bool:
    scores, *others = operator.inputs or (-1,)
    if scores < 0 or graph.tensors[scores].data is not None:
        return False
    if operator.name != "ARG_MAX":
        return not others
    axis = graph.tensors[others[0]].data if len(others) == 1 and others[0] >= 0 else None
    whole = axis is not None and axis.size == 1 and axis.dtype.kind == "i"
    return axis is not None and whole and int(axis.reshape(())) in (-1, len(graph.tensors[scores].shape) - 1)

"""What `export_onnx` notes beside a graph: the normalisation of images, and names of classes."""

from __future__ import annotations

from dataclasses import dataclass

from addersim.errors import LoweringError
from addersim.frontends.onnx.file import Graph
from addersim.frontends.onnx.tensors import as_text
from addersim.images import Preprocessing

__all__ = ["PRODUCER", "OwnNotes", "own_notes"]

PRODUCER = "addersim"


@dataclass(frozen=True, slots=True)
class OwnNotes:
    """Of a file of ours; nothing in others, whose keys mean what their authors say."""

    preprocessing: Preprocessing | None = None
    classes: tuple[str, ...] = ()


def own_notes(graph: Graph) -> OwnNotes:
    """The notes of a file."""
    if graph.model.producer_name != PRODUCER:
        return OwnNotes()
    held = {as_text(one.key): one.value for one in graph.model.metadata_props}
    classes = tuple(map(as_text, held["classes"].split("\n"))) if "classes" in held else ()
    if "mean" not in held or "std" not in held:
        return OwnNotes(None, classes)
    return OwnNotes(Preprocessing(mean=_numbers(held, "mean"), std=_numbers(held, "std")), classes)


def _numbers(held: dict[str, str], key: str) -> tuple[float, ...]:
    try:
        return tuple(float(one) for one in held[key].split(","))
    except ValueError:
        raise LoweringError(
            f"metadata {key}: {as_text(held[key])[:40]!r}; expected numbers with commas between them"
        ) from None

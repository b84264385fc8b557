"""A captured network that is quantised already becomes the `Program` that it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from addersim.errors import AddersimError, LoweringError
from addersim.frontends.graph import refuse_missing
from addersim.frontends.torch.capture import Captured
from addersim.frontends.torch.quantised.fbgemm import FbgemmBuilding
from addersim.frontends.torch.quantised.walk import QuantisedWalk
from addersim.images import Preprocessing
from addersim.layers import Shape
from addersim.program import Program

__all__ = ["quantised_program"]


def quantised_program(
    captured: Captured,
    shape: Shape,
    name: str,
    preprocessing: Preprocessing | None,
    classes: Sequence[str],
    metadata: Mapping[str, str] | None,
) -> Program:
    """The program of a quantised graph: its own scales, zero points and codes, nothing calibrated, nothing rounded again.

    Sums whose bias is whole are narrowed by rule ``ort``; those with a bias of reals, which torch adds after it has scaled, by
    multipliers of 32 bits. Without a normalisation images are codes, or the reals that they stand for.
    """
    walk = QuantisedWalk(captured, shape)
    walk.run()
    refuse_missing(name, walk.graph.missing, countable=False)
    how = preprocessing or Preprocessing(mean=(0.0,), std=(1.0,), known=False)
    try:
        layers = walk.finished()
        if walk.building.image is None:
            raise LoweringError("makes no codes of its images")
        return Program(
            name=name,
            input_shape=shape,
            mean=how.mean,
            std=how.std,
            input=walk.building.image,
            rounding="half-even",
            layers=layers,
            classes=tuple(classes),
            metadata=_notes(walk) | dict(metadata or {}),
            preprocessing_known=how.known,
            takes_codes=preprocessing is None,
        )
    except AddersimError as error:
        raise LoweringError(f"{name}: {error}") from None


def _notes(walk: QuantisedWalk) -> dict[str, str]:
    notes = {"origin": "program that torch quantised"}
    if walk.left_out:
        notes["left out"] = f"behind the scores, whose order it keeps: {', '.join(walk.left_out)}"
    if isinstance(walk.building, FbgemmBuilding):
        notes["origin"] = "module that torch.ao quantised; its codes are those of torch's backend fbgemm"
        if walk.building.apart:
            told = ", ".join(f"{name} ({count})" for name, count in walk.building.apart.items())
            notes["codes next to those of fbgemm"] = f"of what each layer can be given, by rounding in float32: {told}"
    return notes

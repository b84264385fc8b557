"""Lower: a torch network becomes a `Network` of plain arrays."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypedDict, Unpack, overload

import torch
from torch import nn

from addersim.errors import LoweringError
from addersim.frontends.graph import refuse_missing
from addersim.frontends.proof import NOT_CHECKED, PROOF
from addersim.frontends.torch.capture import capture, unwrapped
from addersim.frontends.torch.proof import proved
from addersim.frontends.torch.quantised.lower import quantised_program
from addersim.frontends.torch.quantised.walk import makes_codes
from addersim.frontends.torch.walk import Walk
from addersim.images import Images, Preprocessing, checked_shape
from addersim.network import Network
from addersim.program import Program

__all__ = ["lower"]


class Options(TypedDict, total=False):
    """What else `lower` takes, of a module and of an exported program."""

    name: str | None
    mean: Sequence[float] | None
    std: Sequence[float] | None
    preprocessing: Preprocessing | None
    classes: Sequence[str]
    metadata: Mapping[str, str] | None
    adders: Collection[str]
    images: Images | None
    check: bool
    countable: bool


@overload
def lower(module: nn.Module, input_shape: Sequence[int], **how: Unpack[Options]) -> Network: ...


@overload
def lower(
    module: torch.export.ExportedProgram, input_shape: Sequence[int] | None = None, **how: Unpack[Options]
) -> Network | Program: ...


def lower(
    module: nn.Module | torch.export.ExportedProgram,
    input_shape: Sequence[int] | None = None,
    *,
    name: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
    adders: Collection[str] = (),
    images: Images | None = None,
    check: bool = True,
    countable: bool = False,
) -> Network | Program:
    """Lower a torch network, and prove that the result gives what the module gives.

    What torch has quantised, an exported program of PyTorch 2 export quantisation (torchao), becomes a `Program` on its own
    codes; nothing is calibrated or proved, and only `name`, `classes`, `metadata` and the normalisation count.

    Parameters
    ----------
    module
        Network, or what torch.export has made of one. It is captured by torch.export in evaluation mode and is afterwards
        what it was. DataParallel, DistributedDataParallel and compiled modules give what is inside them. Adder layers are our
        own, any module that computes ``-sum |x - f|`` of a parameter ``adder``, and those of `adders`.
    input_shape
        ``(channels, height, width)`` of an image, ``(channels, length)`` of a signal or ``(features,)``; an exported program
        knows it.
    name
        Name of the network; the module's class otherwise.
    mean, std
        Per channel, or one number for all, the normalisation ``(pixel / 255 - mean) / std`` that training used. Without both
        nothing is known of it, and accuracies carry a warning; ``mean=[0], std=[1]`` says that there is none.
    preprocessing
        The same as one record.
    classes, metadata
        Names of the scores, and free text by key, kept in the network.
    adders
        Classes of yours that are adder layers: each is run beside the formula of its own parameter ``adder`` or ``weight``.
    images
        Images for the proof, as `Network.values` takes them; otherwise some are made up.
    check
        Whether module and network run on the same images and must agree to 1e-4 of the largest value; a network that was not
        checked says so.
    countable
        Whether operations that have no layer may stay, as layers that can be counted around and not run.

    Raises
    ------
    LoweringError
        For what has no layer, all of it in one message with the path of each; for a module that torch.export cannot follow;
        and for a network that differs from its module, with the first layer that does.
    """
    inside = unwrapped(module)
    title = name or (type(inside).__name__ if isinstance(inside, nn.Module) else "exported")
    if not isinstance(inside, torch.export.ExportedProgram):
        if input_shape is None:
            raise LoweringError(f"{title}: give the shape of an image, input_shape; only exported programs know it")
        if isinstance(inside, torch.fx.GraphModule) and makes_codes(inside.graph):
            raise LoweringError(
                f"{title}: is quantised already; give what torch.export.export makes of it, for any number of images"
            )
    shape = () if input_shape is None else checked_shape(input_shape)
    captured = capture(inside, shape, adders)
    shape = shape or checked_shape(captured.image.meta["val"].shape[1:])
    if makes_codes(captured.graph):
        said = mean is not None or std is not None
        images_as = Preprocessing.of(shape, mean, std) if preprocessing is None and said else preprocessing
        return quantised_program(captured, shape, title, images_as, classes, metadata)
    walk = Walk(captured, shape).run()
    if not countable:
        refuse_missing(title, walk.graph.missing)
    layers, ends = walk.layers()
    notes = dict(metadata or {})
    if captured.unproved:
        notes["taken at their layout's word"] = ", ".join(layer.path for layer in captured.unproved)
    network = Network.lowered(title, shape, layers, mean, std, classes, notes | {PROOF: NOT_CHECKED}, preprocessing)
    if not check or walk.graph.missing or captured.unproved:
        return network
    return proved(network, inside, walk, ends, images)

"""Probes of a network at its first training step: gradient norms of its filters and variances of its outputs.

They are the two observations behind the method's batch norm and per-layer learning rate (arXiv 1912.13200): outputs of
adder layers vary far more than those of convolutions, so that, behind batch norm, their filters' gradients are small.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from addersim.datasets.registry import read as load
from addersim.train.data import Batches
from addersim.train.models import build
from addersim.train.nn import Adder2d, AdderLinear
from addersim.train.recipe import Recipe

__all__ = ["gradient_norms", "output_variances"]

Rows = list[dict[str, str | float]]


def gradient_norms(recipe: Recipe, root: str | Path | None = None) -> Rows:
    """Norm of each window layer's filter gradient at the first step, adder network beside multiplying twin.

    Parameters
    ----------
    recipe
        Says network, data, batch, seed and the adder filters' gradient. The other network of the pair is built by it too.
    root
        Folder of the data files; None takes the set's default.

    Returns
    -------
    One row a layer: its name and the Euclidean norms ``adder`` and ``conv``, before any learning rate.
    """
    norms: dict[str, dict[str, str | float]] = {}
    for arithmetic in ("adder", "conv"):
        network = _twin(recipe, arithmetic)
        pixels, labels = _first_batch(recipe, root)
        functional.cross_entropy(network(pixels), labels).backward()  # type: ignore[no-untyped-call]
        for name, _, filters in _window_layers(network):
            assert filters.grad is not None
            norms.setdefault(name, {"layer": name})[arithmetic] = float(filters.grad.norm())
    return list(norms.values())


@torch.no_grad()
def output_variances(recipe: Recipe, root: str | Path | None = None) -> Rows:
    """Variance of each window layer's outputs at the first step beside what the paper's formulas expect.

    For taps of independent, normal, centred inputs X and filters F, k of them an output, a convolution's variance is
    ``k Var[X] Var[F]`` and an adder layer's ``(1 - 2/pi) k (Var[X] + Var[F])``. Inputs behind a ReLU are neither centred nor
    normal, and taps of one image are not independent: the last column shows what that amounts to.

    Returns
    -------
    One row a layer: its name, its arithmetic, ``measured``, ``formula`` and their ``ratio``. Arguments as in `gradient_norms`.
    """
    network, rows = _twin(recipe, recipe.architecture.rsplit("-", 1)[1]), list[dict[str, str | float]]()

    def look(name: str, filters: Tensor) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            adds = isinstance(module, (Adder2d, AdderLinear))
            x, f, taps = float(inputs[0].var()), float(filters.var()), filters[0].numel()
            formula = (1 - 2 / math.pi) * taps * (x + f) if adds else taps * x * f
            row = {
                "layer": name,
                "arithmetic": "adder" if adds else "conv",
                "measured": float(output.var()),
                "formula": formula,
            }
            rows.append(row | {"ratio": float(output.var()) / formula})

        return hook

    for name, module, filters in _window_layers(network):
        module.register_forward_hook(look(name, filters))
    network(_first_batch(recipe, root)[0])
    return rows


def _twin(recipe: Recipe, arithmetic: str) -> nn.Module:
    architecture = f"{recipe.architecture.rsplit('-', 1)[0]}-{arithmetic}"
    network = build(**recipe.network() | {"name": architecture}, seed=recipe.seed)
    return network.train()


def _first_batch(recipe: Recipe, root: str | Path | None) -> tuple[Tensor, Tensor]:
    images = load(recipe.dataset(), root, "train")
    augment = recipe.augment == "crop-flip"
    return next(Batches(images, recipe.dataset(), recipe.batch, augment=augment).epoch(recipe.seed, 0))


def _window_layers(network: nn.Module) -> Iterator[tuple[str, nn.Module, Tensor]]:
    for name, module in network.named_modules():
        if isinstance(module, (Adder2d, AdderLinear)):
            yield name, module, module.adder
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            yield name, module, module.weight

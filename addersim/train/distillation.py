"""Distillation: a student learns from a teacher's scores, and an adder student from a multiplying twin's features too.

*Logits* (Hinton et al., arXiv 1503.02531): ``(1 - w) CE(student, labels) + w T^2 KL(teacher / T || student / T)``, the teacher
a finished run that stays as it is. T = 4 is what the benchmark hobbitlong/repdistiller takes for all its pairs (its issue 6);
w = 0.9 is chosen.

*PKKD* (Xu et al., Kernel Based Progressive Distillation for Adder Neural Networks, NeurIPS 2020, arXiv 2009.13044): a
multiplying network of the same architecture starts and learns beside the student, so that what it teaches grows harder as the
student learns; the student sees its scores, as above, and in each adder layer its features, compared behind kernels and a
1x1 transform. Of the paper only abstract and summaries were at hand. What is chosen here:

- the adder layer's kernel is ``exp(-sum |x - f| / s)``, s learned for each layer from its number of taps on, so that it starts
  near ``exp(-1)``; the convolution's is the linear one, its output itself. Behind their kernels both are standardised by the
  batch's mean and deviation, channel by channel;
- only the student's side has a learned 1x1 transform, which starts as the identity: two learned sides agree at zero, and teach
  nothing. The teacher gets no gradient from the student;
- the features' loss is the mean square over elements, channels and layers, times `feature_weight`;
- transform, s and teacher take the student's optimizer. Nothing of them is left in the student.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from addersim.errors import ConfigError
from addersim.train.checkpoint import load_run
from addersim.train.models import build
from addersim.train.nn import adder_layers
from addersim.train.recipe import Recipe

__all__ = ["Distiller", "distiller", "soft_loss"]


def distiller(recipe: Recipe, student: nn.Module, processes: int = 1) -> Distiller | None:
    """What a recipe distils with, or None where it has no teacher.

    Raises
    ------
    ConfigError
        For a teacher that is not there, or of other images, classes or layers, and for PKKD in several processes.
    """
    if recipe.distill is None and recipe.teacher is None:
        return None
    given = None if recipe.teacher is None else load_run(recipe.teacher, recipe, "teacher")
    if recipe.distill != "pkkd":
        assert given is not None, "a recipe of logits alone has a teacher"
        return Distiller(recipe, given.network())
    if processes > 1:
        raise ConfigError(f"distill pkkd: runs in one process, found {processes}; the teacher learns beside the student")
    twin = recipe.twin()
    if given is not None and given.recipe.architecture != twin:
        found = f"{recipe.teacher} is a {given.recipe.architecture}"
        raise ConfigError(f"teacher: {found}; distill pkkd compares {recipe.architecture} with {twin}")
    teacher = build(**recipe.network() | {"name": twin, "ends": None}, seed=recipe.seed) if given is None else given.network()
    return Distiller(recipe, teacher, student)


class Distiller(nn.Module):
    """The loss of a student beside its teacher.

    Parameters
    ----------
    recipe
        Temperature and weights.
    teacher
        Gives scores.
    student
        Whose adder layers' outputs are compared with the teacher's layers of the same names; the teacher then learns too.
        None: scores alone, of a teacher that stays as it is.

    Attributes
    ----------
    progressive
        Whether the teacher learns too.
    """

    def __init__(self, recipe: Recipe, teacher: nn.Module, student: nn.Module | None = None):
        super().__init__()
        self.recipe, self.teacher, self.progressive = recipe, teacher, student is not None
        self._seen: dict[tuple[str, str], Tensor] = {}
        layers = dict(adder_layers(student)) if student is not None else {}
        self.kernels = nn.ModuleList(_AdderKernel(layer.adder) for layer in layers.values())
        self.names = tuple(layers)
        for name, layer in layers.items():
            layer.register_forward_hook(self._keep("student", name))
            _twin_layer(teacher, name).register_forward_hook(self._keep("teacher", name))
        teacher.requires_grad_(self.progressive)

    def _keep(self, whose: str, name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            if module.training:
                self._seen[whose, name] = output

        return hook

    def trained(self) -> Iterator[nn.Parameter]:
        """Parameters that learn beside the student's."""
        return (one for one in self.parameters() if one.requires_grad)

    def loss(self, hard: Tensor, scores: Tensor, pixels: Tensor, labels: Tensor) -> Tensor:
        """The whole loss, from the student's cross-entropy and scores on a batch."""
        self.teacher.train(self.progressive)
        with torch.set_grad_enabled(self.progressive):
            taught = self.teacher(pixels)
        recipe = self.recipe
        total = (1 - recipe.distill_weight) * hard + recipe.distill_weight * soft_loss(scores, taught, recipe.temperature)
        if not self.progressive:
            return total
        pairs = zip(self.names, self.kernels, strict=True)
        features = [kernel(self._seen["student", name], self._seen["teacher", name]) for name, kernel in pairs]
        self._seen.clear()
        return total + recipe.feature_weight * torch.stack(features).mean() + functional.cross_entropy(taught, labels)


def _twin_layer(teacher: nn.Module, name: str) -> nn.Module:
    """The layer of the same place; where batch norm stands in sequence behind an adder layer, its twin may have a bias."""
    found: dict[str, nn.Module] = dict(teacher.named_modules())
    return found[name] if name in found else found[name.removesuffix(".0")]


def soft_loss(scores: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Divergence of softened scores; the square of the temperature keeps its gradients as large as those of hard labels."""
    goal = functional.log_softmax(taught.detach().float() / temperature, 1)
    given = functional.log_softmax(scores / temperature, 1)
    divergence: Tensor = functional.kl_div(given, goal, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


class _AdderKernel(nn.Module):
    """Distance of an adder layer's sums, behind their kernel and a 1x1 transform, from a convolution's."""

    def __init__(self, filters: Tensor):
        super().__init__()
        self.log_width = nn.Parameter(torch.tensor(math.log(filters[0].numel())))
        self.mix = nn.Linear(len(filters), len(filters))
        nn.init.eye_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)

    def forward(self, sums: Tensor, goal: Tensor) -> Tensor:
        features = _standardised(torch.exp(sums.float() / self.log_width.exp()))
        return functional.mse_loss(self.mix(features.movedim(1, -1)), _standardised(goal.detach().float()).movedim(1, -1))


def _standardised(values: Tensor) -> Tensor:
    return functional.batch_norm(values, None, None, training=True)

"""The learning rate of adder filters: applied to any module's just before an optimizer's step, and missed where it is not."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from addersim.errors import NetworkError

__all__ = ["AdderRate", "Rate", "adder_filters", "watch"]

Rate = Literal["adaptive", "fixed"]
NAME = "adder"
"""The filters' name, in our layers and in the official adder2d."""
_SCALED = "_scaled_by_adder_rate"
"""Attribute of a gradient that is no longer the raw one, and goes with it: the version that was scaled."""


def adder_filters(module: nn.Module) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """Path, layer and trained tensor of every module whose filters are called ``adder``: ours, and the official code's.

    Where `torch.nn.utils.prune` or `torch.nn.utils.parametrize` derive the filters, it is what they derive them from.

    Raises
    ------
    NetworkError
        For filters that are derived from several tensors.
    """
    for path, layer in module.named_modules():
        filters, derived = _trained(layer)
        if filters is not None and filters.ndim > 1:
            yield path, layer, filters
        elif filters is None and derived:
            raise NetworkError(
                f"AdderRate: the filters of {path!r} ({type(layer).__name__}) are derived from several tensors, for which the "
                "rate is not defined; derive them from one (prune, parametrize), or remove what derives them"
            )


def _trained(layer: nn.Module) -> tuple[Tensor | None, bool]:
    """The tensor that is trained as a layer's filters, where there is just one; and whether filters are derived at all."""
    if parametrize.is_parametrized(layer, NAME):
        source = layer.parametrizations[NAME]  # type: ignore[index]
        found, derived = getattr(source, "original", None), not hasattr(source, "original")
    else:  # pruning keeps what it masks under the second name; weight norm leaves a plain tensor that has a gradient
        found = layer._parameters.get(NAME, layer._parameters.get(f"{NAME}_orig"))
        left = vars(layer).get(NAME)
        derived = isinstance(left, Tensor) and left.requires_grad
    return (found if isinstance(found, nn.Parameter) else None), derived


class AdderRate:
    """Per-layer learning rate of adder filters, applied to their gradients just before the optimizer's step.

    Adaptive: ``alpha = eta sqrt(k) / ||g||``, k the number of the layer's filter elements and g their gradient
    (arXiv 1912.13200). Weight decay and momentum act on the scaled gradient, as in the released code.
    Scaling here and not in backward keeps raw gradients visible and, with several processes, averaged first.

    Filters are looked up at each step, so that layers may be pruned, parametrised or exchanged meanwhile. Where the optimizer
    makes its gradients itself, by ``step(closure)``, they are scaled after each call of the closure.

    Parameters
    ----------
    module
        Network whose adder layers are scaled: ours, and those in the layout of the official code (a parameter ``adder``).
    mode
        ``adaptive``, or ``fixed``: gradients times `factor`.
    eta
        0.2 in the released code, 0.1 in the paper's text.
    factor
        Multiplier of the fixed mode; the paper's increased learning rate is 100, and 1 leaves gradients as they are.

    Raises
    ------
    NetworkError
        For a module without adder layers; at a step, for filters that replaced others and that the optimizer does not hold.

    Examples
    --------
    >>> from addersim.train.nn import Adder2d
    >>> layer = Adder2d(1, 2, 3)
    >>> optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    >>> hook = optimizer.register_step_pre_hook(AdderRate(layer))
    >>> layer(torch.ones(1, 1, 5, 5)).sum().backward()
    >>> optimizer.step()
    >>> round(float(torch.linalg.vector_norm(layer.adder.grad)) / (0.2 * 18**0.5), 5)
    1.0
    """

    def __init__(self, module: nn.Module, mode: Rate = "adaptive", eta: float = 0.2, factor: float = 1.0):
        if mode not in get_args(Rate) or not (eta > 0 and factor > 0):
            raise NetworkError(
                f"AdderRate: mode {mode!r}, eta {eta}, factor {factor}; needs {get_args(Rate)} and positive numbers"
            )
        self.module, self.mode, self.eta, self.factor = module, mode, eta, factor
        self._attached = [filters for _, _, filters in adder_filters(module)]
        if not self._attached:
            raise NetworkError(
                f"AdderRate: {type(module).__name__} holds no adder layer (a module whose filters are a parameter adder); "
                "give the network that the optimizer trains, or leave the rate out"
            )

    def __call__(
        self, optimizer: Optimizer | None = None, arguments: tuple[Any, ...] = (), options: Mapping[str, Any] | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Scale the gradients that are there; as an optimizer's hook, those that its closure will make, too."""
        options = dict(options or {})
        named = options.get("closure")
        closure = named or next(filter(callable, arguments[1:2]), None)
        if closure is None:
            self._scale(optimizer)
            return None

        def scaled() -> Any:
            loss = closure()
            self._scale(optimizer)
            return loss

        if named:
            return arguments, options | {"closure": scaled}
        return (arguments[0], scaled, *arguments[2:]), options

    @torch.no_grad()
    def _scale(self, optimizer: Optimizer | None) -> None:
        held, done = None if optimizer is None else _held(optimizer), set[int]()
        unscaled = getattr(optimizer, "grad_scale", None)  # by which a fused step will divide: GradScaler leaves it to that
        for path, _, filters in adder_filters(self.module):
            if filters.grad is None or id(filters) in done:
                continue
            if held is not None and id(filters) not in held:
                if not any(filters is one for one in self._attached):
                    raise NetworkError(
                        f"AdderRate: the filters of {path!r} took the place of others since it was attached, and "
                        f"{type(optimizer).__name__} does not hold them, so that they would not train; make optimizer and "
                        "rate anew, or give them to it by add_param_group"
                    )
                continue  # another optimizer's, or nobody's from the start
            done.add(id(filters))
            if self.mode == "fixed" and getattr(filters.grad, _SCALED, None) == filters.grad._version:
                continue  # a second step of one gradient, or the rate attached twice; a norm bears to be made twice
            filters.grad.mul_(self._factor(filters.grad) * (1 if unscaled is None or self.mode == "fixed" else unscaled))
            setattr(filters.grad, _SCALED, filters.grad._version)

    def _factor(self, gradient: Tensor) -> Tensor | float:
        if self.mode == "fixed":
            return self.factor
        wide = torch.promote_types(gradient.dtype, torch.float32)  # a norm of float16 ends at 65,504
        norm: Tensor = torch.linalg.vector_norm(gradient, dtype=wide).clamp_min(1e-12)
        return self.eta * math.sqrt(gradient.numel()) / norm


def _held(optimizer: Optimizer) -> set[int]:
    return {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}


_LAYERS: WeakSet[nn.Module] = WeakSet()
_CHECKED: WeakSet[Optimizer] = WeakSet()


def watch(layer: nn.Module) -> None:
    """Have a warning told, once, by an optimizer that trains this layer's filters and has no rate for them."""
    _LAYERS.add(layer)


def _warn_without_rate(optimizer: Optimizer, *_: Any) -> None:
    """Look at the gradients with which an optimizer made its first step of adder filters."""
    if not _LAYERS or optimizer in _CHECKED:
        return
    held = _held(optimizer)
    layers = [[one for name, one in layer.named_parameters() if name != "bias" and id(one) in held] for layer in _LAYERS]
    gradients = [[one.grad for one in filters if one.grad is not None] for filters in layers]
    if any(layers) and not any(gradients):
        return  # not yet
    _CHECKED.add(optimizer)
    if raw := sum(any(not hasattr(one, _SCALED) for one in found) for found in gradients):
        warnings.warn(
            f"{type(optimizer).__name__} trains the filters of {raw} adder layer{'s' * (raw > 1)} without their rate; "
            "they will hardly move: call optimizer.register_step_pre_hook(addersim.nn.AdderRate(network)) before the loop, or "
            'give AdderRate(network, "fixed") to train them so on purpose',
            stacklevel=3,  # who called step
        )


# Common to all optimizers, for one that was never told of the rate is just the one to notice.
register_optimizer_step_post_hook(_warn_without_rate)

"""Window operators under autograd and torch.func: which derivatives there are, and how vmap maps over them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

from addersim.errors import NetworkError

__all__ = ["transformable"]

Keep = Callable[[Any, tuple[Any, ...], Tensor], None]
Backward = Callable[..., tuple[Tensor | None, ...]]


def _keep_nothing(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    pass


def _no_second_derivative(ctx: Any, gradient: Tensor) -> NoReturn:
    raise NetworkError(
        "adder layer: has no second derivative, for its gradients are rules of the method and no derivatives themselves; "
        "leave out create_graph and what needs it (gradient penalties, Hessians), or take Euclidean layers, which have all"
    )


def transformable(
    operator: Callable[..., Tensor],
    images: int,
    *,
    gives_filters: bool = False,
    keep: Keep = _keep_nothing,
    backward: Backward = _no_second_derivative,
) -> Callable[..., Tensor]:
    """An operator of (image tensors, filters, stride, padding, dilation, groups, more) as autograd and torch.func can use it.

    Operators of torch.library are refused by `torch.func.grad`, and forward derivatives of them are silently zero.

    Parameters
    ----------
    images
        How many tensors with images it takes before its filters.
    gives_filters
        Whether it gives a tensor of the filters' shape, which sums over images; otherwise its result has images, too.
    keep, backward
        As `torch.autograd.Function` has them; without, it has no derivative.
    """

    class Transformable(torch.autograd.Function):
        @staticmethod
        def forward(*arguments: Any) -> Tensor:
            return operator(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
            keep(ctx, inputs, output)

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
            return backward(ctx, gradient)

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> NoReturn:
            raise NetworkError(
                "adder layer: has no forward derivative (jvp, jacfwd, forward_ad); take the reverse ones (grad, vjp, jacrev)"
            )

        @staticmethod
        def vmap(info: Any, in_dims: Sequence[int | None], *arguments: Any) -> tuple[Tensor, int]:
            return _mapped(run, images, gives_filters, info.batch_size, in_dims, arguments)

    # torch asks for it at each call, and inspect would look it up anew.
    Transformable.forward.__signature__ = inspect.signature(Transformable.forward)  # type: ignore[attr-defined]

    def run(*arguments: Any) -> Tensor:
        tracing = torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
        if torch.compiler.is_compiling() or tracing or _is_plain():  # tracers keep operators, and no such functions
            return operator(*arguments)
        found: Tensor = Transformable.apply(*arguments)  # type: ignore[no-untyped-call]
        return found

    return run


def _is_plain() -> bool:
    """Whether nobody derives or maps what is computed now, as within an ordinary backward: an operator alone is faster."""
    derived = torch.is_grad_enabled() or torch._C._are_functorch_transforms_active()
    return not derived and torch.autograd.forward_ad._current_level < 0


def _mapped(
    run: Callable[..., Tensor],
    images: int,
    gives_filters: bool,
    size: int,
    axes: Sequence[int | None],
    arguments: tuple[Any, ...],
) -> tuple[Tensor, int]:
    """A further axis of `size` becomes more images or, where filters have it, more groups; result, and where the axis is.

    Results are contiguous: of channels last some operators of torch, group norm among them, ask what vmap cannot tell.
    """
    filters, (stride, padding, dilation, groups, *more) = arguments[images], arguments[images + 1 :]
    tensors = [_in_front(one, axis, size) for one, axis in zip(arguments[:images], axes, strict=False)]
    if axes[images] is None and not gives_filters:
        y = run(*(one.flatten(0, 1) for one in tensors), filters, stride, padding, dilation, groups, *more)
        return y.reshape(size, len(y) // size, *y.shape[1:]).contiguous(), 0
    beside = (one.transpose(0, 1).flatten(1, 2) for one in tensors)
    every = _in_front(filters, axes[images], size).flatten(0, 1)
    y = run(*beside, every, stride, padding, dilation, groups * size, *more)
    place = 0 if gives_filters else 1
    return y.reshape(*y.shape[:place], size, y.shape[place] // size, *y.shape[place + 1 :]).contiguous(), place


def _in_front(tensor: Tensor, axis: int | None, size: int) -> Tensor:
    return tensor.expand(size, *tensor.shape) if axis is None else tensor.movedim(axis, 0)

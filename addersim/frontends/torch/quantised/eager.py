"""Modules that torch.ao quantised (eager mode and FX), as torch.export can follow them.

Their tensors hold codes, of types that torch.export has none of, and their weights lie in objects of a backend. While a module
is captured each such tensor is the reals that its codes stand for, and each operator on codes is one on reals between them
(``quantized_decomposed``), so that one reader serves these and what PyTorch 2 export quantisation gives. torch 2.13 still has
torch.ao.quantization, and says that it will be removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from addersim.errors import LoweringError

__all__ = ["OnReals", "is_quantised", "refuse_observers", "unpack_weights"]

Scale = float | Tensor
OPS = torch.ops.quantized_decomposed
ENDS = {torch.quint8: (0, 255, torch.uint8), torch.qint8: (-128, 127, torch.int8)}
INSTEAD = "quantise by PyTorch 2 export (torchao.quantization.pt2e), which is read in full"


@dataclass(frozen=True)
class Form:
    """How codes of a tensor stand for reals."""

    scale: Any
    zero_point: Any
    dtype: torch.dtype = torch.quint8


@dataclass(frozen=True)
class Weights:
    """Weights as a backend's object holds them, and how its window moves."""

    codes: Tensor
    scales: Tensor
    zero_points: Tensor
    per_channel: bool
    bias: Tensor | None
    moves: tuple[Any, ...] = ()

    def reals(self) -> Tensor:
        """What the codes stand for."""
        if self.per_channel:
            held: Tensor = OPS.dequantize_per_channel(self.codes, self.scales, self.zero_points, 0, -128, 127, torch.int8)
            return held
        one: Tensor = OPS.dequantize_per_tensor(self.codes, float(self.scales), int(self.zero_points), -128, 127, torch.int8)
        return one


def is_quantised(module: nn.Module) -> bool:
    """Whether torch.ao made codes of a module's weights or values."""
    for one in module.modules():
        if type(one).__module__.startswith(("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")):
            return True
        if any(_is_packed(value) for value in vars(one).values()):
            return True
        if isinstance(one, torch.fx.GraphModule) and any(node.target is torch.quantize_per_tensor for node in one.graph.nodes):
            return True
    return False


def _is_packed(value: Any) -> bool:
    return isinstance(value, torch.ScriptObject) and "PackedParams" in value._type().name()  # type: ignore[attr-defined]


def refuse_observers(module: nn.Module) -> None:
    """Refuse what is only prepared: what its observers saw has become no codes yet."""
    for path, one in module.named_modules():
        kind = type(one)
        if kind.__module__ in ("torch.ao.quantization.observer", "torch.ao.quantization.fake_quantize"):
            raise LoweringError(
                f"{path or 'the module'}: {kind.__name__} of torch.ao; convert the module, or lower the one before"
            )


def unpack_weights(module: nn.Module) -> None:
    """Hold plain tensors in place of a backend's objects, and numbers in place of scales; `as_inference` takes it back."""
    for path, one in module.named_modules():
        kind = type(one)
        if ".dynamic" in kind.__module__ or ".reference" in kind.__module__:
            what = (
                "dynamically: codes of each image have scales of their own"
                if "dynamic" in kind.__module__
                else "for reference"
            )
            raise LoweringError(f"{path or 'the module'}: torch.ao's {kind.__name__}, quantised {what}; {INSTEAD}")
        if kind.__module__.startswith("torch.ao.nn.") and "_save_to_state_dict" in vars(kind):
            vars(one)["_save_to_state_dict"] = lambda *_: None  # it would ask the object for what is no parameter
        for name, value in list(vars(one).items()):
            if _is_packed(value):
                vars(one)[name] = _weights(value, f"{path}.{name}")
        if isinstance(one, torch.ao.nn.quantized.Quantize):
            for name, number in (("scale", float(one.scale)), ("zero_point", int(one.zero_point))):
                del one._buffers[name]
                vars(one)[name] = number


def _weights(packed: Any, path: str) -> Weights:
    name = packed._type().name()
    if name.startswith("Linear"):
        weight, bias = torch.ops.quantized.linear_unpack(packed)
        moves: tuple[Any, ...] = ()
    elif name.startswith("Conv") and not packed.transpose():
        weight, bias = packed.unpack()
        moves = packed.stride(), packed.padding(), packed.dilation(), packed.groups()
    else:
        raise LoweringError(f"{path}: weights of kind {name} have no layer; {INSTEAD}")
    if weight.dtype != torch.qint8:
        raise LoweringError(f"{path}: weights of type {weight.dtype}; read are qint8: quantise activations too; {INSTEAD}")
    per_channel = weight.qscheme() in (torch.per_channel_affine, torch.per_channel_symmetric)
    if per_channel and weight.q_per_channel_axis() != 0:
        raise LoweringError(f"{path}: weights with scales along axis {weight.q_per_channel_axis()}; read is one a filter")
    if per_channel:
        scales, zeros = weight.q_per_channel_scales().float(), weight.q_per_channel_zero_points().long()
    else:
        scales, zeros = torch.tensor(weight.q_scale()), torch.tensor(weight.q_zero_point())
    return Weights(weight.int_repr(), scales, zeros, per_channel, bias if bias is None else bias.detach().float(), moves)


class OnReals(TorchFunctionMode):
    """While active, operators of quantised tensors work on what their codes stand for."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = _name(func)
        if name in CODES:
            return CODES[name](*args, **kwargs)
        if isinstance(func, torch._ops.OpOverloadPacket) and str(func).startswith("quantized."):
            raise LoweringError(f"operator {func} has no layer; {INSTEAD}")
        form = next((found for one in args if (found := _form(one)) is not None), None)
        if name in ASKED and form is not None:
            return ASKED[name](form)
        result = func(*args, **kwargs)
        if form is None or name == "__get__":
            return result
        form = FIXED.get(name, form)
        if isinstance(result, (tuple, list)):
            return type(result)([_made(one, form) if _is_real(one) else one for one in result])
        return _made(result, form) if _is_real(result) else result


def _name(func: Any) -> str:
    if isinstance(func, (torch._ops.OpOverloadPacket, torch._ops.OpOverload)):
        return str(func)
    owner = getattr(func, "__self__", None)
    if getattr(func, "__name__", "") == "__get__" and getattr(owner, "__name__", "") in ASKED:
        return str(owner.__name__)  # type: ignore[union-attr]
    return str(getattr(func, "__name__", func))


def _is_real(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _form(value: Any) -> Form | None:
    if isinstance(value, (tuple, list)):
        return next((found for one in value if (found := _form(one)) is not None), None)
    return getattr(value, "_addersim_form", None)


def _made(x: Tensor, form: Form) -> Tensor:
    """Reals that codes of a form stand for, next to some reals."""
    if form.dtype not in ENDS:
        raise LoweringError(f"codes of type {form.dtype}; read are quint8 and qint8")
    kind = ENDS[form.dtype]
    which = "tensor" if isinstance(form.scale, Tensor) else "default"
    codes = getattr(OPS.quantize_per_tensor, which)(x, form.scale, form.zero_point, *kind)
    found: Tensor = getattr(OPS.dequantize_per_tensor, which)(codes, form.scale, form.zero_point, *kind)
    found._addersim_form = form  # type: ignore[attr-defined]
    return found


def _quantised(x: Tensor, scale: Any, zero_point: Any, dtype: torch.dtype) -> Tensor:
    return _made(x, Form(scale, zero_point, dtype))


def _dequantised(x: Tensor) -> Tensor:
    found: Tensor = torch.ops.aten.alias(x)
    return found


def _window(axes: int, relu: bool) -> Callable[..., Tensor]:
    """A convolution of one or two axes, or a linear layer of none."""

    def run(x: Tensor, weights: Weights, output_scale: Any, output_zero_point: Any) -> Tensor:
        found = _convolved(x, weights, axes) if axes else F.linear(x, weights.reals(), weights.bias)
        return _made(F.relu(found) if relu else found, Form(output_scale, output_zero_point))

    return run


def _convolved(x: Tensor, weights: Weights, axes: int) -> Tensor:
    """A convolution; backends hold those of one axis as such of two."""
    moves: Any = [list(one)[-axes:] if isinstance(one, (list, tuple)) else one for one in weights.moves]
    held = weights if axes == 2 or weights.codes.dim() == 3 else replace(weights, codes=weights.codes[:, :, 0])
    return (F.conv1d if axes == 1 else F.conv2d)(x, held.reals(), weights.bias, *moves)


def _of_two(operation: Callable[[Tensor, Tensor], Tensor], relu: bool) -> Callable[..., Tensor]:
    def run(a: Tensor, b: Any, scale: Any = None, zero_point: Any = None) -> Tensor:
        if scale is None or _form(b) is None:
            raise LoweringError(f"a number beside codes changes what they stand for, which is not read; {INSTEAD}")
        found = operation(a, b)
        return _made(F.relu(found) if relu else found, Form(scale, zero_point))

    return run


def _joined(relu: bool) -> Callable[..., Tensor]:
    def run(values: list[Tensor], dim: int, scale: Any = None, zero_point: Any = None) -> Tensor:
        found = torch.cat(values, dim)
        first = _form(values)
        form = first if scale is None and first is not None else Form(scale, zero_point)
        return _made(F.relu(found) if relu else found, form)

    return run


def _function(function: Callable[..., Tensor], *before: str) -> Callable[..., Tensor]:
    """A function of each number; `before` are its own arguments, which the operator has in this order before the scale."""

    def run(x: Tensor, *args: Any, output_scale: Any = None, output_zero_point: Any = None, **named: Any) -> Tensor:
        places = [*before, "output_scale", "output_zero_point"]
        given = dict(zip(places, args, strict=False)) | named
        scale, zero = given.pop("output_scale", output_scale), given.pop("output_zero_point", output_zero_point)
        given.pop("inplace", None)
        return _made(function(x, **given), Form(scale, zero))

    return run


def _elu(x: Tensor, output_scale: Any, output_zero_point: Any, alpha: float = 1.0, *more: Any) -> Tensor:
    return _made(F.elu(x, alpha), Form(output_scale, output_zero_point))


def _leaky(x: Tensor, negative_slope: float, inplace: bool, output_scale: Any, output_zero_point: Any) -> Tensor:
    return _made(F.leaky_relu(x, negative_slope), Form(output_scale, output_zero_point))


def _relu6(x: Tensor, inplace: bool = False) -> Tensor:
    form = _form(x)
    assert form is not None
    return _made(F.relu6(x), form)


_OWN: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "quantize_per_tensor": _quantised,
        "dequantize": _dequantised,
        "quantized.cat": _joined(False),
        "quantized.cat_relu": _joined(True),
        "quantized.elu": _elu,
        "quantized.hardswish": _function(F.hardswish),
        "quantized.leaky_relu": _leaky,
        "quantized.relu6": _relu6,
        "quantized.sigmoid": _function(torch.sigmoid),
        "quantized.softmax": _function(F.softmax, "dim"),
    }
)
_WINDOWS = {"conv1d": 1, "conv2d": 2, "linear": 0}
_TWO: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType({"add": torch.add, "mul": torch.mul})
CODES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    dict(_OWN)
    | {f"quantized.{name}": _window(axes, False) for name, axes in _WINDOWS.items()}
    | {f"quantized.{name}_relu": _window(axes, True) for name, axes in _WINDOWS.items()}
    | {f"quantized.{name}": _of_two(operation, False) for name, operation in _TWO.items()}
    | {f"quantized.{name}_relu": _of_two(operation, True) for name, operation in _TWO.items()}
)
"""Operators that make codes by a scale of their own."""

FIXED: Mapping[str, Form] = MappingProxyType(
    {"sigmoid": Form(1 / 256, 0), "hardsigmoid": Form(1 / 256, 0), "tanh": Form(2 / 256, 128)}
    | {"sigmoid_": Form(1 / 256, 0), "hardsigmoid_": Form(1 / 256, 0), "tanh_": Form(2 / 256, 128)}
)
"""Functions whose codes have scales that torch fixes; those of all others are their input's."""

ASKED: Mapping[str, Callable[[Form], Any]] = MappingProxyType(
    {
        "is_quantized": lambda form: True,
        "q_scale": lambda form: form.scale,
        "q_zero_point": lambda form: form.zero_point,
    }
)
"""What a forward may ask of a quantised tensor."""

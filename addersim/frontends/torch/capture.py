"""A torch module as a graph of ATen operators with known sizes, captured by torch.export; the module stays as it is."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import torch
import torch.fx
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from addersim.errors import LoweringError
from addersim.frontends.graph import ONE_INPUT
from addersim.frontends.torch.adders import AdderLayer, find_adders
from addersim.frontends.torch.inference import as_inference
from addersim.frontends.torch.quantised.eager import OnReals, is_quantised, refuse_observers, unpack_weights

__all__ = ["Captured", "capture", "unwrapped"]

EXAMPLE_IMAGES = 2
DROPOUTS = frozenset({nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout})


@dataclass(frozen=True)
class Captured:
    """A module's graph.

    Attributes
    ----------
    graph
        Nodes in an order in which they run, none of which changes a value in place.
    constants
        Parameters, buffers and other tensors, by name of the placeholder that gives them.
    image
        The placeholder of the images.
    trained
        Names of placeholders that give parameters.
    outputs
        Nodes whose tensors ``forward`` returns.
    unproved
        Adder layers whose forward does not run here, and that are taken at their layout's word.
    eager
        Whether it is a module that torch.ao quantised, whose codes a backend of torch computes.
    """

    graph: torch.fx.Graph
    constants: dict[str, Tensor]
    image: torch.fx.Node
    trained: frozenset[str]
    outputs: tuple[torch.fx.Node, ...]
    unproved: tuple[AdderLayer, ...]
    eager: bool = False


def unwrapped(module: Any) -> Any:
    """The module inside DataParallel, DistributedDataParallel and ``torch.compile``."""
    while True:
        inside = None
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            inside = module.module
        elif isinstance(module, nn.Module) and type(module).__name__ == "OptimizedModule":
            inside = module._orig_mod
        if not isinstance(inside, nn.Module):
            return module
        if module._forward_hooks or module._forward_pre_hooks:
            raise LoweringError(f"the wrapper {type(module).__name__} has hooks of its own; give the module inside it")
        module = inside


def capture(module: Any, input_shape: Sequence[int], adders: Collection[str] = ()) -> Captured:
    """The graph of a module at inference.

    Parameters
    ----------
    module
        A torch module, or what torch.export has made of one.
    input_shape
        Of an image, without the images' axis.
    adders
        Classes that are adder layers, beside ours and the official ones.

    Raises
    ------
    LoweringError
        Where torch.export refuses, with its reason and the line.
    """
    if isinstance(module, torch.export.ExportedProgram):
        return _read(_functional(module), ())
    if isinstance(module, torch.jit.ScriptModule):
        raise LoweringError(
            f"{type(module).__name__}: a scripted or traced module holds no Python code that torch.export can follow; give "
            "the module that it was made from, or an ONNX file"
        )
    if not isinstance(module, nn.Module):
        raise LoweringError(f"{type(module).__name__} is not a torch module")
    refuse_observers(module)
    _check_values(module)
    layers: list[AdderLayer] = []
    eager = is_quantised(module)
    with as_inference(module):
        if eager:
            unpack_weights(module)
        images = _example(module, input_shape)
        layers = find_adders(module, adders, torch.rand_like(images[:1]))
        for layer in layers:
            layer.module.forward = layer.formula  # as_inference takes it back
        for one in module.modules():
            if type(one) in DROPOUTS and not one._forward_hooks and not one._forward_pre_hooks:
                one.forward = _same  # at inference it gives its very input, which may be changed in place afterwards
        program = _export(module, images, eager)
        if any(isinstance(one, FakeTensor) for one in program.constants.values()):
            module(torch.rand_like(images[:1]))  # fills what forward computes once and keeps, which then is a constant
            program = _export(module, images, eager)
    return replace(_read(program, tuple(layer for layer in layers if not layer.ran)), eager=eager)


def _same(x: Tensor) -> Tensor:
    return x


def _check_values(module: nn.Module) -> None:
    """Refuse parameters and buffers that are not finite, and those that are not there."""
    for name, one in [*module.named_parameters(), *module.named_buffers()]:
        if one.is_meta or isinstance(one, nn.parameter.UninitializedParameter | nn.parameter.UninitializedBuffer):
            raise LoweringError(f"{name!r} has no values; load weights, or run the module once, before it is lowered")
        if one.is_floating_point() and not torch.isfinite(one).all():
            raise LoweringError(f"{name!r} holds NaN or infinite values")


def _example(module: nn.Module, input_shape: Sequence[int]) -> Tensor:
    own = next((one for one in module.parameters() if one.is_floating_point()), None)
    kind: dict[str, Any] = {} if own is None else {"dtype": own.dtype, "device": own.device}
    return torch.zeros(EXAMPLE_IMAGES, *input_shape, **kind)


def _export(module: nn.Module, images: Tensor, eager: bool) -> torch.export.ExportedProgram:
    name, told = type(module).__name__, logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # torch logs whole graphs beside the error that tells the reason
    try:
        shapes = ({0: torch.export.Dim("batch")},)
        return _functional(torch.export.export(_AsFunction(module, eager), (images,), dynamic_shapes=shapes, strict=False))
    except LoweringError as error:  # of what torch.ao quantised
        raise LoweringError(f"{name}: {error}") from None
    except Exception as error:  # whatever the user's code raises: its own line is the message
        _refuse(name, error)
    finally:
        logging.disable(told)


def _functional(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The program without in-place operators that anyone could notice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return program if _is_functional(program.graph) else program.run_decompositions({})


class _AsFunction(nn.Module):
    """A module called with images alone, so that further arguments take their defaults."""

    def __init__(self, inside: nn.Module, eager: bool) -> None:
        super().__init__()
        self.inside, self.eager = inside, eager

    def forward(self, images: Tensor) -> Any:
        with OnReals() if self.eager else contextlib.nullcontext():
            return self.inside(images)


def _refuse(name: str, error: Exception) -> NoReturn:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = next(iter(lines), type(error).__name__)
    where = _where(error)
    if "Constraints violated" in reason:  # torch names constraints of a size of its own then, and no line
        raise LoweringError(
            f"{name}: its forward goes another way for some numbers of images, or mixes images by a reshape; every image must "
            "go the same way through the network, whatever their number"
        ) from None
    raise LoweringError(
        f"{name}: torch.export cannot follow its forward: {type(error).__name__}: {reason[:200]}{where}"
    ) from None


def _where(error: BaseException) -> str:
    """The last line of the user's own code that an error passed through."""
    found = ""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "/torch/" not in file and "/addersim/frontends/" not in file and "contextlib" not in file:
            found = f" ({file.rpartition('/')[2]}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return found


def _is_functional(graph: torch.fx.Graph) -> bool:
    """Whether in-place operators, if there are any, change values that nothing sees afterwards: they need no rewriting."""
    place = {node: number for number, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable:
            changed = node.args[0] if node.args and isinstance(node.args[0], torch.fx.Node) else None
            if not _is_in_place(node) or changed is None or not _is_alone(changed, place[node], place):
                return False
    return True


def _is_in_place(node: torch.fx.Node) -> bool:
    schema = node.target._schema  # type: ignore[union-attr]
    written = [argument for argument in schema.arguments if argument.alias_info is not None and argument.alias_info.is_write]
    return len(written) == 1 and written[0] is schema.arguments[0] and len(schema.returns) == 1


def _is_alone(value: torch.fx.Node, when: int, place: dict[torch.fx.Node, int]) -> bool:
    """Whether a value is no view of another, and neither it nor a view of it is read after some place."""
    if not _is_fresh(value):
        return False
    return all(place[user] <= when and (place[user] == when or _is_fresh(user)) for user in value.users)


def _is_fresh(node: torch.fx.Node) -> bool:
    """Whether a node's result is sure to share no memory with what it reads, or is that very value changed in place."""
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.name.removesuffix("_") in FRESH


FRESH = frozenset(
    f"aten::{name}"
    for name in (
        *("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "linear", "matmul", "bmm", "addmm", "batch_norm"),
        *("layer_norm", "group_norm", "instance_norm", "add", "sub", "mul", "div", "neg", "cat", "stack", "relu", "relu6"),
        *("silu", "gelu", "hardswish", "hardsigmoid", "hardtanh", "sigmoid", "tanh", "leaky_relu", "elu", "clamp", "softmax"),
        *("max_pool2d", "avg_pool2d", "max_pool1d", "avg_pool1d", "mean", "sum", "prelu", "exp", "sqrt", "pow"),
    )
) | {"addersim::window", "addersim::l1_forward"}
"""Operators whose results are new tensors: nobody else sees when such a one is changed in place."""


def _read(program: torch.export.ExportedProgram, unproved: tuple[AdderLayer, ...]) -> Captured:
    signature = program.graph_signature
    state = {**program.state_dict, **program.constants}
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers, **signature.inputs_to_lifted_tensor_constants}
    nodes = {node.name: node for node in program.graph.nodes}
    images = [name for name in signature.user_inputs if isinstance(name, str) and name in nodes]
    if len(images) != 1:
        raise LoweringError(f"forward takes {len(images)} tensors ({', '.join(images)}); {ONE_INPUT}")
    first = nodes[images[0]].meta["val"].shape[:1]
    if first and isinstance(first[0], int):
        raise LoweringError(f"exported for {first[0]} images; export it for any number: dynamic_shapes=({{0: Dim('batch')}},)")
    outputs = tuple(nodes[name] for name in signature.user_outputs if isinstance(name, str) and name in nodes)
    return Captured(
        graph=program.graph,
        constants={place: state[name].detach() for place, name in names.items() if isinstance(state.get(name), Tensor)},
        image=nodes[images[0]],
        trained=frozenset(signature.inputs_to_parameters),
        outputs=outputs,
        unproved=unproved,
    )

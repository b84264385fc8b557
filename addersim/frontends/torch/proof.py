"""The proof of a torch module's lowering."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.fx
from msgspec.structs import replace
from torch import Tensor, nn

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.frontends.proof import (
    IN_DOUBLE,
    PROOF,
    TOLERANCE,
    Agreement,
    Source,
    batches,
    compare,
    first_difference,
    made_up_images,
    nchw,
    network_values,
    prove,
    values_on_source,
)
from addersim.frontends.torch.inference import as_inference
from addersim.frontends.torch.state import refuse_memory
from addersim.frontends.torch.walk import Walk
from addersim.images import Images, check_images
from addersim.network import Network

__all__ = ["proved"]

Array = np.ndarray[Any, Any]


def proved(network: Network, module: Any, walk: Walk, outputs: Sequence[str], images: Images | None) -> Network:
    """The network with a note of how far it is from its module, which stays as it is.

    Raises
    ------
    LoweringError
        Where they differ: by how much, and from which layer on; where the module does not run.
    """
    given = made_up_images(network) if images is None else images
    check_images(given, network.input_shape, network.preprocessing, f"network {network.name}")
    module = _in_single_precision(module)
    source = _source(module, walk)
    kind = _type(module)
    tolerance = 4 * torch.finfo(kind).eps if kind in (torch.float16, torch.bfloat16) else TOLERANCE
    found = prove(network, source, outputs, given, tolerance)
    if isinstance(module, nn.Module):
        refuse_memory(network.name, module, _tensor(module, nchw(network, given[:1])))
    if isinstance(found, Agreement) and not found.silent:
        beside = f"{found}, beside torch {torch.__version__.partition('+')[0]}"
        return replace(network, metadata=network.metadata | {PROOF: beside})
    part = nchw(network, given[:1])
    steps = _steps(walk, _graph_values(walk, _tensor(module, part)))
    place = first_difference(network_values(network, part), steps, tolerance)
    if isinstance(found, Agreement) and place is None:
        return replace(network, metadata=network.metadata | {PROOF: f"all outputs are zero; every layer agrees, {found}"})
    if kind == torch.float32 and (agreement := _in_double(network, walk, module, outputs, given)):
        note = f"float32 rounds too coarsely here ({found}); in float64 every layer agrees, {agreement}"
        return replace(network, metadata=network.metadata | {PROOF: note})
    reason = place or "the captured graph itself differs from the module: its forward does other things when it is run"
    raise LoweringError(f"{network.name}: the lowered network differs from the module: {found}; {reason}")


def _in_single_precision(module: Any) -> Any:
    """A copy of a module of narrow floats in float32, where it can be copied: its own rounding would hide differences."""
    if _type(module) not in (torch.float16, torch.bfloat16):
        return module
    try:
        return copy.deepcopy(module).float()
    except Exception:  # what a module holds may forbid a copy; its own type then bounds the comparison
        return module


def _in_double(network: Network, walk: Walk, module: Any, outputs: Sequence[str], images: Images) -> Agreement | None:
    """How far network and module are apart in float64, where nothing but float32's rounding parts them.

    Sums of a large mean, which a batch norm takes away, leave few digits of float32 over, and what is lost there grows from
    layer to layer. The captured graph must then give what the module gives, and in float64, value by value, what each of the
    network's layers gives on the graph's own values.
    """
    ends, worst, count = walk.returned(), 0.0, 0
    is_module = _same_as_module(module, walk)
    for given in batches(network, images):
        double = _graph_values(walk, torch.from_numpy(given.astype(np.float64)))
        if not is_module(given, [double[end] for end in ends]):
            return None
        steps = list(_steps(walk, double))
        direct = {flow.layer: value for flow, _, value in steps if not flow.steps}
        values = values_on_source(network, given.astype(np.float64), direct)
        if any(double[end].shape != values[name].shape for end, name in zip(ends, outputs, strict=True)):
            return None
        worst = max(worst, *(compare(double[end], values[name]) for end, name in zip(ends, outputs, strict=True)))
        if worst > IN_DOUBLE or first_difference(values, steps, IN_DOUBLE):
            return None
        count += len(given)
    return Agreement(worst, count)


def _same_as_module(module: Any, walk: Walk) -> Callable[[Array, Sequence[Array]], bool]:
    """Whether the module gives, in float32, what the captured graph gives, or, as a copy in float64, its outputs there.

    A module may round otherwise than its graph; where float32 leaves few digits over, that parts them, too. A copy in float64
    computes in it what depends on parameters alone, which the network holds in their own type: then float32 decides.
    """
    source = _source(module, walk)
    try:
        double = _source(copy.deepcopy(module).double(), walk)
    except Exception:  # what a module holds may forbid a copy, or be a program
        double = None

    def same(images: Array, outputs: Sequence[Array]) -> bool:
        single = _graph_values(walk, torch.from_numpy(images.astype(np.float32)))
        if _near(source(images), [single[end] for end in walk.returned()], TOLERANCE):
            return True
        try:
            return double is not None and _near(double(images), outputs, IN_DOUBLE)
        except LoweringError:  # it makes values of a type of its own
            return False

    return same


def _near(wanted: Sequence[Array], found: Sequence[Array], tolerance: float) -> bool:
    return all(compare(one, other) <= tolerance for one, other in zip(wanted, found, strict=True))


def _type(module: Any) -> torch.dtype:
    floats = [one for one in module.parameters() if one.is_floating_point()] if isinstance(module, nn.Module) else []
    return floats[0].dtype if floats else torch.float32


def _tensor(module: Any, images: Array) -> Tensor:
    own = next((one for one in module.parameters()), None) if isinstance(module, nn.Module) else None
    x = torch.from_numpy(images.copy())  # forward may change its input in place
    return x if own is None else x.to(own.device, own.dtype if own.is_floating_point() else x.dtype)


def _source(module: Any, walk: Walk) -> Source:
    """The module's outputs that depend on the images."""
    wanted = set(walk.returned())
    places = [place for place, node in enumerate(walk.captured.outputs) if node in wanted]
    run = module if isinstance(module, nn.Module) else module.module()

    def source(images: Array) -> Sequence[Array]:
        try:
            if isinstance(module, nn.Module):
                with as_inference(module):
                    given = run(_tensor(module, images))
            else:
                with torch.no_grad():
                    given = run(_tensor(module, images))
        except Exception as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise LoweringError(f"the module fails on {len(images)} images: {reason[0][:200]}") from None
        tensors = [one for one in torch.utils._pytree.tree_leaves(given) if isinstance(one, Tensor)]
        return [_plain(tensors[place]) for place in places]

    return source


def _plain(tensor: Tensor) -> Array:
    values = tensor.detach().cpu()
    found: Array = (values if values.dtype == torch.float64 else values.float()).numpy()
    return found.reshape(len(found), -1) if found.ndim < 2 else found


def _graph_values(walk: Walk, images: Tensor) -> dict[torch.fx.Node, Array]:
    """Every value of the captured graph that the network has too, run by torch node by node.

    What is computed of parameters alone is what the network holds, computed in their own type, whatever that of the images is.
    """
    found: dict[torch.fx.Node, Array] = {}

    class Interpreter(torch.fx.Interpreter):
        def run_node(self, node: torch.fx.Node) -> Any:
            constant = walk.values.get(node)
            if isinstance(constant, Tensor) and node.op == "call_function" and _has_one_shape(node):
                return constant.to(images.dtype) if constant.is_floating_point() else constant
            value = super().run_node(node)
            if isinstance(walk.values.get(node), Flow) and isinstance(value, Tensor):
                found[node] = _plain(value.clone())
            return value

    graph = walk.captured.graph
    own = {node.name: node for node in graph.nodes if node.op == "placeholder"}
    constants = {
        name: one.to(images.dtype) if one.is_floating_point() else one for name, one in walk.captured.constants.items()
    }
    given = [images if node is walk.captured.image else constants.get(name) for name, node in own.items()]
    with torch.no_grad():
        Interpreter(torch.fx.GraphModule(nn.Module(), graph)).run(*given)
    return found


def _has_one_shape(node: torch.fx.Node) -> bool:
    """Whether a constant has the same shape for any number of images; `Walk` computes the others for one."""
    return all(isinstance(size, int) for size in node.meta["val"].shape)


def _steps(walk: Walk, values: Mapping[torch.fx.Node, Array]) -> Iterator[tuple[Flow, str, Array]]:
    """Every value of the captured graph beside the flow that stands for it."""
    for node, value in values.items():
        flow = walk.values[node]
        assert isinstance(flow, Flow)
        yield flow, f"{node.name} at {walk.path(node)}", value

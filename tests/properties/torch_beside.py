"""Programs that torch quantised, beside torch's own run of them: every layer on torch's codes of what it reads."""

import dataclasses

import numpy as np
import torch

from addersim import kernels
from addersim.errors import AddersimError
from addersim.frontends.quantised_values import Codes
from addersim.frontends.torch.capture import capture
from addersim.frontends.torch.quantised.walk import QuantisedWalk
from addersim.layers.move import rearrange
from tests.properties.onnx_graphs import reason

NEAR = 1e-3
"""Of a code, from a tie: there float32 decides, which adds in another order than any hardware."""


STEP = 2e-6
"""Of a value, from a tie: what some roundings of float32 amount to."""


@dataclasses.dataclass
class Beside:
    """How many codes were compared, differ, and are wrong: more than one apart, or where torch is not next to a tie."""

    compared: int = 0
    differ: int = 0
    wrong: int = 0
    layers: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()


def exported(module, images):
    """What torch.export makes of a module, for any number of images."""
    return torch.export.export(module.eval(), (images[:4],), dynamic_shapes=({0: torch.export.Dim("b", min=2, max=4096)},))


class _Seeing(torch.fx.Interpreter):
    """Runs a graph and keeps what each of its nodes gives."""

    def __init__(self, module):
        super().__init__(module)
        self.seen = {}

    def run_node(self, node):
        self.seen[node.name] = super().run_node(node)
        return self.seen[node.name]


def beside(program, given, images):
    """Codes of a program's layers, on torch's codes of what each reads, beside those of an exported program."""
    walk = QuantisedWalk(capture(given, ()), program.input_shape)
    walk.run()
    running = _Seeing(given.module())
    with torch.no_grad():
        running.run(images)
    seen, checked, forced = running.seen, [], {}
    for node, value in walk.values.items():
        if isinstance(value, Codes) and node.target == torch.ops.quantized_decomposed.quantize_per_tensor.default:
            before = images if node.args[0].op == "placeholder" else seen[node.args[0].name]
            codes = seen[node.name].numpy()
            checked.append((value.flow, value.form.zero_point, codes, before.numpy() / np.float32(value.form.scale)))
            if not value.flow.steps:
                forced[value.flow.layer] = np.ascontiguousarray(np.moveaxis(codes, 1, -1))
    first = {"input": program.encode(images.numpy())}
    read, found = first | forced, dict(first)
    for layer in program.layers:
        found[layer.name] = layer.run(kernels, *(read[name] for name in layer.inputs)).values
        read.setdefault(layer.name, found[layer.name])
    result = Beside(seen=tuple(flow.layer for flow, *_ in checked))
    for flow, zero, expected, steps in checked:
        if flow.layer not in found:  # what no output needs
            continue
        codes = rearrange(flow.steps, np.moveaxis(found[flow.layer], -1, 1), zero)
        apart = codes.astype(int) - expected.astype(int)
        near = np.abs(np.abs(steps - np.floor(steps)) - 0.5) < np.maximum(NEAR, np.abs(steps) * STEP)
        wrong = np.count_nonzero((np.abs(apart) > 1) | ((apart != 0) & ~near))
        result.compared, result.differ = result.compared + apart.size, result.differ + np.count_nonzero(apart)
        result.wrong += wrong
        result.layers += (f"{flow.layer} ({wrong})",) if wrong else ()
    return result


def told(compare, shown):
    """What a comparison says, or a refusal's reason, or RAW and what was raised."""
    try:
        said = compare()
    except AddersimError as error:
        return reason(str(error)) if str(error).isprintable() else f"RAW {shown}: {error!r}"
    except Exception as error:  # that is what is looked for
        return f"RAW {shown}: {type(error).__name__}: {error}"
    return f"{said} {shown}" if said.startswith("WRONG") else said

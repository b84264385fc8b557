"""Run somebody's processing element on a layer's golden vectors and find the first wrong word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from addersim.golden.vectors import LayerVectors
from addersim.rtl.compiled import ClockedModule, Design, compile_designs
from addersim.rtl.elements import run_element, signed
from addersim.rtl.probe import PLAIN_NAME, Module, find_module
from addersim.rtl.simulators import UNKNOWN, SimulatedModule
from addersim.rtl.tools import RtlError

__all__ = [
    "COMPILED", "MOST_SIMULATED", "MOST_TAPS", "Verification", "fitted_design", "place_in_words", "verify_element",
]  # fmt: skip

MOST_TAPS = 2_000_000
"""That are run; of a layer with more, sums are chosen by chance."""
MOST_SIMULATED = 200_000
"""Of these in a simulator, which takes up to 50 us for each."""
COMPILED = "compiled"
MOST_SUM_BITS = 64
_OPTIONAL = ("enable",)


@dataclass(frozen=True, slots=True)
class Verification:
    """What a module gave for a layer.

    Attributes
    ----------
    network, layer, top
        Names.
    sums, taps
        That were run.
    of_sums
        Of the layer and image.
    wrong
        Sums that differ.
    first
        The first of them in words; empty where there is none.
    """

    network: str
    layer: str
    top: str
    sums: int
    taps: int
    of_sums: int
    wrong: int
    first: str = ""


def verify_element(
    verilog: Mapping[str, str], top: str, vectors: LayerVectors, most: int = MOST_TAPS, simulator: str = COMPILED
) -> Verification:
    """Run a module on the taps of a layer, sum by sum, and compare each sum.

    Its ports are those of the package's elements by name (``clk``, ``clear``, ``input_code``, ``weight_code``, ``sum``, and
    ``enable`` where it has one), its sum is there two clock edges after the last operands. Parameters that it has by the
    names of the package's get the layer's values. A sum of another width is taken as a signed number. It is `compiled`, where
    a bit that is never set is 0, or runs in a simulator of `addersim.rtl.simulators`.

    Raises
    ------
    RtlError
        For Verilog that cannot be read, or other ports.
    """
    design, plain = fitted_design(verilog, top, vectors.element.design(), vectors.layer)
    module, most = _run_by(simulator, design, plain, most)
    places = vectors.places(most)
    inputs, weights = vectors.taps(places)
    first = np.tile(np.arange(vectors.shape.taps) == 0, len(places))
    found = run_element(module, inputs.reshape(-1), weights.reshape(-1), first)
    last = {port: words.reshape(inputs.shape)[:, -1] for port, words in found.items()}
    sums, expected = signed(last["sum"], dict(design.outputs)["sum"]), vectors.sums.reshape(-1)[places]
    unknown = last.get(UNKNOWN, np.zeros(len(places), np.uint64)) != 0
    wrong = np.flatnonzero((sums != expected) | unknown)
    told = ""
    if wrong.size:
        place = wrong[0]
        has = "bits that are neither 0 nor 1" if unknown[place] else sums[place]
        told = f"{place_in_words(vectors, int(places[place]))}: expected {expected[place]}, found {has}"
    counts = (len(places), inputs.size, vectors.sums.size, wrong.size)
    return Verification(vectors.network, vectors.layer, top, *counts, told)


def _run_by(
    simulator: str, design: Design, verilog: Mapping[str, str], most: int
) -> tuple[ClockedModule | SimulatedModule, int]:
    """What runs a module, and how many taps of it."""
    if simulator == COMPILED:
        return compile_designs([design], verilog)[0], most
    return SimulatedModule(simulator, design, verilog), min(most, MOST_SIMULATED)


def place_in_words(vectors: LayerVectors, place: int) -> str:
    """Where a sum of a layer belongs."""
    pixel, filter_ = divmod(place, len(vectors.weights))
    row, column = divmod(pixel, vectors.shape.out_width)
    return f"sum {place}, row {row}, column {column}, filter {filter_}"


def fitted_design(verilog: Mapping[str, str], top: str, wanted: Design, layer: str) -> tuple[Design, Mapping[str, str]]:
    """The module with the layer's parameters, after looking at its ports, and the Verilog that is left of it.

    Raises
    ------
    RtlError
        For Verilog that cannot be read, or other ports than those that are wanted.
    """
    plain = find_module(verilog, top)
    values = {name: int(value) for name, value in wanted.parameters if name in plain.parameters}
    found = find_module(verilog, top, values) if values else plain
    _check_ports(found, wanted, f"module {top}", layer)
    inputs = tuple((name, bits) for name, bits in wanted.inputs if name in found.ports)
    outputs = tuple((name, found.ports[name][1]) for name, _ in wanted.outputs)
    return replace(wanted, module=PLAIN_NAME, parameters=(), inputs=inputs, outputs=outputs), found.plain


def _check_ports(found: Module, wanted: Design, where: str, layer: str) -> None:
    expected = {"clk": ("input", 1)} | {name: ("input", bits) for name, bits in wanted.inputs}
    expected |= {name: ("output", bits) for name, bits in wanted.outputs}
    missing = [name for name in expected if name not in found.ports and name not in _OPTIONAL]
    strange = [name for name, (direction, _) in found.ports.items() if name not in expected and direction != "output"]
    if missing or strange:
        without = "".join(f" ({name} may be missing)" for name in _OPTIONAL if name in expected)
        raise RtlError(f"{where}: ports {', '.join(found.ports)}; expected {', '.join(expected)}{without}")
    if found.ports["sum"][1] > MOST_SUM_BITS:
        raise RtlError(f"{where}: port sum has {found.ports['sum'][1]} bits; at most {MOST_SUM_BITS} are compared")
    for name, (direction, bits) in expected.items():
        has = found.ports.get(name, (direction, bits))
        if has[0] != direction or (has[1] != bits and name != "sum"):
            needed = f"{direction} of {bits} bits for layer {layer}"
            raise RtlError(f"{where}: port {name} is an {has[0]} of {has[1]} bits; expected an {needed}")

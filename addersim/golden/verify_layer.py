"""Run somebody's module of a whole layer on its golden vectors: weights and inputs stream in, sums come out one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from addersim.golden.vectors import LayerVectors
from addersim.golden.verify import COMPILED, MOST_SIMULATED, MOST_TAPS, Verification, fitted_design, place_in_words
from addersim.rtl.compiled import Design, compile_designs
from addersim.rtl.elements import signed
from addersim.rtl.simulators import UNKNOWN, SimulatedModule
from addersim.rtl.tools import RtlError

__all__ = ["verify_layer"]

Words = npt.NDArray[np.uint64]


def verify_layer(verilog: Mapping[str, str], top: str, vectors: LayerVectors, simulator: str = COMPILED) -> Verification:
    """Stream a layer into a module and compare each sum that it gives, in the order of pixels and, within one, of filters.

    Its ports are ``clk``, ``start`` (1 at the first edge alone), ``weight_valid`` and ``weight_code`` (a filter after the
    other, taps in the order of a sum), ``input_valid`` and ``input_code`` (pixel by pixel, channels last, behind the weights),
    a word an edge, and ``sum_valid`` and ``sum``. Parameters by the names of the package's elements get the layer's values.

    Raises
    ------
    RtlError
        For Verilog that cannot be read, other ports, or sums that do not come within 2,000,000 clock edges (in a simulator
        200,000).
    """
    element = vectors.element
    wanted = Design(
        top,
        element.design().parameters,
        (
            *(("start", 1), ("weight_valid", 1), ("weight_code", element.weight_bits)),
            *(("input_valid", 1), ("input_code", element.input_bits)),
        ),
        (("sum_valid", 1), ("sum", element.accumulator_bits)),
    )
    design, plain = fitted_design(verilog, top, wanted, vectors.layer)
    expected = vectors.sums.reshape(-1)
    found = _sums(top, design, plain, vectors, simulator)
    sums, unknown = signed(found["sum"], dict(design.outputs)["sum"]), found[UNKNOWN] != 0
    wrong = np.flatnonzero((sums != expected) | unknown)
    told = ""
    if wrong.size:
        place = int(wrong[0])
        has = "bits that are neither 0 nor 1" if unknown[place] else sums[place]
        told = f"{place_in_words(vectors, place)}: expected {expected[place]}, found {has}"
    counts = (expected.size, expected.size * vectors.shape.taps, expected.size, wrong.size)
    return Verification(vectors.network, vectors.layer, top, *counts, told)


def _sums(top: str, design: Design, plain: Mapping[str, str], vectors: LayerVectors, simulator: str) -> dict[str, Words]:
    """The first words that are valid, as many as the layer has sums: twice as many edges are run until they have come."""
    wanted, seen, clocks = vectors.sums.size, 0, 0
    for clocks in _clocks(vectors, MOST_TAPS if simulator == COMPILED else MOST_SIMULATED):
        module = compile_designs([design], plain)[0] if simulator == COMPILED else SimulatedModule(simulator, design, plain)
        found = module.run(_streams(vectors, clocks), clocks)
        found.setdefault(UNKNOWN, np.zeros(clocks, np.uint64))
        valid = np.flatnonzero(found["sum_valid"])
        seen = len(valid)
        if seen >= wanted:
            return {port: words[valid[:wanted]] for port, words in found.items()}
    raise RtlError(f"module {top}: {seen:,} of {wanted:,} sums were valid after {clocks:,} clock edges")


def _clocks(vectors: LayerVectors, most: int) -> Iterator[int]:
    clocks = vectors.weights.size + vectors.inputs.size + 2 * vectors.sums.size
    while clocks < most:
        yield clocks
        clocks *= 2
    yield most


def _streams(vectors: LayerVectors, clocks: int) -> dict[str, npt.ArrayLike]:
    """What the ports are given at each edge."""
    weights, inputs = vectors.weights.reshape(-1), vectors.inputs.reshape(-1)
    loads = weights.size + inputs.size
    edges = np.arange(max(clocks, loads))
    of_weights, of_inputs = edges < weights.size, (edges >= weights.size) & (edges < loads)
    words = {"weight_code": np.zeros(edges.size, np.int64), "input_code": np.zeros(edges.size, np.int64)}
    words["weight_code"][of_weights], words["input_code"][of_inputs] = weights, inputs
    streams = {"start": edges == 0, "weight_valid": of_weights, "input_valid": of_inputs, **words}
    return {port: one[:clocks].astype(np.int64) for port, one in streams.items()}

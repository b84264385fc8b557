"""Processing elements in the fabric of an FPGA: look-up tables, carries, flip-flops and multiplier blocks, before placing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from addersim.errors import HardwareError
from addersim.hardware.gates.constant_layer import CONSTANT_LAYER, constant_layer
from addersim.hardware.gates.element_operands import Element
from addersim.hardware.gates.synthesis import synthesised
from addersim.inputs.text import did_you_mean
from addersim.layers import IntegerWindow
from addersim.processes.unfinished import scratch_folder
from addersim.rtl.sources import sources_text
from addersim.rtl.tools import find_yosys

__all__ = ["CONSTANT_WEIGHTS", "OWN_MULTIPLIER", "TARGETS", "FabricUse", "elements_in_fabric", "layer_in_fabric"]

OWN_MULTIPLIER = "product"
"""Style of a multiplying element whose multiplier is the target's: ``x * w``, which becomes a block where there are any."""
CONSTANT_WEIGHTS = "constant weights"
"""Style of a layer whose weights are constants."""
_PRODUCT = """
module pe_mac_product #(parameter INPUT_BITS = 8, WEIGHT_BITS = 8, INPUT_SIGNED = 1, WEIGHT_SIGNED = 1, ACCUMULATOR_BITS = 20)
  (input clk, clear, enable, input [INPUT_BITS-1:0] input_code, input [WEIGHT_BITS-1:0] weight_code,
   output reg signed [ACCUMULATOR_BITS-1:0] sum);
  reg signed [INPUT_BITS:0] x;
  reg signed [WEIGHT_BITS:0] w;
  reg first;
  always @(posedge clk) if (enable) begin
    x <= {INPUT_SIGNED && input_code[INPUT_BITS-1], input_code};
    w <= {WEIGHT_SIGNED && weight_code[WEIGHT_BITS-1], weight_code};
    first <= clear;
    sum <= (first ? 0 : sum) + x * w;
  end
endmodule
"""


@dataclass(frozen=True, slots=True)
class Target:
    """An FPGA family: how yosys is told, with multiplier blocks or without, and which cells are what."""

    synthesis: str
    with_blocks: str
    without_blocks: str
    luts: frozenset[str]
    carries: frozenset[str]
    flip_flops: str
    multipliers: str


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "xc7": Target(
            "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf", "", "-nodsp",
            frozenset({"INV", "SRL16E", "SRLC32E", *(f"LUT{inputs}" for inputs in range(1, 7))}),
            frozenset({"CARRY4"}), "FD", "DSP48E1",
        ),
        "ice40": Target(
            "synth_ice40 -flatten", "-dsp", "", frozenset({"SB_LUT4"}), frozenset({"SB_CARRY"}), "SB_DFF", "SB_MAC16"
        ),
        "ecp5": Target(
            "synth_ecp5", "", "-nodsp", frozenset({"LUT4"}), frozenset({"CCU2C"}), "TRELLIS_FF", "MULT18X18D"
        ),
    }
)  # fmt: skip
"""Families that yosys maps to by itself: Xilinx 7 series, Lattice iCE40 UltraPlus and ECP5."""


@dataclass(frozen=True, slots=True)
class FabricUse:
    """What an element takes of an FPGA.

    Attributes
    ----------
    target, datapath, style, bits
        Family of `TARGETS`, element and width of its operands; of a layer with constant weights `CONSTANT_WEIGHTS` as style.
    luts, carries, flip_flops, multipliers
        Look-up tables, carry cells (four bits each in ``xc7``, one in ``ice40``, two in ``ecp5``, where each takes two look-up
        tables besides), registers' bits and multiplier blocks.
    """

    target: str
    datapath: str
    style: str
    bits: int
    luts: int
    carries: int
    flip_flops: int
    multipliers: int


def elements_in_fabric(
    elements: Sequence[Element],
    target: str,
    folder: Path,
    *,
    threads: int = 2,
    finished: Callable[[int], None] | None = None,
) -> list[FabricUse]:
    """Synthesise elements for an FPGA family, and count what they take. No timing, no placing.

    Parameters
    ----------
    elements
        Processing elements of ``ext/rtl``; of style `OWN_MULTIPLIER` also the one whose multiplier is the target's.
    target
        A name in `TARGETS`.
    folder
        Where yosys may work, in folders that go afterwards.
    threads
        Circuits at once.
    finished
        Told how many are done, after each.

    Raises
    ------
    HardwareError
        An unknown target; no yosys, or one that refuses.
    """
    _check_target(target)
    found = []
    with ThreadPoolExecutor(threads) as pool:
        for one in pool.map(lambda element: _use(element, target, folder), elements):
            found.append(one)
            if finished:
                finished(len(found))
    return found


def layer_in_fabric(layer: IntegerWindow, target: str, folder: Path) -> FabricUse:
    """What a layer takes of an FPGA family when its weights are constants of the circuit (`constant_layer`), without blocks.

    Raises
    ------
    HardwareError
        An unknown target, or a layer that cannot be laid down so; no yosys, or one that refuses.
    """
    _check_target(target)
    text, family = constant_layer(layer), TARGETS[target]
    with scratch_folder(folder, "fabric") as place:
        (place / f"{CONSTANT_LAYER}.v").write_text(text, encoding="utf-8", newline="\n")
        found = synthesised(CONSTANT_LAYER, {}, [f"{family.synthesis} {family.without_blocks}"], place, find_yosys())["cells"]
    cells = Counter(one["type"] for one in found.values())
    return _counted(cells, target, layer.datapath, CONSTANT_WEIGHTS, layer.input_format.bits)


def _check_target(target: str) -> None:
    if target not in TARGETS:
        raise HardwareError(f"target {target!r}: not one of {', '.join(TARGETS)}{did_you_mean(target, TARGETS)}")


def _use(element: Element, target: str, folder: Path) -> FabricUse:
    cells = _cells(element, TARGETS[target], folder)
    return _counted(cells, target, element.datapath, element.style, element.input_bits)


def _counted(cells: Counter[str], target: str, datapath: str, style: str, bits: int) -> FabricUse:
    family = TARGETS[target]
    return FabricUse(
        target, datapath, style, bits,
        luts=sum(number for kind, number in cells.items() if kind in family.luts),
        carries=sum(number for kind, number in cells.items() if kind in family.carries),
        flip_flops=sum(number for kind, number in cells.items() if kind.startswith(family.flip_flops)),
        multipliers=cells[family.multipliers],
    )  # fmt: skip


def _cells(element: Element, family: Target, folder: Path) -> Counter[str]:
    """How many cells of each kind there are."""
    own = element.style == OWN_MULTIPLIER
    module = "pe_mac_product" if own else element.module
    parameters = replace(element, style="").parameters if own else element.parameters
    given = {name: value for name, value in parameters.items() if not own or name != "SATURATE"}
    with scratch_folder(folder, "fabric") as place:
        for name, text in ({"pe_mac_product.v": _PRODUCT} if own else sources_text()).items():
            (place / name).write_text(text, encoding="utf-8", newline="\n")
        found = synthesised(module, given, [f"{family.synthesis} {family.with_blocks}"], place, find_yosys())["cells"]
    return Counter(one["type"] for one in found.values())

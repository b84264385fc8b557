"""Claims about energy, area and time."""

from __future__ import annotations

import dataclasses

from claim import Claim, Measured
from msgspec.structs import replace
from runs import ON, by_table, topology, trace

from addersim import Accelerator, Accumulator, Quantization, estimate, estimate_area, load_accelerator, load_energy_table
from addersim.hardware.accelerator import RunLengthCoding
from addersim.hardware.own_clock import at_own_clock
from addersim.hardware.prices.csv_file import table_names
from addersim.trace import LayerTrace
from addersim.zeros import Zeros

MINIMALIST = "Wang et al., arXiv 2101.10015, abstract"
GROUPED = "AICAS 2023 (10.1109/AICAS57966.2023.10168637), abstract"
SHIFTADDNET = "You et al., NeurIPS 2020, abstract"
SCALESIM = "arXiv 2504.15377, abstract"
EYERISS = "Chen et al., JSSC 52(1), 2017, tables V and VI as cucapra/fodlam has their text"
TABLES = f"{len(table_names())} tables"
CIRCUITS = ("2a", "1c1a", "xor")
ZEROS = {1: 0.0001, 2: 0.387, 3: 0.725, 4: 0.793, 5: 0.776}  # of the inputs of CONV1 to CONV5, Eyeriss, table V
PRICED = Quantization(weight_bits=16, activation_bits=16, accumulator=Accumulator(16, "saturate"))


def float_ceiling() -> Measured:
    """A multiplication and an addition over two additions, 32-bit floating point."""
    prices = load_energy_table("horowitz-45nm")
    add, mul = (prices.price(op, 32, "float") for op in ("add", "mul"))
    return Measured((mul + add) / (2 * add), (mul + add) / (2 * add), f"({mul} + {add}) / (2 x {add}) pJ")


def arithmetic_ceilings() -> Measured:
    """The same for floating point and for integers of 8 bits, under every table."""
    horowitz = load_energy_table("horowitz-45nm")
    found = [_ceiling(horowitz, bits, "float") for bits in (16, 32)]
    return Measured.of([*found, *(_ceiling(load_energy_table(name), 8) for name in table_names())], f"{TABLES}, no memory")


def faster_at_own_clocks() -> Measured:
    """Time of a multiplying network over that of its adder twin, each at the clock of its slowest element."""
    prices, machine = load_energy_table("nangate45-gates"), load_accelerator(ON)

    def milliseconds(network: str, bits: int) -> float:
        facts = trace(network, bits)
        return estimate(facts, at_own_clock(facts, machine, prices).machine, prices).latency_ms

    pairs = [(name, bits) for name in ("lenet5", "resnet20") for bits in (2, 4, 6, 8, 12, 16)]
    ratios = [milliseconds(f"{name}-conv", bits) / milliseconds(f"{name}-adder", bits) for name, bits in pairs]
    return Measured.of(ratios, "LeNet-5, which adds in every layer, and ResNet-20, whose ends multiply; 2 to 16 bits")


def _ceiling(prices, bits, component="integer"):
    add, mul = (prices.price(op, bits, component) for op in ("add", "mul"))
    return (mul + add) / (2 * add)


def detector_at_8_bits() -> Measured:
    """The saving at 8 bits that the saving in floating point implies, if only arithmetic is counted.

    Each says which share of the multiply-accumulates became adder taps; the second follows from the first.
    """
    prices = load_energy_table("horowitz-45nm")
    share = 0.29 / (1 - 1 / _ceiling(prices, 32, "float"))
    saved = 100 * share * (1 - 1 / _ceiling(prices, 8))
    return Measured(saved, saved, f"a share of {100 * share:.0f} % of the taps explains both figures")


def multiplier_over_adder() -> Measured:
    """A 32-bit multiplication over a 32-bit addition, under every table."""
    found = {}
    for name in table_names():
        prices = load_energy_table(name)
        found[name] = prices.price("mul", 32) / prices.price("add", 32)
    small = load_energy_table("horowitz-45nm")
    return Measured.of(list(found.values()), f"at 8 bits {small.price('mul', 8) / small.price('add', 8):.1f} by horowitz-45nm")


def l_mul(dot: bool) -> Measured:
    """What an integer addition in place of a floating-point multiplication saves, in per cent; sums of dot products remain."""
    prices, found = load_energy_table("horowitz-45nm"), []
    for bits in (16, 32):
        mul, kept = prices.price("mul", bits, "float"), dot * prices.price("add", bits, "float")
        found.append(100 * (1 - (prices.price("add", bits) + kept) / (mul + kept)))
    return Measured.of(found, "16 and 32 bits, no memory")


def adder_element_smaller() -> Measured:
    """By how much a processing element is smaller with an adder datapath than with a multiplier, in per cent."""
    return Measured.of(
        [100 * (1 - 1 / one) for one in _area_ratios((8, 16))], "8 and 16 bits, three circuits, aladdin-cacti-45nm"
    )


def adder_array_saves() -> Measured:
    """By how much less energy the array takes, in per cent."""
    return Measured.of([100 * (1 - 1 / one) for one in _array_ratios((8, 16))], f"8 and 16 bits, {TABLES}, circuit 2a")


def adder_tap_smaller() -> Measured:
    """By how much less energy an 8-bit tap takes without its accumulation, in per cent."""
    found = []
    for name in table_names():
        prices = load_energy_table(name)
        adder = 2 * prices.price("sub", 8) + prices.price("mux", 8)
        found.append(100 * (1 - adder / prices.price("mul", 8)))
    return Measured.of(found, f"two subtractors and a multiplexer against a multiplier, energy under {TABLES}")


def array_efficiency() -> Measured:
    """Energy and area of the array at 8 bits, multiplying over adder."""
    return Measured.of([*_array_ratios((8,)), *_area_ratios((8,))], f"energy under {TABLES}, area with three circuits")


def _array_ratios(widths):
    return [
        conv.energy_by_component()["array"] / adder.energy_by_component()["array"]
        for bits in widths
        for _, adder, conv in by_table(trace("lenet5-adder", bits), trace("lenet5-conv", bits))
    ]


def _area_ratios(widths):
    return [
        estimate_area(trace("lenet5-conv", bits), ON).element_um2
        / estimate_area(trace("lenet5-adder", bits, circuit=circuit), ON).element_um2
        for bits in widths
        for circuit in CIRCUITS
    ]


def shift_add_arithmetic() -> Measured:
    """What a shift layer followed by an adder layer saves of a convolution's arithmetic, billed as ShiftAddNet's code does."""
    prices, found = load_energy_table("shiftaddnet-45nm"), []
    for bits in (8, 16, 32):
        shift, add, mul = (prices.price(op, bits) for op in ("shift", "add", "mul"))
        found.append(100 * (1 - (shift + add + add) / (mul + add)))
    return Measured.of(found, f"{found[0]:.0f} % at 8 bits, {found[-1]:.0f} % at 32")


def shift_add_whole() -> Measured:
    """What ResNet-20 of such layers saves of the energy of its multiplying twin, all that runs counted, in per cent."""
    found = [
        100 * (1 - shiftadd.energy_pj / conv.energy_pj)
        for bits in (8, 16)
        for _, shiftadd, conv in by_table(trace("resnet20-shiftadd", bits), trace("resnet20-conv", bits))
    ]
    return Measured.of(found, f"8 and 16 bits, {TABLES}; below zero it takes more: two layers stand where one did")


def adder_memory_share() -> Measured:
    """Buffers' and DRAM's share of the energy of an adder network, in per cent."""
    adder = trace("resnet20-adder")
    found = []
    for _, cost, _ in by_table(adder, adder):
        parts = cost.energy_by_component()
        found.append(100 * (parts["buffer"] + parts["dram"]) / cost.energy_pj)
    return Measured.of(found, f"ResNet-20 at 8 bits on {ON}, {TABLES}")


def binary_over_8_bits() -> Measured:
    """Energy of ResNet-20 in 8 bits over that of its binary twin."""
    binary, conv = trace("resnet20-xnor"), trace("resnet20-conv")
    return Measured.of(
        [wide.energy_pj / one.energy_pj for _, one, wide in by_table(binary, conv)], f"{ON}, {TABLES}, ends in 8 bits"
    )


def eyeriss(network: str, images: int, published: float) -> Measured:
    """Frames a second of the Eyeriss-like accelerator."""
    found = estimate(topology(network, PRICED), "eyeriss-65nm", "eyeriss-65nm", images).images_per_second
    return Measured(found, found, f"{found / published:.2f} of the chip's")


def eyeriss_dram() -> Measured:
    """DRAM words a multiply-accumulate, of all words and of those that the chip's coding of zeros leaves."""
    plain = topology("alexnet-convolutions", PRICED)
    coded = dataclasses.replace(plain, layers=tuple(_with_zeros(layer) for layer in plain.layers))
    machine = load_accelerator("eyeriss-65nm")
    coding = replace(machine, dram=replace(machine.dram, run_length_coding=RunLengthCoding()))
    found = [estimate(one, on, "eyeriss-65nm", 4) for one, on in ((plain, machine), (coded, coding))]
    return Measured.of([one.dram_bytes / 2 / one.taps for one in found], "all words, and words coded in runs of zeros")


def _with_zeros(layer: LayerTrace) -> LayerTrace:
    """The zeros of the chip's Table V in what the layer reads; what it writes is what the next one reads."""
    place = int(layer.name[4])
    read, written = (ZEROS[min(one, 5)] for one in (place, place + 1))
    return dataclasses.replace(
        layer,
        zeros=tuple(Zeros(one.words, round(read * one.words), 0) for one in layer.inputs),
        output_zeros=Zeros(layer.output.words, round(written * layer.output.words), 0),
    )


def square(side: int, dataflow: str = "output", **dram: float) -> Accelerator:
    """The bundled 32 x 32 array at another size and dataflow, its memories as they are."""
    machine = load_accelerator("systolic-32x32")
    array = replace(machine.array, rows=side, columns=side, dataflow=dataflow)
    return replace(machine, array=array, dram=replace(machine.dram, **dram))


def vit_speedup() -> Measured:
    """Cycles of ViT-base on 32 x 32 over those on 128 x 128: SCALE-Sim's closed form, and with DRAM and buffers."""
    vit, found = topology("vit-base"), {}
    for dataflow in ("output", "weight", "input"):
        small, large = (square(side, dataflow) for side in (32, 128))
        found[f"{dataflow} stationary"] = (
            estimate(vit, small, compat="scalesim").cycles / estimate(vit, large, compat="scalesim").cycles
        )
        found[f"{dataflow}, with DRAM"] = estimate(vit, small).cycles / estimate(vit, large).cycles
    return Measured.of(list(found.values()), ", ".join(f"{name} {one:.1f}" for name, one in found.items()))


def output_stationary_saves() -> Measured:
    """By how many per cent ResNet-18 takes fewer cycles output stationary than weight stationary, DRAM waited for."""
    network, found = trace("resnet18-conv"), []
    for side in (16, 32, 128):
        for bandwidth in (1.0, 4.0, 25.6):
            out, weight = (
                estimate(network, square(side, dataflow, bandwidth_gb_s=bandwidth)).cycles for dataflow in ("output", "weight")
            )
            found.append(100 * (1 - out / weight))
    return Measured.of(found, "arrays of 16 to 128 a side, DRAM of 1 to 25.6 GB/s; output stationary is faster in all of them")


CLAIMS = (
    Claim(
        "addersr-energy",
        "AdderSR",
        "Adder networks take about 2.5 times less energy",
        "Song et al., CVPR 2021, abstract (arXiv 2009.08891)",
        "As arithmetic in 32-bit floating point alone; what a whole system saves is another question (see the rows below).",
        published=(2.5, 2.5),
        unit="x",
        measure=float_ceiling,
        tolerance=0.04,
    ),
    Claim(
        "adder-attention-energy",
        "Adder attention for vision transformers",
        "Adder transformers take 2 to 3 times less energy",
        "NeurIPS 2021, abstract",
        "Ceilings of the arithmetic; the networks themselves need attention, which has no layer here.",
        published=(2.0, 3.0),
        unit="x",
        measure=arithmetic_ceilings,
    ),
    Claim(
        "adder-fcos-energy",
        "Adder FCOS",
        "The adder detector takes 29 % less energy in floating point and 35 % less in INT8",
        "arXiv 2112.13608, abstract; unit energies are Horowitz's, as its supplement says",
        "The second figure follows from the first with no memory counted: both are arithmetic alone.",
        published=(35.0, 35.0),
        unit="%",
        measure=detector_at_8_bits,
        tolerance=0.5 / 35,
    ),
    Claim(
        "multiplier-over-adder",
        "ShiftAddNet, authors' blog",
        "A multiplication takes 31 times the energy of an addition (ASIC)",
        "ecoai-group's page on ShiftAddNet: 3.1 against 0.1 pJ",
        "At 32 bits, by Horowitz and what copies him; other tables say 25 to 60, and at 8 bits all say much less.",
        published=(31.0, 31.0),
        unit="x",
        measure=multiplier_over_adder,
        tolerance=0.5 / 31,
    ),
    Claim(
        "l-mul-elementwise",
        "L-Mul",
        "95 % less energy for element-wise multiplications",
        "arXiv 2410.00907, abstract",
        "An integer addition in place of a floating-point multiplication, arithmetic alone.",
        published=(95.0, 95.0),
        unit="%",
        measure=lambda: l_mul(dot=False),
        tolerance=0.5 / 95,
    ),
    Claim(
        "l-mul-dot",
        "L-Mul",
        "80 % less energy for dot products",
        "arXiv 2410.00907, abstract",
        "Sums stay floating-point additions: less remains than is claimed, and memory is not even counted.",
        published=(80.0, 80.0),
        unit="%",
        measure=lambda: l_mul(dot=True),
        tolerance=0.5 / 80,
    ),
    Claim(
        "minimalist-theory",
        "Minimalist hardware for AdderNets",
        "An INT8 adder kernel takes 81 % fewer resources than a multiplier, in theory",
        MINIMALIST,
        "Resources taken as energy of the tap's own operations, without the accumulation; the authors' measure is another.",
        published=(81.0, 81.0),
        unit="%",
        command="addersim estimate lenet5-adder --table all",
        measure=adder_tap_smaller,
        tolerance=0.5 / 81,
    ),
    Claim(
        "minimalist-logic",
        "Minimalist hardware for AdderNets",
        "67.6 to 71.4 % less logic on an FPGA, INT8 and INT16",
        MINIMALIST,
        "Area of an element of an ASIC, accumulator included; look-up tables are not priced.",
        published=(67.6, 71.4),
        unit="%",
        command="addersim compare lenet5-adder lenet5-conv --bits 8 --bits 16",
        measure=adder_element_smaller,
    ),
    Claim(
        "minimalist-power",
        "Minimalist hardware for AdderNets",
        "47.85 to 77.9 % less power",
        MINIMALIST,
        "Energy of the array alone, same speed.",
        published=(47.85, 77.9),
        unit="%",
        command="addersim compare lenet5-adder lenet5-conv --bits 8 --bits 16",
        measure=adder_array_saves,
    ),
    Claim(
        "minimalist-speed",
        "Minimalist hardware for AdderNets",
        "16 % faster",
        MINIMALIST,
        "Each design at the clock of its slowest processing element, by delays of synthesised standard cells; whole networks "
        "on one array. The paper's is an FPGA. Where the ends multiply nothing is gained: the multiplier's clock rules all.",
        published=(1.16, 1.16),
        unit="x",
        command="addersim compare lenet5-adder lenet5-conv --own-clock --table nangate45-gates",
        measure=faster_at_own_clocks,
        tolerance=0.005 / 1.16,
    ),
    Claim(
        "grouped-array",
        "Group-vectored ABS",
        "A systolic adder array has about 3 times the power and area efficiency",
        GROUPED,
        "Array against array at 8 bits and the same clock.",
        published=(3.0, 3.0),
        unit="x",
        command="addersim compare lenet5-adder lenet5-conv",
        measure=array_efficiency,
        tolerance=0.1,
    ),
    Claim(
        "shiftaddnet-arithmetic",
        "ShiftAddNet",
        "Over 80 % less energy, as arithmetic",
        SHIFTADDNET,
        "A shift, its addition and one addition of the adder layer against a multiply-accumulate: it holds from 16 bits on.",
        published=(80.0, 100.0),
        unit="%",
        measure=shift_add_arithmetic,
    ),
    Claim(
        "shiftaddnet-whole",
        "ShiftAddNet",
        "Over 80 % less energy, as a network",
        SHIFTADDNET,
        "The paper measured an FPGA; here a systolic array, all operations and words counted, under its own "
        "table and all others.",
        published=(80.0, 100.0),
        unit="%",
        command="addersim compare resnet20-conv resnet20-shiftadd --table shiftaddnet-45nm",
        measure=shift_add_whole,
    ),
    Claim(
        "adder-layers-move-nothing",
        "ShiftAddNAS, released code",
        "Adder layers take no energy in DRAM and buffers",
        "GATECH-EIC/ShiftAddNAS at b60a0e6, CV/retraining_hybrid/hw_utils.py: type Add bills no memory",
        "Most of the energy of an adder network is there. Figures of that code are not comparable with a whole system's.",
        published=(0.0, 0.0),
        unit="%",
        command="addersim estimate resnet20-adder --table shiftaddnet-45nm",
        measure=adder_memory_share,
    ),
    Claim(
        "braintta-binary",
        "BrainTTA",
        "8 bits take 11.6 times the energy of binary operations (405 and 35 fJ an operation)",
        "arXiv 2211.11331, abstract",
        "A network whose ends stay at 8 bits, against peak figures of a chip.",
        published=(405 / 35, 405 / 35),
        unit="x",
        command="addersim compare resnet20-xnor resnet20-conv",
        measure=binary_over_8_bits,
        tolerance=0.01,
    ),
    Claim(
        "eyeriss-alexnet",
        "Eyeriss",
        "AlexNet's convolutions at batch 4 run at 34.7 frames/s",
        EYERISS,
        "Its closed form and our mapper, at the chip's clock and width; tolerance 10 %, for a chip measured.",
        published=(34.7, 34.7),
        unit="frames/s",
        command="addersim estimate reports/claims/topologies/alexnet-convolutions.csv --accelerator eyeriss-65nm "
        "--table eyeriss-65nm --bits 16 --accumulator 16:saturate",
        measure=lambda: eyeriss("alexnet-convolutions", 4, 34.7),
        tolerance=0.1,
    ),
    Claim(
        "eyeriss-vgg16",
        "Eyeriss",
        "VGG-16's convolutions at batch 3 run at 0.7 frames/s",
        EYERISS,
        "The chip's mappings move three times our words through its buffer: the chip is slower than its array allows "
        "(tests/anchors/test_eyeriss_vgg16.py, layer by layer).",
        published=(0.7, 0.7),
        unit="frames/s",
        command="addersim estimate reports/claims/topologies/vgg16-convolutions.csv --accelerator eyeriss-65nm "
        "--table eyeriss-65nm --bits 16 --accumulator 16:saturate --batch 3",
        measure=lambda: eyeriss("vgg16-convolutions", 3, 0.7),
        tolerance=0.1,
    ),
    Claim(
        "eyeriss-dram",
        "Eyeriss",
        "AlexNet takes 0.0029 DRAM words a multiply-accumulate",
        EYERISS,
        "The chip codes zeros in runs; with the chip's own mappings and coding it is exact (tests/anchors/test_eyeriss.py).",
        published=(0.0029, 0.0029),
        unit="words",
        command="addersim estimate reports/claims/topologies/alexnet-convolutions.csv --accelerator eyeriss-65nm "
        "--table eyeriss-65nm --bits 16 --accumulator 16:saturate",
        measure=eyeriss_dram,
        tolerance=0.1,
    ),
    Claim(
        "scalesim-vit",
        "SCALE-Sim v3",
        "A 128 x 128 array is 6.53 times faster than a 32 x 32 one for ViT-base",
        SCALESIM,
        "Its matrix products; the abstract names neither dataflow nor memories, and the ratio depends on both.",
        published=(6.53, 6.53),
        unit="x",
        command="addersim estimate reports/claims/topologies/vit-base.csv --accelerator systolic-128x128",
        measure=vit_speedup,
        tolerance=0.005 / 6.53,
    ),
    Claim(
        "scalesim-dataflow",
        "SCALE-Sim v3",
        "With DRAM stalls, output stationary takes 30.1 % fewer cycles than weight stationary on ResNet-18",
        SCALESIM,
        "All layers; the abstract has six, unnamed, on an array that it does not name.",
        published=(30.1, 30.1),
        unit="%",
        command="addersim estimate resnet18-conv --accelerator systolic-32x32",
        measure=output_stationary_saves,
        tolerance=0.05 / 30.1,
    ),
)

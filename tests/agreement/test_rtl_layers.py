"""Whole layers and networks in Verilog beside the simulator: every sum, every code, every cycle."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from addersim import kernels, load_images, load_network, quantize, simulate
from addersim.arithmetic.codecs import CODECS
from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.geometry import Geometry
from addersim.engines import find_engine
from addersim.errors import FormatError, NetworkError
from addersim.hardware.dataflow.fold_times import FoldTimes
from addersim.hardware.dataflow.stationary import systolic_dataflow
from addersim.hardware.dataflow.systolic import systolic_cycles
from addersim.kernels import reference
from addersim.rtl.engine import rtl_engine
from addersim.rtl.layers import compile_array
from addersim.rtl.shapes import ArrayDesign, LayerShape
from addersim.rtl.sources import sources_text
from addersim.rtl.tools import yosys_candidates
from addersim.trace import MatrixWork
from tests.command_line import refused
from tests.unit.multipliers import arbitrary

pytestmark = pytest.mark.skipif(
    not any(one.headers for one in yosys_candidates()), reason="no yosys with the headers of its CXXRTL runtime"
)

ROWS, COLUMNS = 4, 3
LAYERS = {  # images, height, width, channels; filters; moves
    "padded": ((2, 7, 6, 3), 5, Geometry((3, 3), padding=(1, 1))),
    "strided, dilated, in groups": ((1, 9, 8, 4), 6, Geometry((3, 2), (2, 1), (1, 0), (1, 2), groups=2)),
    "depthwise": ((2, 6, 6, 5), 5, Geometry((3, 3), padding=(1, 1), groups=5)),
    "more padding behind": ((1, 5, 5, 2), 3, Geometry((2, 2), padding=(0, 0), far_padding=(1, 1))),
    "fully connected": ((7, 1, 1, 33), 10, Geometry((1, 1))),
    "one tap": ((1, 3, 3, 1), 1, Geometry((1, 1))),
    "full folds": ((1, 4, 6, 2), 6, Geometry((2, 2), padding=(0, 0), stride=(2, 1), groups=1, far_padding=(0, 1))),
}


def moves(geometry):
    return {name: getattr(geometry, name) for name in ("stride", "padding", "dilation", "groups", "far_padding")}


def drawn(random, kind, shape):
    ends = np.iinfo(kind)
    return random.integers(ends.min, ends.max, shape, endpoint=True).astype(kind)


def weights_for(random, arithmetic, kind, shape):
    codec = kernels.reference.ARITHMETICS[arithmetic].codec
    if codec.uniform:
        return drawn(random, kind, shape)
    levels = np.array(codec.levels(codec.most))
    return random.choice(np.concatenate([levels, -levels]), shape).astype(np.int16)


def both_windows(engine, name, arithmetic, kinds=(np.int8, np.int8), seed=1, **more):
    """A layer's inputs, and the layer as the reference and an engine prepare it."""
    random = np.random.default_rng(seed)
    shape, filters, geometry = LAYERS[name]
    x = drawn(random, kinds[0], shape)
    w = weights_for(random, arithmetic, kinds[1], (filters, *geometry.kernel, shape[3] // geometry.groups))
    how = {"arithmetic": arithmetic, **more, **moves(geometry)}
    return x, *(one.prepare_window(kinds[0], w, **how) for one in (reference, engine))


def assert_equal(slow, fast):
    assert (slow.values.dtype, slow.values.shape) == (fast.values.dtype, fast.values.shape)
    assert np.array_equal(slow.values, fast.values)


@pytest.fixture(scope="module")
def engine():
    return rtl_engine(ROWS, COLUMNS)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("arithmetic", "dataflow"), [("l1", "output"), ("mac", "output"), ("l1", "weight")])
def test_layers_equal_the_reference(name, arithmetic, dataflow):
    """Sums, and codes by a multiply-add-shift and a ReLU."""
    engine = rtl_engine(ROWS, COLUMNS, dataflow=dataflow)
    x, slow, fast = both_windows(engine, name, arithmetic)
    assert_equal(slow(x), fast(x))
    filters = LAYERS[name][1]
    random = np.random.default_rng(3)
    constants = random.integers(-3000, 3000, filters).astype(np.int32), random.integers(-(10**6), 10**6, filters)
    constants += (random.integers(4, 12, filters).astype(np.uint8),)
    how = {"output": FixedFormat(8), "then": FixedFormat(8, False)}
    slow, fast = (one.prepare_window_affine(layer, *constants, **how) for one, layer in ((reference, slow), (engine, fast)))
    assert_equal(slow(x), fast(x))


def test_registers_and_codes_wrap_as_the_simulator_has_them(engine):
    """Sums in their register; codes to few bits, which then are held by a ReLU."""
    x, *layers = both_windows(engine, "padded", "mac", accumulator_bits=16, overflow="wrap")
    assert layers[0](x).overflowed
    constants = np.array([3, -5, 7, 9, 1], np.int32), np.arange(5), np.full(5, 6, np.uint8)
    how = {"output": FixedFormat(6, False), "output_overflow": "wrap", "then": FixedFormat(5, False)}
    slow, fast = (
        one.prepare_window_affine(layer, *constants, **how) for one, layer in zip((reference, engine), layers, strict=True)
    )
    assert slow(x).overflowed
    assert_equal(slow(x), fast(x))


DESIGN = ArrayDesign("mac", ROWS, COLUMNS, 8, 8, True, True, 32, output_bits=17)
DESIGNS = {"output": DESIGN, "weight": replace(DESIGN, datapath="l1_2a", dataflow="weight")}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dataflow", ["output", "weight"])
def test_cycles_are_those_of_the_estimate(name, dataflow):
    """The array runs as long as the estimate of the uncut layer has it, in which no DRAM is."""
    shape, filters, geometry = LAYERS[name]
    w = (filters, *geometry.kernel, shape[3] // geometry.groups)
    layer = LayerShape.of(shape, w, geometry)
    run = compile_array(DESIGNS[dataflow]).run(layer, np.zeros(shape), np.zeros(w))
    work = MatrixWork(layer.pixels, layer.taps, layer.group_filters, layer.groups)
    array = SystolicArray(ROWS, COLUMNS, dataflow)
    sizes = (work.m, work.n, work.k)
    assert run.cycles == FoldTimes(array, sizes, sizes, (1, 1, 1), True, work.groups).cycles()
    if all(size % side == 0 for size, side in zip(systolic_dataflow(dataflow).sides(work), (ROWS, COLUMNS), strict=False)):
        assert run.cycles == systolic_cycles(work, ROWS, COLUMNS, dataflow)


class SystolicArray(NamedTuple):
    """What folds depend on."""

    fold_rows: int
    columns: int
    folded: str
    overlapped_folds: bool = False


def any_layer(random):
    """Inputs, weights and moves of a small layer, also such whose folds wait for each other."""
    groups, filters, channels = (int(one) for one in (random.choice([1, 1, 2, 5]), *random.integers(1, 5, 2)))
    geometry = Geometry(
        tuple(random.integers(1, 4, 2).tolist()),
        stride=tuple(random.integers(1, 3, 2).tolist()),
        padding=tuple(random.integers(0, 3, 2).tolist()),
        dilation=tuple(random.integers(1, 3, 2).tolist()),
        groups=groups,
    )
    x = (int(random.integers(1, 3)), *(random.integers(5, 9, 2).tolist()), channels * groups)
    w = (filters * groups, *geometry.kernel, channels)
    return drawn(random, np.int8, x), drawn(random, np.int8, w), geometry


@pytest.mark.parametrize("examples", [40, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dataflow", ["output", "weight"])
def test_any_layer_has_its_sums_and_cycles(dataflow, examples):
    random = np.random.default_rng(examples)
    array, arithmetic = compile_array(DESIGNS[dataflow]), {"output": "mac", "weight": "l1"}[dataflow]
    for _ in range(examples):
        x, w, geometry = any_layer(random)
        layer = LayerShape.of(x.shape, w.shape, geometry)
        run = array.run(layer, x.astype(np.int64) & 255, w.astype(np.int64) & 255)
        expected = kernels.window(x, w, arithmetic=arithmetic, **moves(geometry)).values
        assert np.array_equal(run.sums, expected.reshape(run.sums.shape)), geometry
        assert run.cycles == layer.cycles(array.design), geometry


@pytest.mark.parametrize(("arithmetic", "zero"), [("mac", -7), ("l1", 12)])
def test_zero_points_are_taken_from_the_operands_and_registers_saturate(engine, arithmetic, zero):
    of_weights = np.array([3, -4, 0, 1, 9], np.int32)
    held = {"accumulator_bits": 16, "overflow": "saturate"} if arithmetic == "mac" else {}
    x, slow, fast = both_windows(engine, "padded", arithmetic, zero_point=zero, weight_zero_points=of_weights, **held)
    assert bool(slow(x).overflowed) == bool(held)
    assert_equal(slow(x), fast(x))


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("arithmetic", ["l2", "ternary", "shift", "apot", "xnor"])
@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16])
def test_other_arithmetics_equal_the_reference(engine, name, arithmetic, kind):
    x, slow, fast = both_windows(engine, name, arithmetic, (kind, np.int8))
    assert_equal(slow(x), fast(x))


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", ["l1", "xnor", "l2"])
@pytest.mark.parametrize("name", LAYERS)
def test_weights_that_stay_give_the_same(name, arithmetic):
    """Also where a fold is not full: rows without a tap add nothing."""
    x, slow, fast = both_windows(rtl_engine(ROWS, COLUMNS, dataflow="weight"), name, arithmetic)
    assert_equal(slow(x), fast(x))


@pytest.mark.slow
def test_weights_that_stay_saturate_at_every_tap():
    more = {"accumulator_bits": 16, "overflow": "saturate"}
    x, slow, fast = both_windows(rtl_engine(ROWS, COLUMNS, dataflow="weight"), "padded", "mac", **more)
    assert slow(x).overflowed
    assert_equal(slow(x), fast(x))


@pytest.mark.slow
@pytest.mark.parametrize("circuit", ["l1_1c1a", "l1_xor"])
def test_other_circuits_equal_the_reference(circuit):
    x, slow, fast = both_windows(rtl_engine(2, 5, circuit), "padded", "l1")
    assert_equal(slow(x), fast(x))


def test_multipliers_that_are_tables_run_in_verilog():
    """As a memory in each element, of products of any numbers."""
    products = arbitrary(5, largest=1 << 30).by_bytes(FixedFormat(8), FixedFormat(8))
    x, slow, fast = both_windows(rtl_engine(2, 2), "padded", "mac", products=products)
    assert_equal(slow(x), fast(x))


def test_a_circuit_that_is_none_is_refused():
    with pytest.raises(FormatError, match=r"^circuit 'xor' of adder layers is none of l1_2a, l1_1c1a, l1_xor$"):
        rtl_engine(circuit="xor")


def simulated(name, images, engine):
    """Predictions, and the values of every window layer and what narrows it, of a bundled network quantised to 8 bits."""
    network, calibration = load_network(name), load_images("fashion-mnist-2000", limit=50)
    program = quantize(network, calibration.pixels)
    pixels = load_images("fashion-mnist-2000", limit=images).pixels
    values = {layer: run.values for layer, run in program.runs(pixels, engine)}
    return simulate(program, pixels, engine=engine).predictions, values


def differences(name, images, engine):
    """Predictions that differ from the kernels', and values of layers."""
    (found, values), (expected, wanted) = (simulated(name, images, one) for one in (engine, kernels))
    wrong = sum(np.count_nonzero(values[layer] != wanted[layer]) for layer in wanted)
    return np.count_nonzero(found != expected), wrong


@pytest.mark.parametrize("name", ["lenet5-adder", "lenet5-conv"])
def test_a_network_runs_in_verilog(engine, name):
    assert differences(name, 1, engine) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5-adder", "lenet5-conv"])
def test_a_network_runs_in_verilog_on_a_hundred_images(name):
    assert differences(name, 100, rtl_engine()) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet20-adder", "resnet20-conv"])
def test_a_residual_network_runs_in_verilog(name):
    """Its additions too."""
    pixels = np.random.default_rng(3).integers(0, 256, (4, 3, 32, 32)).astype(np.uint8)
    program = quantize(load_network(name), pixels)
    found, wanted = (dict(program.runs(pixels[:1], one)) for one in (rtl_engine(), kernels))
    assert all(np.array_equal(found[layer].values, wanted[layer].values) for layer in wanted)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["tflite", "tosa", "tosa-double", "addersim", "ort", "qonnx"])
def test_a_network_runs_by_every_rule_that_has_a_circuit(rule):
    network, images = load_network("lenet5-conv"), load_images("fashion-mnist-2000", limit=50).pixels
    program = quantize(network, images).with_rounding(rule)
    assert np.array_equal(program.run(images[:2], rtl_engine()), program.run(images[:2]))


def test_a_register_that_is_too_narrow_is_seen():
    """A width error in one line of the Verilog: sums differ."""
    verilog = sources_text()
    element = "element_output_stationary.v"
    changed = verilog[element].replace("reg  [ACCUMULATOR_BITS-1:0] sum;", "reg  [11:0] sum;")
    assert changed != verilog[element]
    x, slow, fast = both_windows(rtl_engine(2, 2, verilog=verilog | {element: changed}), "padded", "mac")
    assert np.count_nonzero(slow(x).values != fast(x).values)


def test_adder_layers_run_on_their_own_circuit(monkeypatch):
    """The Verilog that is compiled is that of the program's datapath."""
    from addersim.quantization import Quantization

    asked = []
    monkeypatch.setattr(
        "addersim.rtl.engine.compile_array", lambda design, verilog: asked.append(design) or compile_array(DESIGN)
    )
    images = load_images("fashion-mnist-2000", limit=50).pixels
    program = quantize(load_network("lenet5-adder"), images, Quantization(circuit="xor"))
    program.run(images[:1], find_engine("rtl", program.layers))
    assert {design.datapath for design in asked} == {"l1_xor"}


@pytest.mark.parametrize("more", [("--reference", "--engine", "rtl"), ("--engine", "verilog")])
def test_engines_that_are_none_are_refused(more):
    assert refused("simulate", "lenet5-adder", *more) in (
        "--reference and --engine rtl: give one of them",
        "engine: 'verilog' is not one of kernels, reference, rtl",
    )


def test_layers_are_refused_by_name(monkeypatch):
    monkeypatch.setattr("addersim.rtl.functions._EXPONENTS", (0, 0))
    program = quantize(load_network("lenet5-conv"), load_images("fashion-mnist-2000", limit=50).pixels)
    with pytest.raises(NetworkError, match=r"^layer conv1_bn: rule ort: scale 0\.0\d+; its circuit in Verilog takes "):
        simulate(program, load_images("fashion-mnist-2000", limit=1), engine="rtl", rounding="ort")


def test_every_codec_has_codes_of_its_own():
    for name in ("sign", "ternary", "power-of-two", "two-powers"):
        codec = CODECS[name]
        for bits in range(codec.fewest, codec.most + 1):
            values = np.array(sorted({sign * one for one in codec.levels(bits) for sign in (1, -1)}))
            codes = codec.stored(values, bits)
            assert len(set(codes.tolist())) == len(values)
            assert codes.max() < 1 << bits

"""Functions of codes in Verilog beside the simulator: pooling, means, clamps, and requantisation by every rule."""

import numpy as np
import pytest

from addersim import kernels
from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.geometry import Geometry
from addersim.arithmetic.requantisation import requantisation_rule
from addersim.errors import FormatError
from addersim.kernels import reference
from addersim.layers import IntegerAveragePool
from addersim.rtl.compiled import Design, compile_designs
from addersim.rtl.elements import signed
from addersim.rtl.engine import rtl_engine
from addersim.rtl.functions import CODE_BITS, rule_constants
from addersim.rtl.sources import sources_text
from addersim.rtl.tools import yosys_candidates
from addersim.rtl.units import UnitDesign, run_unit
from tests.agreement.test_rtl_layers import assert_equal, drawn

pytestmark = pytest.mark.skipif(
    not any(one.headers for one in yosys_candidates()), reason="no yosys with the headers of its CXXRTL runtime"
)


@pytest.fixture(scope="module")
def engine():
    return rtl_engine()


UNIT_PORTS = (("sum", 32), ("bias", 32), ("multiplier", 32), ("addend", 64), ("shift", 8), ("zero_point", 18), ("low", 18))
RULES = {"addersim": "half-even", "tflite": "doubling", "tosa": "single", "tosa-double": "double"}


def unit(rule, wraps=False):
    parameters = (("RULE", rule), ("SUM_BITS", 32), ("OUTPUT_BITS", 8), ("OUTPUT_SIGNED", 1), ("WRAP", int(wraps)))
    return Design("requantize", parameters, (*UNIT_PORTS, ("high", 18)), (("code", 8),), clocked=False)


@pytest.fixture(scope="module")
def units():
    """The requantisation unit of every rule, and that of multiply-add-shift in every rounding, saturating and wrapping."""
    roundings = [(rounding, wraps) for rounding in ("half-even", "half-up", "truncate") for wraps in (False, True)]
    keys = [*roundings, *((rule, None) for rule in ("doubling", "single", "double"))]
    return dict(zip(keys, compile_designs([unit(rule, bool(wraps)) for rule, wraps in keys], sources_text()), strict=True))


SUMS = 4000


def sums_and_ties(random, multiplier, addend, shift):
    """Sums of all sizes, among them many whose product lies halfway between two codes."""
    sums = random.integers(-(1 << 20), 1 << 20, SUMS) >> random.integers(0, 20, SUMS)
    return np.where(random.random(SUMS) < 0.3, (sums << max(shift - 1, 0)) - addend // multiplier, sums).clip(-(2**30), 2**30)


@pytest.mark.parametrize("rounding", ["half-even", "half-up", "truncate"])
@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_units_multiply_add_and_shift(units, rounding, overflow):
    random = np.random.default_rng(5)
    for multiplier, addend, shift in ((1, 0, 0), (3, 17, 4), (-21000, 123456, 15), (1, 0, 9), (32767, -(10**9), 22)):
        sums = sums_and_ties(random, multiplier, addend, shift)
        constants = np.array([multiplier], np.int32), np.array([addend]), np.array([shift], np.uint8)
        how = {"output": FixedFormat(8), "rounding": rounding, "overflow": overflow}
        expected = reference.affine(sums.reshape(-1, 1), *constants, **how).values.reshape(-1)
        given = dict(zip((name for name, _ in UNIT_PORTS), (sums, 0, multiplier, addend, shift, 0, -128), strict=True))
        found = signed(units[rounding, overflow == "wrap"].run(given | {"high": 127}, SUMS)["code"], 8)
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("rule", RULES)
def test_units_follow_the_rules(units, rule):
    random = np.random.default_rng(6)
    output = FixedFormat(8, zero_point=-9)
    for scale in (0.37, 0.0113, 1.9, 2.0**-7, -0.05, 3e-6, 1.5):
        numbers = requantisation_rule(rule).constants([scale], output)
        sums = sums_and_ties(random, 1, 0, max(0, int(-np.log2(abs(scale)))))
        bias = np.array([-55])
        expected = reference.requantize(sums.reshape(-1, 1), [scale], bias, rule, output=output, low=-100, high=120)
        constants = (sums, -55, numbers.multiplier[0], 0, numbers.shift[0], -9, -100)
        given = dict(zip((name for name, _ in UNIT_PORTS), constants, strict=True))
        key = RULES[rule], False if rule == "addersim" else None
        found = signed(units[key].run(given | {"high": 120}, SUMS)["code"], 8)
        assert np.array_equal(found, expected.values.reshape(-1)), scale


REALS = ["ort", "onnx", "qonnx", "qonnx-ceil", "qonnx-floor"]
OF_EVERY_SIZE = [(2.0**-7, 0.25, 0), (0.0113, 0.37, -9), (-1.7, 1.5, 100), (3e-9, 1e-3, 1), (40.0, 2.0, -128)]


def sums_of_a_scale(random, scale, bias, count):
    """Whole numbers of all sizes up to 32 bits, half of them such that the result lies next to the middle of two codes."""
    any_size = random.integers(-(1 << 31), 1 << 31, count) >> random.integers(0, 32, count)
    middles = np.rint((random.integers(-140, 140, count) + 0.5) / scale).clip(-(2**31), 2**31) - bias
    return np.where(random.random(count) < 0.5, any_size, middles).clip(2000 - 2**31, 2**31 - 2000).astype(np.int32)


def sums_and_their_codes(rule, scales, count):
    """Codes of the kernels and of the circuit, for scales beside scales and zero points of outputs."""
    random = np.random.default_rng(7)
    for scale, out_scale, zero_point in scales:
        output, bias = FixedFormat(8, scale=out_scale, zero_point=zero_point), int(random.integers(-1000, 1000))
        sums = sums_of_a_scale(random, scale, bias, count).reshape(-1, 1)
        slow = kernels.requantize(sums, [scale], np.array([bias]), rule, output=output).values
        numbers = requantisation_rule(rule).constants([scale], output)
        constants = rule_constants(numbers, np.array([bias]), rule, zero_point, output.minimum, output.maximum)
        yield slow, run_unit(UnitDesign(numbers.formula, CODE_BITS), sums.astype(np.int64), constants).astype(slow.dtype)


@pytest.mark.parametrize("rule", REALS)
def test_rules_of_floats_are_right_bit_for_bit(rule):
    """Rounded as float32 is, twice or four times: the kernels compute with floats, the circuit with whole numbers."""
    for slow, fast in sums_and_their_codes(rule, OF_EVERY_SIZE, 3000):
        assert len(np.unique(slow)) > 1
        assert np.array_equal(slow, fast)


@pytest.mark.slow
@pytest.mark.parametrize("rule", REALS)
def test_rules_of_floats_are_right_on_a_million_sums(rule):
    random = np.random.default_rng(8)
    scales = [
        (float(np.float32(2.0 ** random.uniform(-34, 6))), random.uniform(1e-4, 3), int(random.integers(-128, 128)))
        for _ in range(50)
    ]
    assert all(np.array_equal(slow, fast) for slow, fast in sums_and_their_codes(rule, scales, 20_000))


def test_scales_next_to_the_ends_of_float32_have_no_circuit():
    numbers = requantisation_rule("ort").constants([0.25, 1e-35], FixedFormat(8))
    with pytest.raises(
        FormatError, match=r"^rule ort: scale 1e-35; its circuit in Verilog takes those of 2\*\*-100 to 2\*\*100$"
    ):
        rule_constants(numbers, np.zeros(2, np.int64), "ort", 0, -128, 127)


POOLS = {(kind, signs): f"pool_{kind}" for kind in ("maximum", "sum") for signs in (True, False)}


def test_pools_give_maxima_and_sums():
    """A window after the other, of codes that come one an edge."""
    designs = []
    for (kind, signs), module in POOLS.items():
        parameters = (("BITS", 8), ("SIGNED", int(signs)), *([("SUM_BITS", 16)] if kind == "sum" else []))
        ports = (("clear", 1), ("enable", 1), ("code", 8))
        designs.append(Design(module, parameters, ports, ((kind, 8 if kind == "maximum" else 16),)))
    random = np.random.default_rng(4)
    for (kind, signs), module in zip(POOLS, compile_designs(designs, sources_text()), strict=True):
        x = drawn(random, np.int8 if signs else np.uint8, (50, 4, 6, 1))
        slow = {"maximum": reference.max_pool, "sum": reference.sum_pool}[kind](x, (4, 6), stride=(1, 1))
        values = (slow if isinstance(slow, np.ndarray) else slow.values).reshape(-1)
        given = {"clear": np.tile(np.arange(24) == 0, 50), "enable": 1, "code": x.reshape(-1)}
        found = module.run(given, 50 * 24)[kind].reshape(50, 24)[:, -1]
        bits = 8 if kind == "maximum" else 16
        assert np.array_equal(signed(found, bits) if signs else found, values)


WINDOWS = {  # images, height, width, channels; moves
    "side by side": ((2, 6, 8, 3), Geometry((2, 2), (2, 2))),
    "overlapping, padded": ((1, 7, 5, 9), Geometry((3, 2), (2, 1), (1, 1))),
    "dilated, sticking out": ((2, 8, 7, 17), Geometry((2, 3), (3, 2), (1, 0), (2, 1), ceil_mode=True)),
    "more padding behind": ((1, 5, 6, 8), Geometry((3, 3), (2, 2), (0, 0), far_padding=(1, 1))),
    "one tap": ((3, 2, 2, 1), Geometry((1, 1))),
}


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("kind", [np.int8, np.uint16])
def test_pooling_layers_equal_the_reference(engine, name, kind):
    shape, geometry = WINDOWS[name]
    x = drawn(np.random.default_rng(8), kind, shape)
    where = (geometry.kernel, geometry.stride, geometry.padding, geometry.dilation)
    how = {"far_padding": geometry.far_padding, "ceil_mode": geometry.ceil_mode}
    for pool in ("max_pool", "sum_pool"):
        slow, fast = (getattr(one, pool)(x, *where, **how) for one in (reference, engine))
        assert (slow.dtype, slow.shape) == (fast.dtype, fast.shape)
        assert np.array_equal(slow, fast)
        assert getattr(engine, pool)(x[:0], *where, **how).shape == (0, *slow.shape[1:])


@pytest.mark.parametrize("output_size", [(1, 1), (3, 2), (5, 4)])
def test_images_that_are_shared_out_equal_the_reference(engine, output_size):
    """Also into parts of different sizes that overlap."""
    x = drawn(np.random.default_rng(9), np.int8, (2, 5, 6, 3))
    for pool in ("adaptive_max_pool", "adaptive_sum_pool"):
        slow, fast = (getattr(one, pool)(x, output_size) for one in (reference, engine))
        assert slow.dtype == fast.dtype
        assert np.array_equal(slow, fast)


def test_pools_are_the_verilogs():
    """A fault in each module is seen in the engine's results."""
    sources = sources_text()
    x = drawn(np.random.default_rng(8), np.int8, (1, 6, 6, 3))
    for pool, file, old, new in (
        ("max_pool", "pool_maximum.v", ") > (", ") < ("),
        ("sum_pool", "pool_sum.v", " + wide", " - wide"),
        ("max_pool", "pool_layer.v", ".clear(!met)", ".clear(1'b0)"),
    ):
        assert sources[file].count(old) >= 1
        wrong = rtl_engine(verilog=sources | {file: sources[file].replace(old, new)})
        assert not np.array_equal(getattr(wrong, pool)(x, (2, 2), (2, 2)), getattr(kernels, pool)(x, (2, 2), (2, 2)))


def test_means_run_in_verilog(engine):
    """A sum by its module, and what divides it by the unit."""
    layer = IntegerAveragePool(
        name="pool",
        inputs=("x",),
        twin=None,
        gain=0.7,
        multiplier_bits=8,
        output=FixedFormat(8),
        rounding="half-even",
        kernel=(2, 3),
    )
    x = drawn(np.random.default_rng(10), np.int8, (2, 6, 6, 5))
    expected = layer.run(reference, x).values
    assert np.array_equal(layer.run(engine, x).values, expected)


def codes_of_every_function(engine, x):
    random = np.random.default_rng(12)
    channels = x.shape[-1]
    constants = random.integers(-3000, 3000, channels).astype(np.int32), random.integers(-(10**6), 10**6, channels)
    constants += (random.integers(4, 12, channels).astype(np.uint8),)
    yield engine.affine(x, *constants, output=FixedFormat(6), rounding="half-up")
    for signs in (True, False):
        yield engine.affine(x, *constants, output=FixedFormat(6, signs), overflow="wrap", then=FixedFormat(5, False))
    yield engine.affine(x, *constants, output=FixedFormat(8), then=FixedFormat(7, False))
    yield engine.clamp(x, output=FixedFormat(8, False))
    for rule in ("addersim", "tflite"):
        yield engine.requantize(x, [0.03], np.full(channels, -4), rule, output=FixedFormat(8, zero_point=3), low=-90)


def sums_of_every_kind(engine):
    """Of codes of several types, into formats that they overflow, saturating and wrapping; and a difference."""
    random = np.random.default_rng(13)
    a, b = drawn(random, np.int8, (2, 5, 3)), drawn(random, np.uint8, (2, 5, 3))
    yield engine.add(a, b, output=FixedFormat(8))
    yield engine.add(a, b, output=FixedFormat(9, False), then=FixedFormat(6, False))
    yield engine.add(a.astype(np.int16) * 250, b.astype(np.uint16) * 250, output=FixedFormat(16), subtract=True)
    yield engine.add(b, a, output=FixedFormat(7, False), overflow="wrap", then=FixedFormat(6, False))
    yield engine.add(a[:0], b[:0], output=FixedFormat(8))


def test_residual_additions_equal_the_reference(engine):
    for slow, fast in zip(sums_of_every_kind(reference), sums_of_every_kind(engine), strict=True):
        assert_equal(slow, fast)
        assert (slow.minimum, slow.maximum, slow.overflowed) == (fast.minimum, fast.maximum, fast.overflowed)


def test_residual_additions_are_the_verilogs():
    """A fault in the module is seen in the engine's results."""
    sources = sources_text()
    old = "wide_first + wide_second"
    assert sources["residual_add.v"].count(old) == 1
    wrong = rtl_engine(
        verilog=sources | {"residual_add.v": sources["residual_add.v"].replace(old, "wide_first | wide_second")}
    )
    a, b = (np.array([one], np.int8) for one in (3, 1))
    assert wrong.add(a, b, output=FixedFormat(8)).values.tolist() == [3]


def test_narrowing_alone_equals_the_reference(engine):
    x = np.random.default_rng(11).integers(-30000, 30000, (3, 7, 5)).astype(np.int32)
    for slow, fast in zip(codes_of_every_function(reference, x), codes_of_every_function(engine, x), strict=True):
        assert_equal(slow, fast)
        assert (slow.minimum, slow.maximum, slow.overflowed) == (fast.minimum, fast.maximum, fast.overflowed)
    assert all(not found.values.size for found in codes_of_every_function(engine, x[:0]))

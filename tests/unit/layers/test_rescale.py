"""Layers that narrow by a named rule, alone and in programs with zero points."""

import re
from dataclasses import replace

import msgspec
import numpy as np
import pytest

import addersim
from addersim import kernels, quantize, simulate
from addersim.arithmetic.fixed import Accumulator, FixedFormat
from addersim.arithmetic.requantisation import RULES
from addersim.errors import FormatError, NetworkError
from addersim.kernels import reference
from addersim.layers import (
    IntegerAffine,
    IntegerAveragePool,
    IntegerConcat,
    IntegerMaxPool,
    IntegerMove,
    IntegerRescale,
    IntegerRescaledAdd,
    IntegerRuleSoftmax,
    IntegerWindow,
)
from addersim.layers.base import Value
from addersim.program import Program
from tests.unit.layers.test_bills import same
from tests.unit.networks import images, residual

ENGINES = (kernels, reference)
HALVES = FixedFormat(8, scale=0.5, zero_point=-3)
OUT = FixedFormat(8, scale=0.25, zero_point=-128)
SHARES = FixedFormat(8, scale=2**-8, zero_point=-128)


def rescale(bias=(0,), scale=(0.5,), rule="tflite", output=OUT, **fields):
    constants = {"bias": np.array(bias, np.int64), "scale": np.array(scale, np.float64)}
    return IntegerRescale(name="r", inputs=("x",), twin=None, rule=rule, output=output, **constants, **fields)


def add(rule="tflite", output=OUT, first=HALVES, second=OUT, **fields):
    return IntegerRescaledAdd(
        name="s", inputs=("a", "b"), twin=None, first=first, second=second, rule=rule, output=output, **fields
    )


def pool(source=HALVES, output=OUT, gain=2.0, rule="tflite", **fields):
    common = {"name": "p", "inputs": ("x",), "twin": None, "multiplier_bits": 16, "rounding": "half-even"}
    return IntegerAveragePool(**common, gain=gain, output=output, source=source, rule=rule, **fields)


@pytest.mark.parametrize("engine", ENGINES)
def test_sums_are_scaled_rounded_and_moved_by_hand(engine):
    """(x + bias) / 2: ties go up by the doubling multiply of tflite; the zero point follows; ReLU ends at its code."""
    x = np.array([[4, 3], [-100, 999]], np.int32)
    layer = rescale(bias=(1, 0), low=-128, high=0)
    found = layer.run(engine, x)
    assert found.values.tolist() == [[-125, -126], [-128, 0]]
    assert (found.observed.minimum, found.observed.maximum) == (-49 - 128, 500 - 128)
    even = rescale(bias=(1, 0), rule="ort").run(engine, x)
    assert even.values.tolist() == [[-126, -126], [-128, 127]]
    assert even.observed.overflowed == 1  # below, a format that ends at zero cuts as a ReLU does


@pytest.mark.parametrize("engine", ENGINES)
def test_codes_are_scaled_as_they_are_with_their_zero_point_in_the_bias(engine):
    codes = np.array([[-3, -1, 127]], np.int8)
    layer = rescale(bias=(3,), scale=(2.0,))
    assert layer.checked_value(Value.of((3,), HALVES)) == Value.of((3,), OUT)
    np.testing.assert_array_equal(OUT.decode(layer.run(engine, codes).values), [[0.0, 1.0, 63.75]])


@pytest.mark.parametrize("rule", RULES)
def test_engines_agree_under_every_rule(rule):
    random = np.random.default_rng(5)
    x = random.integers(-(2**20), 2**20, (3, 4, 5, 6)).astype(np.int32)
    a, b = (random.integers(-128, 128, (3, 4, 5, 6), dtype=np.int8) for _ in range(2))
    layers = (
        (rescale(bias=random.integers(-999, 999, 6), scale=random.uniform(1e-5, 1e-3, 6), rule=rule), (x,)),
        (add(rule=rule), (a, b)),
        (add(rule=rule, low=-100, high=100), (a, b[:, :1, :1])),
        (pool(rule=rule, output=HALVES, kernel=(2, 2), stride=(2, 1), padding=(1, 0)), (a,)),
        (pool(rule=rule, operator="reduction"), (a,)),
        (pool(source=None, output=FixedFormat(8), rule=rule, kernel=(3, 3), padding=(1, 1), count_padding=False), (a,)),
    )
    for layer, codes in layers:
        found, expected = (layer.run(engine, *codes) for engine in ENGINES)
        np.testing.assert_array_equal(found.values, expected.values)
        assert found.observed == expected.observed


@pytest.mark.parametrize("rule", RULES)
def test_sums_and_means_are_within_a_code_of_the_real_ones(rule):
    random = np.random.default_rng(6)
    a, b = random.integers(-40, 60, (2, 3, 4, 4, 2)).astype(np.int8)
    slack = 1.0 if rule in ("qonnx-ceil", "qonnx-floor") else 0.51
    wide = FixedFormat(8, scale=0.75, zero_point=9)
    real = HALVES.decode(a) + OUT.decode(b)
    found = wide.decode(add(rule=rule, output=wide).run(kernels, a, b).values)
    assert np.abs(found - real.clip(wide.low, wide.high)).max() <= slack * wide.scale
    mean = HALVES.decode(a).reshape(3, 2, 2, 2, 2, 2).mean(axis=(2, 4))
    found = HALVES.decode(pool(rule=rule, kernel=(2, 2), output=HALVES).run(kernels, a).values)
    assert np.abs(found - mean).max() <= slack * HALVES.scale + 1e-9
    found = wide.decode(pool(rule=rule, operator="reduction", output=wide).run(kernels, a).values)
    assert np.abs(found - HALVES.decode(a).mean(axis=(1, 2), keepdims=True)).max() <= slack * wide.scale


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("windows", [{"kernel": (2, 2)}, {"kernel": (2, 3), "stride": (1, 1), "padding": (1, 0)}, {}], ids=str)
def test_every_rule_takes_a_pool_that_changes_its_format(rule, windows):
    """That of a rule whose own pools keep theirs is the mean that it has over axes."""
    a = np.random.default_rng(3).integers(-128, 128, (3, 4, 6, 5)).astype(np.int8)
    given = pool(rule="ort", output=OUT, **windows)
    changed = given.with_rounding(rule)
    found, slow = (changed.run(engine, a).values for engine in ENGINES)
    assert np.array_equal(found, slow)
    means = given.run(kernels, a).values.astype(int)
    assert np.abs(found.astype(int) - means).max() <= 1
    assert changed.with_rounding("ort").operator == given.with_rounding("ort").operator


def test_what_does_not_fit_is_refused_in_one_line():
    for make, message in (
        (lambda: rescale(rule="jax"), "layer r: rounding: 'jax' is not one of addersim, tflite, tosa"),
        (lambda: add(rule="jax"), "layer s: rounding: 'jax' is not one of"),
        (lambda: pool(rule="jax"), "layer p: rounding: 'jax' is not one of"),
        (lambda: rescale(low=5, high=-5), "layer r: activation 5..-5 does not lie in -128..127, the lower first"),
        (lambda: rescale(scale=(np.nan,)), "layer r: scales: found nan; expected one finite number a channel"),
        (lambda: rescale(bias=(1, 2), scale=(1.0, 2.0, 3.0)), "layer r: 2 biases and 3 scales; expected as many"),
        (lambda: rescale(bias=(2**31,)), "layer r: biases 2147483648..2147483648 leave 32 bits"),
        (lambda: rescale(bias=(1, 2)).value(Value.of((3,), HALVES)), "layer r: 2 channels, the input (3,) has 3"),
        (
            lambda: add().value(Value.of((3,), OUT), Value.of((3,), OUT)),
            "layer s: expects fx8.1 zero -3 of layer a, which gives fx8.2 zero -128",
        ),
        (lambda: pool(divisor=3), "layer p: a mean in the manner of a framework is one of means of windows without dilation"),
        (pool, "layer p: mean: fx8.1 zero -3 into fx8.2 zero -128; a pool of rule tflite keeps scale and zero point"),
        (lambda: pool(source=None).value(Value.of((1, 2, 2), HALVES)), "layer p: averages codes with a zero point; give the"),
        (lambda: pool(output=HALVES).value(Value.of((1, 2, 2), OUT)), "layer p: expects its input in fx8.1 zero -3, layer x"),
    ):  # fmt: skip
        with pytest.raises(NetworkError, match="^" + re.escape(message)):
            make()
    with pytest.raises(NetworkError, match=r"^layer r: bias is float64 \(1,\); expected int64, one a channel or one for all$"):
        msgspec.structs.replace(rescale(), bias=np.zeros(1))


def test_bills_by_hand():
    """16 words of 19 bits. tflite: a bias, a doubling high multiply of 32 bits and its rounding addition, a shift, the zero
    point in nine bits; by our own rule one multiplication at the wider of sum and multiplier, and one shift."""
    sums = Value((4, 2, 2), 19, True, 1.0, is_sum=True)
    whole = "mul32=16 add64=16 shift32=16"
    plain = FixedFormat(8, scale=0.25)
    for layer, given, steps in (
        (rescale(bias=(5,)), sums, f"add19=16 {whole} add9=16"),
        (rescale(output=plain), sums, whole),
        (rescale(output=plain), sums._replace(constant_due=True), f"add19=16 {whole}"),
        (rescale(output=plain, rule="addersim"), sums, "mul19=16 shift35=16"),
    ):
        found = layer.bill(layer.value(given), given)
        same(found.hardware, steps)
        assert (
            found.weights.size_bits == 38 * (layer.rule == "tflite") + 22 * (layer.rule == "addersim") + 32 * layer.bias.any()
        )


def test_means_are_billed_by_hand():
    """2 x 2 means of 2 x 2 codes of two channels: 8 x 3 additions in 10 bits. A pool of tflite adds half of four, multiplies
    by the reciprocal and shifts; sums that our own programs average under a rule are scaled by it."""
    given = Value.of((2, 4, 4), HALVES)
    layer = pool(output=HALVES, kernel=(2, 2))
    same(layer.bill(layer.value(given), given).hardware, "add10=32 mul32=8 shift64=8")
    plain = FixedFormat(8, scale=0.5)
    given, layer = Value.of((2, 4, 4), plain), pool(source=None, output=plain, kernel=(2, 2))
    same(layer.bill(layer.value(given), given).hardware, "add10=24 mul32=8 add64=8 shift32=8")


def zero_point_program(rule="tflite"):
    """Two windows that meet in a sum, a maximum, a join, a mean, a dense layer and shares, all with zero points."""
    random = np.random.default_rng(7)
    given = FixedFormat(8, False, 0.02, 113)
    inner, joined = FixedFormat(8, scale=0.1, zero_point=-128), FixedFormat(8, scale=0.11, zero_point=4)

    def window(name, source, held, shape, **fields):
        weights = random.integers(-127, 128, shape).astype(np.int8)
        return IntegerWindow(
            name=name, inputs=(source,), twin=None, datapath="mac", weights=weights, input_format=held,
            weight_format=FixedFormat(8), accumulator=Accumulator(), **fields,
        )  # fmt: skip

    def narrowed(name, source, output, channels, **fields):
        bias, scale = random.integers(-3000, 3000, channels), random.uniform(0.002, 0.02, channels)
        return IntegerRescale(
            name=name, inputs=(source,), twin=None, bias=bias, scale=scale, rule=rule, output=output, **fields
        )

    whole = {"twin": None, "output": joined}
    layers = (
        window("c1", "input", given, (6, 3, 3, 3), padding=(1, 1)),
        narrowed("r1", "c1", inner, 6, low=-128),
        window("c2", "r1", inner, (6, 3, 3, 1), padding=(1, 1), groups=6),
        narrowed("r2", "c2", joined, 6),
        IntegerRescaledAdd(name="s", inputs=("r1", "r2"), first=inner, second=joined, rule=rule, **whole),
        IntegerMaxPool(name="m", inputs=("s",), kernel=(2, 2), stride=(2, 2), **whole),
        IntegerConcat(name="j", inputs=("m", "m"), **whole),
        IntegerAveragePool(
            name="a", inputs=("j",), gain=1.0, multiplier_bits=16, rounding="half-even", source=joined, rule=rule, **whole
        ),
        IntegerMove(name="f", inputs=("a",), **whole),
        window("d", "f", joined, (5, 1, 1, 12), weight_zero_points=np.array([3, 0, -128, 5, 127], np.int32)),
        narrowed("scores", "d", FixedFormat(8, scale=0.2, zero_point=11), 5),
        IntegerRuleSoftmax(
            name="shares", inputs=("scores",), twin=None, source=FixedFormat(8, scale=0.2, zero_point=11), output=SHARES
        ),
    )
    return Program(
        name="zero-points", input_shape=(3, 8, 8), mean=(0.0,), std=(1.0,), input=given, rounding="half-even", layers=layers,
        takes_codes=True,
    )  # fmt: skip


def test_a_program_of_zero_points_is_the_same_by_plain_numpy():
    """Under tflite: each sum in int64, narrowed by gemmlowp's two steps, dense layers by one; a mean by division."""
    program = zero_point_program()
    by_name = {layer.name: layer for layer in program.layers}
    x = np.random.default_rng(8).integers(0, 256, (9, 3, 8, 8), dtype=np.uint8)

    def convolved(values, layer, zero):
        weights = layer.weights.astype(np.int64)
        if layer.weight_zero_points is not None:
            weights -= layer.weight_zero_points[:, None, None, None]
        pad = layer.padding[0]
        met = np.pad(values.astype(np.int64) - zero, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        if layer.groups > 1:
            weights = np.stack([np.eye(6, dtype=np.int64)[o] * one for o, one in enumerate(weights)])
        views = np.lib.stride_tricks.sliding_window_view(met, weights.shape[1:3], axis=(1, 2))
        return np.einsum("nhwcij,oijc->nhwo", views, weights)

    def doubled(values, scale):
        mantissa, exponent = np.frexp(scale)
        multiplier = np.floor(mantissa * 2.0**31 + 0.5).astype(np.int64)
        high = (values * multiplier + (1 << 30)) >> 31
        places = -exponent.astype(np.int64)
        remainder, half = high & ((1 << places) - 1), ((1 << places) - 1) >> 1
        return (high >> places) + (remainder > half + (high < 0))

    def narrowed(values, layer, scaled=doubled):
        found = scaled(values + layer.bias, layer.scale) + layer.output.zero_point
        return found.clip(layer.output.minimum if layer.low is None else layer.low, layer.output.maximum)

    def once(values, scale):
        mantissa, exponent = np.frexp(scale)
        places = 31 - exponent.astype(np.int64)
        return (values * np.floor(mantissa * 2.0**31 + 0.5).astype(np.int64) + (1 << (places - 1))) >> places

    r1 = narrowed(convolved(np.moveaxis(x, 1, -1), by_name["c1"], 113), by_name["r1"])
    r2 = narrowed(convolved(r1, by_name["c2"], -128), by_name["r2"])
    runs = dict(program.runs(x))
    np.testing.assert_array_equal(runs["r1"].values, r1)
    np.testing.assert_array_equal(runs["r2"].values, r2)
    pooled = runs["s"].values.reshape(9, 4, 2, 4, 2, 6).max(axis=(2, 4))
    np.testing.assert_array_equal(runs["m"].values, pooled)
    sums = runs["j"].values.astype(np.int64).sum(axis=(1, 2))
    np.testing.assert_array_equal(runs["f"].values, np.trunc((sums + np.where(sums > 0, 8, -8)) / 16))
    dense = convolved(runs["f"].values[:, None, None], by_name["d"], 4)
    np.testing.assert_array_equal(runs["scores"].values, narrowed(dense, by_name["scores"], once)[:, 0, 0])


@pytest.mark.parametrize("rule", RULES)
def test_a_program_runs_alike_streamed_saved_and_by_its_twins(rule, tmp_path):
    program = zero_point_program(rule)
    x = np.random.default_rng(8).integers(0, 256, (5, 3, 8, 8), dtype=np.uint8)
    program.save(tmp_path / "p.npz")
    expected = program.run(x, reference)
    for one in (program, Program.load(tmp_path / "p.npz"), zero_point_program().with_rounding(rule)):
        np.testing.assert_array_equal(one.run(x), expected)
    assert simulate(program, x, np.arange(5)).accuracy is not None


def test_programs_with_zero_points_are_counted_and_priced():
    """Of the first window 8 x 8 x 6 outputs of 27 taps, 27 x 142 x 128 = 490,752: 19 bits and a sign. What its input's zero
    point owes is free beside the biases."""
    trace = addersim.count(zero_point_program())
    same(trace.layers[0].operations, "mul8=10368 add20=10368")
    assert trace.layers[0].fused
    same(trace.layers[1].operations, "add20=384 mul32=384 add64=384 shift32=384 add9=384")
    cost = addersim.estimate(trace, "systolic-16x16", "horowitz-45nm")
    assert cost.energy_pj > 0
    found = simulate(zero_point_program(), np.zeros((2, 3, 8, 8), np.uint8))
    assert addersim.estimate(found.trace, "systolic-16x16", "horowitz-45nm").energy_pj > 0


def own_program():
    network = residual()
    return quantize(network, images(network)), images(network)


def test_our_own_rule_is_the_program_as_it_is():
    program, _ = own_program()
    kept = program.with_rounding("addersim").layers
    assert [one for one in kept if one not in program.layers] == [one for one in kept if one.kind() == "average_pool"]


@pytest.mark.parametrize("rule", sorted(set(RULES) - {"addersim"}))
def test_our_own_programs_run_under_any_rule(rule):
    """Each affine in float64, whose result the rule's own code is next to."""
    program, pixels = own_program()
    under, plain = dict(program.with_rounding(rule).runs(pixels)), dict(program.runs(pixels))
    changed = program.with_rounding(rule)
    assert {one.kind() for one in changed.layers}.isdisjoint({"affine"})
    first = next(one for one in program.layers if isinstance(one, IntegerAffine))
    x = plain[first.inputs[0]].values.astype(np.int64)
    exact = (x * first.multiplier + first.addend) / 2.0**first.shift
    slack = 1.01 if rule in ("qonnx-ceil", "qonnx-floor") else 0.52
    gain = np.abs(first.multiplier / 2.0**first.shift)
    found = under[first.name].values - exact.clip(first.output.minimum, first.output.maximum)
    assert (np.abs(found) <= slack + gain / 2).all()
    seen = [layer.observed for layer in simulate(program, pixels, rounding=rule).trace.layers]
    streamed = dict(changed.runs(pixels, stream=True))
    assert seen == [under[layer.name].observed for layer in program.layers]
    for name, run in streamed.items():
        if run.values is not None:
            np.testing.assert_array_equal(run.values, under[name].values, err_msg=name)
    assert streamed["stem_norm"].values is None  # its ReLU, which changes nothing, runs with it


def test_a_constant_channel_stays_constant_under_a_rule():
    layer = IntegerAffine(
        name="a", inputs=("x",), twin=None, multiplier=np.array([0, 3], np.int32), addend=np.array([77 << 4, 5]),
        shift=np.array([4, 4], np.uint8), multiplier_bits=16, output=replace(OUT, zero_point=7), rounding="half-even",
        overflow="saturate",
    )  # fmt: skip
    x = np.array([[-500, -500], [500, 500], [3, 3]], np.int32)
    given = Value((2,), 10, True, 1.0, is_sum=True)
    for rule in RULES:
        assert (layer.with_rounding(rule, given).run(kernels, x).values[:, 0] == 77).all(), rule
    with pytest.raises(NetworkError, match="^layer a: rule ort cannot hold a constant channel of sums this wide$"):
        layer.with_rounding("ort", given._replace(bits=40))
    wraps = msgspec.structs.replace(layer, overflow="wrap")
    with pytest.raises(NetworkError, match=r"^layer a: wraps what leaves fx8.2 zero 7; under rule ort it would saturate$"):
        wraps.with_rounding("ort", given)


def test_a_rule_that_is_none_is_refused():
    program, pixels = own_program()
    with pytest.raises(
        FormatError, match=r"^rounding: 'none' is not one of addersim, tflite, tosa, tosa-double, ort, onnx, qonnx"
    ):
        simulate(program, pixels, rounding="none")


def shares(source=FixedFormat(8, scale=0.1, zero_point=17), output=SHARES, **fields):  # noqa: B008  # frozen
    return IntegerRuleSoftmax(name="p", inputs=("x",), twin=None, source=source, output=output, **fields)


@pytest.mark.parametrize("engine", ENGINES)
def test_shares_of_features_and_of_channels_are_the_exponentials(engine):
    x = np.random.default_rng(9).integers(-128, 128, (3, 2, 2, 5), dtype=np.int8)
    layer = shares()
    assert layer.checked_value(Value.of((5,), layer.source)) == Value.of((5,), SHARES)
    real = np.exp(layer.source.decode(x))
    real /= real.sum(axis=-1, keepdims=True)
    for codes, expected in ((x, real), (x[:, 0, 0], real[:, 0, 0])):
        found = SHARES.decode(layer.run(engine, codes).values)
        assert np.abs(found - expected.clip(0, 255 / 256)).max() <= 0.51 / 256
    doubled = SHARES.decode(shares(beta=2.0).run(engine, x).values)
    assert np.abs(doubled - (real**2 / (real**2).sum(axis=-1, keepdims=True)).clip(0, 255 / 256)).max() <= 0.51 / 256


def test_shares_are_billed_and_refuse_what_no_framework_has():
    given = Value.of((5,), shares().source)
    assert shares().bill(Value.of((5,), SHARES), given).hardware.total("mul") == 2 * 5 * 14 + 5 + 7
    for layer, value, message in (
        (shares(rule="ort"), given, "layer p: softmax: rule 'ort' has none of whole numbers; tflite has"),
        (shares(output=HALVES), given, "layer p: softmax: s8*0.1 zero 17 into fx8.1 zero -3; rule tflite takes codes"),
        (shares(), Value.of((5,), SHARES), "layer p: expects its input in s8*0.1 zero 17, layer x gives fx8.8 zero -128"),
        (shares(), given._replace(shape=(5000,)), "layer p: softmax: shape (5000,); expected 1..4095 classes on the"),
    ):  # fmt: skip
        with pytest.raises(NetworkError, match="^" + re.escape(message)):
            layer.checked_value(value)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("stream", [False, True])
def test_sums_that_leave_32_bits_with_their_bias_name_their_layer(engine, stream):
    program = zero_point_program()
    *first, last, shares = program.layers
    layers = (*first, msgspec.structs.replace(last, bias=np.full(5, 2**31 - 1)), shares)
    x = np.random.default_rng(8).integers(0, 256, (9, 3, 8, 8), dtype=np.uint8)
    with pytest.raises(NetworkError, match=r"^layer scores: values: with their bias \d+..\d+, beyond the 32 bits that a requ"):
        list(msgspec.structs.replace(program, layers=layers).runs(x, engine, stream=stream))


def test_dense_layers_follow_the_rule_that_their_framework_has_for_them():
    """TensorFlow Lite rounds the sums of convolutions twice and those of fully connected layers once."""
    program, _ = own_program()
    for whole in (zero_point_program("ort"), program):
        rules = {one.name: one.rule for one in whole.with_rounding("tflite").layers if isinstance(one, IntegerRescale)}
        assert {rules.popitem()[1]} == {"tosa"}
        assert set(rules.values()) == {"tflite"}


@pytest.mark.parametrize("rule", RULES)
def test_extremes_of_the_sums_of_one_pixel_of_two_channels_are_those_of_the_sums(rule):
    """Less than the rows that a kernel takes at once: of rows that are none there are no extremes."""
    x, weights = np.array([[[[89, 35]]]], np.int8), np.array([[[[2]]], [[[-59]]]], np.int8)
    for scale in (1e-3, 0.4):
        seen = []
        for engine in ENGINES:
            window = engine.prepare_window(x.dtype, weights, arithmetic="mac", groups=2)
            how = {"output": FixedFormat(2, False)}
            found = engine.prepare_window_rescale(window, np.array([scale, scale]), np.array([-200, 900]), rule, **how)(x)
            seen.append((found.sums_minimum, found.sums_maximum, found.minimum, found.maximum))
        assert seen[0] == seen[1]
        assert seen[0][:2] == (-59 * 35, 2 * 89)

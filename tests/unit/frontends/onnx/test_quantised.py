"""ONNX files that were quantised elsewhere: what comes out beside plain numpy, and every refusal by the tensor's name."""

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper

import addersim
from addersim import Program
from addersim.cli import app
from addersim.errors import LoweringError, NetworkError
from addersim.frontends.onnx.lower import lower_onnx
from addersim.kernels import reference
from tests.unit.frontends.onnx.models import model, node, saved

RANDOM = np.random.default_rng(3)
DOMAINS = ("qonnx.custom_op.general", "com.microsoft")
GENERAL = "qonnx.custom_op.general"
F32 = np.float32
SCALES = {"s": F32(0.5), "z": np.int8(-3), "ws": F32([0.25, 0.5]), "wz": np.int8([0, 0]), "ys": F32(60.0), "yz": np.int8(5)}


def qdq(more=(), **changed):
    """Images to codes, a convolution of two filters and its codes."""
    constants = SCALES | {"w": RANDOM.integers(-100, 101, (2, 3, 3, 3)).astype(np.int8), "b": np.int32([40, -900])}
    constants |= {"bs": F32([0.125, 0.25]), "bz": np.int32([0, 0])} | changed
    nodes = [
        node("QuantizeLinear", "x", "s", "z", name="q", output="codes"),
        node("DequantizeLinear", "codes", "s", "z", name="d"),
        node("DequantizeLinear", "w", "ws", "wz", name="dw", axis=0),
        node("DequantizeLinear", "b", "bs", "bz", name="db", axis=0),
        node("Conv", "d_out", "dw_out", "db_out", name="conv", pads=[1, 1, 1, 1]),
        *more,
        node("QuantizeLinear", more[-1].output[0] if more else "conv_out", "ys", "yz", name="q2", output="y"),
    ]
    return model(nodes, constants, shape=("batch", 3, 4, 4), domains=DOMAINS), constants


def convolved(images, held):
    """Sums with the bias, as ONNX defines the convolution, exactly; padded places are zeros."""
    codes = np.clip(np.rint(images / held["s"]) + float(held["z"]), -128, 127).astype(np.int64) - int(held["z"])
    wide = np.pad(codes, ((0, 0), (0, 0), (1, 1), (1, 1)))
    taps = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), axis=(2, 3))
    return np.einsum("ncyxij,fcij->nfyx", taps, held["w"].astype(np.int64)) + held["b"].astype(np.int64)[:, None, None]


@pytest.mark.parametrize("engine", [addersim.kernels, reference], ids=["kernels", "reference"])
@pytest.mark.parametrize("relu", [False, True])
def test_a_convolution_between_codes(tmp_path, relu, engine):
    made, held = qdq((node("Relu", "conv_out"),) if relu else ())
    program = addersim.load(saved(tmp_path, made))
    assert isinstance(program, Program)
    assert [layer.kind() for layer in program.layers] == ["window", "rescale"]
    images = RANDOM.normal(size=(4, 3, 4, 4)).astype(F32) * 30
    found = [run.values for _, run in program.runs(images, engine)][-1]
    step = (held["s"] * held["ws"] / held["ys"]).astype(F32)[:, None, None]
    expected = np.rint(convolved(images, held).astype(F32) * step) + 5
    expected = np.clip(expected, 5 if relu else -128, 127).astype(np.int8)
    np.testing.assert_array_equal(found.transpose(0, 3, 1, 2), expected)
    assert len(np.unique(expected)) > 20


def test_operators_on_codes_give_what_reals_between_codes_give(tmp_path):
    made, held = qdq()
    nodes = [
        node("QuantizeLinear", "x", "s", "z", name="q", output="codes"),
        node("QLinearConv", "codes", "s", "z", "w", "ws", "wz", "ys", "yz", "b", output="y", pads=[1, 1, 1, 1]),
    ]
    other = model(nodes, held, shape=("batch", 3, 4, 4))
    images = RANDOM.normal(size=(4, 3, 4, 4)).astype(F32) * 30
    (tmp_path / "other").mkdir()
    found = [addersim.load(saved(folder, one)) for folder, one in ((tmp_path, made), (tmp_path / "other", other))]
    first, second = ([run.values for _, run in one.runs(images)][-1] for one in found)
    np.testing.assert_array_equal(first, second)


def signs(bits=None, falls=False):
    """Features to few codes, a product with such weights, a norm of which some channels fall, and codes again."""
    gains = F32([0.7, -1.3, 0.2]) if falls else F32([0.7, 1.3, 0.2])
    constants = {"one": F32(1), "zero": F32(0), "w": RANDOM.normal(size=(6, 3)).astype(F32), "g": gains}
    constants |= {"bias": F32([0.1, -0.2, 0.3]), "mean": F32([1, -1, 0]), "var": F32([4, 2, 9]), "bits": F32(bits or 1)}

    def small(source, name):
        if bits is None:
            return node("BipolarQuant", source, "one", name=name, domain=GENERAL)
        how = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
        return node("Quant", source, "one", "zero", "bits", name=name, domain=GENERAL, **how)

    nodes = [
        small("x", "qx"),
        small("w", "qw"),
        node("MatMul", "qx_out", "qw_out", name="mm"),
        node("BatchNormalization", "mm_out", "g", "bias", "mean", "var", name="bn"),
        small("bn_out", "qy"),
    ]
    return model(nodes, constants, shape=("batch", 6), domains=DOMAINS), constants


@pytest.mark.parametrize("falls", [False, True])
@pytest.mark.parametrize("bits", [None, 2, 4])
def test_norms_before_few_codes_are_thresholds(tmp_path, bits, falls):
    made, held = signs(bits, falls)
    program = addersim.load(saved(tmp_path, made))
    assert program.layers[-1].kind() == "thresholds"

    def coded(reals):
        if bits is None:
            return np.where(reals >= 0, F32(1), F32(-1))
        top = (1 << bits - 1) - 1
        return np.rint(np.clip(reals, -top, top))

    images = RANDOM.normal(size=(500, 6)).astype(F32) * 3
    sums = coded(images) @ coded(held["w"])
    scale = held["g"] / np.sqrt(held["var"] + F32(1e-5))
    expected = coded(sums * scale + (held["bias"] - held["mean"] * scale))
    found = program.run(images)
    found = np.sign(found * 2 + 1) if bits is None and program.layers[-1].output.bits == 1 else found
    np.testing.assert_array_equal(found, expected)


REFUSED = [
    (lambda: qdq(s=F32(0))[0], "scale 's' holds 0"),
    (lambda: qdq(ys=F32(np.nan))[0], "scale 'ys' holds nan"),
    (lambda: qdq(ws=F32([1, 1, 1]), wz=np.int8([0, 0, 0]))[0], r"scale 'ws' of shape \(3,\) does not fit axis 0"),
    (lambda: qdq(wz=np.zeros(4, np.uint8))[0], "zero point 'wz' is uint8 beside codes of int8; both have one type"),
    (lambda: qdq(z=np.int16(3))[0], "initialiser 'z': is of type INT16|zero point 'z' is int16"),
    (lambda: qdq((node("Own", "conv_out", domain="com.own"),))[0], r"Own at tensor 'own_out': is a custom operator"),
    (
        lambda: model([node("DynamicQuantizeLinear", "x", output=["c", "cs", "cz"], name="n")], output="c"),
        "DynamicQuantizeLinear at tensor 'c': makes a scale of each image",
    ),
]


@pytest.mark.parametrize(("made", "why"), REFUSED)
def test_what_cannot_be_read_is_refused_by_name(tmp_path, made, why):
    path = saved(tmp_path, made())
    with pytest.raises(LoweringError, match=why) as caught:
        addersim.load(path)
    assert "\n" not in str(caught.value)


def test_all_refusals_come_at_once(tmp_path):
    path = saved(tmp_path, qdq((node("Own", "conv_out", domain="com.own"),), ys=F32(0), ws=F32([0, 1]))[0])
    with pytest.raises(LoweringError) as caught:
        addersim.load(path)
    assert "scale 'ws' holds 0" in str(caught.value)
    assert "Own at tensor" in str(caught.value)
    assert "countable" not in str(caught.value)  # which is for networks in float


def test_codes_as_images(tmp_path):
    made, _ = qdq()
    made.graph.node.remove(made.graph.node[0])
    made.graph.node[0].input[0] = "x"
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.INT8
    program = addersim.load(saved(tmp_path, made))
    assert (program.input.dtype, program.takes_codes, program.input.zero_point) == (np.int8, True, -3)


def test_a_normalisation_of_images_that_are_codes_is_refused(tmp_path):
    made, _ = qdq()
    plain = lower_onnx(saved(tmp_path, made), mean=[0.5], std=[0.25])
    assert (plain.mean, plain.std, plain.takes_codes, plain.preprocessing_known) == ((0.5,), (0.25,), False, True)
    made.graph.node.remove(made.graph.node[0])
    made.graph.node[0].input[0] = "x"
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.INT8
    with pytest.raises(LoweringError, match="mean and std are given, and its images are codes; leave them out"):
        lower_onnx(saved(tmp_path, made), mean=[0.5], std=[0.25])


def test_a_program_is_no_network_and_every_verb_takes_it(tmp_path):
    path = saved(tmp_path, qdq()[0])
    with pytest.raises(NetworkError, match="holds a quantised program; expected a network in float"):
        addersim.load_network(path)
    for verb in ("check", "count", "estimate"):
        found = CliRunner().invoke(app, [verb, str(path)])
        assert found.exit_code == 0, found.output


def convolved_after(*between):
    """Codes, what `between` makes of what they stand for, a convolution of that, codes."""
    constants = SCALES | {"w": RANDOM.integers(-100, 101, (2, 3, 3, 3)).astype(np.int8)}
    nodes = [
        node("QuantizeLinear", "x", "s", "z", name="q", output="codes"),
        node("DequantizeLinear", "codes", "s", "z", name="d"),
        *between,
        node("DequantizeLinear", "w", "ws", "wz", name="dw", axis=0),
        node("Conv", between[-1].output[0], "dw_out", name="conv"),
        node("QuantizeLinear", "conv_out", "ys", "yz", name="q2", output="y"),
    ]
    return model(nodes, constants, shape=("batch", 3, 4, 4), domains=DOMAINS), constants


def test_a_function_of_codes_before_a_window_is_computed_or_refused(tmp_path):
    """It was left out where no codes were made of it."""
    made, held = convolved_after(node("Relu", "d_out"))
    program = addersim.load(saved(tmp_path, made))
    assert [layer.kind() for layer in program.layers] == ["clip", "window", "rescale"]
    images = RANDOM.normal(size=(4, 3, 4, 4)).astype(F32) * 30
    codes = np.maximum(np.clip(np.rint(images / held["s"]) - 3, -128, 127), -3).astype(np.int64) + 3
    taps = np.lib.stride_tricks.sliding_window_view(codes, (3, 3), axis=(2, 3))
    sums = np.einsum("ncyxij,fcij->nfyx", taps, held["w"].astype(np.int64))
    step = (held["s"] * held["ws"] / held["ys"]).astype(F32)[:, None, None]
    expected = np.clip(np.rint(sums.astype(F32) * step) + 5, -128, 127).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal([run.values for _, run in program.runs(images)][-1], expected)
    with pytest.raises(LoweringError, match="Conv at tensor 'conv_out': reads a function of codes that was not made codes"):
        addersim.load(saved(tmp_path, convolved_after(node("Sigmoid", "d_out"))[0]))


def padded(value, fill):
    """Codes, or what they stand for, with a border, then codes."""
    constants = SCALES | {"pads": np.int64([0, 0, 1, 1, 0, 0, 1, 1])} | ({} if fill is None else {"fill": fill})
    pad = ["pads"] if fill is None else ["pads", "fill"]
    nodes = [
        node("QuantizeLinear", "x", "s", "z", name="q", output="codes"),
        node("DequantizeLinear", "codes", "s", "z", name="d"),
        node("Pad", value, *pad, name="pad"),
        *([node("DequantizeLinear", "pad_out", "s", "z", name="d2")] if value == "codes" else []),
        node("QuantizeLinear", "d2_out" if value == "codes" else "pad_out", "ys", "yz", name="q2", output="y"),
    ]
    return model(nodes, constants, shape=("batch", 3, 4, 4), domains=DOMAINS)


@pytest.mark.parametrize(("value", "fill"), [("codes", np.int8(-3)), ("d_out", None), ("d_out", F32(0))])
def test_a_border_of_zeros(tmp_path, value, fill):
    program = addersim.load(saved(tmp_path, padded(value, fill)))
    images = RANDOM.normal(size=(4, 3, 4, 4)).astype(F32) * 900
    found = np.moveaxis([run.values for _, run in program.runs(images)][-1], -1, 1)
    codes = np.clip(np.rint(images / F32(0.5)) - 3, -128, 127)
    inner = np.clip(np.rint((codes + 3) * F32(0.5) / F32(60)) + 5, -128, 127)
    np.testing.assert_array_equal(found, np.pad(inner, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=5))


@pytest.mark.parametrize(
    ("value", "fill", "told"),
    [
        ("codes", None, "puts 0 around 'codes', where zero is -3; only borders of zeros are read"),
        ("codes", np.int8(0), "puts 0 around 'codes', where zero is -3; only borders of zeros are read"),
        ("d_out", F32(0.5), "puts 0.5 around 'd_out', where zero is 0; only borders of zeros are read"),
    ],
)
def test_a_border_of_anything_else_is_refused(tmp_path, value, fill, told):
    with pytest.raises(LoweringError, match=told):
        addersim.load(saved(tmp_path, padded(value, fill)))


def test_a_function_that_is_no_number_of_some_code_is_refused(tmp_path):
    made, _ = qdq()
    made.graph.node[4].input[0] = "log"
    made.graph.node.insert(4, node("Log", "d_out", name="log", output="log"))
    with pytest.raises(LoweringError, match="Log at tensor 'log': is no number of some codes in fx8.1"):
        addersim.load(saved(tmp_path, made))


def packed(values, kind):
    """A tensor of codes of 4 or 2 bits, several in a byte."""
    return helper.make_tensor("w", kind, values.shape, values.ravel())


NARROW = {"int4": ("INT4", -8, 8), "uint4": ("UINT4", 0, 16), "int2": ("INT2", -2, 2)}
knows_widths = pytest.mark.skipif(
    helper.tensor_dtype_to_np_dtype(TensorProto.INT4).name != "int4", reason="onnx has no types of numpy for packed codes"
)


def narrow(kind, **how):
    """The convolution of `qdq` with packed weights, of odd number, whose zero points are codes too."""
    name, low, high = NARROW[kind]
    number = getattr(TensorProto, name, None) or pytest.skip(f"onnx has no {name}")
    codes = RANDOM.integers(low, high, (2, 3, 3, 3))
    made, held = qdq(b=np.int32([4, -90]))
    made.opset_import[0].version = 25
    kept = [one for one in made.graph.initializer if one.name not in ("w", "wz")]
    del made.graph.initializer[:]
    zero = helper.make_tensor("wz", number, [2], [low + 1, low + 2])
    made.graph.initializer.extend([*kept, packed(codes, number), zero])
    made.graph.node[2].attribute.extend(helper.make_attribute(name, value) for name, value in how.items())
    return made, held | {"w": codes - np.array([low + 1, low + 2])[:, None, None, None]}


@knows_widths
@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("kind", NARROW)
def test_packed_weights(tmp_path, kind, outside):
    made, held = narrow(kind)
    where = {"save_as_external_data": True, "size_threshold": 0, "location": "weights"} if outside else {}
    if outside:  # raw bytes are what lies outside
        for one in made.graph.initializer:
            one.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(one), one.name))
    program = addersim.load(saved(tmp_path, made, **where))
    window = program.layers[0]
    assert (window.weight_format.bits, window.weight_format.signed) == (int(kind[-1]), not kind.startswith("u"))
    images = RANDOM.normal(size=(4, 3, 4, 4)).astype(F32) * 30
    step = (held["s"] * held["ws"] / held["ys"]).astype(F32)[:, None, None]
    expected = np.clip(np.rint(convolved(images, held).astype(F32) * step) + 5, -128, 127)
    found = [run.values for _, run in program.runs(images)][-1].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(expected)) > 4


@knows_widths
def test_activations_of_four_bits(tmp_path):
    made, held = qdq()
    made.opset_import[0].version = 21
    kept = [one for one in made.graph.initializer if one.name != "yz"]
    del made.graph.initializer[:]
    made.graph.initializer.extend([*kept, helper.make_tensor("yz", TensorProto.UINT4, [], [9])])
    program = addersim.load(saved(tmp_path, made))
    assert (program.layers[-1].output.bits, program.layers[-1].output.zero_point) == (4, 9)
    images = RANDOM.normal(size=(4, 3, 4, 4)).astype(F32) * 30
    step = (held["s"] * held["ws"] / held["ys"]).astype(F32)[:, None, None]
    expected = np.clip(np.rint(convolved(images, held).astype(F32) * step) + 9, 0, 15)
    np.testing.assert_array_equal([run.values for _, run in program.runs(images)][-1].transpose(0, 3, 1, 2), expected)


def test_scales_of_blocks_are_refused(tmp_path):
    made, _ = narrow("int4", block_size=16)
    with pytest.raises(
        LoweringError, match=r"DequantizeLinear at tensor 'dw_out': attribute block_size: 16 is not supported; only 0$"
    ):
        addersim.load(saved(tmp_path, made))


def test_packed_weights_of_too_few_bytes(tmp_path):
    made, _ = narrow("int4")
    weights = next(one for one in made.graph.initializer if one.name == "w")
    weights.raw_data = numpy_helper.from_array(numpy_helper.to_array(weights)).raw_data[:-3]
    weights.ClearField("int32_data")
    with pytest.raises(LoweringError, match="initialiser 'w': holds another number of values than its sizes"):
        addersim.load(saved(tmp_path, made))


def dense_of_reals(wide, *after, steps=(0.011, 0.02, 0.007, 0.03, 0.013)):
    """Codes of 8 bits, weights of 4 bits and a scale a score, and a bias: of 32 bits where `wide`, of reals otherwise."""
    held = {
        "s": np.float32(0.05),
        "z": np.float32(0),
        "eight": np.float32(8),
        "four": np.float32(4),
        "thirtytwo": np.float32(32),
    }
    held |= {"w": np.random.default_rng(2).normal(0, 0.03, (6, 5)).astype(np.float32), "ws": np.float32([steps])}
    held |= {"b": np.float32([0.7, -0.2, 0.31, 0.05, -1]), "bs": 0.05 * np.float32(steps)}
    quant = [("x", "s", "z", "eight"), ("w", "ws", "z", "four"), ("b", "bs", "z", "thirtytwo")]
    nodes = [
        node("Quant", *one, output=f"{one[0]}q", name=f"{one[0]}q", domain=GENERAL, signed=1, narrow=0, rounding_mode="ROUND")
        for one in quant[: 2 + wide]
    ]
    nodes += [node("MatMul", "xq", "wq", output="sums"), node("Add", "sums", "bq" if wide else "b", output="scores"), *after]
    return model(nodes, held, shape=("batch", 6), domains=DOMAINS), held


@pytest.mark.parametrize("wide", [False, True])
def test_scores_of_a_bias_of_reals_are_rounded_to_codes_and_the_program_says_so(tmp_path, wide):
    made, held = dense_of_reals(wide)
    program = addersim.load(saved(tmp_path, made))
    images = np.random.default_rng(1).normal(0, 2, (200, 6)).astype(np.float32)
    images = np.concatenate(
        [images, 1000 * held["w"].T, -1000 * held["w"].T]
    )  # the largest and the least scores that there are
    codes = np.clip(np.rint(images / held["s"]), -128, 127)
    weights = np.clip(np.rint(held["w"] / held["ws"]), -8, 7)
    bias = np.rint(held["b"] / held["bs"]) * held["bs"] if wide else held["b"]
    expected = (codes @ weights) * (held["s"] * held["ws"]).astype(np.float64) + bias
    *_, (name, run) = program.runs(images)
    value = program.static_values()[name]
    assert np.abs(value.decode(run.values) - expected).max() <= 0.501 * value.scale
    assert value.bits == 16
    assert np.log2(value.scale) % 1 == 0
    assert (
        program.metadata["rounded"] == f"scores that the file leaves real: scores: codes of 16 bits of scale {value.scale:g}"
    )


def test_scores_that_are_no_straight_lines_of_sums_are_refused(tmp_path):
    made, _ = dense_of_reals(False, node("Abs", "scores", output="y"))
    with pytest.raises(LoweringError, match="Abs at tensor 'y': of sums is not read; make codes of them first"):
        addersim.load(saved(tmp_path, made))


@pytest.mark.parametrize("bits", [0, 33, 2.5])
def test_constants_of_odd_widths_are_refused(tmp_path, bits):
    made, _ = dense_of_reals(True)
    for tensor in made.graph.initializer:
        if tensor.name == "thirtytwo":
            tensor.CopyFrom(numpy_helper.from_array(np.float32(bits), tensor.name))
    with pytest.raises(LoweringError, match=f"bit width 'thirtytwo' is {bits:g}; expected a whole number of 1..32"):
        addersim.load(saved(tmp_path, made))

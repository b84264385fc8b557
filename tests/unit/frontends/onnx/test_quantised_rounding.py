"""Where runtimes round in an order of their own: codes beside plain numpy, and what is refused because they differ."""

import numpy as np
import pytest

pytest.importorskip("onnx")

import addersim
from addersim.errors import LoweringError
from addersim.kernels import reference
from tests.command_line import call, refused
from tests.unit.frontends.onnx.models import model, node, saved

F32 = np.float32
GENERAL = "qonnx.custom_op.general"
IMAGES = np.random.default_rng(11).normal(size=(3, 4, 6, 6)).astype(F32) * 40
EDGES = {"s": F32(0.5), "z": np.uint8(101), "t": F32(0.25), "o": np.uint8(83), "ys": F32(8), "yz": np.uint8(91)}
ENGINES = pytest.mark.parametrize("engine", [addersim.kernels, reference], ids=["kernels", "reference"])


def between(nodes, last, held=EDGES):
    """Two formats of the images, `a` and `b` as codes and `ra` and `rb` as reals, what follows, and codes of `last`."""
    made = [
        node("QuantizeLinear", "x", "s", "z", name="qa", output="a"),
        node("DequantizeLinear", "a", "s", "z", name="da", output="ra"),
        node("QuantizeLinear", "ra", "t", "o", name="qb", output="b"),
        node("DequantizeLinear", "b", "t", "o", name="db", output="rb"),
        *nodes,
    ]
    made += [node("QuantizeLinear", last, "ys", "yz", name="qy", output="y")] if last else []
    return model(made, held, shape=("batch", 4, 6, 6), domains=("com.microsoft",))


def coded(reals, scale, zero, low=0, high=255):
    return np.clip(np.rint(reals / scale) + F32(zero), low, high).astype(np.int32)


def steps():
    """Codes of both formats less their zero points."""
    a = coded(IMAGES, EDGES["s"], EDGES["z"]) - int(EDGES["z"])
    b = coded(a * EDGES["s"], EDGES["t"], EDGES["o"]) - int(EDGES["o"])
    return a, b


def last_codes(program, engine):
    return np.moveaxis([run.values for _, run in program.runs(IMAGES, engine)][-1], -1, 1)


@ENGINES
def test_a_product_gets_its_zero_point_before_it_is_rounded(tmp_path, engine):
    made = between([node("QLinearMul", "a", "s", "z", "b", "t", "o", "ys", "yz", domain="com.microsoft", output="y")], None)
    a, b = steps()
    ratio = F32(EDGES["s"] * EDGES["t"]) / EDGES["ys"]
    wanted = np.clip(np.rint((a * b).astype(F32) * ratio + F32(91)), 0, 255)
    found = last_codes(addersim.load(saved(tmp_path, made)), engine)
    np.testing.assert_array_equal(found, wanted)
    assert (wanted != np.clip(np.rint((a * b).astype(F32) * ratio) + 91, 0, 255)).any()  # ties


@ENGINES
@pytest.mark.parametrize("operator", ["Add", "Sub"])
def test_sums_of_reals_get_their_zero_point_after_they_are_rounded(tmp_path, engine, operator):
    nodes = [node(operator, "ra", "rb", name="sum", output="m"), node("Relu", "m", name="r", output="n")]
    nodes = nodes[: 2 if operator == "Add" else 1]
    held = EDGES | {"s": F32(0.7), "t": F32(0.35), "ys": F32(1.4)}
    program = addersim.load(saved(tmp_path, between(nodes, "n" if operator == "Add" else "m", held)))
    a = (coded(IMAGES, held["s"], 101) - 101).astype(F32) * held["s"]
    b = (coded(a, held["t"], 83) - 83).astype(F32) * held["t"]
    wanted = coded(a + b if operator == "Add" else a - b, held["ys"], 91, 91 if operator == "Add" else 0)
    np.testing.assert_array_equal(last_codes(program, engine), wanted)
    assert program.layers[-1].rule == "onnx"
    first = np.rint(IMAGES / held["s"])
    np.testing.assert_array_equal(program.encode(IMAGES), np.moveaxis(np.clip(first + 101, 0, 255), 1, -1))


def reals_of_both(held):
    a = (coded(IMAGES, held["s"], held["z"]) - 101).astype(F32) * held["s"]
    return a, (coded(a, held["t"], held["o"]) - 83).astype(F32) * held["t"]


@ENGINES
def test_products_of_reals_behind_which_stands_a_bound_get_their_zero_point_after_they_are_rounded(tmp_path, engine):
    """Scales that are no powers of two: each of the three roundings of float32 shows."""
    for held in (
        EDGES,
        EDGES | {"s": F32(0.7), "t": F32(0.7), "ys": F32(0.98)},
        EDGES | {"s": F32(0.3), "t": F32(0.3), "ys": F32(0.72)},
    ):
        nodes = [node("Mul", "ra", "rb", name="product", output="m"), node("Relu", "m", name="r", output="n")]
        program = addersim.load(saved(tmp_path, between(nodes, "n", held)))
        a, b = reals_of_both(held)
        wanted = coded(a * b, held["ys"], held["yz"], low=91)
        np.testing.assert_array_equal(last_codes(program, engine), wanted)
        first = np.clip(np.rint(IMAGES / held["s"]) + 101, 0, 255)
        np.testing.assert_array_equal(program.encode(IMAGES), np.moveaxis(first, 1, -1))
    ratio = F32(EDGES["s"] * EDGES["t"]) / EDGES["ys"]
    a, b = steps()
    before = np.clip(np.rint((a * b).astype(F32) * ratio + F32(91)), 91, 255)
    assert (before != coded(a * b * (EDGES["s"] * EDGES["t"]), EDGES["ys"], EDGES["yz"], low=91)).any()  # ties


@ENGINES
@pytest.mark.parametrize("bounded", [False, True])
def test_means_that_are_reductions_of_reals_are_rounded_before_their_zero_point(tmp_path, engine, bounded):
    held = EDGES | {"axes": np.array([2, 3]), "ys": F32(0.5)}
    operator, given = ("GlobalAveragePool", ["ra"]) if bounded else ("ReduceMean", ["ra", "axes"])
    nodes = [node(operator, *given, name="mean", output="m"), node("Relu", "m", name="r", output="n")][: 1 + bounded]
    program = addersim.load(saved(tmp_path, between(nodes, "n" if bounded else "m", held)))
    a, _ = reals_of_both(held)  # whole numbers of halves: sums are exact in any order
    mean = a.sum(axis=(2, 3), dtype=F32, keepdims=True) / F32(36)
    wanted = coded(mean, held["ys"], held["yz"], low=91 if bounded else 0)
    np.testing.assert_array_equal(last_codes(program, engine), wanted)
    assert program.layers[-1].rule == "onnx"


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Add", "ra", "rb", name="sum", output="m")],
        [node("Mul", "ra", "rb", name="product", output="m")],
        [node("AveragePool", "ra", name="mean", output="m", kernel_shape=[2, 2])],
    ],
    ids=lambda nodes: nodes[0].op_type,
)
def test_scales_whose_codes_leave_32_bits_are_refused(tmp_path, nodes):
    with pytest.raises(LoweringError, match=r"its scale 1e-12 has .* steps in what it reads; at most 1,073,741,824 are read"):
        addersim.load(saved(tmp_path, between(nodes, "m", EDGES | {"ys": F32(1e-12)})))


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
def test_dilated_pools_that_are_padded_by_themselves_are_refused(tmp_path, operator):
    how = {"kernel_shape": [2, 2], "dilations": [2, 2], "auto_pad": "SAME_UPPER"}
    made = between([node(operator, "ra", name="pool", output="m", **how)], "m")
    with pytest.raises(LoweringError, match="auto_pad: around dilated windows ONNX Runtime pads otherwise than ONNX says"):
        addersim.load(saved(tmp_path, made))


def quant(source, name, scale="s", mode="ROUND"):
    how = {"signed": 1, "narrow": 0, "rounding_mode": mode}
    return node("Quant", source, scale, "zero", "bits", name=name, output=name, domain=GENERAL, **how)


def test_images_that_are_not_rounded_to_nearest_are_refused(tmp_path):
    held = {"s": F32(0.5), "zero": F32(0), "bits": F32(8)}
    nodes = [quant("x", "q", mode="FLOOR"), node("Neg", "q", name="n"), quant("n_out", "y")]
    made = model(nodes, held, (1, 4, 6, 6), domains=(GENERAL,))
    with pytest.raises(LoweringError, match="makes codes of images by rounding mode FLOOR"):
        addersim.load(saved(tmp_path, made))


@ENGINES
def test_means_of_reals_add_each_column_of_a_window_first(tmp_path, engine):
    held = {"s": F32(0.7), "zero": F32(0), "bits": F32(8)}
    nodes = [quant("x", "q"), node("AveragePool", "q", name="m", kernel_shape=[2, 3], strides=[1, 1]), quant("m_out", "y")]
    program = addersim.load(saved(tmp_path, model(nodes, held, (3, 4, 6, 6), domains=(GENERAL,))))
    reals = (np.clip(np.rint(IMAGES / held["s"]), -128, 127) * held["s"]).astype(F32)
    taps = np.lib.stride_tricks.sliding_window_view(reals, (2, 3), axis=(2, 3))
    columns = [taps[..., 0, column] + taps[..., 1, column] for column in range(3)]
    wanted = np.clip(np.rint((columns[0] + columns[1] + columns[2]) / F32(6) / held["s"]), -128, 127)
    np.testing.assert_array_equal(last_codes(program, engine), wanted)
    exact = np.rint(np.rint(taps / held["s"]).astype(np.int64).sum(axis=(-1, -2)) / 6)
    assert (wanted != np.clip(exact, -128, 127)).any()  # ties


def test_images_of_two_billion_rows_are_refused_before_anything_is_made_of_them(tmp_path):
    made = between([node("Add", "ra", "rb", name="sum", output="m")], "m")
    made.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 1 << 31
    assert "images have shape (4, 2147483648, 6); sides of" in refused("check", saved(tmp_path, made))


def test_a_scale_that_lies_in_a_file_which_is_not_there_is_refused(tmp_path):
    made = between([node("Add", "ra", "rb", name="sum", output="m")], "m")
    scale = next(one for one in made.graph.initializer if one.name == "s")
    scale.ClearField("raw_data")
    scale.data_location = 1
    scale.external_data.add(key="location", value="nowhere.bin")
    assert refused("check", saved(tmp_path, made))


def test_a_product_without_weights_is_refused(tmp_path):
    nodes = [node("BipolarQuant", "x", "s", name="q", output="q", domain=GENERAL), node("MatMul", "q", name="m")]
    made = model(nodes, {"s": F32(1)}, ("batch", 6), domains=(GENERAL,))
    assert refused("check", saved(tmp_path, made))


def test_a_program_without_sums_of_products_is_proved(tmp_path):
    found = call("prove", saved(tmp_path, between([node("Add", "ra", "rb", name="sum", output="m")], "m")))
    assert (found.returncode, found.stderr) == (0, "")
    assert "hold every sum" in found.stdout


@ENGINES
def test_a_normalisation_of_codes_rounds_one_over_the_root_before_the_gain(tmp_path, engine):
    """Half of the results lie halfway between two codes: the gain over the root, a last bit off, moves many of them."""
    gain, variance, epsilon = F32(1.41), F32(2.32), F32(1e-5)
    factor = F32(1) / np.sqrt(variance + epsilon) * gain
    held = EDGES | {"ys": factor, "gain": np.full(4, gain), "variance": np.full(4, variance)}
    held |= {name: np.zeros(4, F32) for name in ("bias", "mean")}
    nodes = [node("BatchNormalization", "ra", "gain", "bias", "mean", "variance", output="n", epsilon=float(epsilon))]
    program = addersim.load(saved(tmp_path, between(nodes, "n", held)))
    a, _ = reals_of_both(held)
    np.testing.assert_array_equal(last_codes(program, engine), coded(a * factor, factor, held["yz"]))
    assert (coded(a * factor, factor, 91) != coded(a * (gain / np.sqrt(variance + epsilon)), factor, 91)).any()

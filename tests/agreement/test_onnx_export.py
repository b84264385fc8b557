"""Programs written as ONNX, beside onnxruntime's own run of the files, layer by layer; where onnxruntime is installed."""

import numpy as np
import pytest
from msgspec.structs import replace

import addersim
from addersim.arithmetic.fixed import Accumulator, FixedFormat
from addersim.errors import KindError, NetworkError
from addersim.layers import (
    IntegerAveragePool,
    IntegerConcat,
    IntegerMaxPool,
    IntegerMove,
    IntegerRescale,
    IntegerRescaledAdd,
    IntegerRuleSoftmax,
    IntegerTable,
    IntegerThresholds,
    IntegerWindow,
)
from addersim.layers.move import Permute, Take
from addersim.program import Program
from tests.command_line import call, refused
from tests.unit.networks import images, residual, signed

onnx = pytest.importorskip("onnx")
SETTINGS = {
    "eight bits": {},
    "zero points": {"zero_points": True},
    "powers of two": {"power_of_two": True},
    "narrow": {"weight_bits": 3, "activation_bits": 5},
}


def first(codes):
    return np.moveaxis(codes, -1, 1) if codes.ndim == 4 else codes


def runtime_codes(path, layers, given):
    """What onnxruntime gives for the named tensors of codes, and the operators that it ran."""
    runtime = pytest.importorskip("onnxruntime")
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    onnx.checker.check_model(model)
    known = {one.name: one for one in model.graph.value_info}
    model.graph.output.extend(known[name] for name in layers)
    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.optimized_model_filepath = str(path.with_suffix(".optimised.onnx"))
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = session.run(list(layers), {"input": given})
    ran = [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]
    return dict(zip(layers, found, strict=True)), ran


def check_beside_runtime(program, pixels, path, most_parted=1e-4):
    """Every layer's codes are onnxruntime's, and nearly all those of the program as it was; the operators that it ran."""
    written = addersim.export_onnx(program, path)
    codes = first(program.encode(pixels))
    reals = (codes.astype(np.float32) - program.input.zero_point) * np.float32(program.input.scale)
    expected = {name: first(run.values) for name, run in written.runs(pixels) if name != "input"}
    layers = [layer.name for layer in written.layers if not isinstance(layer, IntegerWindow)]
    found, ran = runtime_codes(path, layers, codes if program.takes_codes else reals)
    values = written.static_values()
    for name in layers:
        moved = 128 * (values[name].signed and found[name].dtype == np.uint8)
        np.testing.assert_array_equal(found[name].astype(np.int64) - moved, expected[name], name)
    own = program.with_rounding("ort")
    parted = sum(int((first(run.values) != expected[name]).sum()) for name, run in own.runs(pixels) if name in layers)
    assert parted <= most_parted * sum(one.size for one in expected.values())  # gains next to ours, never more
    return ran


@pytest.mark.parametrize("setting", SETTINGS)
def test_networks_of_ours(setting, tmp_path):
    network = residual(arithmetic="mac")
    given = images(network)
    program = addersim.quantize(network, given, addersim.Quantization(**SETTINGS[setting]))
    ran = check_beside_runtime(program, given, tmp_path / "made.onnx")
    assert ran.count("QLinearConv") >= 3


def quantised(random, signed):
    """A program as a file that was quantised elsewhere gives it: zero points, a negative and a zero gain, all moves."""
    kind = np.int8 if signed else np.uint8

    def drawn(scale=None):
        plain = FixedFormat(8, signed)
        zero = int(random.integers(plain.minimum, plain.maximum + 1))
        return FixedFormat(8, signed, float(np.float32(scale or random.uniform(0.01, 0.1))), zero)

    def window(name, source, given, shape, **how):
        weights = random.integers(-127, 128, shape).astype(np.int8)
        about = {"datapath": "mac", "input_format": given, "weight_format": FixedFormat(8), "accumulator": Accumulator()}
        return IntegerWindow(name=name, inputs=(source,), twin=None, weights=weights, **about, **how)

    def rescale(name, source, output, channels, taps, **how):
        gains = random.uniform(0.2, 1.0, channels) / 60 / np.sqrt(taps)
        gains[1] *= -1
        gains[2] = 0
        bias = random.integers(-3000, 3000, channels)
        about = {"rule": "tflite", "output": output}
        return IntegerRescale(name=name, inputs=(source,), twin=None, bias=bias, scale=gains, **about, **how)

    given, one, two, three, mean, last = (drawn() for _ in range(6))
    entries = random.integers(three.minimum, three.maximum + 1, (256, 1)).astype(kind)
    average = {"gain": three.scale / mean.scale, "multiplier_bits": 16, "rounding": "half-even", "rule": "ort"}
    layers = (
        window("conv.sums", "input", given, (6, 3, 3, 3), padding=(1, 0), far_padding=(0, 2), stride=(1, 2)),
        rescale("conv", "conv.sums", one, 6, 27, low=one.zero_point, high=min(one.zero_point + 90, one.maximum)),
        window("deep.sums", "conv", one, (6, 3, 3, 1), padding=(1, 1), groups=6),
        rescale("deep", "deep.sums", two, 6, 9),
        IntegerRescaledAdd(name="add", inputs=("conv", "deep"), twin=None, first=one, second=two, rule="ort", output=three),
        IntegerMaxPool(name="most", inputs=("add",), twin=None, output=three, kernel=(3, 2), stride=(2, 2), padding=(1, 1)),
        IntegerTable(name="table", inputs=("most",), twin=None, function="any", source=three, output=three, codes=entries),
        IntegerConcat(name="joined", inputs=("most", "table"), twin=None, output=three),
        IntegerMove(
            name="moved", inputs=("joined",), twin=None, output=three, target=(6, 3, 4),
            steps=(Take(0, np.array([11, 0, 3, 3, 7, 2])), Permute((0, 2, 1))),
        ),
        IntegerAveragePool(
            name="mean", inputs=("moved",), twin=None, output=mean, source=three, operator="reduction", **average
        ),
        IntegerMove(name="flat", inputs=("mean",), twin=None, output=mean),
        window("dense.sums", "flat", mean, (4, 1, 1, 6)),
        rescale("dense", "dense.sums", last, 4, 6),
    )  # fmt: skip
    about = {"name": "elsewhere", "input_shape": (3, 8, 8), "mean": (0.0,), "std": (1.0,), "rounding": "half-even"}
    program = Program(**about, input=given, layers=layers, takes_codes=True, preprocessing_known=False)
    return program, random.integers(*((-128, 128) if signed else (0, 256)), (40, 8, 8, 3)).astype(kind)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_programs_that_were_quantised_elsewhere(seed, signed, tmp_path):
    program, codes = quantised(np.random.default_rng(seed), signed)
    ran = check_beside_runtime(program, np.moveaxis(codes, -1, 1), tmp_path / "made.onnx")
    assert {"QLinearConv", "QLinearAdd", "QLinearGlobalAveragePool", "MaxPool"} <= set(ran)


MLPERF = 0.08385830372571945, 0.21724364161491394, 0.1270691454410553  # of the last sum of its ResNet


@pytest.mark.parametrize("scales", [(0.05, 0.043, 0.07), (0.1, 0.1, 0.2), (0.11, 0.013, 0.09), MLPERF])
def test_all_sums_of_two_signed_codes(scales, tmp_path):
    zeros = (38, -2, -128) if scales == MLPERF else (-9, 23, -128)
    first, second, output = (FixedFormat(8, True, scale, zero) for scale, zero in zip(scales, zeros, strict=True))
    moves = {"twin": None, "output": first, "target": (1, 16, 16)}
    about = {"twin": None, "rule": "ort", "output": second}
    layers = (
        IntegerMove(name="a", inputs=("input",), steps=(Take(0, np.array([0])),), **moves),
        IntegerMove(name="b", inputs=("input",), steps=(Take(0, np.array([1])),), **moves),
        IntegerRescale(name="c", inputs=("b",), bias=np.array([-second.zero_point]), scale=np.ones(1), **about),
        IntegerRescaledAdd(
            name="sum", inputs=("a", "c"), twin=None, first=first, second=second, rule="ort", output=output, low=-120
        ),
        IntegerAveragePool(
            name="mean", inputs=("sum",), twin=None, output=output, source=output, gain=1.0, multiplier_bits=16,
            rounding="half-even", rule="ort", operator="reduction",
        ),
        IntegerMove(name="flat", inputs=("mean",), twin=None, output=output),
    )  # fmt: skip
    given = {"name": "sums", "input_shape": (2, 16, 16), "mean": (0.0,), "std": (1.0,), "rounding": "half-even"}
    program = Program(**given, input=first, layers=layers, takes_codes=True, preprocessing_known=False)
    codes = np.arange(-128, 128).astype(np.int8)
    pairs = np.stack([np.repeat(codes, 256), np.tile(codes, 256)]).reshape(2, 256, 16, 16).swapaxes(0, 1)
    check_beside_runtime(program, np.ascontiguousarray(pairs), tmp_path / "made.onnx", most_parted=1e-3)


@pytest.mark.parametrize("zero", [-128, -121, 0])
@pytest.mark.parametrize("size", [8, 3])
def test_a_pool_over_the_whole_image_is_the_global_one(size, zero, tmp_path):
    """Of codes of one scale, where means often lie halfway between two."""
    form = FixedFormat(8, True, float(np.float32(0.1271)), zero)
    mean = {"gain": 1.0, "multiplier_bits": 16, "rounding": "half-even", "rule": "ort", "source": form, "output": form}
    layers = (
        IntegerAveragePool(name="mean", inputs=("input",), twin=None, kernel=(size, size), **mean),
        IntegerMove(name="flat", inputs=("mean",), twin=None, output=form),
    )
    given = {"name": "means", "input_shape": (64, size, size), "mean": (0.0,), "std": (1.0,), "rounding": "half-even"}
    program = Program(**given, input=form, layers=layers, takes_codes=True, preprocessing_known=False)
    codes = np.random.default_rng(size).integers(-128, 128, (40, 64, size, size)).astype(np.int8)
    check_beside_runtime(program, codes, tmp_path / "made.onnx")


def test_scores_are_reals(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    program, codes = quantised(np.random.default_rng(0), True)
    written = addersim.export_onnx(program, tmp_path / "made.onnx")
    codes = np.moveaxis(codes, -1, 1)
    session = runtime.InferenceSession(tmp_path / "made.onnx", providers=["CPUExecutionProvider"])
    scores = session.run(None, {"input": codes})[0]
    np.testing.assert_allclose(scores, written.layers[-1].output.decode(written.run(codes)), rtol=1e-6)


@pytest.mark.parametrize("arithmetic", ["ternary", "shift", "apot"])
def test_weights_of_few_values_are_weights(arithmetic, tmp_path):
    network = residual(arithmetic=arithmetic)
    given = images(network)
    ran = check_beside_runtime(addersim.quantize(network, given), given, tmp_path / "made.onnx")
    assert ran.count("QLinearConv") >= 3


@pytest.mark.parametrize("make", [residual, signed])
def test_signs_that_are_compared_are_products_of_codes_of_one_bit(make, tmp_path):
    """Signs of wider codes and of sums, in the padding too."""
    network = make(arithmetic="xnor")
    given = images(network)
    program = addersim.quantize(network, given)
    assert (1 in {value.bits for value in program.static_values().values()}) == (make is signed)
    ran = check_beside_runtime(program, given, tmp_path / "made.onnx")
    assert ran.count("QLinearConv") >= 3


def test_signs_are_read_back(tmp_path):
    network = signed()
    given = images(network)
    written = addersim.export_onnx(addersim.quantize(network, given), tmp_path / "made.onnx")
    np.testing.assert_array_equal(addersim.load(str(tmp_path / "made.onnx")).run(given), written.run(given))


def stepped(signs, levels=1, first=-1, zero_point=0):
    """A window whose sums are compared with one threshold a channel, and a linear end."""
    random = np.random.default_rng(levels)
    given, code = FixedFormat(8, scale=0.05, zero_point=3), FixedFormat(2, scale=0.5, zero_point=zero_point)
    about = {"twin": None, "datapath": "mac", "weight_format": FixedFormat(8), "accumulator": Accumulator()}
    weights, scores = (random.integers(-9, 10, shape).astype(np.int8) for shape in ((4, 3, 3, 2), (3, 1, 1, 4)))
    rows = np.repeat(random.integers(-40, 40, (1, 4)), levels, axis=0)
    layers = (
        IntegerWindow(name="sums", inputs=("input",), weights=weights, input_format=given, padding=(1, 1), **about),
        IntegerThresholds(
            name="steps", inputs=("sums",), twin=None, thresholds=rows, signs=np.int8(signs), first=first, output=code
        ),
        IntegerMaxPool(name="most", inputs=("steps",), twin=None, output=code, kernel=(6, 5)),
        IntegerMove(name="flat", inputs=("most",), twin=None, output=code),
        IntegerWindow(name="scores.sums", inputs=("flat",), weights=scores, input_format=code, **about),
        IntegerRescale(
            name="scores", inputs=("scores.sums",), twin=None, bias=np.arange(3), scale=np.full(3, 0.7), rule="ort",
            output=FixedFormat(8),
        ),
    )  # fmt: skip
    about = {"name": "stepped", "input_shape": (2, 6, 5), "mean": (0.0,), "std": (1.0,), "rounding": "half-even"}
    program = Program(**about, input=given, layers=layers, takes_codes=True, preprocessing_known=False)
    return program, random.integers(-1, 8, (200, 2, 6, 5)).astype(np.int8)  # sums next to the thresholds


STEPS = pytest.mark.parametrize(
    ("levels", "first", "zero_point"), [(1, -1, 0), (1, -2, 1), (2, -2, 0), (2, -1, 1), (3, -2, 1)]
)


@STEPS
def test_steps_are_read_back(levels, first, zero_point, tmp_path):
    program, codes = stepped((1, -1, 1, -1), levels, first, zero_point)
    written = addersim.export_onnx(program, tmp_path / "made.onnx")
    again = dict(addersim.load(str(tmp_path / "made.onnx")).runs(codes))
    expected = dict(written.runs(codes))
    assert len(np.unique(expected["steps"].values)) == 2
    held = again["steps"].values.astype(int) - 128  # as the file has them
    np.testing.assert_array_equal(held, expected["steps"].values)


@STEPS
@pytest.mark.parametrize("signs", [(1, 1, 1, 1), (1, -1, 1, -1)])
def test_one_threshold_a_channel_is_a_step(signs, levels, first, zero_point, tmp_path):
    program, codes = stepped(signs, levels, first, zero_point)
    check_beside_runtime(program, codes, tmp_path / "made.onnx")


def test_several_thresholds_are_refused(tmp_path):
    program, _ = stepped((1, 1, 1, 1), 2, -2)
    place = next(i for i, one in enumerate(program.layers) if one.name == "steps")
    layer = program.layers[place]
    for changed, told in (
        ({"thresholds": layer.thresholds + np.arange(2)[:, None]}, "layer steps: 2 thresholds a channel; ONNX QDQ has one"),
        ({"first": -1}, "layer steps: codes -1 and 1 in fx2.1; ONNX QDQ has whole steps from zero"),
    ):
        layers = (*program.layers[:place], replace(layer, **changed), *program.layers[place + 1 :])
        with pytest.raises(NetworkError, match=f"^{told}"):
            addersim.export_onnx(replace(program, layers=layers), tmp_path / "made.onnx")


def test_a_softmax_at_the_end_is_left_out(tmp_path):
    """And said so; of the scores before it every code is there."""
    scored, codes = quantised(np.random.default_rng(0), True)
    shares = FixedFormat(8, scale=2**-8, zero_point=-128)
    last = IntegerRuleSoftmax(name="shares", inputs=("dense",), twin=None, source=scored.layers[-1].output, output=shares)
    program = replace(scored, layers=(*scored.layers, last))
    written = addersim.export_onnx(program, tmp_path / "made.onnx")
    assert [layer.name for layer in written.layers] == [layer.name for layer in scored.layers]
    assert written.metadata["left out"] == "behind the scores, whose order it keeps: Softmax"
    check_beside_runtime(scored, np.moveaxis(codes, -1, 1), tmp_path / "scored.onnx")
    assert (tmp_path / "made.onnx").read_bytes() == (tmp_path / "scored.onnx").read_bytes()
    program.save(tmp_path / "scored.npz")
    done = call("export", tmp_path / "scored.npz", "-o", tmp_path / "told.onnx")
    assert done.returncode == 0, done.stderr
    assert "left out" in done.stdout
    assert "whose order it keeps: Softmax" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("arithmetic", "how", "told"),
    [
        ("l1", {}, "layer first: datapath l1-2a; ONNX QDQ has sums of exact products only"),
        (
            "mac",
            {"accumulator": Accumulator(12, "saturate")},
            "register saturates at 12 bits; ONNX QDQ has exact sums only",
        ),
        ("mac", {"accumulator": Accumulator(12, "wrap")}, "register wraps at 12 bits; ONNX QDQ has exact sums only"),
        ("mac", {"activation_bits": 12}, "ONNX QDQ holds codes of at most 8 bits"),
    ],
)
def test_what_onnx_cannot_say(arithmetic, how, told, tmp_path):
    network = residual(arithmetic=arithmetic)
    program = addersim.quantize(network, images(network), addersim.Quantization(**how))
    with pytest.raises(NetworkError, match="^layer ") as refusal:
        addersim.export_onnx(program, tmp_path / "made.onnx")
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_only_programs_and_known_styles(tmp_path):
    network = residual(arithmetic="mac")
    with pytest.raises(KindError, match=r"export_onnx: program: found Network, needs Program; addersim.quantize"):
        addersim.export_onnx(network, tmp_path / "made.onnx")
    program = addersim.quantize(network, images(network))
    with pytest.raises(NetworkError, match=r"^ONNX style 'qoperator' is not one of qdq, qonnx$"):
        addersim.export_onnx(program, tmp_path / "made.onnx", style="qoperator")


def test_command(tmp_path):
    network = residual(arithmetic="mac")
    addersim.quantize(network, images(network)).save(tmp_path / "made.npz")
    found = call("export", tmp_path / "made.npz", "--onnx", "qdq", "-o", tmp_path / "made.onnx")
    assert found.returncode == 0
    assert "calibration           as saved" in found.stdout
    onnx.checker.check_model(onnx.load(tmp_path / "made.onnx"), full_check=True)
    told = refused("export", "lenet5-conv", "--onnx", "nnef", "-o", tmp_path / "other.onnx")
    assert told == "ONNX style 'nnef' is not one of qdq, qonnx"
    told = refused("export", "lenet5-adder", "-o", tmp_path / "other.onnx")
    assert told == "layer conv1: datapath l1-2a; ONNX QDQ has sums of exact products only"
    assert not (tmp_path / "other.onnx").exists()

"""Programs written as QONNX, beside package qonnx's own run of the files, layer by layer, where installed; and read back."""

import numpy as np
import pytest

import addersim
from addersim.errors import NetworkError
from addersim.layers import IntegerWindow
from tests.agreement.test_onnx_export import SETTINGS, first, quantised, stepped
from tests.command_line import call
from tests.unit.networks import images, residual, signed

onnx = pytest.importorskip("onnx")


def own_run(path, given):
    """What qonnx gives for every tensor."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    model = onnx.load(path)
    onnx.checker.check_model(model)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = len(given)
    return execute_onnx(ModelWrapper(model).transform(InferShapes()), {"input": given}, return_full_exec_context=True)


def reals_of(program, pixels):
    return program.input.decode(first(program.encode(pixels))).astype(np.float32)


def check_beside_qonnx(program, pixels, path, share=1e-5):
    """Codes of every layer of at most 8 bits are qonnx's, but for sums in float32 next to a tie: by one, rarely."""
    pytest.importorskip("qonnx")
    written = addersim.export_onnx(program, path, style="qonnx")
    found = own_run(path, reals_of(program, pixels))
    values, apart = written.static_values(), []
    sums = {one.name for one in written.layers if isinstance(one, IntegerWindow)}
    for name, run in written.runs(pixels):
        if name not in {"input", *sums} and values[name].bits <= 8:
            steps = found[name].astype(np.float64) / values[name].scale
            codes = np.rint(steps) + values[name].zero_point if values[name].bits > 1 else (steps - 1) / 2
            apart.append(np.abs(codes - first(run.values)).ravel())
    differences = np.concatenate(apart)
    assert differences.max() <= 1
    assert np.count_nonzero(differences) <= share * differences.size


@pytest.mark.parametrize("setting", SETTINGS)
def test_networks_of_ours(setting, tmp_path):
    network = residual(arithmetic="mac")
    given = images(network)
    check_beside_qonnx(
        addersim.quantize(network, given, addersim.Quantization(**SETTINGS[setting])), given, tmp_path / "made.onnx"
    )


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_programs_that_were_quantised_elsewhere(seed, signed, tmp_path):
    program, codes = quantised(np.random.default_rng(seed), signed)
    check_beside_qonnx(program, np.moveaxis(codes, -1, 1), tmp_path / "made.onnx")


def test_a_bundled_network(tmp_path):
    network = addersim.load_network("lenet5-conv")
    pixels = addersim.load_images("fashion-mnist-2000", limit=200).pixels
    check_beside_qonnx(addersim.quantize(network, pixels), pixels, tmp_path / "made.onnx", share=1e-4)


@pytest.mark.parametrize("make", [residual, signed])
def test_signs_that_are_compared(make, tmp_path):
    """Weights stand behind BipolarQuant, and so do signs."""
    network = make(arithmetic="xnor")
    given = images(network)
    check_beside_qonnx(addersim.quantize(network, given), given, tmp_path / "made.onnx")
    operators = [node.op_type for node in onnx.load(tmp_path / "made.onnx").graph.node]
    assert operators.count("BipolarQuant") >= 6


@pytest.mark.parametrize("signs", [(1, 1, 1, 1), (1, -1, 1, -1)])
def test_one_threshold_a_channel(signs, tmp_path):
    program, codes = stepped(signs)
    check_beside_qonnx(program, codes, tmp_path / "made.onnx")


def test_signs_stand_behind_bipolar_quant_and_files_are_read_back(tmp_path):
    """lenet5-conv with weights of -1 and +1 in its second layer: our reader gets the same classes from the file."""
    network = addersim.load_network("lenet5-conv")
    pixels = addersim.load_images("fashion-mnist-2000", limit=50).pixels
    program = addersim.quantize(network, pixels, addersim.Quantization(power_of_two=True))
    place = next(i for i, one in enumerate(program.layers) if i and isinstance(one, IntegerWindow))
    layer = program.layers[place]
    signs = np.where(layer.weights >= 0, 1, -1).astype(layer.weights.dtype)
    layers = (*program.layers[:place], layer.__class__(**{
        name: signs if name == "weights" else getattr(layer, name) for name in layer.__struct_fields__
    }), *program.layers[place + 1 :])  # fmt: skip
    program = addersim.Program(**{
        name: layers if name == "layers" else getattr(program, name)
        for name in program.__struct_fields__ if name != "metadata"
    })  # fmt: skip
    written = addersim.export_onnx(program, tmp_path / "made.onnx", style="qonnx")
    operators = [node.op_type for node in onnx.load(tmp_path / "made.onnx").graph.node]
    assert operators.count("BipolarQuant") == 1
    assert operators.count("Quant") > 4
    again = addersim.load(str(tmp_path / "made.onnx"))
    np.testing.assert_array_equal(again.run(reals_of(program, pixels)), written.run(pixels))


def test_command_and_refusals(tmp_path):
    found = call("export", "lenet5-conv", "--onnx", "qonnx", "-o", tmp_path / "made.onnx", "--json")
    assert found.returncode == 0, found.stderr
    assert '"style": "qonnx"' in found.stdout
    network = residual(arithmetic="l1")
    with pytest.raises(NetworkError, match=r"datapath l1-2a; QONNX has sums of exact products only"):
        addersim.export_onnx(addersim.quantize(network, images(network)), tmp_path / "other.onnx", style="qonnx")
    assert not (tmp_path / "other.onnx").exists()

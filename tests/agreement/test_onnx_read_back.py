"""Programs written as ONNX in either style, read back by our own reader: the same codes in every layer."""

import json

import numpy as np
import pytest

import addersim
from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import LoweringError
from addersim.layers import IntegerRescaledAdd, IntegerTable, IntegerWindow
from tests.agreement.test_onnx_export import SETTINGS, first, quantised
from tests.command_line import call
from tests.unit.networks import images, residual

onnx = pytest.importorskip("onnx")
from addersim.frontends.onnx.lower import lower_onnx  # noqa: E402

STYLES = ("qdq", "qonnx")


def values_of(program, given):
    """Real values of all codes, by layer; sums are none."""
    forms = {name: value for name, value in program.static_values().items() if not value.is_sum}
    found = {}
    for name, run in program.runs(given):
        if name != "input" and name in forms:
            form = forms[name]
            found[name] = (first(run.values).astype(np.int64) - form.zero_point) * np.float32(form.scale)
    return found


def check_read_back(program, pixels, path, style):
    """The reader's program, whose layers have the same values as those of the same name that were written."""
    written = addersim.export_onnx(program, path, style=style)
    again = addersim.load(str(path))
    assert (again.mean, again.std, again.classes) == (written.mean, written.std, written.classes)
    given = pixels
    if again.takes_codes and style == "qonnx":  # whose images are reals
        given = program.input.decode(first(program.encode(pixels))).astype(np.float32)
    expected, found = values_of(written, pixels), values_of(again, given)
    both = expected.keys() & found.keys()
    assert len(both) >= 0.3 * len(expected)  # dense layers have the names of their one pixel
    for name in both:
        np.testing.assert_array_equal(found[name], expected[name], name)
    ends = [list(one.values())[-1] for one in (expected, found)]
    np.testing.assert_array_equal(*ends)
    assert len(np.unique(ends[0])) > 8
    return again


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_networks_of_ours(setting, style, tmp_path):
    network = residual(arithmetic="mac")
    given = images(network)
    program = addersim.quantize(network, given, addersim.Quantization(**SETTINGS[setting]))
    again = check_read_back(program, given, tmp_path / "made.onnx", style)
    assert {layer.kind() for layer in again.layers if isinstance(layer, IntegerWindow)} == {"window"}
    assert "thresholds" not in {layer.kind() for layer in again.layers}  # a bias of whole steps is one


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_programs_that_were_quantised_elsewhere(seed, signed, style, tmp_path):
    program, codes = quantised(np.random.default_rng(seed), signed)
    again = check_read_back(program, np.moveaxis(codes, -1, 1), tmp_path / "made.onnx", style)
    assert any(isinstance(layer, IntegerTable) for layer in again.layers)


@pytest.mark.parametrize("style", STYLES)
def test_a_bundled_network(style, tmp_path):
    network = addersim.load_network("lenet5-conv")
    pixels = addersim.load_images("fashion-mnist-2000", limit=200).pixels
    program = addersim.quantize(network, pixels)
    again = check_read_back(program, pixels, tmp_path / "made.onnx", style)
    assert again.layers[-1].output.bits == program.layers[-1].output.bits == 16


@pytest.mark.parametrize("style", STYLES)
def test_wide_codes_of_a_sum_and_of_a_table(style, tmp_path):
    """Scores of 12 bits, which Round and Clip make of a sum of codes of several scales."""
    narrow, wide = FixedFormat(8, True, 0.037), FixedFormat(12, True, 0.0031)
    given, codes = FixedFormat(8, True, 0.05), np.random.default_rng(0).integers(-128, 128, (256, 1)).astype(np.int8)
    layers = (
        IntegerTable(name="bent", inputs=("input",), twin=None, function="any", source=given, output=narrow, codes=codes),
        IntegerRescaledAdd(
            name="scores", inputs=("input", "bent"), twin=None, first=given, second=narrow, rule="ort", output=wide,
            low=-1500, high=1900,
        ),
    )  # fmt: skip
    about = {"input_shape": (2, 3, 3), "mean": (0.0,), "std": (1.0,), "rounding": "half-even", "preprocessing_known": False}
    program = addersim.Program(name="wide", input=given, layers=layers, takes_codes=True, **about)
    images = np.random.default_rng(1).integers(-128, 128, (20, 2, 3, 3)).astype(np.int8)
    again = check_read_back(program, images, tmp_path / "made.onnx", style)
    assert (again.layers[-1].output.bits, again.layers[-1].low, again.layers[-1].high) == (12, *(-1500, 1900))


def test_the_command_line_goes_round(tmp_path):
    made = tmp_path / "made.onnx"
    assert call("export", "lenet5-conv", "--onnx", "qdq", "-o", made).returncode == 0
    found = call("simulate", made, "--limit", 100, "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["accuracy"] > 0.85


def test_notes_of_files_of_others_are_theirs(tmp_path):
    made = tmp_path / "made.onnx"
    program = addersim.quantize(
        addersim.load_network("lenet5-conv"), addersim.load_images("fashion-mnist-2000", limit=20).pixels
    )
    addersim.export_onnx(program, made)
    model = onnx.load(made)
    next(one for one in model.metadata_props if one.key == "mean").value = "72.9, a half"
    onnx.save(model, made)
    with pytest.raises(LoweringError, match=r"metadata mean: '72.9, a half'; expected numbers with commas between them$"):
        addersim.load(made)
    model.producer_name = "another"
    onnx.save(model, made)
    other = addersim.load(made)
    assert (other.takes_codes, other.classes) == (True, ())
    said = lower_onnx(made, mean=[0.5], std=[0.25], classes=program.classes)
    assert (said.takes_codes, said.mean, said.std, said.classes) == (False, (0.5,), (0.25,), program.classes)

"""Every layer kind of `branches`: quantised, run on both engines in any batches, counted, priced, saved and loaded."""

import numpy as np
import pytest

from addersim import Quantization, count, estimate, kernels, quantize, simulate
from addersim.kernels import reference
from addersim.network import Network
from addersim.program import Program
from tests.unit.networks import branches, images

NETWORK = branches()
PIXELS = images(NETWORK, 24)
RULES = {
    "8 bits": Quantization(),
    "4 bits": Quantization(weight_bits=4, activation_bits=4),
    "16 bits": Quantization(weight_bits=16, activation_bits=16),
    "narrow multipliers": Quantization(multiplier_bits=10, rounding="half-up"),
    "wide multipliers": Quantization(multiplier_bits=32, rounding="truncate", power_of_two=True),
    "wrap": Quantization(overflow="wrap", calibration="percentile"),
    "output": Quantization(calibration="output", weight_rounding="output"),
}
PROGRAMS = {name: quantize(NETWORK, PIXELS, how) for name, how in RULES.items()}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=list(PROGRAMS))
def test_engines_batches_threads_and_pipelines_change_no_code(program):
    expected = {name: run.values for name, run in program.runs(PIXELS, reference)}
    for name, run in program.runs(PIXELS, threads=2):
        assert run.values.dtype == expected[name].dtype, name
        np.testing.assert_array_equal(run.values, expected[name], err_msg=name)
    for stream in (False, True):
        parts = [dict(program.runs(PIXELS[place : place + 5], kernels, 1, stream)) for place in range(0, 24, 5)]
        for name in parts[0]:
            if parts[0][name].values is not None:
                joined = np.concatenate([part[name].values for part in parts])
                np.testing.assert_array_equal(joined, expected[name], err_msg=name)


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=list(PROGRAMS))
def test_codes_have_the_shape_and_lie_in_the_format_that_is_told(program):
    values, shapes = program.static_values(), NETWORK.shapes()
    for name, run in program.runs(PIXELS):
        value = values[name]
        shape = value.shape if len(value.shape) == 1 else (*value.shape[1:], value.shape[0])
        assert run.values.shape == (24, *shape), name
        if name in shapes:
            assert value.shape == shapes[name]
        if not value.is_sum:
            ends = (-(1 << (value.bits - 1)), (1 << (value.bits - 1)) - 1) if value.signed else (0, (1 << value.bits) - 1)
            assert ends[0] <= run.values.min() <= run.values.max() <= ends[1], name


@pytest.mark.parametrize(("name", "worst"), [("8 bits", 0.08), ("16 bits", 0.002), ("wide multipliers", 0.15)])
def test_codes_stay_near_the_float_network(name, worst):
    found = simulate(PROGRAMS[name], PIXELS, None, NETWORK)
    assert {error.name for error in found.errors} >= {layer.name for layer in NETWORK.layers if layer.kind() != "window"} - {
        layer.inputs[0] for layer in NETWORK.layers if layer.kind() == "relu"
    }
    for error in found.errors:
        assert error.relative_error < worst, error


@pytest.mark.parametrize("how", [Quantization(), Quantization(activation_bits=16), Quantization(power_of_two=True)])
def test_without_images_it_is_counted_and_priced_all_the_same(how):
    bare, program = (count(quantize(NETWORK, given, how)) for given in (None, PIXELS))
    for one, other in zip(bare.layers, program.layers, strict=True):
        assert (one.kind, one.inputs, one.output, one.fused) == (other.kind, other.inputs, other.output, other.fused)
    for trace in (bare, program):
        assert estimate(trace, "systolic-16x16", "horowitz-45nm").energy_pj > 0


def test_both_forms_are_saved_and_loaded(tmp_path):
    NETWORK.save(tmp_path / "network.npz")
    loaded = Network.load(tmp_path / "network.npz")
    assert str(loaded) == str(NETWORK)
    np.testing.assert_array_equal(loaded.run(PIXELS), NETWORK.run(PIXELS))
    for program in PROGRAMS.values():
        program.save(tmp_path / "program.npz")
        again = Program.load(tmp_path / "program.npz")
        assert str(again) == str(program)
        np.testing.assert_array_equal(again.run(PIXELS), program.run(PIXELS))
        assert count(again).operations == count(program).operations

"""A program's codes as tensors, the way that a GPU computes them, are the simulator's: here on the CPU."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from addersim import kernels  # noqa: E402
from addersim.arithmetic.arithmetics import ARITHMETICS  # noqa: E402
from addersim.arithmetic.fixed import Accumulator  # noqa: E402
from addersim.layers import IntegerWindow  # noqa: E402
from addersim.quantization.pipeline import quantize  # noqa: E402
from addersim.quantization.rules import Quantization  # noqa: E402
from addersim.train.qat.integers import TENSOR_FORMS  # noqa: E402
from tests.unit import networks  # noqa: E402


def kinds_compared(program, images):
    """Kinds of the layers that tensors compute, each with codes and type of the simulator's; those that they leave to it."""
    values, done, left = dict(program.runs(images, kernels)), set(), set()
    for layer in program.layers:
        codes = [torch.from_numpy(values[name].values) for name in layer.inputs]
        rule = TENSOR_FORMS.get(type(layer))
        found = rule(layer, *codes) if rule else None
        if found is None:
            left.add(layer.kind())
            continue
        wanted = values[layer.name].values
        np.testing.assert_array_equal(found.numpy(), wanted, err_msg=layer.name)
        assert found.numpy().dtype == wanted.dtype, layer.name
        done.add(layer.kind())
    return done, left


@pytest.mark.parametrize("bits", [2, 8])
@pytest.mark.parametrize("make", [networks.residual, networks.uneven], ids=lambda one: one.__name__)
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_codes_of_every_arithmetic(arithmetic, make, bits):
    network = make(arithmetic=arithmetic)
    images = networks.images(network, 6)
    wide = max(bits, ARITHMETICS[arithmetic].codec.fewest)
    how = Quantization(weight_bits=wide, activation_bits=bits)
    done, _ = kinds_compared(quantize(network, images, how), images)
    assert {"window", "affine"} <= done


@pytest.mark.parametrize(
    "how",
    [
        Quantization(weight_bits=6, activation_bits=4),
        Quantization(overflow="wrap", rounding="truncate"),
        Quantization(rounding="half-up", weight_bits=4, activation_bits=4),
        Quantization(power_of_two=True, multiplier_bits=8, output_bits=8),
        Quantization(fold_batch_norm=False, per_channel=False, clip_weights=False),
    ],
)
@pytest.mark.parametrize(
    "network", [networks.residual(), networks.branches(), networks.deep(9, "residual")], ids=lambda one: one.name
)
def test_codes_under_all_rules_and_of_every_kind(network, how):
    images = networks.images(network, 6)
    done, _ = kinds_compared(quantize(network, images, how), images)
    assert {"window", "affine"} <= done


@pytest.mark.parametrize(
    "how", [Quantization(accumulator=Accumulator(8, "saturate")), Quantization(weight_bits=16, activation_bits=16)]
)
def test_sums_that_floats_would_round_and_registers_that_overflow_are_the_simulators(how):
    network = networks.residual(arithmetic="l1")
    images = networks.images(network, 3)
    program = quantize(network, images, how)
    windows = [layer for layer in program.layers if isinstance(layer, IntegerWindow)]
    codes = dict(program.runs(images, kernels))
    bits = [layer.bits_bound() for layer in windows]
    answers = [TENSOR_FORMS[IntegerWindow](layer, torch.from_numpy(codes[layer.inputs[0]].values)) for layer in windows]
    held = [
        how.accumulator.bits is None and wide <= (24 if layer.datapath == "l1" else 50)
        for layer, wide in zip(windows, bits, strict=True)
    ]
    assert [one is not None for one in answers] == held

"""Verbs in the wrong order, and values of another type: what to call first is told."""

import numpy as np
import pytest

import addersim

NETWORK = addersim.load_network("lenet5-adder")
PROGRAM = addersim.quantize(NETWORK, None)
PIXELS = np.zeros((2, 1, 28, 28), np.uint8)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: addersim.simulate(NETWORK, PIXELS), "simulate: program: found Network, needs Program; addersim."),
        (lambda: addersim.count(NETWORK), "count: program: found Network, needs Program; addersim.quantize("),
        (lambda: addersim.quantize("lenet5-adder", PIXELS), "quantize: network: found str, needs Network; addersim.load("),
        (
            lambda: addersim.quantize(NETWORK, PIXELS, 6),
            "quantize: how: found int, needs Quantization; such as addersim.",
        ),
        (lambda: addersim.estimate(PROGRAM, "systolic-16x16"), "estimate: trace: found Program, needs Trace; addersim.count("),
        (lambda: addersim.estimate_area(PROGRAM, "systolic-16x16"), "estimate_area: trace: found Program, needs Trace"),
        (lambda: addersim.evaluate(NETWORK, "systolic-16x16"), "evaluate: trace: found Network, needs Trace"),
        (lambda: addersim.compare([PROGRAM]), "compare: results: found Program, needs Result; addersim.evaluate("),
    ],
)
def test_what_makes_the_needed_value_is_told(call, told):
    with pytest.raises(TypeError) as error:
        call()
    assert isinstance(error.value, addersim.AddersimError)
    assert str(error.value).startswith(told)


def test_loaded_images_are_what_the_verbs_take():
    images = addersim.load_images("fashion-mnist-2000", limit=60)
    assert isinstance(images, addersim.Images)
    program = addersim.quantize(NETWORK, images)
    plain = addersim.quantize(NETWORK, images.pixels)
    found = addersim.simulate(program, images)
    assert found.accuracy == addersim.simulate(plain, images.pixels, images.labels).accuracy
    assert addersim.simulate(program, images, np.zeros(60, np.int64)).accuracy != found.accuracy
    unlabelled = addersim.Images("mine", images.pixels, None, ())
    assert addersim.simulate(program, unlabelled).accuracy is None

"""Verbs in the wrong order, and values of another type: what to call first is told."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

import addersim

NETWORK = addersim.load_network("lenet5-adder")
PROGRAM = addersim.quantize(NETWORK, None)
PIXELS = np.zeros((2, 1, 28, 28), np.uint8)


FLOWING = ("Network", "Program", "Trace", "Topology", "Result")
TAKERS = {
    name: parameters
    for name in addersim.__all__
    if inspect.isfunction(function := getattr(addersim, name))
    and (parameters := list(inspect.signature(function).parameters.values()))[:1]
    and parameters[0].annotation in (*FLOWING, "Sequence[Result]")
}


@pytest.mark.parametrize("verb", TAKERS)
def test_every_verb_says_what_makes_its_first_argument(verb):
    """Whatever else is wrong, too: nothing is done with the other arguments before."""
    others = [None for one in TAKERS[verb][1:] if one.kind is one.POSITIONAL_OR_KEYWORD and one.default is one.empty]
    named = {one.name: None for one in TAKERS[verb] if one.kind is one.KEYWORD_ONLY and one.default is one.empty}
    with pytest.raises(
        addersim.AddersimError, match=rf"^({verb}|compare): \w+: found object, needs (a )?\w+; .*(addersim\.|evaluate\()"
    ):
        getattr(addersim, verb)(object(), *others, **named)


@pytest.mark.parametrize("verb", ["estimate", "estimate_area", "evaluate"])
def test_accelerators_and_tables_are_names_or_files(verb):
    trace = addersim.count(PROGRAM)
    with pytest.raises(addersim.AddersimError, match="^accelerator: found int, needs a name or the path of a file$"):
        getattr(addersim, verb)(trace, 7)
    with pytest.raises(addersim.AddersimError, match="^energy table: found int, needs a name or the path of a file$"):
        getattr(addersim, verb)(trace, "systolic-16x16", 7)


def test_a_public_name_that_is_nearly_right_is_told_by_python():
    script = "import addersim; addersim.load_acelerator"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "Did you mean: 'load_accelerator'?" in found.stderr


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

"""Options of quantisation are refused where a program, which has its formats, would leave them unused."""

import pytest

from addersim import load_network, quantize
from tests.unit.cli.test_cli import refused


@pytest.mark.parametrize(
    "verb",
    [
        *((one,) for one in ("simulate", "prove", "count", "estimate", "compare", "report", "compare-rounding")),
        ("export", "--onnx", "qdq", "-o", "out.onnx"),
        ("designs", "--vary", "array.rows=8,16"),
    ],
)
@pytest.mark.parametrize("options", [("--bits", "4"), ("--bits", "5")])
def test_a_program_takes_no_bits(tmp_path, verb, options):
    program = tmp_path / "program.npz"
    network = load_network("lenet5-conv")
    quantize(network, None).save(program)
    rules = ("tflite", "ort") if verb[0] == "compare-rounding" else ()
    assert "is quantised already, and keeps its formats" in refused(verb[0], str(program), *rules, *verb[1:], *options)

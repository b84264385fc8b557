"""What Verilator's lint says of the Verilog: nothing, with any parameters that a module takes."""

import re
import shutil
import subprocess
from itertools import product

import pytest

from addersim.rtl.elements import CIRCUITS, circuit_datapath
from addersim.rtl.sources import module_file, rtl_folder, verilog_files
from tests.unit.rtl import TOPS

pytestmark = pytest.mark.skipif(shutil.which("verilator") is None, reason="no verilator")

SETTINGS = [(), ("-GSATURATE=1", "-GINPUT_SIGNED=0"), ("-GWEIGHT_BITS=5",), ('-GDATAFLOW="weight"', "-GZERO_POINTS=1")]


def said(top, *settings):
    """What Verilator says of a module with some parameters."""
    command = ["verilator", "--lint-only", "-Wall", *settings, "--top-module", top, "-y", rtl_folder(), module_file(top)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def has(top, settings):
    """Whether a module has all of some parameters, and takes these values of them."""
    text = module_file(top).read_text()
    names = [one[2:].partition("=")[0] for one in settings]
    return all(re.search(rf"parameter {name}\b", text) for name in names) and not ("WEIGHT_BITS" in names and "ternary" in top)


@pytest.mark.parametrize(("top", "more"), [(top, more) for top in TOPS for more in SETTINGS if has(top, more)])
def test_verilator_finds_nothing_to_say(top, more):
    command = ["verilator", "--lint-only", "-Wall", *more, "--top-module", top, "-y", rtl_folder(), module_file(top)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


BITS = (2, 16)
OWN_BITS = {"significant": (26, 85), "round_even": (2, 85)}
"""Of modules inside others, which these alone use."""


def parameters(top):
    return re.findall(r"^\s*parameter (\w+)", module_file(top).read_text(), re.MULTILINE)


def widths(circuit):
    """Least and largest of inputs and weights: of a table a byte at most, of few-valued weights what their codec has."""
    codec = circuit_datapath(circuit).arithmetic.codec if circuit in CIRCUITS else None
    inputs = (1, 16) if circuit == "xnor" else (2, 8) if circuit.startswith("table") else BITS
    return inputs, inputs if codec is None or codec.uniform or circuit == "xnor" else (codec.fewest, codec.most)


def extremes(top):
    """Values of all parameters that say widths and signs, and of each other one that chooses."""
    names, kind = parameters(top), top.partition("_")[2]
    circuits = list(CIRCUITS) if "DATAPATH" in names else [kind if kind in CIRCUITS else ""]
    choices = [choice for choice in ("SATURATE", "ZERO_POINTS", "WRAP", "SUBTRACT") if choice in names]
    for circuit, end, signs, chosen in product(circuits, (0, 1), product((0, 1), repeat=2), (0, 1)):
        inputs, weights = widths(circuit)
        own = OWN_BITS.get(top, BITS)[end]
        values = {"INPUT_BITS": inputs[end], "WEIGHT_BITS": weights[end], "BITS": own, "FIRST_BITS": own, "SECOND_BITS": own}
        values |= {"OUTPUT_BITS": own, "LANES": inputs[end]}
        values |= {name: signs[name.startswith(("WEIGHT", "SECOND", "OUTPUT"))] for name in names if name.endswith("SIGNED")}
        values |= dict.fromkeys(choices, chosen)
        given = {f"-G{name}={values[name]}" for name in names if name in values}
        yield tuple(sorted(given | ({f'-GDATAPATH="{circuit}"'} if "DATAPATH" in names else set())))


@pytest.mark.slow
@pytest.mark.parametrize("top", [path.stem for path in verilog_files()])
def test_verilator_finds_nothing_to_say_at_the_ends_of_parameters(top):
    """Some hundred settings of arrays and layers, which have every datapath."""
    found = {settings: said(top, *settings) for settings in dict.fromkeys(extremes(top))}
    assert {settings: text for settings, text in found.items() if text} == {}

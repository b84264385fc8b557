"""Files that version 0.1.0 saved, before its modules moved into packages: they load, and their numbers are the same.

`saved_before` was written by commit 14fc5a3: `residual()` of the test networks, its 6-bit program calibrated on `images()`, a
sweep of the bundled adder LeNet at 4 and 8 bits on 20 images.
"""

import csv
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

import addersim
from addersim.exploration.sweeps.results import read_study
from addersim.hardware import load_accelerator
from addersim.network import Network
from addersim.program import Program
from tests.unit.networks import images, residual

SAVED = Path(__file__).with_name("saved_before")


def test_a_network_gives_the_same_scores():
    network = Network.load(SAVED / "network.npz")
    first = network.run(images(network)[:2])[:, :3]
    np.testing.assert_allclose(first, [[-1.1977354, 0.6378498, 1.024925], [-1.2421215, 0.5871712, 1.0619764]], rtol=1e-5)
    assert [layer.name for layer in network.layers] == [layer.name for layer in residual().layers]


def test_a_program_gives_the_same_codes():
    program = Program.load(SAVED / "program.npz")
    found = addersim.simulate(program, images(residual()), None, residual())
    last = found.trace.layers[-1].observed
    assert (last.minimum, last.maximum, last.overflowed, last.bits_needed) == (-32969, 24276, 1, 17)
    assert found.agreement == 1.0


def test_a_sweep_goes_on_in_its_folder_to_the_same_results_but_for_the_mended_calibration(tmp_path):
    """A sweep takes no results of other code: all are computed again. Calibration saw some channels alone in 0.1.0; 19 of
    20 images were right with its scales of 4 bits, 17 are with those of all channels (89.42 and 89.54 % of 10,000). A memory
    was one macro then and weights were fetched for every image; priced so, the same network takes the energy of before."""
    folder = tmp_path / "sweep"
    shutil.copytree(SAVED / "sweep", folder)
    with (SAVED / "sweep" / "results.csv").open() as file:
        before = list(csv.DictReader(file))
    study = read_study(folder)
    assert (study.networks, study.bits, study.images) == (("lenet5-adder",), (4, 8), 20)
    rows = addersim.sweep(study, folder).rows
    edge = load_accelerator("systolic-16x16")
    whole = msgspec.structs.replace(edge, buffers=msgspec.structs.replace(edge.buffers, monolithic=True, keep_weights=False))
    for row, old in zip(rows, before, strict=True):
        rules = addersim.Quantization(weight_bits=row["weight_bits"], activation_bits=row["activation_bits"])
        trace = addersim.count(addersim.quantize(addersim.load_network("lenet5-adder"), None, rules))
        assert addersim.estimate(trace, whole).energy_pj == pytest.approx(float(old["energy_pj"]), rel=1e-12)
        assert row["energy_pj"] == pytest.approx(addersim.estimate(trace, edge).energy_pj, rel=1e-12)
        assert float(old["accuracy"]) == 0.95
        assert row["accuracy"] == {4: 0.85, 8: 0.95}[row["weight_bits"]]
        assert row["accumulator_bits_needed"] == int(old["accumulator_bits_needed"])

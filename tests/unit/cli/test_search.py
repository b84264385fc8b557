"""addersim search: what it writes is what simulate takes, and how it refuses."""

import pytest

from tests.command_line import refused
from tests.unit.cli.test_cli import document, run

SMALL = ("--images", 40, "--bits", "4,8", "--trials", 3)


def test_what_a_search_writes_is_what_simulate_takes(tmp_path):
    found = document("search", "lenet5-adder", "--out", tmp_path, "--floor", 20, *SMALL)
    assert found["best"]["loss_points"] <= 20
    assert found["best"]["energy_pj"] < found["uniform"]["8"]["energy_pj"]
    assert [one["layer"] for one in found["layers"]] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    widths = {f"u{one['activation_bits']}*" for one in found["layers"]}
    simulated = document("simulate", "lenet5-adder", "--limit", 20, "--formats", tmp_path / "formats.toml")
    formats = [layer["output_format"] for layer in simulated["layers"] if layer["kind"] == "relu"]
    assert {one[:3] for one in formats} <= widths

    status, output, _ = run("search", "lenet5-adder", "--out", tmp_path, "--floor", 20, *SMALL)
    assert status == 0
    assert "formats.toml" in output
    assert "weight bits" in output
    assert "at most 20 points lost" in output
    assert "at most 1 point lost" in run("search", "lenet5-adder", "--out", tmp_path / "one", *SMALL)[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bits", "3,x"), "--bits '3,x': found 'x', needs a whole number in 2..16"),
        (("--bits", "8"), "bits: 8; a search needs at least two widths, rising"),
        (("--bits", "8,17"), "--bits '8,17': found 17, needs a whole number in 2..16"),
        (("--floor", "101"), "floor: 101 points; allowed are 0..100"),
        (("--trials", "0"), "--trials: found 0; needs a whole number in 1..100,000"),
        (("--accelerator", "tpu"), "'tpu': neither a bundled name"),
        (("--table", "mine"), "'mine': neither a bundled name"),
        (("--weight-rounding", "up"), "weight_rounding: found 'up', needs 'nearest' or 'output'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_options_are_refused_in_one_line(tmp_path, options, message):
    folder = tmp_path / "out"
    assert message in refused("search", "lenet5-adder", "--out", folder, "--images", 8, *options)
    assert not folder.exists()

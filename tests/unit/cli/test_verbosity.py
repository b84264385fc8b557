"""-q and -v anywhere on the line; Ctrl-C says what is kept; standard output is the same with either."""

import logging
from unittest import mock

import numpy as np
import pytest

import addersim
from addersim.cli import count, sweep
from tests.command_line import call


@pytest.mark.parametrize("place", [0, 1, 3])
def test_verbose_tells_what_is_read_and_changes_no_output(place):
    command = ["estimate", "lenet5-conv", "--bits", "4"]
    plain = call(*command)
    assert plain.stderr == ""
    command.insert(place, "-v")
    found = call(*(command if place != 3 else [*command[:3], *command[4:], "-v"]))
    assert found.stdout == plain.stdout
    lines = found.stderr.splitlines()
    assert all(line.startswith("addersim: ") for line in lines)
    for words in ("read as .npz", "accelerator systolic-16x16", "estimate: lenet5-conv on systolic-16x16"):
        assert any(words in line for line in lines), found.stderr
    assert logging.getLogger("addersim").handlers == []


def test_quiet_leaves_out_warnings_and_not_errors(tmp_path):
    np.save(tmp_path / "own.npy", addersim.load_images("fashion-mnist-2000", limit=20).pixels)
    path = tmp_path / "p.npz"
    assert call("simulate", "lenet5-conv", "--limit", 1, "--save-program", path).returncode == 0
    warned = mock.patch.object(count, "counted", side_effect=lambda *_, **__: addersim.count(addersim.Program.load(path)))
    with warned:
        assert call("count", "lenet5-conv", "-q").stderr == ""
    assert call("count", "lenet5-con", "--quiet").stderr.startswith("addersim: network 'lenet5-con'")


def test_warnings_go_through_the_logger(tmp_path):
    (tmp_path / "a.cfg").write_text(
        "[general]\nrun_name = a\n[architecture_presets]\nArrayHeight: 16\nArrayWidth: 16\nIfmapSramSzkB: 64\n"
        "FilterSramSzkB: 64\nOfmapSramSzkB: 64\nDataflow : os\n"
        "Bandwidth : 10\nTheirOwn: 3\n[run_presets]\nInterfaceBandwidth: CALC\n"
    )
    loud, quiet = (call("estimate", "lenet5-conv", "--accelerator", tmp_path / "a.cfg", *more) for more in ((), ("-q",)))
    assert loud.stderr.startswith("addersim: warning: ")
    assert quiet.stderr == ""
    assert loud.stdout == quiet.stdout


@pytest.mark.parametrize(
    ("verb", "module", "told"),
    [
        ("count", count, "addersim: count: stopped by Ctrl-C\n"),
        (
            "sweep",
            sweep,
            "addersim: sweep: stopped by Ctrl-C, what is finished is kept: the same command goes on from there\n",
        ),
    ],
)
def test_ctrl_c_says_what_is_kept(verb, module, told, tmp_path):
    with mock.patch.object(module.options, "quantization" if verb == "count" else "datapaths", side_effect=KeyboardInterrupt):
        inner = mock.patch.object(sweep, "grid_of", side_effect=KeyboardInterrupt)
        with inner:
            found = call(verb, "lenet5-conv")
    assert (found.returncode, found.stderr) == (130, told)


def test_an_accelerator_need_not_be_named():
    trace = addersim.count(addersim.quantize(addersim.load_network("lenet5-conv"), None))
    assert addersim.estimate(trace) == addersim.estimate(trace, "systolic-16x16")
    assert addersim.evaluate(trace).area == addersim.estimate_area(trace) == addersim.estimate_area(trace, "systolic-16x16")

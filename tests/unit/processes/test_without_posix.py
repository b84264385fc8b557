"""What Windows lacks is not asked for: a process in which those names are gone still reads, runs and writes."""

import subprocess
import sys

import pytest

HIDDEN = """
import os, signal, sys
sys.modules["fcntl"] = None
for module, names in ((os, ("O_NONBLOCK", "O_NOCTTY", "O_NOFOLLOW", "fork", "getuid")), (signal, ("SIGHUP", "SIGKILL"))):
    for name in names:
        delattr(module, name)
from addersim.cli import main
sys.argv = ["addersim", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize(
    ("words", "written"),
    [
        (("estimate", "lenet5-adder", "--csv", "layers.csv"), "layers.csv"),
        (("simulate", "lenet5-adder", "--limit", "5"), ""),
        (("report", "lenet5-adder", "--limit", "5", "--output", "page"), "page/index.html"),
        (("sweep", "lenet5-adder", "--bits", "8", "--images", "5", "--jobs", "1", "--output", "swept"), "swept/results.csv"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_verbs_run_without_what_windows_lacks(tmp_path, words, written):
    command = [sys.executable, "-c", HIDDEN, *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / written).exists()
    assert not list(tmp_path.rglob("*.unfinished"))

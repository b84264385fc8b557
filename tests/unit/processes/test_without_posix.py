"""What Windows lacks is not asked for: a process in which those names are gone still reads, runs and writes."""

import io
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from addersim.cli.streams import prepare_output
from addersim.processes import stopping, unfinished
from addersim.storage import write_atomically, write_rows

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


class Console(io.RawIOBase):
    """What stands behind standard output in a terminal of Windows: no file of bytes, and what it gets are letters."""

    def __init__(self):
        super().__init__()
        self.given = b""

    def writable(self):
        return True

    def isatty(self):
        return True

    def fileno(self):
        return 1

    def write(self, content):
        self.given += bytes(content)
        return len(content)


def test_a_terminal_that_takes_letters_keeps_its_stream(monkeypatch):
    console = Console()
    stream = io.TextIOWrapper(io.BufferedWriter(console), "utf-8", line_buffering=True)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "__stdout__", stream)
    prepare_output()
    assert sys.stdout is stream
    print("µJ, and a half of a letter: \ud800")
    assert console.given == "µJ, and a half of a letter: \\ud800\n".encode()


@pytest.mark.parametrize(("fault", "ended"), [(None, True), (87, True), (5, False)])
def test_a_worker_waits_for_its_parent_by_a_handle(monkeypatch, fault, ended):
    """On Windows a process has its parent's number for ever: 87 says that no process has it, 5 that it must not be asked."""
    calls = []

    def opened(access, inherited, number):
        calls.append(("open", access, inherited, number))
        if fault is not None:
            error = OSError(0, "refused")
            error.winerror = fault
            raise error
        return 77

    windows = SimpleNamespace(
        OpenProcess=opened,
        WaitForSingleObject=lambda handle, most: calls.append(("wait", handle, most)),
        CloseHandle=lambda handle: calls.append(("close", handle)),
        INFINITE=-1,
    )
    monkeypatch.setattr(stopping, "_winapi", windows)
    monkeypatch.setattr(os, "getppid", lambda: 1234)
    assert stopping._wait_for_end_of(1234) is ended
    assert calls == [("open", 0x100000, False, 1234), *([("wait", 77, -1), ("close", 77)] if fault is None else [])]


def test_lines_end_alike_everywhere(monkeypatch, tmp_path):
    """On Windows text would get ends of lines of its own, and files other bytes than elsewhere."""
    asked = []

    def opened(*given, **how):
        asked.append(how)
        return open(*given, **how)

    monkeypatch.setattr(unfinished, "open", opened, raising=False)
    write_rows(tmp_path / "rows.csv", [{"a": 1}])
    with write_atomically(tmp_path / "bytes") as stream:
        stream.write(b"1")
    assert asked == [{"encoding": "utf-8", "newline": "\n"}, {"encoding": None, "newline": None}]

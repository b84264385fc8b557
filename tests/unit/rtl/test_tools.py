"""How yosys is found and run, and what is said of Verilog that it refuses."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from addersim.errors import ConfigError
from addersim.rtl import tools
from addersim.rtl.sources import module_file, sources_text, verilog_files
from addersim.rtl.tools import RtlError, find_yosys, run_yosys, yosys_candidates
from tests.unit.rtl import TOPS

ROOT = Path(__file__).parents[3]
INSTALLED = yosys_candidates()
each_yosys = pytest.mark.parametrize("using", INSTALLED, ids=lambda one: one.name)
SUM = "module sum(input [3:0] a, input [3:0] b, output [4:0] y);\n  assign y = a + b;\nendmodule\n"


def without_tools(monkeypatch):
    monkeypatch.setattr(tools.shutil, "which", lambda name: None)
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)


def test_no_yosys_is_told(monkeypatch):
    without_tools(monkeypatch)
    with pytest.raises(ConfigError, match=r"^no yosys was found; pip install 'addersim\[gates\]' brings one$"):
        find_yosys()
    with pytest.raises(ConfigError, match=r"^no yosys with the headers of its CXXRTL runtime was found; pip install "):
        find_yosys(headers=True)


def test_no_compiler_is_told(monkeypatch):
    without_tools(monkeypatch)
    with pytest.raises(ConfigError, match=r"^no C\+\+ compiler was found \(CXX, g\+\+, c\+\+, clang\+\+\)"):
        tools.compiler()


def test_the_environment_chooses(monkeypatch):
    for one in INSTALLED:
        monkeypatch.setenv(tools.CHOICE, one.name)
        assert yosys_candidates() == (one,)
    monkeypatch.setenv(tools.CHOICE, "docker")
    with pytest.raises(ConfigError, match=r"^environment variable ADDERSIM_YOSYS: 'docker' is not one of system, wheel$"):
        yosys_candidates()


@each_yosys
def test_a_script_runs_in_a_folder(using, tmp_path):
    (tmp_path / "sum.v").write_text(SUM)
    run_yosys("read_verilog sum.v\nsynth -top sum\nwrite_verilog gates.v\n", tmp_path, using=using)
    assert "module sum(" in (tmp_path / "gates.v").read_text()


@each_yosys
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SUM.replace("a + b", "a +"), r"^yosys: sum\.v:2: ERROR: syntax error, unexpected ';'"),
        (SUM.replace("module sum", "module other"), r"^yosys: ERROR: Module `sum' not found!"),
    ],
)
def test_what_yosys_refuses_is_told_with_its_place(using, text, told, tmp_path):
    (tmp_path / "sum.v").write_text(text)
    with pytest.raises(RtlError, match=told):
        run_yosys("read_verilog sum.v\nhierarchy -check -top sum\n", tmp_path, using=using)


@each_yosys
def test_every_module_is_read_by_every_yosys(using, tmp_path):
    """All of them hold together: no port is missing, none is driven twice, nothing goes round."""
    for name, text in sources_text().items():
        (tmp_path / name).write_text(text)
    reads = f"read_verilog -defer {' '.join(sorted(sources_text()))}\ndesign -save read\n"
    checks = "".join(f"hierarchy -check -top {top}\nproc\nflatten\ncheck -assert\ndesign -load read\n" for top in TOPS)
    run_yosys(reads + checks, tmp_path, using=using)


def runs(*command, **limits):
    return tools.run_tool(command, Path.cwd(), "tool", **limits)


@pytest.mark.skipif(os.name != "posix", reason="signals and sessions of POSIX")
def test_a_tool_that_fails_or_is_killed_is_told():
    assert runs("sh", "-c", "echo a; echo b >&2") == "a\nb\n"
    assert runs("sh", "-c", "echo $TMPDIR") == f"{Path.cwd().resolve()}\n"
    for script, told in (
        ("echo some; echo 'my.v:3: syntax error' >&2; echo more >&2; exit 3", r"^tool: my\.v:3: syntax error$"),
        ("echo last; exit 3", r"^tool: last$"),
        ("exit 3", r"^tool: ended with an error and no word$"),
        ("echo some; kill -SEGV $$", r"^tool: ended by signal SIGSEGV; is the Verilog too large, or nested too deep\?$"),
    ):
        with pytest.raises(RtlError, match=told):
            runs("sh", "-c", script)
    with pytest.raises(ConfigError, match=r"^no-such-tool: No such file or directory; it cannot be started$"):
        runs("no-such-tool")


@pytest.mark.skipif(os.name != "posix", reason="signals and sessions of POSIX")
@pytest.mark.parametrize("stopped", [False, True])
def test_what_takes_too_long_ends_with_all_that_it_started(stopped, tmp_path, monkeypatch):
    """By a limit, or by whoever stops this process."""
    script = f"sleep 60 & echo $! > {tmp_path}/child; wait"
    if stopped:

        def interrupted(process, **_):
            while not (tmp_path / "child").is_file() or not (tmp_path / "child").read_text():
                time.sleep(0.01)
            raise KeyboardInterrupt

        monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    told = r"^tool: no end after 0\.5 s; does a loop of the Verilog never end\?$"
    with pytest.raises(KeyboardInterrupt if stopped else RtlError, match=None if stopped else told):
        runs("sh", "-c", script, limit_s=0.5)
    child = Path("/proc", (tmp_path / "child").read_text().strip(), "stat")
    until = time.monotonic() + 10
    while child.exists() and child.read_text().split()[2] != "Z" and time.monotonic() < until:
        time.sleep(0.01)
    assert not child.exists() or child.read_text().split()[2] == "Z"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Linux")
def test_a_tool_outlives_nobody_for_long(tmp_path):
    """Where the process that waits for it is killed, no clock ends it: its own processor time does."""
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom addersim.rtl import tools\n"
        'tool = \'import os; open("started", "w").write(str(os.getpid()))\\nwhile True: pass\'\n'
        "tools.run_tool((sys.executable, '-c', tool), Path(sys.argv[1]), 'tool', limit_s=1)"
    )
    waiting = subprocess.Popen([sys.executable, "-c", script, tmp_path])
    started = tmp_path / "started"
    wait_for(lambda: started.exists() and started.read_text())
    time.sleep(0.2)  # the limit is set once the tool was started
    waiting.kill()
    waiting.wait()
    number = int(started.read_text())
    try:
        wait_for(
            lambda: not Path(f"/proc/{number}/stat").exists() or Path(f"/proc/{number}/stat").read_text().split()[2] == "Z"
        )
    finally:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def wait_for(is_so, limit_s=60):
    begin = time.monotonic()
    while not is_so():
        assert time.monotonic() < begin + limit_s
        time.sleep(0.05)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Linux")
def test_memory_has_an_end():
    with pytest.raises(RtlError, match=r"^tool: MemoryError$"):
        runs(sys.executable, "-c", "import time; time.sleep(0.2); bytearray(1 << 30)", most_memory=512 << 20)


def test_modules_are_found_by_name():
    assert module_file("pe_mac").read_text().count("module pe_mac ") == 1
    with pytest.raises(ConfigError, match=r"^Verilog module 'pe_mad' is none of .*did you mean pe_mac\?"):
        module_file("pe_mad")


def test_each_file_holds_the_module_of_its_name():
    for path in verilog_files():
        modules = [line.split()[1] for line in path.read_text().splitlines() if line.startswith("module ")]
        assert modules == [path.stem]


def test_a_build_has_the_verilog(tmp_path):
    """What a wheel packs: the files of build_py, those of ext/rtl among them, each listed."""
    pytest.importorskip("Cython", reason="setup.py itself needs it; an installation brings it for its own time only")
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    built = {path.name: path.read_text() for path in (tmp_path / "addersim" / "data" / "rtl").glob("*.v")}
    assert built == {path.name: path.read_text() for path in (ROOT / "ext" / "rtl").glob("*.v")}


@pytest.mark.slow
def test_a_wheel_and_an_archive_of_sources_have_the_verilog(tmp_path):
    import tarfile
    import zipfile

    commands = (
        [sys.executable, "setup.py", "-q", "sdist", "--dist-dir", tmp_path],
        [sys.executable, "setup.py", "-q", "bdist_wheel", "--dist-dir", tmp_path],
    )
    for command in commands:
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,), (archive,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as packed, tarfile.open(archive) as sources:
        assert "addersim/data/rtl/pe_mac.v" in packed.namelist()
        assert any(name.endswith("/ext/rtl/pe_mac.v") for name in sources.getnames())

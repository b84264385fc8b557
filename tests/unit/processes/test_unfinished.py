"""What dead processes left is removed; what others are making, and what is not ours, stays."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from addersim.errors import ConfigError
from addersim.processes.stopping import Stopped, left_out_of_ctrl_c, stoppable
from addersim.processes.unfinished import file_beside, lock_folder, remove_unfinished, scratch_folder
from addersim.storage import write_atomically

WRITER = """
import sys
from pathlib import Path
from addersim.storage import write_atomically
from addersim.processes.unfinished import scratch_folder
with scratch_folder(Path({folder!r}), "shared"), write_atomically({folder!r} + "/table.csv") as stream:
    stream.write(b"half")
    stream.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path):
    """Another process that is just writing a file and has a scratch folder in the folder."""
    command = [sys.executable, "-c", WRITER.format(folder=str(tmp_path))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"writing\n"
    yield process
    process.kill()
    process.communicate()


def hidden(folder):
    return sorted(path.name.split(".")[1] for path in folder.glob(".*"))


def test_what_another_process_is_making_stays_and_what_a_killed_one_left_goes(writer, tmp_path):
    remove_unfinished(tmp_path)
    assert hidden(tmp_path) == ["shared", "table"]
    writer.kill()
    writer.wait()
    assert hidden(tmp_path) == ["shared", "table"]
    remove_unfinished(tmp_path)
    assert hidden(tmp_path) == []


def test_another_writer_ends_well_beside_us(writer, tmp_path):
    with write_atomically(tmp_path / "table.csv") as stream:
        stream.write(b"ours")
    remove_unfinished(tmp_path)
    writer.communicate(b"")
    assert writer.returncode == 0
    assert (tmp_path / "table.csv").read_bytes() == b"half"
    assert hidden(tmp_path) == []


def test_the_first_file_written_in_a_folder_removes_what_is_left_there(writer, tmp_path):
    writer.kill()
    writer.wait()
    with write_atomically(tmp_path / "other.csv") as stream:
        stream.write(b"ours")
    assert sorted(os.listdir(tmp_path)) == ["other.csv"]


def test_files_of_others_stay(tmp_path):
    for name in (".config", ".table.csv.abc12345", "table.unfinished"):
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / ".pipe.unfinished")
    (tmp_path / ".link.unfinished").symlink_to(tmp_path / ".config")
    remove_unfinished(tmp_path)
    assert {".config", ".table.csv.abc12345", "table.unfinished", ".link.unfinished"} <= set(os.listdir(tmp_path))
    remove_unfinished(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "make", [lambda folder: file_beside(folder / "table", "w"), lambda folder: scratch_folder(folder, "s")]
)
def test_what_was_taken_for_a_dead_process_is_made_again(tmp_path, monkeypatch, make):
    import addersim.processes.unfinished as module

    real, calls = module.fcntl.flock, []

    def taken(handle, how):
        if not calls:
            (path,) = tmp_path.glob(".*")
            path.rmdir() if path.is_dir() else path.unlink()
        calls.append(handle)
        real(handle, how)

    monkeypatch.setattr(module.fcntl, "flock", taken)
    with make(tmp_path):
        assert len(calls) == 2
        assert len(list(tmp_path.glob(".*"))) == 1
    assert not list(tmp_path.glob(".*"))


def test_a_scratch_folder_goes_with_its_block(tmp_path):
    with scratch_folder(tmp_path, "shared") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "array").touch()
    assert os.listdir(tmp_path) == []


def test_a_folder_is_held_once(tmp_path):
    told = "another run is writing there; wait for it, or choose another folder"
    with lock_folder(tmp_path), pytest.raises(ConfigError, match=told), lock_folder(tmp_path):
        pass
    with lock_folder(tmp_path):
        pass


def test_a_worker_ends_with_its_parent():
    child = (
        "import os, time; from addersim.processes.stopping import end_with; "
        "end_with({pid}); print(os.getpid(), flush=True); time.sleep(99)"
    )
    parent = f"""
import os, subprocess, sys
child = {child!r}.format(pid=os.getpid())
process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE)
print(process.stdout.readline().decode(), flush=True)
os._exit(9)
"""
    number = int(subprocess.run([sys.executable, "-c", parent], capture_output=True, check=False).stdout)
    until = time.monotonic() + 10
    while (state := Path(f"/proc/{number}/stat")).exists() and " Z " not in state.read_text():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_worker_outlives_the_thread_that_started_it():
    code = "import os, time; from addersim.processes.stopping import end_with; "
    code += "end_with(os.getppid()); time.sleep(2); print('done')"
    found = []
    thread = threading.Thread(
        target=lambda: found.append(subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE))
    )
    thread.start()
    thread.join()
    assert found[0].communicate(timeout=30)[0] == b"done\n"


def test_signals_are_raised_within_the_block_alone():
    import signal

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped, match="SIGTERM") as caught, stoppable():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.status == 143
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_process_that_is_left_out_of_ctrl_c_goes_on_without_a_word():
    code = "import sys; print('begun', flush=True); sys.stdin.read(); print('ended')"
    with left_out_of_ctrl_c():
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    process.send_signal(signal.SIGINT)  # before its first line, too
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate("") == ("ended\n", "")


def test_ctrl_c_in_the_meantime_is_not_lost():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # where tests run in the background, it is ignored
    try:
        with pytest.raises(KeyboardInterrupt), left_out_of_ctrl_c():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())

"""What is opened: regular files only, bounded, at once; what is written: links through, nothing else replaced."""

import io
import os
import resource
import socket
import stat
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from addersim import Network, load_network
from addersim.cli import main
from addersim.config import read_text
from addersim.datasets.pictures import picture
from addersim.datasets.readers import idx, records
from addersim.errors import AddersimError, ConfigError, DataError, NetworkError, SweepError
from addersim.exploration.sweeps.results import read_study
from addersim.frontends.onnx import lower_onnx
from addersim.inputs.opening import open_file, parsing, read_file
from addersim.layers import Window
from addersim.model_zoo import load_network_or_program
from addersim.report.sweep.frame import sweep_frame
from addersim.storage import write_atomically, write_rows
from addersim.train.checkpoint import load_checkpoint
from addersim.train.weights import read_state_dict
from tests.unit.frontends.onnx.models import node, saved, weights, whole
from tests.unit.frontends.scalesim.test_topology import CONFIGURATION
from tests.unit.networks import residual

READERS = {
    "text.toml": read_text,
    "network.npz": Network.load,
    "network.onnx": lower_onnx,
    "weights.pth": read_state_dict,
    "weights.safetensors": read_state_dict,
    "checkpoint.safetensors": load_checkpoint,
    "images": lambda path: idx(path, (2, 2)),
    "records.bin": lambda path: records(path, 2, 2),
    "packed.gz": lambda path: records(path, 2, 2),
    "picture.png": lambda path: picture(path, 8),
    "study.json": lambda path: read_study(path.parent),
    "results.csv": lambda path: sweep_frame(path.parent),
}


def fifo(path):
    os.mkfifo(path)


def endless(path):
    path.symlink_to("/dev/zero")


def listening(path):
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(path.parent)  # addresses of sockets are short
        try:
            one.bind(path.name)
        finally:
            os.chdir(here)


@pytest.mark.parametrize("make", [fifo, endless, Path.mkdir, listening], ids=["fifo", "endless", "directory", "socket"])
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, name, make):
    make(tmp_path / name)
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AddersimError, match=rf"{name}: cannot be read: ") as refused:
        READERS[name](tmp_path / name)
    assert "\n" not in str(refused.value)
    assert time.monotonic() - begin < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@pytest.mark.parametrize("name", READERS)
def test_a_reader_follows_links(tmp_path, name):
    (tmp_path / name).symlink_to(tmp_path / "nothing")
    with pytest.raises(AddersimError, match="cannot be read: No such file"):
        READERS[name](tmp_path / name)
    (tmp_path / "nothing").write_bytes(b"\xff" * 40)
    with pytest.raises(AddersimError) as refused:  # the content is looked at
        READERS[name](tmp_path / name)
    assert "cannot be read" not in str(refused.value)


def test_sizes_are_checked_before_and_while_reading(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_file(path, 5, ConfigError) == b"12345"
    with pytest.raises(ConfigError, match=r"a: larger than 4 bytes, the most that is read here; found 5 bytes"):
        read_file(path, 4, ConfigError)
    with open_file(path, 5, ConfigError) as stream:
        assert stream.read() == b"12345"
    true = os.fstat(os.open(path, os.O_RDONLY))
    lying = os.stat_result((*true[:6], 0, *true[7:]))  # as files of /proc do, and files that grow
    monkeypatch.setattr(os, "fstat", lambda _: lying)
    with pytest.raises(ConfigError, match="found more than 4 bytes"):
        read_file(path, 4, ConfigError)


@pytest.mark.parametrize(
    "fault",
    [RecursionError("deep"), SystemError("bad"), MemoryError(), KeyError("a\nb"), SyntaxError("x"), OSError(5, "disk")],
)
def test_whatever_a_parser_raises_is_one_line(fault):
    with (
        warnings.catch_warnings(record=True) as told,
        pytest.raises(DataError, match=r"^a\.npz: not whole: .+") as refused,
        parsing("a.npz", "not whole", DataError),
    ):
        warnings.warn("beside it", stacklevel=1)
        raise fault
    assert "\n" not in str(refused.value)
    assert not told


def test_a_refusal_inside_is_passed_on_and_interrupts_are():
    with pytest.raises(NetworkError, match="^own words$"), parsing("a", "b", DataError):
        raise NetworkError("own words")
    with pytest.raises(KeyboardInterrupt), parsing("a", "b", DataError):
        raise KeyboardInterrupt


def test_a_name_that_cannot_be_one_is_refused():
    for name in ("a\0b", "a" * 5000):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_text(name)


class Piped(io.TextIOWrapper):
    def __init__(self, content):
        super().__init__(io.BufferedReader(io.BytesIO(content)))


@pytest.mark.parametrize("kind", ["npz", "onnx", "toml", "csv", "cfg"])
def test_a_dash_is_standard_input(tmp_path, monkeypatch, capsys, kind):
    data = Path(main.__code__.co_filename).parents[1] / "data"
    residual().save(tmp_path / "net.npz")
    contents = {
        "npz": (tmp_path / "net.npz").read_bytes(),
        "onnx": onnx_content(tmp_path),
        "toml": (data / "accelerators" / "systolic-16x16.toml").read_bytes(),
        "csv": (data / "energy" / "horowitz-45nm.csv").read_bytes(),
        "cfg": CONFIGURATION.encode(),
    }
    monkeypatch.setattr(sys, "stdin", Piped(contents[kind]))
    assert done(monkeypatch, "check", "-") == 0
    holds = {"npz": "network", "onnx": "network", "toml": "accelerator", "csv": "energy table", "cfg": "accelerator"}
    assert holds[kind] in capsys.readouterr().out
    with pytest.raises(ConfigError, match="standard input: nothing is there to be read; it can be read once"):
        read_text("-")


def onnx_content(folder):
    nodes = [node("Conv", "x", "w", pads=[1, 1, 1, 1])]
    return saved(folder, whole(nodes, {"w": weights(4, 3, 3, 3)}, (4, 8, 8))).read_bytes()


def done(monkeypatch, *arguments):
    """Exit status of a command line in this process."""
    monkeypatch.setattr(sys, "argv", ["addersim", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code


def test_a_topology_comes_through_standard_input(monkeypatch, capsys):
    text = "Layer, M, N, K,\na, 4, 5, 6,\n"
    monkeypatch.setattr(sys, "stdin", Piped(text.encode()))
    assert done(monkeypatch, "count", "-") == 0
    assert "120" in capsys.readouterr().out


def test_standard_input_is_bounded_and_refuses_devices():
    command = [sys.executable, "-m", "addersim", "check", "-"]
    for given, words in (("/dev/zero", "is a device; expected a file or a pipe"), ("/dev/null", "is a device")):
        with open(given, "rb") as stream:
            found = subprocess.run(command, stdin=stream, capture_output=True, text=True, check=False, timeout=60)
        assert (found.returncode, len(found.stderr.splitlines())) == (2, 1)
        assert words in found.stderr


def test_a_closed_standard_input_is_told(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigError, match="standard input: cannot be read: is closed"):
        read_text("-")


def test_a_dash_is_standard_output(monkeypatch, capfdbinary, tmp_path):
    residual().save(tmp_path / "net.npz")
    write_rows("-", [{"a": 1}])
    assert capfdbinary.readouterr().out == b"a\n1\n"
    assert done(monkeypatch, "estimate", tmp_path / "net.npz", "--csv", "-") == 0
    assert capfdbinary.readouterr().out.startswith(b"network,accelerator,")
    assert done(monkeypatch, "estimate", tmp_path / "net.npz", "--csv", "-", "--table", "all") == 0
    assert capfdbinary.readouterr().out.startswith(b"table,energy uJ,")
    assert done(monkeypatch, "estimate", tmp_path / "net.npz", "--csv", "-", "--json") == 2
    assert b"standard output takes one file" in capfdbinary.readouterr().err
    with write_atomically("-") as stream:
        np.savez(stream, a=np.arange(3))
    (tmp_path / "out.npz").write_bytes(capfdbinary.readouterr().out)
    with np.load(tmp_path / "out.npz") as found:
        assert found["a"].tolist() == [0, 1, 2]


def test_output_goes_through_links(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "target").write_text("old")
    (tmp_path / "link").symlink_to("far/target")
    (tmp_path / "chain").symlink_to("link")
    (tmp_path / "dangling").symlink_to("far/new")
    for name, target in (("link", "target"), ("chain", "target"), ("dangling", "new")):
        with write_atomically(tmp_path / name, "w") as stream:
            stream.write(name)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "far" / target).read_text() == name
    with pytest.raises(RuntimeError), write_atomically(tmp_path / "link", "w") as stream:
        stream.write("half")
        raise RuntimeError
    assert (tmp_path / "link").read_text() == "chain"
    assert sorted(path.name for path in (tmp_path / "far").iterdir()) == ["new", "target"]


@pytest.mark.parametrize("make", [fifo, endless, Path.mkdir, listening], ids=["fifo", "device", "directory", "socket"])
def test_output_replaces_no_other_node(tmp_path, make):
    path = tmp_path / "out"
    make(path)
    before = stat.S_IFMT(path.stat().st_mode)
    wanted = r"out: cannot be written: is a \w+, and stays one; name a file"
    with pytest.raises(ConfigError, match=wanted), write_atomically(path):
        raise AssertionError("nothing is asked for")
    assert stat.S_IFMT(path.stat().st_mode) == before
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_an_error_of_writing_names_the_file(tmp_path):
    with pytest.raises(OSError) as told, write_atomically(tmp_path / "out.csv"):
        raise OSError(28, "No space left on device")
    assert told.value.filename == str(tmp_path / "out.csv")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file: cannot be written to: a file stands in its place, and stays; name a folder"):
        write_atomically(tmp_path / "file" / "out.csv").__enter__()
    with pytest.raises(OSError) as told, write_atomically(tmp_path / "out.csv"):
        open(tmp_path / "other")  # noqa: SIM115
    assert told.value.filename == str(tmp_path / "other")


def test_a_network_beyond_float32_is_told_by_its_layer(tmp_path):
    network = residual()
    place, first = next((place, one) for place, one in enumerate(network.layers) if isinstance(one, Window))
    layers = list(network.layers)
    layers[place] = replace(first, weights=np.full_like(first.weights, 3e38))
    huge = replace(network, layers=tuple(layers))
    with pytest.raises(NetworkError, match=rf"layer {first.name} has values beyond float32"):
        huge.run(np.full((1, *network.input_shape), 255, np.uint8))


def test_sound_files_are_still_read(tmp_path):
    load_network("lenet5-adder").save(tmp_path / "a.npz")
    assert load_network_or_program(tmp_path / "a.npz").name == load_network("lenet5-adder").name
    with pytest.raises(SweepError, match="no sweep was begun here"):
        read_study(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_is_enough(monkeypatch, value):
    network = residual()
    run = Window.run

    def broken(self, *inputs, **options):
        found = run(self, *inputs, **options)
        found[0, 0, 0, 0] = value
        return found

    monkeypatch.setattr(Window, "run", broken)
    with pytest.raises(NetworkError, match="layer stem has values beyond float32"):
        network.run(np.full((2, *network.input_shape), 9, np.uint8))

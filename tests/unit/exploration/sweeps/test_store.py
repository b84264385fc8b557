"""The store: a job's file is whole and its own, or it does not count."""

import errno
import json
import os
import threading

import pytest

from addersim import count, quantize
from addersim.errors import SweepError
from addersim.exploration.sweeps.job_files import CostKey, Failed, Priced, Simulated, SimulationKey, encode, with_circuit
from addersim.exploration.sweeps.store import Store
from addersim.quantization import Quantization
from addersim.simulation import simulate
from tests.unit.hardware.traces import small_residual_network
from tests.unit.networks import images, residual

KEY = CostKey(simulation="a", circuit="2a", accelerator="b", table="c", batch=1, code="d")
PRICED = Priced(energy_pj=0.1, energy_pj_by_component={"array": 0.1}, cycles=3, latency_ms=1 / 3, taps=7)


@pytest.fixture
def notes():
    return []


@pytest.fixture
def store(tmp_path, notes):
    return Store(tmp_path, notes.append)


def test_what_is_written_is_read(store, notes):
    assert store.read(KEY) is None
    store.write(KEY, PRICED)
    assert store.read(KEY) == PRICED
    other = CostKey(simulation="a", circuit="xor", accelerator="b", table="c", batch=1, code="d")
    store.write(other, Failed(error="no"))
    assert (store.read(KEY), store.read(other)) == (PRICED, Failed(error="no"))
    assert notes == []
    assert json.loads(store.path(KEY).read_text())["key"]["circuit"] == "2a"


def test_a_simulation_keeps_its_whole_trace(store):
    network = residual()
    pixels = images(network, 6)
    program = quantize(network, pixels, Quantization(weight_bits=5))
    found = simulate(program, pixels)
    rules = Quantization(weight_bits=5)
    key = SimulationKey(network="a", calibration_images="b", test_images="c", rules=rules, code="d")
    kept = Simulated(accuracy_float=0.1, accuracy=0.2, agreement=0.3, images=6, trace=found.trace)
    store.write(key, kept)
    assert store.read(key) == kept
    for circuit in ("2a", "1c1a", "xor"):
        twin = quantize(network, pixels, Quantization(weight_bits=5, circuit=circuit))
        assert with_circuit(found.trace, circuit) == simulate(twin, pixels).trace
    assert with_circuit(found.trace, None) == found.trace


def _flipped(text):
    assert b'"cycles":3' in text
    return text.replace(b'"cycles":3', b'"cycles":4')


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "Input data was truncated"),
        (lambda text: b"", "Input data was truncated"),
        (lambda text: b"\x00" * len(text), "JSON is malformed"),
        (_flipped, "its checksum is that of another content"),
        (lambda text: b'{"hello": 1}', "unknown field `hello`"),
        (lambda text: text.replace(b'"checksum":"', b'"checksum":"0'), "its checksum is that of another content"),
        (lambda text: b"[" * 100_000, "Expected `object`, got `array`"),
        (lambda text: b'{"key":' + b"[" * 100_000, "recursion"),
        (lambda text: b'{"key":1,"outcome":' + b'{"a":' * 100_000, "recursion"),
        (lambda text: b'{"checksum":"\xff\xfe"}', "utf-8"),
        (lambda text: b"[1, 2]", "Expected `object`, got `array`"),
    ],
    ids=["half", "empty", "zeros", "one digit", "foreign", "checksum", "deep", "deep key", "deep outcome", "no text", "list"],
)
def test_damaged_files_are_named_and_not_trusted(store, notes, damage, message):
    store.write(KEY, PRICED)
    path = store.path(KEY)
    path.write_bytes(damage(path.read_bytes()))
    assert store.read(KEY) is None
    (note,) = notes
    assert note.startswith(f"{path}: not a job that a sweep finished: ")
    assert message.lower() in note.lower()
    assert note.endswith("done again")
    store.write(KEY, PRICED)
    assert store.read(KEY) == PRICED


def test_another_jobs_file_under_this_name_is_not_trusted(store, notes):
    other = CostKey(simulation="a", circuit="xor", accelerator="b", table="c", batch=1, code="d")
    store.write(other, PRICED)
    store.path(other).rename(store.path(KEY))
    assert store.read(KEY) is None
    assert "it is the file of another job" in notes[0]


def test_an_outcome_of_another_kind_is_not_trusted(store, notes):
    import hashlib

    key, outcome = encode(KEY), b'{"type":"simulated"}'
    path = store.path(KEY)
    path.parent.mkdir(parents=True)
    checksum = hashlib.sha256(key + b"\n" + outcome).hexdigest()
    path.write_bytes(b'{"key":' + key + b',"outcome":' + outcome + b',"checksum":"' + checksum.encode() + b'"}')
    assert store.read(KEY) is None
    assert "missing required field" in notes[0]


def test_a_folder_in_the_way_is_named_and_gives_way(store, notes):
    for _ in range(2):
        store.path(KEY).unlink(missing_ok=True)
        store.path(KEY).mkdir(parents=True)
        (store.path(KEY) / "mine").write_text("kept")
        assert store.read(KEY) is None
        assert "is a directory; only regular files are; done again" in notes.pop()
        store.write(KEY, PRICED)
        assert store.read(KEY) == PRICED
    assert [path.read_text() for path in store.path(KEY).parent.glob("*/mine")] == ["kept", "kept"]


@pytest.mark.parametrize("special", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_never_ends_is_not_read(store, notes, special):
    store.path(KEY).parent.mkdir(parents=True)
    special(store.path(KEY))
    assert store.read(KEY) is None
    assert "only regular files are; done again" in notes[0]
    store.write(KEY, PRICED)
    assert store.read(KEY) == PRICED


def test_what_killed_sweeps_left_is_removed_when_the_store_is_opened(store):
    store.open()
    for folder in (".", "jobs/cost", "jobs/simulation"):
        (store.folder / folder / ".a.json.12345678.unfinished").touch()
        (store.folder / folder / ".shared.12345678.unfinished").mkdir()
    store.open()
    assert not list(store.folder.rglob(".*"))


def test_a_full_disk_is_one_line_and_leaves_nothing(store, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SweepError, match=r"\.json: cannot be written: No space left on device; finished points are kept"):
        store.write(KEY, PRICED)
    assert list(store.path(KEY).parent.iterdir()) == []


def test_many_writers_of_one_job_leave_one_whole_file(store, notes):
    seen = []

    def work():
        for _ in range(20):
            store.write(KEY, PRICED)
            seen.append(store.read(KEY))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [PRICED] * 80
    assert [path.name for path in store.path(KEY).parent.iterdir()] == [store.path(KEY).name]
    assert notes == []


SIMULATED = Simulated(accuracy_float=0.1, accuracy=0.2, agreement=0.3, images=6, trace=small_residual_network())
SIMULATION = SimulationKey(network="a", calibration_images="b", test_images="c", rules=Quantization(), code="d")


@pytest.mark.parametrize(("key", "outcome"), [(KEY, SIMULATED), (SIMULATION, PRICED)])
def test_a_sound_outcome_of_another_kind_of_job_is_not_trusted(store, notes, key, outcome):
    store.write(key, outcome)
    assert store.read(key) is None
    assert "its outcome is that of another kind of job; done again" in notes[0]


def test_another_circuit_is_billed_at_the_width_of_the_operands():
    """Weights that nobody clipped make operands of 9 bits of codes of 8."""
    network = residual()
    how = Quantization(clip_weights=False)
    trace = count(quantize(network, None, how))
    assert 9 in {layer.operand_bits for layer in trace.layers}
    for circuit in ("1c1a", "xor"):
        twin = count(quantize(network, None, Quantization(clip_weights=False, circuit=circuit)))
        assert with_circuit(trace, circuit) == twin

"""Weights from files of others: plain tensors by name, or one line that advises nothing dangerous."""

import io
import os
import pickle
import struct
import zipfile

import pytest
import torch

from addersim.errors import LoweringError
from addersim.train.weights import read_state_dict


class Code:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def saved(folder, value, name="w.pth", **options):
    torch.save(value, folder / name, **options)
    return folder / name


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
def test_state_dicts_are_read_bare_and_wrapped(tmp_path, options):
    state = {"weight": torch.arange(4.0)}
    for value in (state, {"state_dict": state}):
        assert read_state_dict(saved(tmp_path, value, **options))["weight"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("wrap", [lambda code: code, lambda code: {"weight": code}])
def test_code_is_named_not_run_and_never_advised_to_be(tmp_path, wrap):
    for path in (tmp_path / "plain.pth", saved(tmp_path, wrap(Code(tmp_path / "ran")), "zip.pth")):
        if path.name == "plain.pth":
            path.write_bytes(pickle.dumps(wrap(Code(tmp_path / "ran"))))
        with pytest.raises(LoweringError, match=r"not a state dict of plain tensors: ") as refused:
            read_state_dict(path)
        told = str(refused.value)
        assert "weights_only" not in told
        assert told.endswith("save torch.save(module.state_dict(), FILE), or the same as safetensors")
        assert not (tmp_path / "ran").exists()
    assert "names posix.system, and nothing of it was run" in told


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1], "holds a list"),
        ({"a": 1}, "'a' is no plain tensor"),
        ({1: torch.ones(2)}, "1 is no plain tensor"),
        ({"a": torch.ones(2, 2).to_sparse()}, "'a' is no plain tensor"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "'a' is no plain tensor"),
    ],
)
def test_what_is_no_state_dict_is_told(tmp_path, value, words):
    with pytest.raises(LoweringError, match=words):
        read_state_dict(saved(tmp_path, value))


HEADERS = {
    "empty header": b"\0" * 16,
    "short": b"\0\0",
    "long header": struct.pack("<Q", 1 << 60) + b"{}",
    "no JSON": struct.pack("<Q", 2) + b"{]",
    "deep": struct.pack("<Q", 60_000) + b'{"a":' + b"[" * 59_995,
    "overlap": struct.pack("<Q", 53) + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,4]}}'[:53] + b"1234",
}


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_damaged_safetensors_are_one_line(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(LoweringError, match=r"w\.safetensors: not a safetensors file, truncated or altered: .") as refused:
        read_state_dict(path)
    assert "\n" not in str(refused.value)


def test_a_packed_bomb_is_refused_by_what_it_promises(tmp_path, monkeypatch):
    monkeypatch.setattr("addersim.train.weights.MAX_FILE_BYTES", 100_000)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 20))
    (tmp_path / "w.pth").write_bytes(held.getvalue())
    with pytest.raises(LoweringError, match="1,048,576 bytes when unpacked; at most 100,000 are read"):
        read_state_dict(tmp_path / "w.pth")

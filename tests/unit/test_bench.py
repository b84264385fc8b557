"""Every benchmark runs, once and tiny: a benchmark that no test runs rots. What it says of time is left to `make bench`."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="benchmarks stand beside PyTorch")

from tests.bench import __main__, networks, timing, training, windows


def test_layers_and_their_limit():
    limits = windows.ceilings(steps=1000)
    assert min(limits.values()) > 0
    tiny = tuple(replace(layer, images=1, size=min(layer.size, 4)) for layer in windows.LAYERS)
    rows = windows.layers(1, 1, limits, tiny)
    assert [row["layer"] for row in rows] == [layer.name for layer in windows.LAYERS]
    for row in rows:
        fastest = max(row["conv2d"], row["conv2d channels last"])
        for name in ("l1 8", "l1 16", "mac 8", "mac 16"):
            assert row[f"{name} / conv2d"] == pytest.approx(row[name] / fastest)
        assert row["l1 8 / limit"] == pytest.approx(row["l1 8"] / max(limits.values()))


def test_taps():
    assert windows.Layer("dense", 2, 3, 4, 5).taps == 2 * 4 * 4 * 5 * 9 * 3
    assert windows.Layer("depthwise", 2, 8, 4, 8, groups=8).taps == 2 * 4 * 4 * 8 * 9


def test_absolute_differences():
    row = windows.absolute_differences(1, 1, windows.Layer("tiny", 1, 3, 4, 5))
    assert row["l1 16 / cdist"] == pytest.approx(row["l1 16"] / row["cdist"])


def test_networks():
    rows = networks.networks(1, 1, images=3)
    assert [row["network"] for row in rows] == ["resnet20-adder", "resnet20-conv"]
    for row in rows:
        fastest = max(row["PyTorch images/s"], row["PyTorch channels last images/s"])
        assert row["ratio"] == pytest.approx(row["images/s"] / fastest)


def test_training():
    chosen = {name: training.LAYERS[name] for name in ("LeNet-5 conv2", "ResNet-20 stage 3")}
    rows = training.rows(1, 1, 1, chosen)
    assert [row["layer"] for row in rows] == list(chosen)
    assert all(row[name] > 0 for row in rows for name in ("adder", "formula", "conv2d"))


def test_report(tmp_path, monkeypatch, capsys):
    one = [{"layer": "some", "threads": 1, "l1 8": 123.4}]
    for name in ("layers", "networks"):
        monkeypatch.setattr(__main__, name, lambda *_: one)
    monkeypatch.setattr(__main__, "absolute_differences", lambda *_: one[0])
    monkeypatch.setattr(__main__.training, "rows", lambda *_: one)
    monkeypatch.setattr(__main__, "ceilings", lambda: {"portable": 1.0})
    __main__.main(["--repeats", "1", "--output", str(tmp_path)])
    text, record = (tmp_path / "README.md").read_text(), json.loads((tmp_path / "speed.json").read_text())
    assert text in capsys.readouterr().out
    assert "|  some |       1 |  123 |" in text
    assert {row["l1 8"] for rows in record["tables"].values() for row in rows} == {123.4}
    assert set(record["machine"]) == {"processor", "threads", "instruction set", "python", "numpy", "torch"}


def test_medians_take_turns():
    order = []
    found = timing.medians({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert order == ["a", "b"] * 4
    assert set(found) == {"a", "b"}

"""Every benchmark runs, once and tiny: a benchmark that no test runs rots. What it says of time is left to `make bench`."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="benchmarks stand beside PyTorch")

from addersim import kernels
from tests.bench import __main__, aims, closed_forms, cuda, deep_networks, designs, timing, training, whole_networks, windows

ONCE = timing.Pace(1)


def test_layers_and_their_limit():
    limits = windows.ceilings(steps=1000)
    assert min(limits.values()) > 0
    tiny = tuple(replace(layer, images=1, size=min(layer.size, 4)) for layer in windows.LAYERS)
    rows = windows.layers(1, ONCE, limits, tiny)
    assert [row["layer"] for row in rows] == [layer.name for layer in windows.LAYERS]
    for row in rows:
        fastest = max(row["conv2d"], row["conv2d channels last"])
        for name in ("l1 8", "l1 16", "mac 8", "mac 16"):
            assert row[f"{name} / conv2d"] == pytest.approx(row[name] / fastest)
        assert row["l1 8 / limit"] == pytest.approx(row["l1 8"] / max(limits.values()))
        assert row["xnor / l1 8"] == pytest.approx(row["xnor"] / row["l1 8"])


def test_taps():
    assert windows.Layer("dense", 2, 3, 4, 5).taps == 2 * 4 * 4 * 5 * 9 * 3
    assert windows.Layer("depthwise", 2, 8, 4, 8, groups=8).taps == 2 * 4 * 4 * 8 * 9


def test_absolute_differences():
    (row,) = windows.absolute_differences(1, ONCE, windows.Layer("tiny", 1, 3, 4, 5))
    assert row["l1 16 / cdist"] == pytest.approx(row["l1 16"] / row["cdist"])


def test_networks():
    rows = whole_networks.networks(1, ONCE, images=3)
    assert [row["network"] for row in rows] == ["resnet20-adder", "resnet20-conv"]
    for row in rows:
        fastest = max(row["PyTorch images/s"], row["PyTorch channels last images/s"])
        assert row["ratio"] == pytest.approx(row["images/s"] / fastest)


def test_training():
    chosen = {name: training.LAYERS[name] for name in ("LeNet-5 conv2", "ResNet-20 stage 3")}
    rows = training.rows(1, ONCE, 1, chosen)
    assert [row["layer"] for row in rows] == list(chosen)
    assert all(row[name] > 0 for row in rows for name in ("adder", "formula", "conv2d"))


def test_closed_forms():
    rows = closed_forms.closed_forms(ONCE, "lenet5-adder")
    names = [f"{what} lenet5-adder" for what in ("count", "estimate", "count and estimate")]
    assert [row["task"] for row in rows] == [*names, "addersim --help", "import addersim"]
    assert all(row["ms"] > 0 for row in rows)


def test_designs():
    grid = {"array.rows": [8, 16], "dram.bandwidth_gb_s": [1, 2, 4]}
    rows = designs.designs(2, grid, "lenet5-adder")
    assert [(row["designs"], row["processes"]) for row in rows] == [(designs.ALONE, 1), (6, 1), (6, 2)]
    assert all(row["a minute"] > 0 for row in rows)


def test_deep_networks():
    rows = deep_networks.deep_networks(ONCE, (30, 60))
    assert [(row["network"], row["layers"]) for row in rows] == [
        ("chain", 30), ("chain", 60), ("residual", 26), ("residual", 58)
    ]  # fmt: skip
    verbs = [f"{verb}, ms" for verb in ("load", "quantize", "count", "simulate", "estimate")]
    assert all(row[verb] > 0 for row in rows for verb in verbs)


@pytest.fixture
def tables():
    """Round numbers: whoever takes the wrong cell gets another ratio."""
    return {
        "layers": [
            {"layer": name, "threads": threads, "l1 8": rate * threads**0.5, "l1 8 / limit": 0.5, "l1 8 / conv2d": threads}
            | {"xnor / l1 8": rate * threads / 10}
            for threads in (1, 2)
            for name, rate in zip(aims.FOUR, (10, 20, 30, 40), strict=True)
        ],
        "absolute differences": [{"layer": "some", "threads": threads, "l1 16 / cdist": 8.0 * threads} for threads in (1, 2)],
        "networks": [
            {"network": name, "threads": threads, "images/s": 100 * threads, "ratio": ratio * threads}
            for threads in (1, 2)
            for name, ratio in (("resnet20-adder", 1.4), ("resnet20-conv", 0.6))
        ],
        "training": [
            {"layer": layer, "threads": threads, "adder": 123.4, "adder / conv2d": ratio * threads}
            for threads in (1, 2)
            for layer, ratio in (("LeNet-5 conv1", 9.0), ("ResNet-20 stage 1", 1.5), ("ResNet-20 stage 2", 1.25))
        ],
        "closed forms": [
            {"task": "count and estimate resnet50", "ms": 10.0},
            {"task": "addersim --help", "ms": 401.0},
            {"task": "import addersim", "ms": 20.0},
        ],
        "designs": [
            {"way": "one by one", "network": "resnet20", "processes": 1, "a minute": 2e6},
            {"way": "at once", "network": "resnet20", "processes": 2, "a minute": 3e5},
        ],
        "deep networks": [{"network": "chain", "layers": 30, "quantize, ms": 4.0}],
    }


def test_aims(tables):
    found = [(row["aim"], pytest.approx(row["measured"]), row["reached"]) for row in aims.aims(tables)]
    assert found == [
        ("at least 3", 2.8, "NO"),
        ("at least 1", 1.2, "yes"),
        ("at least 1.8", 2.0, "yes"),
        *[("at least 2", 2.0, "yes")] * 4,
        *[("at least 4", ratio, "yes" if ratio >= 4 else "NO") for ratio in (2.0, 4.0, 6.0, 8.0)],
        ("at least 0.7", 0.5, "NO"),
        ("at least 1.8", 2**0.5, "NO"),
        ("at most 1.5", 1.5, "yes"),
        ("at most 1.5", 3.0, "NO"),
        ("at least 10", 16.0, "yes"),
        ("at most 10", 10.0, "yes"),
        ("at most 150", 20.0, "yes"),
        ("at most 400", 401.0, "NO"),
        ("at least 400000", 3e5, "NO"),
    ]


def test_one_thread_has_no_gain_to_show(tables):
    tables = {name: [row for row in rows if row.get("threads", 1) == 1] for name, rows in tables.items()}
    assert [row["aim"] for row in aims.aims(tables)].count("at least 1.8") == 0


def test_report(tables, tmp_path, monkeypatch, capsys):
    for name in ("layers", "networks", "absolute_differences", "closed_forms", "designs", "deep_networks"):
        monkeypatch.setattr(__main__, name, lambda *_, name=name: tables[name.replace("_", " ")])
    monkeypatch.setattr(__main__.training, "rows", lambda *_, **__: tables["training"])
    monkeypatch.setattr(__main__, "ceilings", lambda: {"portable": 1.0})
    __main__.main(["--repeats", "1", "--output", str(tmp_path)])
    text, record = (tmp_path / "README.md").read_text(), json.loads((tmp_path / "speed.json").read_text())
    printed = capsys.readouterr()
    assert text in printed.out
    calls = len(training.LAYERS) * len({1, kernels.kernel_info().threads})
    assert f"training {calls}/{calls}: LeNet-5 conv1, ResNet-20 stage 1, " in printed.err
    assert "|     LeNet-5 conv1 |       1 |   123 |" in text
    assert list(record["tables"]) == [
        "aims",
        "layers",
        "absolute differences",
        "networks",
        "training",
        "closed forms",
        "designs",
        "deep networks",
    ]
    assert {row["adder"] for row in record["tables"]["training"]} == {123.4}
    assert set(record["machine"]) == {"processor", "threads", "instruction set", "python", "numpy", "torch"}
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", "speed.json"}


def test_medians_take_turns():
    order = []
    found = timing.medians({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, timing.Pace(3))
    assert order == ["a", "b"] * 4
    assert set(found) == {"a", "b"}


def test_a_pace_ends_after_its_seconds():
    order = []
    timing.medians({"a": lambda: order.append("a")}, timing.Pace(1000, 0.03))
    assert 2 <= len(order) < 20
    order.clear()
    timing.medians({"a": lambda: order.append("a")}, timing.Pace(1000, 0.0))
    assert len(order) == 2


def test_without_a_gpu_nothing_is_claimed(monkeypatch, capsys):
    monkeypatch.setattr(cuda.torch.cuda, "is_available", lambda: False)
    cuda.main()
    told = "bench-cuda: torch finds no CUDA device here: nothing was measured, and no speed is claimed\n"
    assert capsys.readouterr() == (told, "")


def test_passes_on_a_gpu_and_their_rates():
    """The calls run, here on the CPU; each is said to take two seconds, and the convolution's one."""
    seconds = iter([2.0, 1.0] * 6)

    def clock(call):
        assert call() is not None
        return next(seconds)

    tiny = {"dense": (2, 3, 5, 4, 3, 2, 1), "depthwise": (1, 4, 3, 4, 3, 1, 4)}
    rows = cuda.rows(cuda.torch.device("cpu"), cuda.torch.float32, clock, 1e3, tiny)
    assert [(row["layer"], row["pass"]) for row in rows[:3]] == [
        ("dense", "forward"), ("dense", "input gradient"), ("dense", "gradient by sign")
    ]  # fmt: skip
    taps = 2 * 4 * 3 * 3 * 9 * 3
    for row in rows[:3]:
        assert row["taps"] == pytest.approx(taps / 2 / 1e9)
        assert row["conv2d taps"] == pytest.approx(taps / 1e9)
        assert row["share of ceiling"] == pytest.approx(2 * taps / 2 / 1e3)
        assert row["ours / conv2d"] == 0.5
    assert rows[3]["taps"] == pytest.approx(4 * 3 * 3 * 9 / 2 / 1e9)

"""What the kernels are to reach, beside what this run measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["aims"]

Rows = Sequence[Mapping[str, Any]]

FOUR = ("3x3 64->64 8x8", "3x3 16->16 32x32", "3x3 64->64 56x56", "3x3 256->256 14x14")


def aims(tables: Mapping[str, Rows]) -> list[dict[str, Any]]:
    """A row an aim: the work, what is wanted, what was measured with all threads, and whether that does."""
    return [*_networks(tables["networks"]), *_layers(tables["layers"]), *_training(tables["training"]), *_others(tables)]


def _networks(rows: Rows) -> list[dict[str, Any]]:
    most = max(row["threads"] for row in rows)
    by_name = {(row["network"], row["threads"]): row for row in rows}
    adder, conv = (by_name[name, most] for name in ("resnet20-adder", "resnet20-conv"))
    found = [
        _least("ResNet-20 l1 8-bit, whole network, images/s against PyTorch float32 ResNet-20 CNN", 3, adder["ratio"]),
        _least("the same with mac 8-bit", 1, conv["ratio"]),
    ]
    if most > 1:
        gain = adder["images/s"] / by_name["resnet20-adder", 1]["images/s"]
        found.append(_least(f"ResNet-20 l1 8-bit, {most} threads against one", 0.9 * most, gain))
    return found


def _layers(rows: Rows) -> list[dict[str, Any]]:
    most = max(row["threads"] for row in rows)
    by_name = {(row["layer"], row["threads"]): row for row in rows}
    found = [_least(f"l1 8-bit {name} against conv2d float32", 2, by_name[name, most]["l1 8 / conv2d"]) for name in FOUR]
    found += [_least(f"xnor {name} against l1 8-bit", 4, by_name[name, most]["xnor / l1 8"]) for name in FOUR]
    share = by_name[FOUR[-1], most]["l1 8 / limit"]
    found.append(_least(f"l1 8-bit {FOUR[-1]}, share of the limit of 8-bit absolute differences", 0.7, share))
    if most > 1:
        gains = {name: by_name[name, most]["l1 8"] / by_name[name, 1]["l1 8"] for name in FOUR}
        worst = min(gains, key=lambda name: gains[name])
        found.append(
            _least(f"l1 8-bit, {most} threads against one, least of the four layers: {worst}", 0.9 * most, gains[worst])
        )
    return found


def _training(rows: Rows) -> list[dict[str, Any]]:
    """Of each number of threads the layer of ResNet-20 that is furthest behind."""
    found = []
    for threads in sorted({row["threads"] for row in rows}):
        chosen = [row for row in rows if row["threads"] == threads and row["layer"].startswith("ResNet-20")]
        most, layer = max((row["adder / conv2d"], row["layer"]) for row in chosen)
        found.append(_most(f"adder training step against conv2d, most of the layers: {layer}, threads {threads}", 1.5, most))
    return found


def _others(tables: Mapping[str, Rows]) -> list[dict[str, Any]]:
    distances = max(tables["absolute differences"], key=lambda row: row["threads"])
    tasks = {row["task"]: row["ms"] for row in tables["closed forms"]}
    together = next(name for name in tasks if name.startswith("count and estimate"))
    limits = {together: 10, "import addersim": 150, "addersim --help": 400}
    found = [_least(f"l1 16-bit {distances['layer']} against torch.cdist p=1", 10, distances["l1 16 / cdist"])]
    found += [_most(f"{name}, ms", most, tasks[name]) for name, most in limits.items()]
    most = max(tables["designs"], key=lambda row: (row["processes"], row["a minute"]))
    return [*found, _least(f"designs a minute of {most['network']}, processes {most['processes']}", 400_000, most["a minute"])]


def _least(work: str, wanted: float, measured: float) -> dict[str, Any]:
    return _row(work, f"at least {wanted:.6g}", measured, measured >= wanted)


def _most(work: str, wanted: float, measured: float) -> dict[str, Any]:
    return _row(work, f"at most {wanted:g}", measured, measured <= wanted)


def _row(work: str, aim: str, measured: float, reached: bool) -> dict[str, Any]:
    return {"work": work, "aim": aim, "measured": measured, "reached": "yes" if reached else "NO"}

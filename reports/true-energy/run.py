"""What a tap costs in gates on a network's own data, adder beside multiplier; one command, ten minutes on two cores.

    python reports/true-energy/run.py LIBRARY.lib.xz --cifar10 FOLDER   # results.csv and README.md
    python reports/true-energy/run.py --written                         # README.md again, from results.csv and text.md

Needs yosys (the extra `gates` brings one), a Liberty library of which a bundled table has the elements (sg13g2), and
CIFAR-10 for ResNet-20; LeNet-5's images come with the package.
"""

from __future__ import annotations

import argparse
import csv
import math
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import addersim
from addersim.hardware import load_table
from addersim.hardware.gates.element_operands import Element, layer_operands
from addersim.hardware.gates.element_table import LayerJob, characterise
from addersim.hardware.gates.liberty import load_library
from addersim.hardware.prices.elements import element_bits
from addersim.storage import write_rows

HERE = Path(__file__).parent
TABLE, LITERATURE = "sg13g2-gates", "horowitz-45nm"
WIDTHS = (2, 4, 6, 8, 16)
NETWORKS = ("lenet5-adder", "lenet5-conv", "resnet20-adder", "resnet20-conv")
STEPS, IMAGES, SEED = 4096, 8, 11
TYPICAL = 0.5  # share of zeros at which widths are compared: see addersim.hardware.prices.elements.TYPICAL_ZEROS


def jobs_of(name: str, bits: int, cifar10: Path | None) -> Iterator[tuple[LayerJob, float, int]]:
    """Elements of a network's layers with their own operands, both styles of multipliers; zeros and taps of each."""
    which = {"root": cifar10} if name.startswith("resnet20") else {}
    images = "cifar10" if which else "fashion-mnist-2000"
    calibration = addersim.load_images(images, split="train", limit=256, **which)
    test = addersim.load_images(images, limit=IMAGES, **which)
    rules = addersim.Quantization(weight_bits=bits, activation_bits=bits)
    program = addersim.quantize(addersim.load_network(name), calibration, rules)
    traced = {layer.name: layer for layer in program.trace().layers}
    for layer, operands in layer_operands(program, test.pixels, STEPS, SEED):
        known = traced[layer.name]
        for style in ("", "booth") if layer.datapath == "mac" else ("",):
            element = Element.of_layer(layer, style)
            yield LayerJob(name, layer.name, element, element_bits(known), operands), operands.zeros, known.work.taps


def measured(library: Path, cifar10: Path | None) -> Iterator[dict[str, object]]:
    """A row a layer, width and style: energy of its tap in gates, and what each price says."""
    cells, table = load_library(library), load_table(TABLE)
    for name in NETWORKS if cifar10 else NETWORKS[:2]:
        for bits in WIDTHS if name.startswith("lenet5") else (8,):
            found = list(jobs_of(name, bits, cifar10))
            with tempfile.TemporaryDirectory(dir=HERE) as folder:
                rows = characterise(cells, [job for job, _, _ in found], Path(folder))
            for (job, zeros, taps), row in zip(found, rows, strict=True):
                element = table.element(job.element.datapath, job.bits, job.element.style)
                wider = job.element.accumulator_bits - element.accumulator_bits
                line = element.energy_pj - element.zero_pj * zeros + wider * element.accumulator_pj
                uniform = uniform_pj(table, job.element.datapath, job.bits, job.element.style)
                yield {
                    "network": name, "bits": bits, "layer": job.layer, "datapath": job.element.datapath,
                    "style": job.element.style or ("carry-save" if job.element.datapath == "mac" else ""), "taps": taps,
                    "zeros": f"{zeros:.4f}", "gates_pj": row["energy_pj"], "line_pj": f"{line:.5g}", "uniform_pj": uniform,
                }  # fmt: skip
            print(name, bits, flush=True)


def uniform_pj(table: addersim.hardware.EnergyTable, datapath: str, bits: int, style: str) -> float:
    """Energy on operands of which every code is as likely: a constant, as tables of operations have it."""
    return next(
        row.uniform_pj
        for row in table.rows
        if (row.component, row.op, row.device, row.bits) == ("pe", datapath, style, (bits,) * 2)
    )


def total(rows: Iterable[dict[str, str]], column: str) -> float:
    """Energy of an image under a price, in pJ."""
    return sum(float(row[column]) * int(row["taps"]) for row in rows)


def errors(rows: list[dict[str, str]], column: str) -> tuple[float, float, float]:
    """Of a price against gates, in per cent: rms over layers, worst layer, whole network."""
    found = [float(row[column]) / float(row["gates_pj"]) - 1 for row in rows]
    whole = total(rows, column) / total(rows, "gates_pj") - 1
    return tuple(100 * one for one in (math.sqrt(sum(one**2 for one in found) / len(found)), max(map(abs, found)), whole))


def best_constant(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Rows with the one energy a tap of each datapath that is right for the whole network, as no table could know it."""
    taps = {one: [row for row in rows if row["datapath"] == one] for one in {row["datapath"] for row in rows}}
    means = {one: total(alike, "gates_pj") / sum(int(row["taps"]) for row in alike) for one, alike in taps.items()}
    return [row | {"mean_pj": str(means[row["datapath"]])} for row in rows]


def usual(rows: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Those of one multiplier style a layer, the usual one."""
    return [row for row in rows if row["style"] != "booth"]


def error_table(rows: list[dict[str, str]]) -> Iterator[str]:
    """Lines on the errors of three prices."""
    prices = "zero share: rms | worst | network | uniform operands: rms | worst | network | best constant: rms | worst"
    yield f"| network, 8 bits | layers | {prices} |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for name in NETWORKS:
        found = best_constant(usual(row for row in rows if (row["network"], row["bits"]) == (name, "8")))
        if found:
            line, uniform, mean = (errors(found, column) for column in ("line_pj", "uniform_pj", "mean_pj"))
            cells = [
                *(f"{one:+.1f} %" if at == 2 else f"{one:.1f} %" for price in (line, uniform) for at, one in enumerate(price))
            ]
            yield f"| {name} | {len(found)} | {' | '.join(cells)} | {mean[0]:.1f} % | {mean[1]:.1f} % |"


def by_layer(rows: list[dict[str, str]]) -> dict[tuple[str, str], dict[str, str]]:
    """Rows of one network and width by layer and style."""
    return {(row["layer"], row["style"]): row for row in rows}


def ratio_table(rows: list[dict[str, str]]) -> Iterator[str]:
    """Lines on how much more a multiplying tap takes than an adder tap, under each price."""
    table, literature = load_table(TABLE), load_table(LITERATURE)
    yield "| bits | multiplier | Horowitz' constants | uniform operands | half of the inputs zero | own operands, LeNet-5 |"
    yield "|---:|---|---:|---:|---:|---:|"
    for bits in WIDTHS:
        constants = (literature.price("mul", bits) + literature.price("add", 2 * bits + 8)) / (
            2 * literature.price("sub", bits) + literature.price("mux", bits) + literature.price("sub", bits + 9)
        )
        for style, word in (("", "carry-save"), ("booth", "booth")):
            adder, mac = table.element("l1-2a", bits), table.element("mac", bits, style)
            uniform = uniform_pj(table, "mac", bits, style) / uniform_pj(table, "l1-2a", bits, "")
            zeros = (mac.energy_pj - mac.zero_pj * TYPICAL) / (adder.energy_pj - adder.zero_pj * TYPICAL)
            own = [row for row in rows if row["network"].startswith("lenet5") and row["bits"] == str(bits)]
            sums = [
                total((row for row in own if row["network"] == name and row["style"] == kind), "gates_pj")
                for name, kind in (("lenet5-conv", word), ("lenet5-adder", ""))
            ]
            yield f"| {bits} | {word} | {constants:.2f} | {uniform:.2f} | {zeros:.2f} | {sums[0] / sums[1]:.2f} |"


def saved(rows: list[dict[str, str]], network: str) -> dict[str, float]:
    """Energy of an image's arithmetic of both networks at 8 bits, and the least and the largest ratio of a layer's tap."""
    of = {
        kind: usual(row for row in rows if (row["network"], row["bits"]) == (f"{network}-{kind}", "8"))
        for kind in ("adder", "conv")
    }
    adder = {row["layer"]: float(row["gates_pj"]) for row in of["adder"] if row["datapath"] != "mac"}
    ratios = [float(row["gates_pj"]) / adder[row["layer"]] for row in of["conv"] if row["layer"] in adder]
    whole = {kind: total(found, "gates_pj") for kind, found in of.items()}
    uniform = total(of["conv"], "uniform_pj") / total(of["adder"], "uniform_pj")
    sums = {"adder": whole["adder"] / 1e6, "conv": whole["conv"] / 1e6, "times": whole["conv"] / whole["adder"]}
    return sums | {"uniform": uniform, "least": min(ratios), "most": max(ratios)}


def page(rows: list[dict[str, str]]) -> str:
    """Text of README.md, from text.md and the rows."""
    figures: dict[str, object] = {"errors": "\n".join(error_table(rows)), "ratios": "\n".join(ratio_table(rows))}
    for network in ("lenet5", "resnet20"):
        if any(row["network"].startswith(network) for row in rows):
            figures |= {f"{network}_{key}": f"{value:.2f}" for key, value in saved(rows, network).items()}
    return (HERE / "text.md").read_text(encoding="utf-8").format(**figures)


def main() -> None:
    """Measure and write, or write alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", nargs="?", type=Path)
    parser.add_argument("--cifar10", type=Path)
    parser.add_argument("--written", action="store_true")
    asked = parser.parse_args()
    if not asked.written:
        if asked.library is None:
            parser.error("give a Liberty library, or --written")
        write_rows(HERE / "results.csv", list(measured(asked.library, asked.cifar10)))
    with open(HERE / "results.csv", newline="", encoding="utf-8") as stream:
        (HERE / "README.md").write_text(page(list(csv.DictReader(stream))), encoding="utf-8")


if __name__ == "__main__":
    main()

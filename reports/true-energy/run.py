"""What a tap costs in gates on a network's own data, adder beside multiplier; one command, under four minutes of one core.

    python reports/true-energy/run.py LIBRARY.lib.xz --cifar10 FOLDER --mlperf FOLDER   # results.csv and README.md
    python reports/true-energy/run.py --fabric                                          # constants.csv and README.md; slow
    python reports/true-energy/run.py --written                                         # README.md again, from both

Needs yosys (the extra `gates` brings one), a Liberty library of which a bundled table has the elements (sg13g2), CIFAR-10 for
ResNet-20, and of MLPerf Tiny kws_ref_model.tflite and kws01.npz (the keyword clips: `clips`, 49 x 10 int8 features)
for DS-CNN; without either folder its networks are left out. LeNet-5's images come with the package.
"""

from __future__ import annotations

import argparse
import csv
import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

import addersim
from addersim.hardware import load_accelerator, load_table
from addersim.hardware.activity import measure_activity
from addersim.hardware.gates.element_operands import Element, layer_operands
from addersim.hardware.gates.element_table import LayerJob, characterise
from addersim.hardware.gates.fabric import layer_in_fabric
from addersim.hardware.gates.liberty import load_library
from addersim.hardware.prices.elements import element_bits, element_figures, toggle_energy, zero_energy
from addersim.images import Images
from addersim.layers import IntegerWindow
from addersim.program import Program
from addersim.storage import write_rows
from addersim.toggles import Toggles
from addersim.trace import LayerTrace

HERE = Path(__file__).parent
TABLE, LITERATURE = "sg13g2-gates", "horowitz-45nm"
WIDTHS = (2, 4, 6, 8, 16)
NETWORKS = ("lenet5-adder", "lenet5-conv", "resnet20-adder", "resnet20-conv", "ds-cnn")
MACHINE = "systolic-16x16"  # output stationary, as the gates are driven: whose order toggles are seen in
CONSTANTS = (("conv1", 4), ("conv1", 6), ("conv1", 8), ("fc3", 4))  # layers and widths; larger ones take long
STEPS, IMAGES, SEED = 16384, 8, 11
TYPICAL = 0.5  # share of zeros at which widths are compared: see addersim.hardware.prices.elements.TYPICAL_ZEROS


class Seen(NamedTuple):
    """A layer's element with operands of the layer's own: their zeros, the toggles of all its taps, and its trace."""

    job: LayerJob
    zeros: float
    toggles: Toggles
    layer: LayerTrace


def program_of(name: str, bits: int, folders: dict[str, Path | None]) -> tuple[Program, Images]:
    """A network at a width, and the images that drive it."""
    if name == "ds-cnn":
        folder = folders["mlperf"]
        assert folder is not None
        clips = np.ascontiguousarray(np.moveaxis(np.load(folder / "kws01.npz")["clips"][:IMAGES], 3, 1))
        return addersim.load(folder / "kws_ref_model.tflite"), clips
    which = {"root": folders["cifar10"]} if name.startswith("resnet20") else {}
    images = "cifar10" if which else "fashion-mnist-2000"
    calibration = addersim.load_images(images, split="train", limit=256, **which)
    rules = addersim.Quantization(weight_bits=bits, activation_bits=bits)
    program = addersim.quantize(addersim.load_network(name), calibration, rules)
    return program, addersim.load_images(images, limit=IMAGES, **which).pixels


def jobs_of(name: str, bits: int, folders: dict[str, Path | None]) -> Iterator[Seen]:
    """Elements of a network's layers with their own operands, both styles of multipliers."""
    program, pixels = program_of(name, bits, folders)
    traced = {layer.name: layer for layer in program.trace().layers}
    toggles = {one.name: one.toggles for one in measure_activity(program, pixels, load_accelerator(MACHINE))}
    for layer, operands in layer_operands(program, pixels, STEPS, SEED):
        known = traced[layer.name]
        for style in ("", "booth") if layer.datapath == "mac" else ("",):
            job = LayerJob(name, layer.name, Element.of_layer(layer, style), element_bits(known), operands)
            yield Seen(job, operands.zeros, toggles[layer.name], known)


def networks(folders: dict[str, Path | None]) -> Iterator[tuple[str, int]]:
    """Networks whose images are there, and their widths: all of them for LeNet-5."""
    needed = {"resnet20-adder": "cifar10", "resnet20-conv": "cifar10", "ds-cnn": "mlperf"}
    for name in NETWORKS:
        if name not in needed or folders[needed[name]] is not None:
            yield from ((name, bits) for bits in (WIDTHS if name.startswith("lenet5") else (8,)))


def measured(library: Path, folders: dict[str, Path | None]) -> Iterator[dict[str, object]]:
    """A row a layer, width and style: energy of its tap in gates, and what each price says."""
    cells, table = load_library(library), load_table(TABLE)
    for name, bits in networks(folders):
        found = list(jobs_of(name, bits, folders))
        with tempfile.TemporaryDirectory(dir=HERE) as folder:
            rows = characterise(cells, [one.job for one in found], Path(folder))
        for (job, zeros, toggles, layer), row in zip(found, rows, strict=True):
            circuit = job.element
            devices = circuit.device, circuit.style
            element = element_figures(layer, table, circuit.style)
            line, _ = zero_energy(element, zeros, circuit.accumulator_bits)
            moving, _ = toggle_energy(element, toggles, circuit.accumulator_bits)
            yield {
                "network": name, "bits": bits, "layer": job.layer, "datapath": circuit.datapath,
                "style": circuit.style or ("carry-save" if circuit.datapath == "mac" else ""), "taps": layer.work.taps,
                "zeros": f"{zeros:.4f}", "gates_pj": row["energy_pj"], "line_pj": f"{line:.5g}",
                "toggles_pj": f"{moving:.5g}", "uniform_pj": uniform_pj(table, circuit.datapath, job.bits, devices),
            }  # fmt: skip
        print(name, bits, flush=True)


def uniform_pj(table: addersim.hardware.EnergyTable, datapath: str, bits: int, devices: Sequence[str]) -> float:
    """Energy on operands of which every code is as likely, of the first device that has a row: a constant, as tables of
    operations have it."""
    rows = {(row.component, row.op, row.device, row.bits): row for row in table.rows}
    return next(rows[key].uniform_pj for one in devices if (key := ("pe", datapath, one, (bits,) * 2)) in rows)


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
    """Lines on the errors of four prices."""
    three = ("toggles: rms", "zero share: rms", "uniform operands: rms")
    prices = " | worst | network | ".join(three) + " | worst | network | best constant: rms | worst"
    yield f"| network, 8 bits | layers | {prices} |"
    yield f"|---|{'---:|' * 12}"
    for name in NETWORKS:
        found = best_constant(usual(row for row in rows if (row["network"], row["bits"]) == (name, "8")))
        if found:
            *prices, mean = (errors(found, column) for column in ("toggles_pj", "line_pj", "uniform_pj", "mean_pj"))
            cells = [f"{one:+.1f} %" if at == 2 else f"{one:.1f} %" for price in prices for at, one in enumerate(price)]
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
            uniform = uniform_pj(table, "mac", bits, [style]) / uniform_pj(table, "l1-2a", bits, [""])
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


def in_fabric() -> Iterator[dict[str, object]]:
    """A row a layer, width and network: the layer with its weights as constants of an FPGA."""
    for name, bits in CONSTANTS:
        for network in NETWORKS[:2]:
            program, _ = program_of(network, bits, {})
            layer = next(one for one in program.layers if one.name == name)
            assert isinstance(layer, IntegerWindow)
            used = layer_in_fabric(layer, "xc7", HERE)
            yield {
                "network": network,
                "layer": name,
                "taps": layer.weights.size,
                "sum_bits": layer.accumulator_bits(),
            } | asdict(used)
            print(network, name, bits, "as constants", flush=True)


def constant_table() -> Iterator[str]:
    """Lines on weights as constants."""
    columns = "look-up tables: adder | multiplying | flip-flops: adder | multiplying | tables, adder to multiplying"
    yield f"| layer | taps | bits | {columns} |"
    yield f"|---|{'---:|' * 7}"
    with open(HERE / "constants.csv", newline="", encoding="utf-8") as stream:
        rows = {(row["layer"], row["bits"], row["network"]): row for row in csv.DictReader(stream)}
    for layer, bits in CONSTANTS:
        adder, mac = (rows[layer, str(bits), name] for name in NETWORKS[:2])
        tables, flops = ([int(one[key]) for one in (adder, mac)] for key in ("luts", "flip_flops"))
        cells = " | ".join(f"{one:,}" for one in (*tables, *flops))
        yield f"| {layer} | {adder['taps']} | {bits} | {cells} | {tables[0] / tables[1]:.2f} |"


def page(rows: list[dict[str, str]]) -> str:
    """Text of README.md, from text.md and the rows."""
    figures: dict[str, object] = {
        "constants": "\n".join(constant_table()),
        "errors": "\n".join(error_table(rows)),
        "ratios": "\n".join(ratio_table(rows)),
    }
    for network in ("lenet5", "resnet20"):
        if any(row["network"].startswith(network) for row in rows):
            figures |= {f"{network}_{key}": f"{value:.2f}" for key, value in saved(rows, network).items()}
    return (HERE / "text.md").read_text(encoding="utf-8").format(**figures)


def main() -> None:
    """Measure and write, or write alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", nargs="?", type=Path)
    parser.add_argument("--cifar10", type=Path)
    parser.add_argument("--mlperf", type=Path)
    parser.add_argument("--fabric", action="store_true")
    parser.add_argument("--written", action="store_true")
    asked = parser.parse_args()
    if asked.fabric:
        rows: list[dict[str, object]] = []
        for row in in_fabric():  # minutes each: what is there stays
            rows.append(row)
            write_rows(HERE / "constants.csv", rows)
    elif not asked.written:
        if asked.library is None:
            parser.error("give a Liberty library, or --written")
        write_rows(HERE / "results.csv", list(measured(asked.library, {"cifar10": asked.cifar10, "mlperf": asked.mlperf})))
    with open(HERE / "results.csv", newline="", encoding="utf-8") as stream:
        (HERE / "README.md").write_text(page(list(csv.DictReader(stream))), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Accuracy against bits, all layers alike and by a search of per-layer widths; writes results and formats beside this file.

    python reports/bit-widths/run.py [--data SET] [--root FOLDER] [NETWORK ...]
    python reports/bit-widths/run.py --priced [--data SET] [--root FOLDER]     # energies alone, of all rows of one width

Scales and codes are chosen on the first 256 training images; the search measures on the 500 training images after them,
or where a set has fewer, calibrates on half of them and measures on the other half. Test images choose nothing. Rows that
stand in the results are not measured again; delete the file to measure all of them again. Energies need formats and no image
of the test set: `--priced` finds them anew in seconds, but for rows of a search, whose formats are not kept.
"""

import argparse
import csv
from functools import partial
from pathlib import Path

from addersim import LayerBits, Quantization, count, estimate, load_images, load_network, search_bits, simulate
from addersim.errors import QuantizationError
from addersim.layers import Window
from addersim.quantization.pipeline import prepare, quantize_prepared
from addersim.storage import write_rows

HERE = Path(__file__).parent
BITS = (3, 4, 5, 6, 7, 8)
FLOORS = (2.0, 4.0)
HEAD = ["network", "case", "bits", "images", "accuracy_float", "accuracy", "agreement", "energy_uj"]
FINE = {"calibration": "output", "weight_rounding": "output"}
CASES = {
    "plain": {},
    "finer calibration": FINE,
    "ends at 8 bits": {"ends": 8},
    "finer calibration, ends at 8 bits": FINE | {"ends": 8},
    "statistics not corrected": {"correction": "none"},
    "weights not clipped": {"clip_weights": False},
}


def rules(network, bits, ends=None, **options):
    """Rules of one width; with `ends`, the first and the last window layer have that width instead."""
    windows = [layer.name for layer in network.layers if isinstance(layer, Window)]
    layers = (
        {} if ends is None else dict.fromkeys((windows[0], windows[-1]), LayerBits(weight_bits=ends, activation_bits=ends))
    )
    return Quantization(weight_bits=bits, activation_bits=bits, layers=layers, **options)


def energy_uj(program):
    """Energy of a steady image."""
    return f"{estimate(count(program), 'systolic-16x16', 'horowitz-45nm').energy_pj / 1e6:.4f}"


def priced(rows, data, root):
    """The rows with their energies of today; those of a search as they are."""
    images = load_images(data, root, "train", 756).pixels[:256]
    networks = {name: load_network(name) for name in {row["network"] for row in rows}}
    prepared = {name: prepare(network, images) for name, network in networks.items()}
    for row in rows:
        found = {}
        if row["case"] in CASES:
            how = rules(networks[row["network"]], int(row["bits"]), **CASES[row["case"]])
            found["energy_uj"] = energy_uj(quantize_prepared(prepared[row["network"]], how))
        yield row | found


class Bench:
    """A network with its test images."""

    def __init__(self, name, data, root):
        self.network = load_network(name)
        self.training = load_images(data, root, "train", 756)
        self.test = load_images(data, root)
        self.float = self.network.run(self.test.pixels).argmax(axis=1)
        self.prepared = prepare(self.network, self.training.pixels[:256])

    def row(self, case, bits, how):
        program = quantize_prepared(self.prepared, how)
        chosen = simulate(program, self.test.pixels).predictions
        shares = [(one == other).mean() for one, other in ((chosen, self.test.labels), (chosen, self.float))]
        accuracy_float = (self.float == self.test.labels).mean()
        numbers = [f"{accuracy_float:.4f}", *(f"{share:.4f}" for share in shares), energy_uj(program)]
        return dict(zip(HEAD, [self.network.name, case, str(bits), str(len(self.test)), *numbers], strict=True))

    def search(self, floor, folder):
        return search_bits(
            self.network,
            self.training,
            folder,
            floor_points=floor,
            rules=Quantization(weight_rounding="output"),
            trials=20,
        ).rules


def points(bench, data):
    """Every (case, bits, rules) of a network; the rules of a search are made when they are asked for."""
    adder = any(isinstance(layer, Window) and layer.arithmetic == "l1" for layer in bench.network.layers)
    for case, options in CASES.items():
        if adder or "clip_weights" not in options:
            for bits in BITS:
                yield case, bits, partial(rules, bench.network, bits, **options)
    for floor in FLOORS:
        folder = HERE / f"{bench.network.name}-{data}-{floor:g}"
        yield f"search, {floor:g} points", "3..8", partial(bench.search, floor, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["lenet5-adder", "lenet5-conv"])
    parser.add_argument("--data", default="fashion-mnist-2000")
    parser.add_argument("--root")
    parser.add_argument("--priced", action="store_true", help="price the rows that are there again, and measure nothing")
    given = parser.parse_args()
    path = HERE / f"results-{given.data}.csv"
    rows = list(csv.DictReader(path.open(encoding="utf-8"))) if path.exists() else []
    if given.priced:
        again = list(priced(rows, given.data, given.root))
        print(sum(new != old for new, old in zip(again, rows, strict=True)), "of", len(rows), "energies moved")
        write_rows(path, again)
    for name in () if given.priced else given.networks:
        bench = Bench(name, given.data, given.root)
        for case, bits, make in points(bench, given.data):
            if (bench.network.name, case, str(bits)) in [(row["network"], row["case"], row["bits"]) for row in rows]:
                continue
            try:
                rows.append(bench.row(case, bits, make()))
            except QuantizationError as error:  # a floor that no assignment keeps
                print(bench.network.name, case, error)
                continue
            print(*rows[-1].values(), sep="  ", flush=True)
            write_rows(path, rows)


if __name__ == "__main__":
    main()

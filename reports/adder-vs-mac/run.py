"""Adder networks beside their multiplying twins, from the arithmetic alone to the whole system; one command, two processes.

    python reports/adder-vs-mac/run.py             # everything: results.csv, the pictures, README.md
    python reports/adder-vs-mac/run.py --written   # the pictures and README.md again, from results.csv and text.md
    python reports/adder-vs-mac/run.py --area lenet5   # the designs of this network at equal area again, in one process

Needs the extra `train` (architectures that are not bundled are torch's; counting needs shapes only, so that they stay
untrained) and plotly. The text is text.md, whose figures `figures.py` takes from results.csv.
A saving is the twin's energy over the adder network's, an image. A table that cannot price a
design leaves a row with the reason.
"""

from __future__ import annotations

import argparse
import csv
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path

from msgspec.structs import replace

from addersim import Accumulator, Quantization, count, estimate, estimate_area, load_accelerator, load_network, quantize
from addersim.errors import PriceError
from addersim.hardware import load_table
from addersim.hardware.own_clock import at_own_clock
from addersim.hardware.prices.csv_file import table_names
from addersim.hardware.prices.operations import arithmetic_energy
from addersim.hardware.sizing import Aim, fit_area
from addersim.storage import write_rows

HERE = Path(__file__).parent
NETWORKS = ("resnet50", "resnet18", "resnet20", "lenet5")  # the longest first, for two processes
BITS = (8, 16)
ACCELERATORS = ("systolic-16x16", "systolic-32x32", "systolic-128x128", "edge-unified-32x32", "eyeriss-65nm")
REFERENCE = "horowitz-45nm"
EYERISS = "eyeriss-65nm"  # the accelerator needs the table of this name: it prices scratchpads and the array's network
LARGE_BATCH = 16
PARTS = {
    "array": ("array",),
    "vector": ("vector",),
    "scratchpads": ("register", "network"),
    "buffers": ("buffer",),
    "dram": ("dram",),
    "leakage": ("leakage",),
}
CASES = {"systolic-16x16": ("1c1a", "xor", "16-bit sums"), "edge-unified-32x32": ("32-bit sums",)}
SUMS = {"16-bit sums": Accumulator(16, "saturate"), "32-bit sums": Accumulator(32, "saturate")}
BEFORE = "monolithic, fetched"  # each memory one macro, weights fetched for every image: the other end of the range
MIXED, SHARE = "an eighth multiplies", 1 / 8  # of the columns, in the adder network's array
OWN_CLOCKS, DELAYS = "own clocks", "nangate45-gates"  # each design at its slowest element's, by this table, which prices both
BUNDLED = ("lenet5", "resnet20")  # the only ones that are sized so: the others take minutes each
OPERATIONS = [name for name in table_names() if not load_table(name).knows_elements]
KEYS = ("network", "bits", "accelerator", "batch", "equal", "case", "table")


def reference(accelerator):
    """The table behind every single figure of an accelerator."""
    return EYERISS if accelerator == EYERISS else REFERENCE


def programs(network, bits, case="2a"):
    """The adder network and its twin, in integers; uncalibrated, for only shapes and widths count here."""
    accumulator = SUMS.get(case, Accumulator())
    circuit = case if case in ("1c1a", "xor") else "2a"
    rules = Quantization(weight_bits=bits, activation_bits=bits, circuit=circuit, accumulator=accumulator)
    return [quantize(load_network(f"{network}-{arithmetic}"), None, rules) for arithmetic in ("adder", "conv")]


def energies(cost):
    """Energy of one image by part, in pJ."""
    found = cost.energy_by_component()
    return {part: sum(found.get(name, 0.0) for name in names) / cost.batch for part, names in PARTS.items()}


def row(given, programs, machines, budget_mm2=None):
    """One comparison: two programs on their machines, under one table and batch."""
    found = dict(zip(KEYS, given, strict=True)) | {"refused": ""}
    table = load_table(found["table"])
    traces = [count(program) for program in programs]
    try:
        costs = [estimate(trace, machine, table, found["batch"]) for trace, machine in zip(traces, machines, strict=True)]
    except PriceError as error:
        return found | {"refused": str(error)}
    paper = [sum(arithmetic_energy(count(program, "paper").operations, table).values()) for program in programs]
    parts = [energies(cost) for cost in costs]
    taps = traces[0].taps_by_datapath()
    found |= {
        "multiplied_taps_percent": f"{100 * taps.get('mac', 0) / traces[0].taps:.3f}",
        "area_budget_mm2": f"{budget_mm2:.4f}" if budget_mm2 else "",
        "saving_paper": f"{paper[1] / paper[0]:.4f}",
    }
    sums = [0.0, 0.0]
    for part in PARTS:
        sums = [total + one[part] for total, one in zip(sums, parts, strict=True)]
        found[f"saving_to_{part}"] = f"{sums[1] / sums[0]:.4f}"
    for name, machine, cost, one in zip(("adder", "conv"), machines, costs, parts, strict=True):
        found |= {f"{name}_{part}_uj": f"{energy_pj * 1e-6:.6g}" for part, energy_pj in one.items()}
        found |= {
            f"{name}_uj": f"{sum(one.values()) * 1e-6:.6g}",
            f"{name}_ms": f"{cost.latency_ms / cost.batch:.6g}",
            f"{name}_elements": machine.array.elements,
        }
    return found


def points(network, bits, accelerator):
    """Every comparison of a pair of networks on one accelerator."""
    pair, machine, table = programs(network, bits), load_accelerator(accelerator), reference(accelerator)
    for name in OPERATIONS:
        yield row((network, bits, accelerator, 1, "elements", "2a", name), pair, (machine, machine))
    yield row((network, bits, accelerator, LARGE_BATCH, "elements", "2a", table), pair, (machine, machine))
    before = replace(machine, buffers=replace(machine.buffers, monolithic=True, keep_weights=False))
    yield row((network, bits, accelerator, 1, "elements", BEFORE, table), pair, (before, before))
    yield from at_equal_area(network, bits, accelerator)


def at_equal_area(network, bits, accelerator):
    """A pair of networks, each on the fastest array of the area that the twin's accelerator has."""
    pair, machine, table = programs(network, bits), load_accelerator(accelerator), reference(accelerator)
    if accelerator == EYERISS:  # whose shapes take minutes to search
        return
    traces = [count(program) for program in pair]
    budget_mm2 = estimate_area(traces[1], machine).area_mm2
    sized = fastest(traces, (machine, machine), budget_mm2, table)
    yield row((network, bits, accelerator, 1, "area", "2a", table), pair, sized, budget_mm2)
    if accelerator == "systolic-16x16" and network in BUNDLED:
        mixed = replace(machine, array=replace(machine.array, multiplier_share=SHARE))
        sized = fastest(traces, (mixed, machine), budget_mm2, table)
        yield row((network, bits, accelerator, 1, "area", MIXED, table), pair, sized, budget_mm2)
        clocked = [at_own_clock(trace, machine, load_table(DELAYS)).machine for trace in traces]
        sized = fastest(traces, clocked, budget_mm2, DELAYS)
        yield row((network, bits, accelerator, 1, "area", OWN_CLOCKS, DELAYS), pair, sized, budget_mm2)


def fastest(traces, machines, budget_mm2, table):
    """Each network's accelerator with the fastest array of a budget."""
    aim = Aim(prices=table)
    return [fit_area(trace, machine, budget_mm2, aim=aim) for trace, machine in zip(traces, machines, strict=True)]


def job(given):
    """All comparisons of one pair of networks on one accelerator; on some, other circuits and sums of one width too."""
    network, bits, accelerator = given
    rows = list(points(*given))
    machine = load_accelerator(accelerator)
    for case in CASES.get(accelerator, ()):
        keys = (network, bits, accelerator, 1, "elements", case, reference(accelerator))
        rows.append(row(keys, programs(network, bits, case), (machine, machine)))
    return rows


def measure():
    """Rows of the whole study, the longest jobs first."""
    jobs = sorted(product(NETWORKS, BITS, ACCELERATORS), key=lambda one: (NETWORKS.index(one[0]), one[2] != EYERISS))
    found = {}
    with ProcessPoolExecutor(2) as pool:
        for given, rows in zip(jobs, pool.map(job, jobs), strict=True):
            print(*given, len(rows), "rows", flush=True)
            found[given] = rows
    return [row for given in product(NETWORKS[::-1], BITS, ACCELERATORS) for row in found[given]]


def with_area_again(path, networks):
    """The rows of results.csv, those of some networks at equal area measured again; written after each accelerator."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for network, accelerator, bits in product(networks, ACCELERATORS, BITS):
        for new in at_equal_area(network, bits, accelerator):
            plain = {name: str(value) for name, value in new.items()}
            (place,) = (at for at, old in enumerate(rows) if all(old[key] == plain[key] for key in KEYS))
            moved = {name for name in plain if plain[name] != rows[place][name]}
            rows[place] |= plain
            write_rows(path, rows)
            print(network, bits, accelerator, new["case"], f"{len(moved)} figures moved", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--written", action="store_true", help="only draw results.csv and write README.md")
    parser.add_argument("--area", nargs="+", choices=NETWORKS, metavar="NETWORK", help="measure its equal-area rows again")
    given = parser.parse_args()
    path = HERE / "results.csv"
    if given.area:
        with_area_again(path, given.area)
    elif not given.written:
        write_rows(path, measure())
    sys.path.append(str(HERE.parent))  # where pictures.py is
    from show import show

    with path.open(encoding="utf-8") as file:
        show(list(csv.DictReader(file)), HERE)


if __name__ == "__main__":
    main()

"""The MLPerf Tiny networks from their files to the chips: accuracy, cycles beside Vela's and energy beside measurements.

    python reports/mlperf-tiny/run.py FOLDER [--no-speed]

FOLDER holds the four .tflite files of mlcommons/tiny, kws01.npz (the benchmark's 1,000 keyword clips: `clips`, `labels`),
Vela's NAME_per-layer.csv, and energies_v1.2.csv (chip, clock, network, energy_uj_per_inference of tiny_results_v1.2). Numbers
are written beside this file. LiteRT runs too where `ai_edge_litert` can be imported.
"""

import argparse
import csv
import importlib.util
from collections import defaultdict
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np

from addersim import count, estimate, load, load_accelerator, simulate
from addersim.results.rounding import compare_rounding
from addersim.storage import write_rows

HERE = Path(__file__).parent
FILES = {"ad": "ad01_int8", "kws": "kws_ref_model", "ic": "pretrainedResnet_quant", "vww": "vww_96_int8"}
RULES = ("tflite", "tosa", "tosa-double", "ort", "addersim")
VELA_MACHINE = "ethos-u55-256-like"
MACHINES = {name: name for name in (VELA_MACHINE, "systolic-16x16", "edge-unified-32x32")}
MACHINES["microcontroller-like"] = str(HERE / "microcontroller-like.toml")
TABLES = ("horowitz-45nm", "qtools-45nm", "aladdin-cacti-45nm", "aladdin-cacti-28nm", "shiftaddnet-45nm")
KINDS = {"Conv2D": "window", "DepthwiseConv2D": "window", "FullyConnected": "window", "Add": "rescaled_add"}
KINDS |= {"AvgPool": "average_pool", "Softmax": "rule_softmax"}


def programs(folder):
    """The four networks as programs, by the benchmark's short names."""
    return {name: load(str(Path(folder) / f"{file}.tflite")) for name, file in FILES.items()}


def table_of(path):
    with Path(path).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


# --- Rounding


def accuracies(program, clips, labels):
    """One row a rule: accuracy, and what differs from rule tflite."""
    rows = []
    for rule in RULES:
        accuracy = simulate(program, clips, labels, rounding=rule).accuracy
        beside = compare_rounding(program, clips, "tflite", rule, labels)
        last = beside.layers[-1]
        rows.append(
            {
                "rule": rule,
                "accuracy": f"{accuracy:.3f}",
                "outputs_differing": last.differing,
                "clips_differing": last.images,
                "largest": last.largest,
                "labels_differing": round((1 - beside.agreement) * len(clips)),
                "inner_codes_differing": sum(layer.differing for layer in beside.layers[:-1]),
                "inner_codes": sum(layer.codes for layer in beside.layers[:-1]),
                "first_layer": beside.first.name.split(";")[0] if beside.first else "",
            }
        )
    return rows


def beside_litert(program, file, clips):
    """One row a rule: how far LiteRT's own kernels, those that it takes unless told otherwise, are from it."""
    theirs = np.concatenate([one.reshape(1, -1) for one in litert(file, np.moveaxis(clips, 1, 3), 1)()]).astype(int)
    rows = []
    for rule in RULES:
        *_, (_, last) = program.with_rounding(rule).prepared().runs(clips, 1)
        ours = last.values.reshape(theirs.shape).astype(int)
        apart = np.abs(ours - theirs)
        row = {"rule": rule, "outputs_differing": np.count_nonzero(apart), "outputs": apart.size, "largest": apart.max()}
        row |= {"clips_differing": apart.any(axis=1).sum(), "labels_differing": (ours.argmax(1) != theirs.argmax(1)).sum()}
        rows.append({key: one if isinstance(one, str) else int(one) for key, one in row.items()})
    return rows


# --- Images a second


def per_second(run, images, repeats=3):
    """The best of some runs after one that warms up."""
    run()
    seconds = []
    for _ in range(repeats):
        start = perf_counter()
        run()
        seconds.append(perf_counter() - start)
    return images / min(seconds)


def litert(file, codes, threads):
    """A call that runs LiteRT's default (XNNPACK) kernels on all codes, `codes` of the file's own axes."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file), num_threads=threads)
    place = interpreter.get_input_details()[0]["index"]
    interpreter.allocate_tensors()
    shape, output = interpreter.get_input_details()[0]["shape"], interpreter.get_output_details()[0]["index"]

    def run():
        outputs = []
        for one in codes:
            interpreter.set_tensor(place, one.reshape(shape))
            interpreter.invoke()
            outputs.append(interpreter.get_tensor(output))
        return outputs

    return run


def speeds(folder, nets, clips):
    """Images a second of our kernels and LiteRT's, in turn."""
    random = np.random.default_rng(0)
    shapes = {"ad": (2000, 640), "kws": None, "ic": (500, 32, 32, 3), "vww": (300, 96, 96, 3)}
    rows = []
    for name, shape in shapes.items():
        codes = clips if shape is None else random.integers(-128, 128, shape, np.int8)
        for threads in (1, 2):
            runs = {"addersim": lambda: simulate(nets[name], ours, threads=threads)}  # noqa: B023  # called at once
            ours = codes if codes.ndim == 2 else np.ascontiguousarray(np.moveaxis(codes, 3, 1))
            if importlib.util.find_spec("ai_edge_litert"):
                runs["LiteRT"] = litert(Path(folder) / f"{FILES[name]}.tflite", codes, threads)
            found = {f"{who}_per_s": round(per_second(run, len(codes))) for who, run in runs.items()}
            rows.append({"network": name, "threads": threads, "images": len(codes)} | found)
    return rows


# --- Cycles


def ranks(values):
    """From 1 up; equal values share the mean of their ranks."""
    values = np.asarray(values)
    return np.array([((values < one).sum() + (values <= one).sum() + 1) / 2 for one in values])


def spearman(one, other):
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def vela_layers(path):
    """(operator, MACs, array cycles, cycles) of each operator of the network, in order; what one became is summed."""
    found, before = [], None
    for row in table_of(path):
        operator = row["Original Operator"]
        # a fused ReLU is a row of its own behind its convolution, and a softmax is two dozen rows
        goes_on = row["NNG Operator"] == "Relu" or operator == before == "Softmax"
        place = found.pop() if goes_on else (operator, 0, 0, 0)
        numbers = (float(row[key]) for key in ("MAC Count", "NPU", "Op Cycles"))
        found.append((place[0], *(old + round(new) for old, new in zip(place[1:], numbers, strict=True))))
        before = operator
    return found


def unhindered():
    """The machine with so many lanes that none of its layers waits for them.

    Where rescaling takes longer than the sums before it, a mapper for latency may leave columns empty: nothing is lost.
    """
    machine = load_accelerator(VELA_MACHINE)
    return msgspec.structs.replace(machine, vector=msgspec.structs.replace(machine.vector, lanes=1024))


def our_layers(program, machine=VELA_MACHINE):
    """(kind, taps, array cycles, array and vector cycles, cycles) likewise: rescaling counts to the layer before it."""
    found = []
    for layer in estimate(count(program), machine, objective="latency").layers:
        if layer.kind == "move":
            continue
        kind, array = layer.kind, layer.compute_cycles
        taps, both, cycles = layer.taps, array, layer.cycles
        if kind == "rescale":
            kind, taps, array, more, waited = found.pop()
            both, cycles = both + more, cycles + waited
        found.append((kind, taps, array, both, cycles))
    return found


def cycle_rows(folder, nets):
    """Layer by layer beside Vela, for the networks that it reports."""
    rows = []
    for name, file in FILES.items():
        path = Path(folder) / f"{file}_per-layer.csv"
        if path.exists():
            both_of_ours = our_layers(nets[name]), our_layers(nets[name], unhindered())
            for place, (theirs, ours, free) in enumerate(zip(vela_layers(path), *both_of_ours, strict=True)):
                operator, macs, npu, total = theirs
                kind, taps, array, both, cycles = ours
                if KINDS[operator] != kind or (kind == "window" and taps != macs):
                    raise ValueError(f"{name}, layer {place}: Vela has {operator} of {macs} MACs, we {kind} of {taps}")
                row = {"network": name, "layer": place, "operator": operator, "macs": macs}
                row |= {"vela_array": npu, "ours_array": array}
                row |= {"ratio": round(array / npu, 2), "ours_array_and_vector": both}
                row |= {"vela_cycles": total, "ours_cycles": cycles, "ours_array_unhindered": free[2]}
                rows.append(row)
    return rows


def correlations(rows):
    """Per network and for all layers: totals, ratios, and how alike the orders are."""
    found = []
    pairs = [("vela_array", f"ours_array{which}") for which in ("", "_unhindered", "_and_vector")]
    pairs.append(("vela_cycles", "ours_cycles"))
    names = [*dict.fromkeys(row["network"] for row in rows), "all"]
    for name in names:
        for windows in (True, False):
            some = [row for row in rows if name in (row["network"], "all")]
            some = [row for row in some if not windows or KINDS[row["operator"]] == "window"]
            for theirs, ours in pairs:
                if "unhindered" in ours and not windows:
                    continue  # only layers of the array keep their meaning there
                one, other = ([row[key] for row in some] for key in (theirs, ours))
                found.append(
                    {
                        "network": name,
                        "layers": "windows" if windows else "all",
                        "compared": ours.removeprefix("ours_"),
                        "number": len(some),
                        "vela": sum(one),
                        "ours": sum(other),
                        "ratio": round(sum(other) / sum(one), 2),
                        "spearman": round(spearman(one, other), 2),
                    }
                )
    return found


# --- Energy


def measurements(path):
    """uJ an inference by setting, a chip at a clock, and network."""
    found = defaultdict(dict)
    for row in table_of(path):
        found[f"{row['chip']}, {row['clock']}"][row["network"]] = float(row["energy_uj_per_inference"])
    return dict(found)


def left_out(measured, predictor, constants=None):
    """Relative error for each network, predicted with constants fitted on the others.

    ``E = a + b * predictor`` where four networks were measured, ``E = b * predictor`` where three were (or as `constants`
    says), fitted by least squares of the relative error, since the energies span a factor of 34.
    """
    if constants is None:
        constants = 1 if len(measured) == 3 else 2
    errors = {}
    for name, energy in measured.items():
        others = [one for one in measured if one != name]
        terms = np.array([[predictor[one], 1.0][:constants] for one in others])
        weighted = terms / np.array([[measured[one]] for one in others])
        fitted = np.linalg.lstsq(weighted, np.ones(len(others)), rcond=None)[0]
        errors[name] = float(np.array([predictor[name], 1.0][:constants]) @ fitted) / energy - 1
    return errors


def predictors(nets):
    """uJ an inference as we have them, by (machine, table, what counts), and multiplications."""
    found = {("MACs", "", ""): {name: count(program).taps / 1e6 for name, program in nets.items()}}
    for machine, file in MACHINES.items():
        for table in TABLES:
            costs = {name: estimate(count(program), file, table) for name, program in nets.items()}
            parts = {name: cost.energy_by_component() for name, cost in costs.items()}
            found[machine, table, "all"] = {name: cost.energy_pj / 1e6 for name, cost in costs.items()}
            # these chips hold weights in flash or SRAM of their own, no table prices flash: also without main memory
            found[machine, table, "on chip"] = {
                name: (cost.energy_pj - parts[name].get("dram", 0)) / 1e6 for name, cost in costs.items()
            }
    return found


def energy_rows(measured, found):
    """One row a setting, predictor and number of constants: the error of each network left out, and its absolute mean."""
    rows = []
    for setting, energies in measured.items():
        for (machine, table, counted), predictor in found.items():
            for constants in (1, 2) if len(energies) > 3 else (1,):
                errors = left_out(energies, predictor, constants)
                row = {"setting": setting, "machine": machine, "table": table, "counted": counted, "constants": constants}
                row |= {name: round(100 * errors[name], 1) if name in errors else "" for name in FILES}
                rows.append(row | {"mean_absolute": round(float(100 * np.mean(np.abs(list(errors.values())))), 1)})
    return rows


def summary(rows):
    """Absolute errors of all measurements, by predictor and constants: two where four networks were measured (`2`), or one."""
    found = defaultdict(list)
    for row in rows:
        errors = [abs(row[name]) for name in FILES if row[name] != ""]
        at_most = (1, 2) if "NDP9120" in row["setting"] else (row["constants"],)
        for constants in at_most:
            found[row["machine"], row["table"], row["counted"], constants].extend(errors)
    return [
        {"machine": key[0], "table": key[1], "counted": key[2], "constants": key[3], "measurements": len(errors)}
        | {"mean_absolute": round(float(np.mean(errors)), 1), "median": round(float(np.median(errors)), 1)}
        | {"largest": max(errors)}
        for key, errors in found.items()
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--no-speed", action="store_true", help="time nothing")
    given = parser.parse_args()
    folder = Path(given.folder)
    nets = programs(folder)
    measured, found = measurements(folder / "energies_v1.2.csv"), predictors(nets)
    energies = energy_rows(measured, found)
    cycles = cycle_rows(folder, nets)
    ours = [dict(zip(("machine", "table", "counted"), key, strict=True)) | row for key, row in found.items()]
    arrays = np.load(folder / "kws01.npz")
    clips = np.ascontiguousarray(np.moveaxis(arrays["clips"], 3, 1))
    tables = {
        "predictors": ours,
        "energy": energies,
        "energy-summary": summary(energies),
        "cycles": cycles,
        "cycles-summary": correlations(cycles),
        "rounding": accuracies(nets["kws"], clips, arrays["labels"]),
    }
    if importlib.util.find_spec("ai_edge_litert"):
        tables["litert"] = beside_litert(nets["kws"], folder / f"{FILES['kws']}.tflite", clips)
    if not given.no_speed:
        tables["speed"] = speeds(folder, nets, arrays["clips"])
    for name, rows in tables.items():
        write_rows(HERE / f"{name}.csv", rows)
        print(name)
        for row in rows:
            print("  ", *row.values(), sep="  ")


if __name__ == "__main__":
    main()

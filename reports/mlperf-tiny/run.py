"""The MLPerf Tiny networks from their files to the chips: accuracy, cycles beside Vela's and energy beside measurements.

    python reports/mlperf-tiny/run.py FOLDER [--no-speed]

FOLDER holds the four .tflite files of mlcommons/tiny, kws01.npz (the benchmark's 1,000 keyword clips: `clips`, `labels`),
Vela's NAME_per-layer.csv, and energies_v1.2.csv (chip, clock, network, energy_uj_per_inference of tiny_results_v1.2). Numbers
are written beside this file. LiteRT and onnxruntime run too where `ai_edge_litert` and `onnxruntime` can be imported.
"""

import argparse
import importlib.util
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, sleep

import numpy as np
from chips import energy_rows, measurements, predictors, summary
from networks import FILES, programs
from vela import correlations, cycle_rows

from addersim import export_onnx, simulate
from addersim.results.rounding import compare_rounding
from addersim.storage import write_rows

HERE = Path(__file__).parent
IDLE_SECONDS = 0.3
"""Before each run: threads of the one that ran before turn round for a while, and would take a core of this one."""
RULES = ("tflite", "tosa", "tosa-double", "ort", "addersim")


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


def timed(runs, images, repeats=7):
    """Microseconds an image of each run, of the processor and of the clock: the least of some, in turn, after a first one."""
    for run in runs.values():
        run()
    least = {}
    for who, run in list(runs.items()) * repeats:
        sleep(IDLE_SECONDS)
        start = process_time(), perf_counter()
        run()
        seconds = process_time() - start[0], perf_counter() - start[1]
        least[who] = tuple(map(min, least.get(who, seconds), seconds))
    return {
        f"{who}_{clock}_us": round(1e6 * one / images, 1)
        for who, both in least.items()
        for clock, one in zip(("processor", "clock"), both, strict=True)
    }


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


def onnxruntime(program, codes, threads, together=32):
    """A call that runs our export of a program, which leaves the softmax out, on all codes, some images a call."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    with TemporaryDirectory() as at:
        file = str(Path(at) / "network.onnx")
        export_onnx(program, file, style="qdq")
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run():
        return [session.run(None, {name: codes[first : first + together]}) for first in range(0, len(codes), together)]

    return run


def speeds(folder, nets, clips):
    """Of our kernels, LiteRT's and onnxruntime's, in turn."""
    random = np.random.default_rng(0)
    shapes = {"ad": (4000, 640), "kws": None, "ic": (1000, 32, 32, 3), "vww": (1000, 96, 96, 3)}
    rows = []
    for name, shape in shapes.items():
        codes = clips if shape is None else random.integers(-128, 128, shape, np.int8)
        ours = codes if codes.ndim == 2 else np.ascontiguousarray(np.moveaxis(codes, 3, 1))
        for threads in (1, 2):
            runs = {"addersim": partial(simulate, nets[name], ours, threads=threads)}
            if importlib.util.find_spec("ai_edge_litert"):
                runs["LiteRT"] = litert(Path(folder) / f"{FILES[name]}.tflite", codes, threads)
            if importlib.util.find_spec("onnxruntime"):
                runs["onnxruntime"] = onnxruntime(nets[name], ours, threads)
            rows.append({"network": name, "threads": threads, "images": len(codes)} | timed(runs, len(codes)))
    return rows


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

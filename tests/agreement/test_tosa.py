"""Networks of MLPerf Tiny beside Arm's TOSA reference model, layer by layer; where its tools are installed.

Packages tosa-tools (2026.8.0) and tosa-converter-for-tflite (2026.2.0) are tried where they can be imported, and the networks
where ADDERSIM_MLPERF_TINY names a folder that has them.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import addersim

TINY = Path(os.environ.get("ADDERSIM_MLPERF_TINY", "nowhere"))
NETWORKS = {"ad": "ad01_int8", "ic": "pretrainedResnet_quant", "kws": "kws_ref_model", "vww": "vww_96_int8"}
MODES = {"tosa": "SINGLE_ROUND", "tosa-double": "DOUBLE_ROUND"}
CODES = re.compile(r"^    (%\d+) = tosa\.(?:rescale|clamp|avg_pool2d) .*-> (tensor<\?[^>]*xi8>)$", re.MULTILINE)
ATTACHED = "tosa-attach-target{profiles=pro_int extensions=int4,int16 level=none specification_version=1.0}"


def tool(name):
    """A program of tosa-tools: beside its modules, or on the path."""
    found = importlib.util.find_spec("tosa_reference_model")
    beside = Path(found.origin).parents[1] / "bin" / name if found else Path("nowhere")
    path = str(beside) if beside.exists() else shutil.which(name)
    return path or pytest.skip(f"no {name} of tosa-tools here")


def legalised(name, folder):
    """TOSA of a network, as text."""
    converter = pytest.importorskip("tosa_converter_for_tflite")
    file = TINY / f"{NETWORKS[name]}.tflite"
    if not file.exists():
        pytest.skip("ADDERSIM_MLPERF_TINY names no folder that has it")
    form = converter.TosaConverterOutputFormat.Text
    converter.tflite_flatbuffer_to_tosa_mlir(str(file), str(folder / "made.mlir"), form)
    return addersim.load(file), (folder / "made.mlir").read_text()


def own_run(text, rule, codes, folder):
    """What the reference model gives, in a mode of rounding of all its rescalings."""
    text = re.sub("(SINGLE|DOUBLE)_ROUND", MODES[rule], text)
    text = text.replace("tensor<?x", f"tensor<{len(codes)}x").replace("dense<[-1, ", f"dense<[{len(codes)}, ")
    (folder / "run.mlir").write_text(text)
    passes = f"builtin.module({ATTACHED},tosa-serialize{{tosa-flatbuffer-filename={folder / 'run.tosa'}}})"
    subprocess.run([tool("tosa-opt"), folder / "run.mlir", f"--pass-pipeline={passes}", "-o", os.devnull], check=True)
    np.save(folder / "given.npy", np.ascontiguousarray(np.moveaxis(codes, 1, -1) if codes.ndim == 4 else codes))
    model = tool("tosa_reference_model")
    given = {"operator_fbs": Path(model).with_name("tosa.fbs"), "tosa_file": folder / "run.tosa", "flatbuffer_dir": folder}
    given |= {"ifm_name": "TosaInput_0", "ifm_file": folder / "given.npy", "ofm_name": "TosaOutput_0"}
    given |= {"ofm_file": folder / "found.npy", "output_dir": folder, "tosa_level": "NONE"}
    subprocess.run([model, *(str(one) for key, value in given.items() for one in (f"--{key}", value))], check=True)
    return np.load(folder / "found.npy")


def drawn(program, count):
    return np.random.default_rng(0).integers(-128, 128, (count, *program.input_shape)).astype(np.int8)


@pytest.mark.parametrize("count", [10, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("rule", MODES)
@pytest.mark.parametrize("name", NETWORKS)
def test_scores(name, rule, count, tmp_path):
    program, text = legalised(name, tmp_path)
    codes = drawn(program, count)
    expected = own_run(text, rule, codes, tmp_path)
    found = program.with_rounding(rule).run(codes)
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)


@pytest.mark.slow
@pytest.mark.parametrize("rule", MODES)
@pytest.mark.parametrize("name", NETWORKS)
def test_layers(name, rule, tmp_path):
    """Every layer of codes has those of some value of the reference model's graph."""
    program, text = legalised(name, tmp_path)
    codes, values = drawn(program, 10), []
    for value, kind in CODES.findall(text):
        cut = re.sub(r"return %\d+ : tensor<[^>]*>", f"return {value} : {kind}", text)
        cut = re.sub(r"\) -> tensor<[^>]*> attributes", f") -> {kind} attributes", cut)
        values.append(own_run(cut, rule, codes, tmp_path).ravel())
    runs = [run.values for name, run in program.with_rounding(rule).runs(codes) if name != "input"]
    layers = [one.ravel() for one in runs if one.dtype == np.int8]
    assert len(layers) > 8
    for layer in layers:
        assert any(layer.shape == value.shape and np.array_equal(layer, value) for value in values)

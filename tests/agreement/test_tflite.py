"""Programs of TFLite files beside LiteRT's reference kernels, tensor by tensor, code by code.

The networks of MLPerf Tiny are tried where ADDERSIM_MLPERF_TINY names a folder that has them.
"""

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tflite")

from addersim import lower_tflite, simulate
from addersim.frontends.tflite.dilated import DEALT, PUT_BACK
from addersim.frontends.tflite.file import read_graph
from addersim.frontends.tflite.islands import FUNCTIONS, TABLE
from addersim.frontends.tflite.operators import OPERATORS, SEVERAL
from addersim.frontends.tflite.sizes import SIZES
from addersim.frontends.tflite.walk import Walk
from addersim.kernels import reference
from tests.unit.frontends.tflite.models import KINDS
from tests.unit.frontends.tflite.networks import ends, networks

NETWORKS = networks()
SIGNED = {"INT8": True, "UINT8": False}
TINY = Path(os.environ.get("ADDERSIM_MLPERF_TINY", "nowhere"))


def as_given(images):
    """Images channels first, as programs take them."""
    return np.moveaxis(images, -1, 1)


def theirs(path, images, places):
    """What LiteRT's reference kernels give for some tensors, for each image in its turn."""
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = litert.Interpreter(
        model_path=str(path),
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    found = {place: [] for place in places}
    for image in images:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        for place, values in found.items():
            values.append(interpreter.get_tensor(place).copy())
    return {place: np.concatenate(values) for place, values in found.items()}


def drawn(path, count):
    """Random codes for a file's input, its extremes among them."""
    tensor = next(one for place, one in enumerate(read_graph(path).tensors) if place == read_graph(path).image)
    info = np.iinfo(KINDS[tensor.type])
    images = np.random.default_rng(5).integers(info.min, info.max + 1, (count, *tensor.shape[1:])).astype(info.dtype)
    images[0], images[1] = info.min, info.max
    return images


def differing(path, images, **engine):
    """Codes that differ, by tensor, and how many tensors were compared."""
    graph = read_graph(path)
    walk, program = Walk(graph), lower_tflite(path)
    expected = theirs(path, images, [place for place in walk.sources if graph.tensors[place].type in SIGNED])
    found = {name: run.values for name, run in program.runs(as_given(images), **engine)}
    wrong = {}
    for place, codes in expected.items():
        ours = found[walk.sources[place]]
        assert ours.dtype == codes.dtype
        if number := int(np.count_nonzero(ours.reshape(codes.shape) != codes)):
            wrong[graph.tensors[place].name] = number
    return wrong, len(expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_equals_litert(name, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(NETWORKS[name].content())
    assert differing(path, drawn(path, 12))[0] == {}


@pytest.mark.parametrize(
    "name",
    [
        "conv UINT8 SAME (2, 3) RELU6",
        "average INT8 SAME (2, 3) NONE",
        "mean UINT8",
        "dense INT8 RELU",
        "subtracted INT8 RELU6",
        "subtracted UINT8 NONE",
    ],
)
def test_slow_twins_do_too(name, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(NETWORKS[name].content())
    assert differing(path, drawn(path, 2), engine=reference)[0] == {}


def test_every_operator_is_among_the_networks():
    made = {operator[0] for model in (*NETWORKS.values(), ends("INT8")) for operator in model.operators}
    same = {"PADV2": "PAD"}  # that are read by the same function
    read = {same.get(name, name) for name in (*OPERATORS, *SEVERAL)} - {TABLE}
    assert read == made - (SIZES - read) - (FUNCTIONS.keys() - read) - {DEALT, PUT_BACK}
    assert FUNCTIONS.keys() - made == {"CEIL", "ELU", "ROUND"}  # of which LiteRT has no reference kernel


def test_reals_at_both_ends_equal_litert(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(ends("INT8").content())
    reals = np.random.default_rng(2).normal(0, 4, (200, 24)).astype(np.float32)
    program = lower_tflite(path)
    (place,) = read_graph(path).outputs
    *_, (name, run) = program.runs(reals)
    assert np.array_equal(program.static_values()[name].decode(run.values), theirs(path, reals, [place])[place])


FILES = {
    "kws_ref_model": 14,
    "pretrainedResnet_quant": 17,
    "ad01_int8": 11,
    "vww_96_int8": 32,
}
"""Tensors of codes that depend on the images, of each network."""


def images_of(name, count):
    path = TINY / f"{name}.tflite"
    return np.load(TINY / "kws01.npz")["clips"][:count] if name.startswith("kws") else drawn(path, count)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("count", [8, pytest.param(1000, marks=pytest.mark.slow)])
def test_networks_of_mlperf_tiny_equal_litert(name, count):
    path = TINY / f"{name}.tflite"
    if not path.is_file():
        pytest.skip("ADDERSIM_MLPERF_TINY names no folder that has it")
    assert differing(path, images_of(name, count)) == ({}, FILES[name])


def test_keywords_are_known_as_well_as_litert_knows_them():
    """901 of 1,000 clips."""
    if not (TINY / "kws01.npz").is_file():
        pytest.skip("ADDERSIM_MLPERF_TINY names no folder that has it")
    held = np.load(TINY / "kws01.npz")
    result = simulate(lower_tflite(TINY / "kws_ref_model.tflite"), as_given(held["clips"]), held["labels"])
    assert result.accuracy == 0.901

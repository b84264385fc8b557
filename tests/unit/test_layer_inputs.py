"""What layers assume about their inputs, in float and on codes: how many, which, and of what shape."""

import json
from typing import get_args

import numpy as np
import pytest
from msgspec.structs import replace

from addersim.arithmetic.fixed import Accumulator, FixedFormat
from addersim.errors import AddersimError, NetworkError
from addersim.layers import (
    AnyIntegerLayer,
    AnyLayer,
    IntegerAdd,
    IntegerAffine,
    IntegerAveragePool,
    IntegerMaxPool,
    IntegerMove,
    IntegerWindow,
)
from addersim.program import Program
from addersim.quantization.pipeline import quantize
from addersim.simulation import count, simulate
from tests.command_line import refused
from tests.unit.layers.test_rescale import zero_point_program
from tests.unit.layers.test_thresholds import coded_program
from tests.unit.networks import branches, images, residual

NETWORK, BRANCHES = residual(), branches()
PROGRAM, BRANCHED = (quantize(one, images(one, 4)) for one in (NETWORK, BRANCHES))
ELSEWHERE, CODED = zero_point_program(), coded_program()
"""Kinds that only programs have that were quantised elsewhere stand here."""
ALL = (NETWORK, PROGRAM, BRANCHES, BRANCHED, ELSEWHERE, CODED)
PLACES = [(base, place) for base in ALL for place in range(len(base.layers))]
NAMES = [f"{type(base).__name__} {base.layers[place].name}" for base, place in PLACES]


def with_layer(base, place, **changes):
    return replace(base, layers=(*base.layers[:place], replace(base.layers[place], **changes), *base.layers[place + 1 :]))


def test_both_forms_of_a_kind_read_as_many_values():
    floats, integers = ({kind.kind(): kind.ARITY for kind in get_args(union)} for union in (AnyLayer, AnyIntegerLayer))
    assert {kind: integers[kind] for kind in floats} == floats
    assert set(integers) - set(floats) == {layer.kind() for base in (ELSEWHERE, CODED) for layer in base.layers} - set(floats)
    stand = [{layer.kind() for base in bases for layer in base.layers} for bases in ((NETWORK, BRANCHES), (PROGRAM, BRANCHED))]
    runnable = set(floats) - {"unknown"}  # which stands for what has no layer; its tests are in test_left_out
    assert stand == [runnable, runnable]


@pytest.mark.parametrize(("base", "place"), PLACES, ids=NAMES)
def test_another_number_of_inputs_is_refused(base, place):
    layer = base.layers[place]
    allowed = f"at least {layer.ARITY}" if layer.READS_MORE else layer.ARITY
    for number in range(layer.ARITY) if layer.READS_MORE else {0, 1, 2, 3} - {layer.ARITY}:
        message = f"^layer {layer.name}: reads {number} values; a {layer.kind()} layer reads {allowed}$"
        with pytest.raises(NetworkError, match=message):
            with_layer(base, place, inputs=(layer.inputs * 3)[:number])


@pytest.mark.parametrize("base", [NETWORK, PROGRAM], ids=["network", "program"])
@pytest.mark.parametrize("number", [0, 2, 3])
def test_another_number_of_inputs_in_a_file_is_refused_in_one_line(base, number, tmp_path):
    path = tmp_path / "net.npz"
    base.save(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    tree = json.loads(arrays["header"].item())
    layer = next(layer for layer in tree[type(base).__name__]["layers"] if layer["name"] == "stem")
    layer["inputs"] = layer["inputs"] * number
    np.savez(path, **arrays | {"header": np.array(json.dumps(tree))})
    for verb in ("check", "count", "simulate"):
        assert f"layer stem: reads {number} values; a window layer reads 1" in refused(verb, path)


@pytest.mark.parametrize(("base", "place"), PLACES, ids=NAMES)
def test_any_other_wiring_is_refused_or_runs(base, place):
    layer, known = base.layers[place], {"input", *(one.name for one in base.layers[:place])}
    pixels = images(base, 4)
    for source in ("input", "", "nothing", *(one.name for one in base.layers)):
        for inputs in {(source,) * len(layer.inputs), (source, *layer.inputs[1:]), (*layer.inputs[:-1], source)}:
            try:
                wired = with_layer(base, place, inputs=inputs)
                program = wired if isinstance(wired, Program) else quantize(wired, pixels)
                count(program)
                simulate(program, pixels)
            except AddersimError as error:
                assert "layer" in str(error) or "outputs" in str(error)
                if source not in known:
                    assert str(error) == f"layer {layer.name}: reads {source!r}, which no layer before it gives"
            else:
                assert source in known


@pytest.mark.parametrize(("base", "place"), PLACES, ids=NAMES)
def test_a_name_is_given_once(base, place):
    for name in ("", "input", *(layer.name for layer in base.layers[:place])):
        with pytest.raises(NetworkError, match=f"^layer name {name!r} is taken or empty; names are unique"):
            with_layer(base, place, name=name)


CODES = FixedFormat(8, False)
SUMS = FixedFormat(8, True)
OF_SUMS = [
    IntegerAdd(name="next", inputs=("sums", "input"), twin=None, output=SUMS, overflow="wrap"),
    IntegerAdd(name="next", inputs=("input", "sums"), twin=None, output=SUMS, overflow="wrap"),
    IntegerMaxPool(name="next", inputs=("sums",), twin=None, output=SUMS, kernel=(2, 2), stride=(2, 2)),
    IntegerMove(name="next", inputs=("sums",), twin=None, output=SUMS),
    IntegerAveragePool(
        name="next", inputs=("sums",), twin=None, gain=1.0, multiplier_bits=16, output=SUMS, rounding="half-up", kernel=None
    ),
]


def integer_window(name, source, filters=2, groups=1, bits=8):
    return IntegerWindow(
        name=name,
        inputs=(source,),
        twin=None,
        datapath="l1-2a",
        weights=np.ones((filters, 1, 1, 2 // groups), np.int8),
        input_format=CODES if source == "input" else SUMS,
        weight_format=SUMS,
        accumulator=Accumulator(bits, "saturate"),
        groups=groups,
    )


def program_of(*layers):
    return Program(
        name="sums", input_shape=(2, 4, 4), mean=(0, 0), std=(1, 1), input=CODES, rounding="half-even", layers=layers
    )


@pytest.mark.parametrize("layer", [*OF_SUMS, integer_window("next", "sums")], ids=lambda layer: layer.kind())
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_kinds_that_take_codes_refuse_sums_however_narrow(layer, bits):
    message = "^layer next: reads the sums of layer sums, .*; it takes codes: put an affine layer between$"
    with pytest.raises(NetworkError, match=message):
        program_of(integer_window("sums", "input", bits=bits), layer)


def test_filters_that_do_not_divide_into_groups_are_refused_on_codes_too():
    with pytest.raises(NetworkError, match="^layer w: 5 filters do not divide into 2 groups$"):
        integer_window("w", "input", filters=5, groups=2)


@pytest.mark.parametrize("kind", ["<U1", "complex64", "int32"])
@pytest.mark.parametrize(("name", "field"), [("stem", "weights"), ("stem", "bias"), ("stem_norm", "addend")])
def test_numbers_of_a_float_layer_are_floats(kind, name, field):
    layer = next(layer for layer in NETWORK.layers if layer.name == name)
    values = np.zeros(getattr(layer, field).shape, kind)
    with pytest.raises(NetworkError, match=f"^layer {name}: {field} is {values.dtype} .*; expected floats$"):
        replace(layer, **{field: values})


def test_sums_reach_relu_and_affine():
    assert {kind.kind() for kind in get_args(AnyIntegerLayer) if kind.READS_SUMS} == {
        "affine",
        "relu",
        "rescale",
        "thresholds",
    }
    narrowed = IntegerAffine(
        name="a",
        inputs=("sums",),
        twin=None,
        multiplier=np.array([-1], np.int32),
        addend=np.zeros(1, np.int64),
        shift=np.zeros(1, np.uint8),
        multiplier_bits=8,
        output=CODES,
        rounding="half-even",
        overflow="saturate",
    )
    assert not program_of(integer_window("sums", "input"), narrowed).static_values()["a"].is_sum

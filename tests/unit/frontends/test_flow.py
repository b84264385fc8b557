"""Rearrangements that wait: whatever they are merged to, the values are those of one step after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim.errors import LoweringError, NetworkError
from addersim.frontends.flow import Flow
from addersim.frontends.graph import Graph, Missing, refuse_missing
from addersim.layers import Affine, Move, Relu, Window
from addersim.layers.move import Permute, Reshape, Take, moved_shape, rearrange, simplified


@st.composite
def steps_of(draw, shape):
    """A few steps that fit a shape."""
    found = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["reshape", "permute", "take"]))
        if kind == "permute":
            step = Permute(tuple(draw(st.permutations(range(len(shape))))))
        elif kind == "take":
            axis = draw(st.integers(0, len(shape) - 1))
            places = draw(st.lists(st.integers(-1, shape[axis] - 1), min_size=1, max_size=5))
            step = Take(axis, np.array(draw(st.sampled_from([places, list(range(shape[axis]))]))))
        else:
            first = draw(st.integers(0, len(shape)))
            merged = (int(np.prod(shape[:first])), *shape[first:]) if first else (1, *shape)
            step = Reshape(tuple(int(size) for size in merged))
        found.append(step)
        shape = step.shape(shape)
    return tuple(found)


SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def values_of(shape, images=2):
    return np.arange(1.0, images * np.prod(shape) + 1).reshape(images, *shape)


@settings(deadline=None)
@given(st.data())
def test_merged_steps_give_the_same_values(data):
    shape = data.draw(SHAPES)
    steps = data.draw(steps_of(shape))
    one_by_one = rearrange(steps, values_of(shape))
    fewer = simplified(steps, shape)
    assert len(fewer) <= len(steps)
    assert moved_shape(fewer, shape) == one_by_one.shape[1:]
    assert np.array_equal(rearrange(fewer, values_of(shape)), one_by_one)


@settings(deadline=None)
@given(st.data())
def test_a_layer_of_steps_gives_the_same_values_in_float_and_on_disk(tmp_path_factory, data):
    shape = data.draw(SHAPES)
    steps = data.draw(steps_of(shape))
    wanted = rearrange(steps, values_of(shape))
    layer = Move(name="move", inputs=("input",), steps=steps, target=wanted.shape[1:])
    assert layer.shape(shape) == wanted.shape[1:]
    found = layer.run(np.moveaxis(values_of(shape), 1, -1))
    assert np.array_equal(np.moveaxis(found, -1, 1), wanted)


@settings(deadline=None)
@given(st.data())
def test_what_is_said_of_a_flow_is_so(data):
    shape = data.draw(SHAPES)
    flow = Flow("layer", shape)
    for step in data.draw(steps_of(shape)):
        flow = flow.then(step)
    moved = rearrange(flow.steps, values_of(shape))
    assert flow.shape == moved.shape[1:]
    if flow.renames():
        assert np.array_equal(moved.reshape(2, -1), values_of(shape).reshape(2, -1))
    if flow.fills():
        assert not flow.keeps_channels()
    if flow.keeps_channels():
        offset = 1000.0 * np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1))
        late = moved + 1000.0 * np.arange(shape[0]).reshape(-1, *[1] * (moved.ndim - 2))
        assert np.array_equal(rearrange(flow.steps, values_of(shape) + offset), late)
    assert flow.front(flow.rank - 1).back(flow.rank - 1).steps == flow.steps


def test_steps_that_undo_each_other_leave_no_layer():
    graph = Graph((3, 4, 5))
    there = graph.image.permute((2, 0, 1)).reshape((5, 12)).reshape((5, 3, 4)).permute((1, 2, 0))
    assert there.steps == ()
    ends = graph.finished([graph.layer(Relu, "relu", there)])
    assert [layer.name for layer in ends[0]] == ["relu"]


def test_one_layer_moves_a_value_for_all_its_readers():
    graph = Graph((3, 4, 5))
    turned = graph.image.permute((1, 0, 2))
    first, second = graph.layer(Relu, "first", turned), graph.layer(Relu, "second", turned)
    layers, ends = graph.finished([first, second])
    assert [layer.name for layer in layers] == ["first.input", "first", "second"]
    assert ends == ("first", "second")


def test_weights_that_several_layers_are_given_are_one_array_with_one_owner():
    graph, weights = Graph((2, 4, 4)), np.ones((2, 2, 1, 1), np.float32)
    unread = graph.layer(Window, "unread", graph.image, arithmetic="mac", weights=weights)
    flow = graph.layer(Window, "first", graph.image, arithmetic="mac", weights=weights)
    flow = graph.layer(Window, "second", flow, arithmetic="mac", weights=weights)
    other = graph.layer(Window, "other", flow, arithmetic="mac", weights=weights.copy())
    assert unread.layer == "unread"
    (first, second, third), _ = graph.finished([other])
    assert (first.shared, second.shared, third.shared) == (None, "first", None)
    assert first.weights is second.weights
    assert first.weights is not weights


def test_trained_values_are_those_of_the_first_affine_layer():
    graph = Graph((2, 4, 4))
    constants = {"multiplier": np.ones(2), "addend": np.zeros(2)}
    start = len(graph)
    flow = graph.layer(Affine, "one", graph.layer(Affine, "two", graph.image, **constants), **constants)
    graph.trained(start, 7)
    layers, _ = graph.finished([flow])
    assert [layer.trained for layer in layers] == [7, 0]


def test_everything_missing_is_told_by_kind():
    graph = Graph((2,))
    for place, what in enumerate(["odd", "odd", "other"]):
        flow = graph.unknown(Missing(what, f"block {place}", "has no layer"), what, (3,), graph.image)
    with pytest.raises(
        LoweringError, match=r"net: 3 operations .*: odd at block 0 and 1 more: has no layer; other at block 2:"
    ):
        refuse_missing("net", graph.missing)
    layers, _ = graph.finished([flow])
    assert [layer.details() for layer in layers] == ["other, left out"]
    with pytest.raises(NetworkError, match="layer other: other has no layer; the network can be counted, not run"):
        layers[0].run(np.zeros((1, 2)))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Reshape((5, 5)), r"cannot give \(2, 3\) the shape \(5, 5\)"),
        (Permute((0, 0)), r"\(0, 0\) is no order of the 2 axes"),
        (Take(2, np.array([0])), r"along axis 2 of \(2, 3\)"),
        (Take(1, np.array([3])), r"takes positions 3..3 of 3 along axis 1; -1 gives zeros"),
        (Take(1, np.array([], np.int64)), "expected a list of whole numbers"),
        (Take(1, np.array([0.5])), "expected a list of whole numbers"),
    ],
)
def test_steps_that_do_not_fit_are_refused(step, message):
    with pytest.raises(NetworkError, match=f"layer move: .*{message}"):
        Move(name="move", inputs=("input",), steps=(step,)).shape((2, 3))

"""Studies: what a grid is, and what is refused before anything runs."""

import itertools
import re

import numpy as np
import pytest

from addersim import Accumulator, Quantization, load_network, model_zoo
from addersim.config import parse_toml
from addersim.errors import AddersimError, ConfigError
from addersim.exploration.sweeps.plan import make_plan
from addersim.exploration.sweeps.study import MOST_POINTS, Study, load_study, read_widths, study_names
from addersim.quantization import LayerBits
from tests.unit.networks import residual

SMALL = {"images": 8, "calibration_images": 8}


def study(**axes):
    return Study(**({"networks": ("lenet5-adder",)} | SMALL | axes))


@pytest.mark.parametrize("name", study_names())
def test_bundled_studies_can_be_run(name):
    found = load_study(name)
    assert found.about
    assert len(make_plan(found).points) > 20


def test_the_default_study_is_fifteen_widths_of_two_arithmetics_on_all_embedded_images():
    plan = make_plan(load_study("bit-widths"))
    assert [(point.arithmetic, point.rules.weight_bits) for point in plan.points] == list(
        itertools.product(("l1", "mac"), range(2, 17))
    )
    assert len(plan.test) == 2000


def test_widths_go_together_or_apart():
    together, apart = study(bits=(8, 2, 8)), study(weight_bits="2..3", activation_bits=4)
    assert [(rules.weight_bits, rules.activation_bits) for rules in together.rules()] == [(8, 8), (2, 2)]
    assert [(rules.weight_bits, rules.activation_bits) for rules in apart.rules()] == [(2, 4), (3, 4)]
    assert [rules.activation_bits for rules in study(weight_bits=5).rules()] == [8]
    assert read_widths(" 2..4, 16", "bits") == (2, 3, 4, 16)


def test_an_axis_that_is_not_given_has_the_value_of_the_rules_that_all_points_share():
    shared = Quantization(weight_bits=5, accumulator=Accumulator(16, "wrap"), clip_weights=False, multiplier_bits=12)
    (rules,) = study(quantization=shared).rules()
    assert rules == shared
    (rules,) = study(quantization=shared, clip_weights=(True,), accumulator=("exact",)).rules()
    assert rules == Quantization(weight_bits=5, multiplier_bits=12)


@pytest.mark.parametrize(
    ("axis", "value"),
    [
        ("networks", "lenet5-conv"),
        ("accumulator", "16:wrap"),
        ("circuit", "xor"),
        ("clip_weights", False),
        ("clip_weights", True),
        ("clip_weights", np.bool_(False)),
        ("calibration", "min-max"),
        ("correction", "none"),
        ("accelerator", "systolic-32x32"),
        ("table", "qtools-45nm"),
        ("batch", 4),
    ],
    ids=str,
)
def test_one_value_given_for_an_axis_is_an_axis_of_one_value(axis, value):
    assert study(**{axis: value}) == study(**{axis: (value,)}) == study(**{axis: [value]})
    assert getattr(study(**{axis: value}), axis) == (value,)
    if axis == "clip_weights":
        assert [rules.clip_weights for rules in study(clip_weights=value).rules()] == [bool(value)]


@pytest.mark.parametrize(
    ("axis", "value", "message"),
    [
        ("networks", 3, "networks[0]: found 3, needs a non-empty text"),
        ("bits", 4.5, "bits: found 4.5, needs a whole number or a text or a list, each item a whole number"),
        ("weight_bits", True, "weight_bits: found True, needs a whole number"),
        ("accumulator", 16, "accumulator[0]: found 16, needs a non-empty text"),
        ("circuit", "3a", "circuit[0]: found '3a', needs '1c1a' or '2a' or 'xor'"),
        ("clip_weights", "no", "clip_weights[0]: found 'no', needs true or false"),
        ("clip_weights", 0, "clip_weights[0]: found 0, needs true or false"),
        ("clip_weights", (), "clip_weights: found [], needs a list, each item true or false"),
        ("calibration", ("mse", "best"), "calibration[1]: found 'best', needs"),
        ("accelerator", None, "accelerator: found None, needs a list"),
        ("batch", 0, "batch[0]: found 0, needs a whole number in 1.."),
        ("images", True, "images: found True, needs a whole number"),
        ("quantization", 8, "quantization: found 8, needs a table with the keys"),
    ],
    ids=str,
)
def test_a_value_of_a_wrong_type_from_python_is_refused_by_name(axis, value, message):
    with pytest.raises(ConfigError, match=re.escape(f"study: {message}")):
        study(**{axis: value})


def test_points_come_in_a_fixed_order_and_axes_without_effect_make_none():
    found = study(
        networks=("lenet5-conv", "lenet5-adder"),
        bits="4,3",
        circuit=("xor", "2a"),
        clip_weights=(False, True),
        accelerator=("systolic-32x32", "systolic-16x16"),
        batch=(4, 1),
    )
    points = [
        (point.network, point.rules.weight_bits, point.clip_weights, point.circuit, point.accelerator, point.cost.batch)
        for point in make_plan(found).points
    ]
    accelerators = ("systolic-32x32", "systolic-16x16")
    assert points == [
        *itertools.product(("lenet5-conv",), (4, 3), (None,), (None,), accelerators, (4, 1)),
        *itertools.product(("lenet5-adder",), (4, 3), (False, True), ("xor", "2a"), accelerators, (4, 1)),
    ]


def test_points_share_simulations_that_do_not_differ():
    plan = make_plan(study(circuit=("2a", "1c1a", "xor"), accelerator=("systolic-16x16", "systolic-32x32"), batch=(1, 2)))
    assert len(plan.points) == 12
    assert len({point.cost.simulation for point in plan.points}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"images": 7},
        {"calibration_images": 7},
        {"bits": 5},
        {"accumulator": ("24:wrap",)},
        {"quantization": Quantization(rounding="truncate")},
        {"quantization": Quantization(layers={"fc1": LayerBits(weight_bits=3)})},
        {"networks": ("lenet5-conv",)},
    ],
    ids=str,
)
def test_whatever_decides_a_simulation_decides_its_hash(change):
    (one,), (other,) = (make_plan(study(**axes)).points for axes in ({}, change))
    assert one.cost.simulation != other.cost.simulation


def test_code_and_hardware_decide_hashes(monkeypatch, tmp_path):
    from addersim.exploration.sweeps import plan

    (one,) = make_plan(study()).points
    (other,) = make_plan(study(table=("qtools-45nm",))).points
    assert (one.cost.simulation == other.cost.simulation, one.cost == other.cost) == (True, False)
    monkeypatch.setattr(plan, "code_digest", lambda: "another")
    (other,) = make_plan(study()).points
    assert one.cost.simulation != other.cost.simulation


def test_files_of_one_name_are_told_apart(tmp_path):
    paths = [str(tmp_path / f"{seed}.npz") for seed in (1, 2)]
    for path in paths:
        load_network("lenet5-adder").save(path)
    assert [point.network for point in make_plan(study(networks=tuple(paths))).points] == paths
    assert [point.network for point in make_plan(study(networks=(paths[0],))).points] == ["lenet5-adder"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bits = 17", "bits: found 17, needs a whole number in 2..16"),
        ('bits = "2..x"', "bits: '2..x' is not a width or a range such as 2..8"),
        ('bits = "8..2"', "bits: '8..2' is not a width or a range"),
        ("bits = [1]", "bits: found 1, needs a whole number in 2..16"),
        ("bits = []", "bits"),
        ("bits = 4\nweight_bits = 4", "bits: stands for weight_bits and activation_bits together"),
        ('accumulator = ["16:clip"]', "accumulator: '16:clip' is not exact, BITS or BITS:exact"),
        ('accumulator = ["7:wrap"]', "accumulator: found 7, needs a whole number in 8..48"),
        ('circuit = ["3a"]', "circuit[0]: found '3a', needs '1c1a' or '2a' or 'xor'"),
        ("batch = [0]", "batch[0]: found 0, needs a whole number in 1.."),
        ("accelerators = []", "unknown key accelerators; known: networks, training"),
        ("[quantization]\nmultiplier_bits = 1", "multiplier_bits: found 1, needs a whole number in 2..32"),
    ],
    ids=lambda value: value.partition("\n")[0],
)
def test_what_no_study_can_say_is_refused_with_its_place(text, message):
    with pytest.raises(ConfigError) as caught:
        parse_toml(f'networks = ["lenet5-adder"]\n{text}', Study, "mine.toml")
    assert str(caught.value).startswith("mine.toml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"networks": ("lenet5-adder", "lenet6")}, "networks: network 'lenet6': neither a bundled name"),
        ({"accelerator": ("tpu",)}, "accelerator: accelerator 'tpu': neither a bundled name"),
        ({"table": ("mine",)}, "table: energy table 'mine': neither a bundled name"),
        ({"data": "svhn"}, "data: 'svhn' is not known; known: mnist"),
        ({"data": "cifar10"}, r"networks: lenet5-adder takes images of \(1, 28, 28\) in 10 classes; data cifar10 has"),
        (
            {"quantization": Quantization(layers={"fc9": LayerBits(weight_bits=3)})},
            r"quantization: layers.fc9: no window layer has this name; known: conv1, .* \(network lenet5-adder\)",
        ),
    ],
    ids=str,
)
def test_what_does_not_exist_is_refused_with_its_place(axes, message):
    with pytest.raises(AddersimError, match=message):
        make_plan(study(**axes))


def test_networks_that_are_not_trained_are_refused_before_they_are_built(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(model_zoo, "_untrained", lambda name: pytest.fail(f"{name} was built"))
    with pytest.raises(ConfigError, match="an architecture with random weights has no accuracy; give a trained file"):
        make_plan(study(networks=("vgg-small-adder",), data="cifar10"))


def test_a_grid_too_large_to_lay_out_is_refused():
    with pytest.raises(ConfigError, match=f"points; a study has at most {MOST_POINTS:,}"):
        study(weight_bits="2..16", activation_bits="2..16", batch=tuple(range(1, 6000)))


def test_a_network_that_does_not_fit_the_images_is_refused(tmp_path):
    residual().save(tmp_path / "small.npz")
    with pytest.raises(ConfigError, match=r"takes images of \(2, 10, 12\) in 5 classes"):
        make_plan(study(networks=(str(tmp_path / "small.npz"),)))


def test_a_million_points_are_a_study_and_one_axis_more_is_none():
    machines, tables = (tuple(f"{what}{number}" for number in range(1000)) for what in ("machine", "table"))
    assert Study(networks=("n",), accelerator=machines, table=tables).networks == ("n",)
    with pytest.raises(ConfigError, match="1,001,000 points; a study has at most 1,000,000"):
        Study(networks=("n",), accelerator=(*machines, "one more"), table=tables)


def test_widths_that_are_named_twice_count_once():
    assert read_widths("2..4,3,8", "bits") == (2, 3, 4, 8)
    assert read_widths([8, 2, 8], "bits") == (8, 2)
    assert read_widths("5..5", "bits") == (5,)

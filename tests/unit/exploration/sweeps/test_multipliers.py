"""Multipliers as an axis of a sweep, and as what a search is made for."""

import csv

import pytest

from addersim import (
    Quantization,
    Study,
    count,
    design_grid,
    estimate,
    load_images,
    load_multiplier,
    load_network,
    quantize,
    search_bits,
    simulate,
    sweep,
)
from addersim.errors import ConfigError
from addersim.report.sweep.render import write_sweep_page
from tests.unit.multipliers import multiplier

NETWORKS = ("lenet5-conv", "lenet5-adder")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("multipliers")
    multiplier(8).products.astype("<u2").tofile(folder / "cut.bin")
    (folder / "cut.toml").write_text('products = "cut.bin"\nname = "cut 8"\nrelative_energy = 0.5\nsource = "a book"\n')
    return str(folder / "cut.toml")


@pytest.fixture(scope="module")
def swept(table, tmp_path_factory):
    study = Study(networks=NETWORKS, bits=(8, 10), multiplier=("exact", table), images=60)
    return sweep(study, tmp_path_factory.mktemp("sweep"), jobs=1)


def test_each_multiplying_network_has_a_point_for_each_multiplier(swept):
    places = [(row["network"], row["weight_bits"], row["multiplier"]) for row in swept.rows]
    conv = [("lenet5-conv", bits, name) for bits in (8, 10) for name in ("exact", "cut 8")]
    assert places == conv + [("lenet5-adder", bits, None) for bits in (8, 10)]


def test_points_are_what_quantize_and_simulate_give(swept, table):
    network, test = load_network("lenet5-conv"), load_images("fashion-mnist-2000", limit=60)
    train = load_images("fashion-mnist-2000", split="train", limit=256)
    program = quantize(network, train, Quantization(weight_bits=8, activation_bits=8), multiplier=load_multiplier(table))
    found = swept.rows[1]
    assert found["accuracy"] == simulate(program, test).accuracy
    assert found["energy_pj"] < swept.rows[0]["energy_pj"]


def test_operands_that_the_table_lacks_fail_their_point_only(swept):
    assert [bool(row["error"]) for row in swept.rows] == [False, False, False, True, False, False]
    assert "takes" in swept.rows[3]["error"]
    assert swept.failed == 1


def test_the_tables_and_the_page_name_them(swept):
    with (swept.folder / "results.csv").open() as stream:
        assert [row["multiplier"] for row in csv.DictReader(stream)] == ["exact", "cut 8", "exact", "cut 8", "", ""]
    assert "multiplier cut 8" in write_sweep_page(swept.folder).read_text()


def test_a_grid_of_designs_for_each_multiplier(table, tmp_path):
    """All designs of one multiplier at once, each with the energy that it has alone."""
    grid = {"array.rows+array.columns": [8, 16]}
    study = Study(networks=("lenet5-conv",), bits=(8,), multiplier=("exact", table), images=8, grid=grid)
    rows = sweep(study, tmp_path, jobs=1).rows
    assert [row["multiplier"] for row in rows] == ["exact"] * 2 + ["cut 8"] * 2
    train = load_images("fashion-mnist-2000", split="train", limit=256)
    for products, points in ((None, rows[:2]), (load_multiplier(table), rows[2:])):
        rules = Quantization(weight_bits=8, activation_bits=8)
        program = quantize(load_network("lenet5-conv"), train, rules, multiplier=products)
        for point, design in zip(points, design_grid("systolic-16x16", grid), strict=True):
            assert point["energy_pj"] == pytest.approx(estimate(count(program), design).energy_pj, rel=1e-12)


@pytest.mark.parametrize(
    ("study", "told"),
    [
        ({"networks": "lenet5-adder", "multiplier": "TABLE"}, "multiplier: no layer of the networks multiplies"),
        ({"networks": "lenet5-conv", "multiplier": "nowhere.npy"}, "multiplier: nowhere.npy"),
    ],
)
def test_what_would_change_nothing_or_is_not_there_is_refused(study, told, table, tmp_path):
    given = {key: table if value == "TABLE" else value for key, value in study.items()}
    with pytest.raises(ConfigError) as error:
        sweep(Study(**given), tmp_path)
    assert str(error.value).startswith(told)


def test_a_search_is_made_for_its_multiplier(tmp_path):
    pytest.importorskip("optuna")
    network = load_network("lenet5-conv")
    images = load_images("fashion-mnist-2000", split="train", limit=120)
    given = {"floor_points": 100, "bits": (7, 8), "trials": 2}
    coarse = multiplier(11, relative_energy=0.3, source="a book")
    exact = search_bits(network, images, tmp_path / "exact", **given)
    cut = search_bits(network, images, tmp_path / "cut", multiplier=coarse, **given)
    assert cut.uniform[8].energy_pj < exact.uniform[8].energy_pj
    assert cut.uniform[8].agreement < exact.uniform[8].agreement
    with pytest.raises(ConfigError, match="holds a search of another network"):
        search_bits(network, images, tmp_path / "exact", multiplier=coarse, **given)

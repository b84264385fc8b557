"""Idle power: a line of its own, power times latency, where an accelerator file states it with its source."""

import itertools

import pytest
from msgspec.structs import replace

from addersim import count, estimate, load_accelerator, load_network, quantize
from addersim.errors import ConfigError
from addersim.hardware.load import accelerator_names
from addersim.hardware.sizing import Aim, fit_elements
from tests.unit.hardware.test_zero_savings import TOML, parse_accelerator

PLAIN = load_accelerator("systolic-16x16")
PLACES = ("accelerator", "array", "dram")


@pytest.fixture(scope="module")
def trace():
    return count(quantize(load_network("lenet5-adder"), None))


def idling(**power_mw):
    parts = {
        of: replace(getattr(PLAIN, of, PLAIN), idle_power_mw=power, idle_source="chosen") for of, power in power_mw.items()
    }
    whole = parts.pop("accelerator", PLAIN)
    return replace(whole, **parts)


@pytest.mark.parametrize("table", ["horowitz-45nm", "aladdin-cacti-45nm"])
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("places", [one for size in (1, 3) for one in itertools.combinations(PLACES, size)])
def test_energy_is_power_times_latency(trace, table, batch, places):
    power = dict(zip(places, (30.0, 4.0, 0.5), strict=False))
    cost = estimate(trace, idling(**power), table, batch, objective="latency")
    plain = estimate(trace, PLAIN, table, batch, objective="latency")
    assert cost.cycles == plain.cycles
    parts = cost.energy_by_part()
    for of, milliwatts in power.items():
        assert parts["idle", of] == pytest.approx(milliwatts * cost.latency_ms * 1e6)
    spent = cost.energy_by_component()
    assert spent.pop("idle") == pytest.approx(sum(power.values()) * cost.latency_ms * 1e6)
    assert spent == pytest.approx(plain.energy_by_component())
    assert cost.energy_pj == sum(cost.energy_by_component().values()) == float(cost.to_frame()["energy_pj"].sum())
    assert cost.to_dict()["energy_pj"]["idle"] == float(cost.to_frame()["idle_pj"].sum())
    for layer in cost.layers:
        assert bool(layer.energy_by_component()["idle"]) == bool(layer.cycles)
    used = {one.what: one for one in cost.prices if one.what.startswith("idle")}
    assert {one.energy.source for one in used.values()} == {"chosen"}
    assert len(used) == len(places)


def test_where_nothing_is_stated_there_is_no_line(trace):
    for name in accelerator_names():
        machine = load_accelerator(name)
        assert machine.idle_power_mw is machine.array.idle_power_mw is machine.dram.idle_power_mw is None, name
    assert "idle" not in estimate(trace, PLAIN).energy_by_component()


def test_tiles_are_chosen_with_it(trace):
    """What stands still costs by the cycle: tiles of least energy are then as fast as any."""
    machine = idling(accelerator=1e6)
    costs = {one: estimate(trace, machine, objective=one) for one in ("energy", "latency", "dram")}
    assert costs["energy"].energy_pj <= min(cost.energy_pj for cost in costs.values()) * (1 + 1e-9)
    assert costs["energy"].cycles == costs["latency"].cycles


def test_an_array_of_least_energy_is_found_with_it(trace):
    """Bounds of shapes hold: no shape of as many elements takes less."""
    machine = replace(idling(accelerator=500.0), buffers=replace(PLAIN.buffers, keep_weights=False))
    found = estimate(trace, fit_elements(machine, 64, trace, Aim("energy")), "horowitz-45nm")
    for rows in (1, 2, 4, 8, 16, 32, 64):
        shape = replace(machine, array=replace(machine.array, rows=rows, columns=64 // rows))
        assert found.energy_pj <= estimate(trace, shape, "horowitz-45nm").energy_pj * (1 + 1e-9)


@pytest.mark.parametrize("place", ["top", "array", "dram"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("idle_power_mw = 5", "idle_power_mw and idle_source come together: a number needs its source"),
        ('idle_source = "a"', "idle_power_mw and idle_source come together: a number needs its source"),
        ('idle_power_mw = -1\nidle_source = "a"', "idle_power_mw"),
        ('idle_power_mw = nan\nidle_source = "a"', "idle_power_mw"),
        ('idle_power_mw = 5\nidle_source = ""', "idle_source"),
    ],
)
def test_a_power_needs_its_source(place, text, message):
    with pytest.raises(ConfigError) as error:
        parse_accelerator(TOML.format(**dict.fromkeys(("top", "array", "dram"), "") | {place: text}), "a.toml")
    assert message in str(error.value)
    assert "\n" not in str(error.value)

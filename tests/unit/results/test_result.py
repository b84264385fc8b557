import json
from dataclasses import replace

import pytest

from addersim.errors import NetworkError
from addersim.hardware import estimate
from addersim.quantization.pipeline import quantize
from addersim.results.result import Result
from addersim.simulation import count, simulate
from tests.unit.networks import images, residual


@pytest.fixture(scope="module")
def result():
    network = residual()
    program = quantize(network, images(network, 16))
    simulation = simulate(program, images(network, 8), [0] * 8, network)
    return Result("r", simulation.trace, estimate(simulation.trace, "systolic-16x16"), simulation, program, {"seed": "0"})


def test_json_holds_the_numbers_and_nothing_that_json_cannot(result):
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert document["name"] == "r"
    assert document["notes"] == {"seed": "0"}
    assert document["simulation"]["accuracy"] == result.simulation.accuracy
    assert document["count"]["taps"] == result.trace.taps == sum(layer["taps"] for layer in document["count"]["layers"])
    assert document["cost"]["energy_pj"]["total"] == result.cost.energy_pj
    assert sum(layer["cycles"] for layer in document["cost"]["layers"]) == result.cost.cycles
    observed = {layer["name"]: layer["observed"] for layer in document["simulation"]["layers"]}
    assert observed["first"]["minimum"] == result.trace.layers[4].observed.minimum
    assert observed["flatten"] is None
    assert set(document["cost"]["prices"][0]) == {"what", "unit", "energy_pj", "rule", "source"}


def test_json_without_a_simulation(result):
    assert Result("r", result.trace, result.cost).to_dict()["simulation"] is None


def test_a_departure_is_named(result):
    program = quantize(residual(), images(residual(), 16))
    found = simulate(program, images(residual(), 8), None, residual(), threshold=1e-6)
    document = Result("r", found.trace, estimate(found.trace, "systolic-16x16"), found).to_dict()["simulation"]
    assert document["departure"]["name"] == found.departure.name
    assert document["threshold"] == 1e-6
    assert document["accuracy"] is None


def test_stages_take_each_layer_once_and_are_named_after_their_window(result):
    stages = result.stages()
    members = [index for _, stage in stages for index in stage]
    names = [layer.name for layer in result.trace.layers]
    assert members == [index for index, name in enumerate(names) if name != "flatten"]
    assert dict(stages)["first"] == tuple(names.index(name) for name in ("first", "first_norm", "add", "add_relu"))
    for name, stage in stages:
        windows = [names[index] for index in stage if result.trace.layers[index].work]
        assert windows in ([], [name])


def test_ranges_come_from_the_run_where_the_trace_was_only_counted(result):
    counted = count(result.program)
    plain = Result("r", counted, estimate(counted, "systolic-16x16"), result.simulation)
    assert [layer.observed for layer in plain.observed] == [layer.observed for layer in result.trace.layers]
    assert Result("r", counted, plain.cost).observed == counted.layers


def test_parts_of_different_programs_are_refused(result):
    other = replace(result.cost, layers=result.cost.layers[1:])
    with pytest.raises(NetworkError, match="^result r: cost and trace have different layers; give those of one program$"):
        Result("r", result.trace, other)

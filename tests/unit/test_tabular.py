"""Results print in 80 columns, escape what names hold, and convert without losing or inventing a number."""

import dataclasses
import json
import subprocess
import sys
from xml.etree import ElementTree

import pytest

import addersim
from addersim import compare, count, estimate, estimate_area, evaluate, load_images, load_network, prove, quantize, simulate
from addersim.exploration.sweeps.study import Study
from addersim.frontends.scalesim.topology import parse_topology
from addersim.model_zoo import bundled_networks
from addersim.tabular import MOST_LINES, WIDTH, Tabular, format_table

MARKUP = '<script>alert("1")</script>&\x1b[31m\n'


def renamed(trace, name):
    layers = (dataclasses.replace(trace.layers[0], name=name), *trace.layers[1:])
    return dataclasses.replace(trace, name=name, layers=layers)


def results_of(trace, simulation=None):
    cost, result = estimate(trace, "systolic-16x16"), evaluate(trace, "systolic-16x16", simulation=simulation)
    first = dataclasses.replace(result, name="first")
    found = [trace, cost, estimate_area(trace, "systolic-16x16"), result, compare([first, result]), compare([result])]
    return found + ([simulation] if simulation else [])


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    study = Study(networks=("lenet5-adder", "lenet5-conv"), bits=(4, 8), images=8, calibration_images=8)
    return addersim.sweep(study, tmp_path_factory.mktemp("sweep"), jobs=1)


@pytest.fixture(scope="module")
def results(swept):
    images, network = load_images("fashion-mnist-2000", limit=8), load_network("lenet5-adder")
    program = quantize(network, images.pixels)
    found = simulate(program, images.pixels, images.labels, network)
    return [*results_of(found.trace, found), swept, prove(program)]


@pytest.fixture(scope="module")
def dangerous(results, swept):
    """The same results where every name is markup with characters that a terminal obeys."""
    trace = next(one for one in results if isinstance(one, addersim.Trace))
    simulation = next(one for one in results if isinstance(one, addersim.Simulation))
    named = renamed(trace, MARKUP)
    found = results_of(named, dataclasses.replace(simulation, network=MARKUP, trace=named))
    rows = tuple({**row, "network": MARKUP} for row in swept.rows)
    certificate = next(one for one in results if isinstance(one, addersim.Certificate))
    layers = tuple(dataclasses.replace(one, name=MARKUP) for one in certificate.layers)
    found.append(dataclasses.replace(certificate, network=MARKUP, layers=layers))
    return [*found, dataclasses.replace(swept, rows=rows), *(dataclasses.replace(one, name=MARKUP) for one in found[3:4])]


@pytest.mark.parametrize("name", bundled_networks())
def test_tables_of_bundled_networks_fit_a_terminal(name):
    network = load_network(name)
    shape = (2, *network.input_shape)
    import numpy as np

    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    program = quantize(network, pixels)
    for result in [*results_of(count(program), simulate(program, pixels, None, network)), prove(program)]:
        assert max(map(len, str(result).splitlines())) <= WIDTH


def test_every_result_prints_as_a_table_with_its_key_figures(results):
    kinds = {type(one).__name__ for one in results}
    assert kinds == {"Trace", "Cost", "Area", "Result", "Comparison", "Simulation", "Sweep", "Certificate"}
    for result in results:
        lines = str(result).splitlines()
        assert max(map(len, lines)) <= WIDTH
        assert len(lines) >= 2 + len(result._lines())
        for figure, value in result._figures().items():
            assert f"{figure} {value}".replace("\N{NO-BREAK SPACE}", " ") in " ".join(lines)
        assert repr(result).startswith(f"<{type(result).__name__} ")
        assert len(repr(result)) < 2 * WIDTH


def test_names_with_markup_are_escaped_and_control_nothing(dangerous):
    for result in dangerous:
        page = ElementTree.fromstring(result._repr_html_())
        assert {one.tag for one in page.iter()} <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
        for text in (repr(result), *str(result).splitlines(), *page.itertext()):
            assert text.isprintable()
        assert max(map(len, str(result).splitlines())) <= WIDTH
        assert len(repr(result)) < 2 * WIDTH + 40
    assert sum("&lt;script&gt;" in one._repr_html_() for one in dangerous) >= len(dangerous) - 1  # an area names no network


def test_html_has_the_cells_of_the_table(results):
    for result in results:
        page = ElementTree.fromstring(result._repr_html_())
        assert len(page.findall("tbody/tr")) == len(result._lines())
        assert ["".join(one.itertext()) for one in page.findall("thead/tr/th")] == list(result._lines()[0])


def test_plain_values_are_json_and_add_up_to_their_totals(results):
    for result in results:
        assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) is not None
    trace, cost, area, result, comparison, _, simulation, sweep, certificate = (one.to_dict() for one in results)
    assert sum(layer["taps"] for layer in trace["layers"]) == sum(trace["taps_by_datapath"].values()) == trace["taps"]
    for op, number in trace["operations"].items():
        assert sum(layer["operations"].get(op, 0) for layer in trace["layers"]) == number
    for document in (cost, result["cost"], comparison["results"][0]["cost"]):
        total = document["energy_pj"]["total"]
        assert sum(pj for name, pj in document["energy_pj"].items() if name != "total") == total
        assert sum(document["energy_pj_by_part"].values()) == total
        assert sum(layer["energy_pj"]["total"] for layer in document["layers"]) == total
        assert sum(layer["cycles"] for layer in document["layers"]) == document["cycles"]
    assert sum(part["area_um2"] for part in area["parts"]) == area["area_um2"]["total"]
    assert simulation["layers"][0]["observed"]["outputs"] > 0
    assert len(sweep["points"]) == 4
    assert max(certificate["layers"][0]["filter_bits"]) == certificate["layers"][0]["bits"]


def test_frames_have_a_row_a_layer_and_the_same_totals(results):
    pd = pytest.importorskip("pandas")
    trace, cost, area, result, comparison, _, simulation, sweep, certificate = results
    for one in (trace, cost, result, simulation):
        frame = one.to_frame()
        assert isinstance(frame, pd.DataFrame)
        assert list(frame["layer"]) == [layer.name for layer in trace.layers]
        assert not any(isinstance(value, dict | list) for value in frame.to_numpy().ravel())
    assert trace.to_frame()["mul"].sum() == trace.operations.total("mul")
    assert cost.to_frame()["energy_pj"].sum() == cost.energy_pj
    assert area.to_frame()["area_um2"].sum() == area.area_um2
    assert list(comparison.to_frame()["name"]) == ["first", result.name]
    proved = certificate.to_frame()
    assert not any(isinstance(value, dict | list | tuple) for value in proved.to_numpy().ravel())
    assert proved["bits"].max() == max(layer.bits for layer in certificate.layers)
    assert sweep.to_frame()["energy_pj"].tolist() == [row["energy_pj"] for row in sweep.rows]


def test_pandas_waits_for_a_frame():
    code = """if True:
        import sys, addersim
        trace = addersim.count(addersim.quantize(addersim.load_network("lenet5-adder"), None))
        cost = addersim.estimate(trace, "systolic-16x16")
        cost.to_dict(), cost.to_rows(), str(cost), cost._repr_html_()
        assert "pandas" not in sys.modules
        cost.to_frame()
        assert "pandas" in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_texts_give_way_where_a_table_is_too_wide_and_numbers_never():
    rows = [{"layer": "a" * 90, "words": 10**12, "kind": "b" * 30}, {"layer": "c", "words": None, "kind": ""}]
    lines = format_table("t" * 100, rows, WIDTH).splitlines()
    assert max(map(len, lines)) == WIDTH
    assert any(f"…  {10**12:,}  " in line for line in lines)
    assert format_table("nothing", []) == "nothing"


def test_what_is_left_out_of_a_long_table_is_told():
    class Long(Tabular):
        def to_dict(self):
            return {}

        def to_rows(self):
            return self._lines()

        def _title(self):
            return "long"

        def _figures(self):
            return {}

        def _lines(self):
            return [{"row": number} for number in range(MOST_LINES + 3)]

    assert "and 3 more; to_frame() has all" in str(Long())
    assert "and 3 more; to_frame() has all" in Long()._repr_html_()
    assert len(Long().to_frame()) == MOST_LINES + 3


@pytest.fixture(scope="module")
def held():
    """What people hold in a notebook, by name; the largest that comes with the package."""
    network = addersim.load_network("resnet20-adder")
    program = addersim.quantize(network, None)
    header = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
    layers = "".join(f"c{place},16,16,3,3,8,16,1,\n" for place in range(300))
    return {
        "Network": network,
        "Program": program,
        "Trace": addersim.count(program),
        "Images": addersim.load_images("fashion-mnist-2000"),
        "EnergyTable": addersim.load_energy_table("horowitz-45nm"),
        "Topology": parse_topology(header + layers, "net", "net.csv"),
    }


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("Network", "<Network resnet20-adder: input 3 x 32 x 32, 74 layers>"),
        ("Program", "<Program resnet20-adder: input s8*0.007874, rounding half-even, 74 layers>"),
        ("Images", "<Images fashion-mnist-2000: 2,000 of 1 x 28 x 28, uint8, 10 classes>"),
        ("EnergyTable", "<EnergyTable horowitz-45nm, "),
        ("Topology", "<Topology net, 300 layers>"),
        ("Trace", "<Trace "),
    ],
)
def test_what_people_hold_is_one_line_by_itself(held, kind, shown):
    found = repr(held[kind])
    assert found.startswith(shown)
    assert len(found.splitlines()) == 1
    assert len(found) < 250


@pytest.mark.parametrize("kind", ["Network", "Program", "EnergyTable", "Topology", "Trace"])
def test_a_notebook_shows_a_table_of_its_parts(held, kind):
    page = ElementTree.fromstring(held[kind]._repr_html_())  # well formed
    rows = page.findall("tbody/tr")
    assert {len(row) for row in rows} == {len(page.find("thead/tr"))}
    assert len(rows) == min(len(held[kind].table() if kind != "Trace" else held[kind].layers), 250)
    assert (page.find("tfoot") is not None) == (kind == "Topology")
    if kind == "Topology":
        assert "and 50 more; table() has all" in page.find("tfoot/tr/td").text

"""The page of a sweep: its answer is the table's, its figures those of the axes that vary; it needs and runs nothing else."""

import base64
import hashlib
import json
import re
import shutil
import zlib
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import plotly.offline
import pytest

from addersim.errors import DataError, SweepError
from addersim.exploration.sweeps.results import RESULT_COLUMNS, read_study
from addersim.exploration.sweeps.run import recall, sweep
from addersim.exploration.sweeps.study import Study
from addersim.report.sweep import figures, render
from addersim.report.sweep.details import details_of
from addersim.report.sweep.findings import findings, missing
from addersim.report.sweep.frame import sweep_frame
from addersim.report.sweep.points import Points
from addersim.report.sweep.render import render_sweep, write_sweep_page
from addersim.report.sweep.sections import sweep_sections
from addersim.results.pareto import pareto
from tests.contrast import pale
from tests.unit.report.test_layout import on_a_narrow_screen

NASTY = "<script>alert(1)</script> & 'net'"


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A real sweep: two networks, four widths, three registers of which one fails at some widths."""
    folder = tmp_path_factory.mktemp("sweep")
    study = Study(
        networks=("lenet5-adder", "lenet5-conv"),
        bits=(2, 4, 8),
        accumulator=("exact", "14:exact", "13:saturate", "12:saturate"),
        images=40,
        calibration_images=8,
        about=NASTY,
    )
    return folder, sweep(study, folder, jobs=1)


def row(**values):
    """One row of results.csv, made up."""
    found = {
        "network": "a", "arithmetic": "l1",
        "weight_bits": 4, "activation_bits": 4, "accumulator": "exact", "circuit": "2a",
        "clip_weights": True, "calibration": "mse", "correction": "mean-variance", "accelerator": "m", "table": "t",
        "batch": 1,
        "images": 1000, "accuracy_float": 0.9, "accuracy": 0.9, "agreement": 0.95,
        "accumulator_bits": 14, "accumulator_bits_needed": 12, "overflowed_share": 0.0, "taps": 10, "energy_pj": 1000.0,
        "cycles": 5, "latency_ms": 0.1,
        "energy_array_pj": 10.0, "energy_dram_pj": 990.0, "simulation": "0" * 64, "cost": "1" * 64,
    }  # fmt: skip
    return {name: 0.0 if name.startswith("energy_") else None for name in RESULT_COLUMNS} | found | values


def points_of(tmp_path, rows):
    frame = pd.DataFrame(rows, columns=list(RESULT_COLUMNS))
    frame["clip_weights"] = frame["clip_weights"].map({True: "true", False: "false"})
    for column in ("cycles", "taps"):
        frame[column] = frame[column].astype("Int64")
    frame.to_csv(tmp_path / "results.csv", index=False)
    return Points.of(sweep_frame(tmp_path))


def test_one_point_is_one_point(tmp_path):
    (one,) = (part for part in sweep_sections(points_of(tmp_path, [row()]), None) if part.key == "points")
    assert "Numbers: 1 point<" in one.tables


def keys(points, scan=None):
    return [part.key for part in sweep_sections(points, scan)]


def test_a_cold_start_is_a_column_and_one_of_an_older_sweep_is_empty(tmp_path):
    points = points_of(tmp_path, [row(cold_start_pj=4_321_000.0), row(weight_bits=3, cold_start_pj=0.0)])
    (table,) = (part.tables for part in sweep_sections(points, None) if part.key == "points")
    assert "cold start, nJ" in table
    assert "4,321" in table
    older = replace(points, frame=points.frame.drop(columns="cold_start_pj"))
    (table,) = (part.tables for part in sweep_sections(older, None) if part.key == "points")
    assert "4,321" not in table


def panels(points):
    return {part.key: [figure for line in part.rows for _, figure in line] for part in sweep_sections(points, None)}


def test_the_answer_is_in_words(tmp_path):
    rows = [
        row(weight_bits=bits, activation_bits=bits, accuracy=accuracy, energy_pj=1e3 * bits, energy_dram_pj=1e3 * bits - 10)
        for bits, accuracy in ((2, 0.5), (3, 0.89), (4, 0.895), (8, 0.901))
    ]
    told = findings(points_of(tmp_path, rows))
    assert told[0] == (
        "3 bits for a keep accuracy within one point of float. The cheapest point that does is a, 3 bits: 3\u00a0nJ an image "
        "at 89.00\u00a0%, 1.00 points below float."
    )
    assert told[1] == (
        "a: 90.00\u00a0% in float; within half a point with 4 bits (89.50\u00a0%), "
        "within one point with 3 bits (89.00\u00a0%)."
    )
    assert "the same 1,000 test images" in told[-1]
    assert "standard error of 0.94 points" in told[-1]  # sqrt(0.901 * 0.099 / 1000)


def test_the_answer_begins_as_a_sentence_does(tmp_path):
    rows = [row(weight_bits=bits, activation_bits=6, accuracy=accuracy) for bits, accuracy in ((2, 0.5), (3, 0.9))]
    told = findings(points_of(tmp_path, rows))
    assert told[0].startswith("Weights of 3 and activations of 6 bits for a keep accuracy within one point of float. ")


def test_nothing_near_float_is_told_as_it_is(tmp_path):
    told = findings(points_of(tmp_path, [row(accuracy=0.5), row(accuracy=0.6, weight_bits=8, activation_bits=8)]))
    assert told[0] == "No point comes within one point of float."
    assert "no point within half a point, no point within one point" in told[1]


def test_rivals_are_told_by_how_much_more_they_take(tmp_path):
    energies = {"a": 1000.0, "b": 1002.0, "c": 2500.0}
    told = findings(points_of(tmp_path, [row(network=name, energy_pj=energy) for name, energy in energies.items()]))
    (line,) = (one for one in told if one.startswith("Least energy of an image"))
    parts = [re.sub(r".*: (?=[\d.]+\s)", "", part).replace("\u00a0", " ") for part in line.split("; ")]
    assert [part.partition(" (")[0] for part in parts] == ["1 nJ", "1.002 nJ, as much", "2.5 nJ, 2.5 times"]


def test_registers_are_told_by_overflow(tmp_path):
    rows = [
        row(accumulator=f"{bits}:{overflow}", accuracy=0.9 if bits >= enough else 0.1, accumulator_bits_needed=15)
        for overflow, enough in (("saturate", 13), ("wrap", 15))
        for bits in (12, 13, 14, 15)
    ]
    rows.append(row(accumulator="11:wrap", overflowed_share=0.2, energy_pj=1.0))  # right by luck, below widths that are not
    points = points_of(tmp_path, rows)
    assert findings(points)[0].startswith("The cheapest point within one point of float is a, 4 bits, 13-bit register that ")
    assert (
        "a at 4 bits, within one point of float: registers that saturate do from 13 bits, "
        "registers that wrap do from 15 bits; sums of these images need 15 bits." in findings(points)
    )
    assert "12-bit" not in findings(points)[0]
    assert "11-bit" not in findings(points)[0]
    figure = figures.accuracy_by_register(points, "a")
    lines = {trace.name: (list(trace.x), list(trace.y)) for trace in figure.data}
    assert lines["saturates"] == ([12, 13, 14, 15], [10, 90, 90, 90])
    assert lines["wraps"] == ([11, 12, 13, 14, 15], [90, 10, 10, 10, 90])
    assert 15 in {shape.x0 for shape in figure.layout.shapes}


def test_figures_are_those_of_the_axes_that_vary(tmp_path):
    always = ["front", "point", "points"]
    assert keys(points_of(tmp_path, [row()])) == always
    together = [row(weight_bits=bits, activation_bits=bits) for bits in (4, 8)]
    assert keys(points_of(tmp_path, together)) == ["front", "bits", "point", "points"]
    apart = [row(weight_bits=weights, activation_bits=bits) for bits in (4, 8) for weights in (3, 8)]
    assert keys(points_of(tmp_path, apart)) == ["front", "widths", "point", "points"]
    registers = [row(accumulator=text) for text in ("exact", "12:wrap", "13:wrap")]
    assert keys(points_of(tmp_path, registers)) == ["front", "registers", "point", "points"]
    machines = points_of(tmp_path, [row(accelerator=name) for name in ("m", "n")])
    assert keys(machines) == ["front", "energy", "point", "points"]
    assert len(panels(machines)["front"]) == 2  # latency as well
    circuits = points_of(tmp_path, [row(circuit=name) for name in ("2a", "xor")])
    assert keys(circuits) == ["front", "energy", "point", "points"]
    assert list(circuits.series) == ["a, 2a", "a, xor"]
    assert len(panels(points_of(tmp_path, [row(table=name) for name in ("t", "u")]))["front"]) == 2


def test_a_heat_map_holds_every_pair_of_widths(tmp_path):
    rows = [
        row(weight_bits=weights, activation_bits=bits, accuracy=0.9 - 0.001 * weights * bits)
        for bits in (4, 8)
        for weights in (3, 8)
        if (weights, bits) != (8, 8)
    ]
    points = points_of(tmp_path, [*rows, row(weight_bits=3, activation_bits=4, accuracy=0.2, calibration="min-max")])
    (heat,) = figures.widths(points, "a").data
    assert (list(heat.y), list(heat.x)) == (["3", "8"], ["4", "8"])
    assert [[value and round(value, 3) for value in line] for line in heat.z] == [[88.8, 87.6], [86.8, None]]
    assert heat.text[0][0] == "88.8"
    assert heat.customdata[1][1][0] == -1  # no point to open


def test_the_front_is_that_of_the_results(swept):
    points = Points.of(sweep_frame(swept[0]))
    figure = figures.front(points, "horowitz-45nm")
    costs, gains = points.done["energy_pj"], points.done["accuracy"]
    marks = pareto(costs.tolist(), gains.tolist())
    best = {(round(cost), round(100 * gain, 6)) for cost, gain, one in zip(costs, gains, marks, strict=True) if one}
    (line,) = (trace for trace in figure.data if trace.name == "Pareto front")
    assert {(round(1e3 * x), round(y, 6)) for x, y in zip(line.x, line.y, strict=True)} == best
    drawn = [one[0] for trace in figure.data if trace.customdata is not None for one in trace.customdata]
    assert sorted(drawn) == points.done["point"].tolist()


def test_dotted_lines_are_the_float_networks(tmp_path):
    points = points_of(tmp_path, [row(), row(network="b", accuracy_float=0.95)])
    for figure in (figures.front(points, "t"), figures.accuracy_by_bits(points)):
        lines = {shape.y0: shape.line.color for shape in figure.layout.shapes if shape.line.dash == "dot"}
        assert lines == {90: points.series["a"], 95: points.series["b"]}
        assert "in float" in {trace.name for trace in figure.data}
        assert not figure.layout.annotations  # they would stand on points


def test_every_dotted_line_has_a_key(tmp_path):
    points = points_of(tmp_path, [row(), row(weight_bits=4, activation_bits=4)])
    for figure in (figures.front(points, "t"), figures.accuracy_by_bits(points, close=True), figures.energy_by_bits(points)):
        dashes = [one.line.dash for one in (*figure.layout.shapes, *figure.data)]
        keys = [one for one in figure.data if one.showlegend is not False and one.x == (None,) and one.mode == "lines"]
        assert "dot" in dashes
        assert keys


def test_a_logarithmic_axis_of_less_than_a_decade_has_ticks(tmp_path):
    points = points_of(tmp_path, [row(energy_pj=250_000.0), row(weight_bits=4, activation_bits=4, energy_pj=600_000.0)])
    ticks = figures.energy_by_bits(points).layout.yaxis.tickvals
    assert [one for one in ticks if 250 <= one <= 600] == [500]


def test_bars_of_designs_add_up_to_their_energy(tmp_path):
    points = points_of(tmp_path, [row(circuit="2a"), row(circuit="xor", energy_pj=900.0, energy_dram_pj=890.0)])
    bars = figures.energy_by_design(points, points.done)
    assert [sum(bar.x[place] for bar in bars.data) for place in range(2)] == pytest.approx([1.0, 0.9])  # nJ
    alone = figures.energy_by_design(points, points.done, array=True)
    assert [bar.name for bar in alone.data] == ["array"]
    assert list(alone.data[0].x) == [10, 10]  # pJ


def test_a_points_details_are_those_of_its_job(swept):
    folder, found = swept
    details = details_of(Points.of(sweep_frame(folder)), folder)
    done = {str(place): one for place, one in enumerate(found.rows) if one["energy_pj"] is not None}
    assert details["points"].keys() == done.keys()
    assert details["points"][str(details["first"])]["facts"][0][0] == "accuracy"
    for place, one in done.items():
        layers = details["simulations"][details["points"][place]["simulation"]]
        assert [cells[0] for cells in layers] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
        assert max(int(cells[2]) for cells in layers) == one["accumulator_bits"]
        assert max(int(cells[3]) for cells in layers) == one["accumulator_bits_needed"]


def test_jobs_that_are_gone_or_strange_give_no_registers(tmp_path):
    points = points_of(
        tmp_path, [row(), row(simulation="../../secret", weight_bits=8), row(simulation="2" * 64, circuit="xor")]
    )
    (tmp_path / "jobs" / "simulation").mkdir(parents=True)
    (tmp_path / "jobs" / "simulation" / f"{'2' * 64}.json").write_text("[]")
    (tmp_path / "secret.json").write_text('{"outcome": {"trace": {"layers": []}}}')
    assert details_of(points, tmp_path)["simulations"] == {}


class Reader(HTMLParser):
    """Scripts, outward references, ids and balance of a page."""

    def __init__(self):
        super().__init__()
        self.scripts, self.outward, self.ids, self.inside, self.text = [], [], [], None, ""

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.inside = tag if tag in ("script", "style") else None
        if tag == "script":
            self.scripts.append((found.get("type", ""), found.get("id", ""), ""))
        self.ids += [found["id"]] if "id" in found else []
        self.outward += [found[key] for key in ("src", "href") if key in found and re.match(r"\w+:|//", found[key])]

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] = (*self.scripts[-1][:2], self.scripts[-1][2] + data)
        elif self.inside is None:
            self.text += data

    def handle_endtag(self, tag):
        self.inside = None


def test_the_page_needs_nothing_and_runs_its_own_scripts_only(swept):
    reader = Reader()
    page = render_sweep(swept[0])
    reader.feed(page)
    assert reader.outward == ["data:,"]
    assert len(set(reader.ids)) == len(reader.ids)
    assert [(kind, name) for kind, name, _ in reader.scripts] == [
        ("application/json", "figures"),
        ("application/json", "swept"),
        ("application/octet-stream", "library"),
        ("", ""),
    ]
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    library = zlib.decompress(base64.b64decode(reader.scripts[2][2])).decode()
    assert library == plotly.offline.get_plotlyjs()
    for script in (library, reader.scripts[3][2]):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy
    assert pale(page) == []
    carried = json.loads(reader.scripts[1][2])
    assert carried["points"]
    assert all(f"#point-{place}" in page for place in carried["points"])


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the browser Chromium")
@pytest.mark.slow
def test_the_wide_table_of_the_chosen_point_is_reached_by_the_keyboard(swept, tmp_path):
    """The page's script makes it after the tables that the page came with have been looked at."""
    page = on_a_narrow_screen(render_sweep(swept[0]), tmp_path)
    assert re.search('<div class="scroll" tabindex="0" role="region" aria-label="Accumulators, by layer">', page)


def test_names_are_shown_and_never_run(swept, tmp_path):
    reader = Reader()
    page = render_sweep(swept[0])
    reader.feed(page)
    assert "<script>alert" not in page
    assert NASTY in reader.text
    for name in ("results.csv", "study.json"):
        (tmp_path / name).write_bytes((swept[0] / name).read_bytes().replace(b"lenet5-adder", b"</script><b>x"))
    hostile = render_sweep(tmp_path)
    assert "<b>x" not in hostile
    assert len(re.findall("</script>", hostile)) == len(re.findall("<script", hostile)) == 4


def test_failed_points_are_listed_with_their_errors(swept):
    folder, found = swept
    assert 0 < found.failed < len(found.rows)
    reader = Reader()
    reader.feed(render_sweep(folder))
    for one in found.rows:
        assert not one["error"] or one["error"] in reader.text
    assert f"{found.failed} of {len(found.rows)} points failed" in reader.text


def test_the_same_folder_gives_the_same_bytes(swept):
    page = write_sweep_page(swept[0])
    first = page.read_bytes()
    assert write_sweep_page(swept[0]).read_bytes() == first
    assert len(first) < 2_600_000
    assert str(swept[0]).encode() not in first


def test_an_unfinished_sweep_has_a_page_that_says_so(swept, tmp_path):
    folder = swept[0]
    study = read_study(folder)
    assert recall(folder).rows == swept[1].rows
    short = Study(networks=("lenet5-adder",), bits=(3, 8), images=4, calibration_images=4)
    done = sweep(short, tmp_path, jobs=1)
    gone = next(iter(sorted((tmp_path / "jobs" / "simulation").iterdir())))
    gone.unlink()
    found = recall(tmp_path)
    assert (found.waiting, len(found.rows), found.failed) == (1, 2, 0)
    assert [one for one in found.rows if one["energy_pj"]] == [one for one in done.rows if one["simulation"] != gone.stem]
    points = Points.of(sweep_frame(tmp_path))
    assert missing(points) == [
        "This sweep is not finished: 1 of 2 points are not done; the same command goes on where it was."
    ]
    assert missing(points)[0] in render_sweep(tmp_path)
    assert study.about == NASTY


def test_a_folder_without_a_sweep_is_refused(tmp_path):
    with pytest.raises(SweepError, match=r"no sweep was begun here \(study\.json: No such file"):
        recall(tmp_path)
    with pytest.raises(DataError, match=r"results\.csv: no results of a sweep"):
        write_sweep_page(tmp_path)
    (tmp_path / "study.json").write_text('{"networks": []}')
    with pytest.raises(SweepError, match=r"study\.json: not a sweep's study"):
        recall(tmp_path)
    (tmp_path / "study.json").write_text('{"networks": ["lenet5-adder"], "images": 4}')
    with pytest.raises(SweepError, match="none of the sweep's points was done by this version"):
        recall(tmp_path)
    assert not (tmp_path / "results.csv").exists()
    assert not (tmp_path / "index.html").exists()


def test_all_points_failed_is_a_page_too(tmp_path):
    points = points_of(tmp_path, [row(accuracy=None, energy_pj=None, accuracy_float=None, error="no memory")])
    assert findings(points) == ["No point has a result."]
    assert keys(points) == ["failed", "points"]
    assert "no memory" in render_sweep(tmp_path)


def test_of_very_many_points_the_best_are_kept(tmp_path, monkeypatch):
    rows = [row(accuracy=0.5 + 0.004 * place, energy_pj=1e3 + (place % 10 == 0), batch=place + 1) for place in range(100)]
    points = points_of(tmp_path, rows)
    fewer = points.fewer(20)
    assert len(fewer.frame) <= 20
    assert set(points.frame[points.frame["pareto"]]["point"]) <= set(fewer.frame["point"])
    assert points.fewer(100) is points
    monkeypatch.setattr(render, "MOST_POINTS", 20)
    assert "of 100 points; results.csv has all" in render_sweep(tmp_path)


def test_a_searchs_scan_is_drawn_where_it_is_there(swept, tmp_path):
    for name in ("results.csv", "study.json"):
        (tmp_path / name).write_bytes((swept[0] / name).read_bytes())
    assert "Which layers need bits" not in render_sweep(tmp_path)
    lines = [f"{layer},{what},{bits},0.9,{8 - bits},{0.9 + bits / 100},5.0"
             for layer in ("conv1", "<i>fc") for what in ("weight_bits", "activation_bits") for bits in (3, 6)]  # fmt: skip
    (tmp_path / "scan.csv").write_text(
        "layer,operand,bits,accuracy,loss_points,agreement,energy_pj\n" + "\n".join(lines) + "\n"
    )
    page = render_sweep(tmp_path)
    assert "Which layers need bits" in page
    assert "<i>fc" not in page
    figure = figures.sensitivity(pd.read_csv(tmp_path / "scan.csv"), "weight_bits")
    assert {trace.name: [round(value, 6) for value in trace.x] for trace in figure.data} == {
        "6 bits": [4, 4],
        "3 bits": [7, 7],
    }
    (tmp_path / "scan.csv").write_text("something,else\n1,2\n")
    assert "Which layers need bits" not in render_sweep(tmp_path)

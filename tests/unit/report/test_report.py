"""The report: its numbers are the cost's and the trace's, its page needs nothing and runs nothing but its own scripts."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import zlib
from dataclasses import fields, replace
from html.parser import HTMLParser

import msgspec
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.offline
import pytest

from addersim.arithmetic.fixed import Accumulator
from addersim.arithmetic.ops import OpCounts
from addersim.errors import ConfigError
from addersim.format_quantity import first_of
from addersim.hardware import estimate, load_accelerator
from addersim.hardware.accelerator import RunLengthCoding
from addersim.quantization import Quantization
from addersim.quantization.pipeline import quantize
from addersim.report import Frames, document, energy_frame, figures, ranges_frame, render_page, write_report
from addersim.report.figures import values
from addersim.report.page import render
from addersim.report.page.sections import sections
from addersim.report.style import short
from addersim.results.contrast import COMPONENTS
from addersim.results.result import Result, evaluate
from addersim.simulation import count, simulate
from addersim.trace import LayerTrace, Observed, Operand, Trace
from tests.contrast import pale
from tests.unit.layers.test_rescale import zero_point_program
from tests.unit.networks import images, residual

NASTY = '<script>alert(1)</script> & "adder"\'s'
FIGURES = 6 + 7 * 2
"""Of both results: energy by component, scope, part and table, ratios by table, area. Seven questions to each."""
ABOUT = {"images": "24 made from a seed", "<b>made by</b>": "</script><img src=x onerror=alert(1)>"}


def result_of(name, arithmetic, accumulator="exact", batch=1, notes=None):
    network = residual(arithmetic=arithmetic)
    program = quantize(network, images(network), Quantization(accumulator=Accumulator.parse(accumulator)))
    found = simulate(program, images(network), np.arange(24) % 5, network, threshold=0.01)
    return evaluate(found.trace, "systolic-16x16", batch=batch, name=name, simulation=found, program=program, notes=notes)


@pytest.fixture(scope="module")
def results():
    return [result_of(NASTY, "l1", notes={"<u>": "</u>"}), result_of("conv", "mac", "12:saturate")]


@pytest.fixture(scope="module")
def frames(results):
    return Frames.of(results)


@pytest.fixture(scope="module")
def text(results, frames):
    return render_page(results, frames, NASTY, ABOUT)


def of(frame, name):
    return frame[frame["network"] == name]


def test_frames_add_up_to_the_totals(results, frames):
    for result in results:
        assert of(frames.energy, result.name)["energy_pj"].sum() == result.cost.energy_pj
        assert of(frames.layers, result.name)["energy_pj"].sum() == result.cost.energy_pj
        assert of(frames.layers, result.name)["cycles"].sum() == result.cost.cycles
        assert of(frames.layers, result.name)["taps"].sum() == result.trace.taps
        assert of(frames.operations, result.name)["number"].sum() == result.trace.operations.total()
        by_component = of(frames.energy, result.name).groupby("component")["energy_pj"].sum().to_dict()
        assert by_component == result.cost.energy_by_component()
        assert len(of(frames.prices, result.name)) == len(result.cost.prices)


def test_energies_are_those_of_one_image(results):
    batched = replace(results[1], cost=estimate(results[1].trace, "systolic-16x16", batch=4))
    assert energy_frame([batched])["energy_pj"].sum() == pytest.approx(batched.cost.energy_pj / 4, rel=1e-12)
    assert set(Frames.of([batched]).layers["batch"]) == {4}
    assert "an image, 4 images together, on systolic-16x16" in render_page([batched], Frames.of([batched]), "t", {})


def test_ranges_compare_like_with_like(results):
    layers = list(results[0].trace.layers)
    signed = next(place for place, layer in enumerate(layers) if layer.work)
    unsigned = next(place for place, layer in enumerate(layers) if layer.output_format.startswith("u") and layer.observed)
    layers[signed] = replace(layers[signed], observed=Observed(-200, 10, 3, 12, 9))
    layers[unsigned] = replace(layers[unsigned], observed=Observed(-1000, 130, 6, 12, 11))
    trace = replace(results[0].trace, layers=tuple(layers))
    rows = ranges_frame([Result("r", trace, results[0].cost)]).set_index("layer")
    found = rows.loc[layers[signed].name]
    bits = layers[signed].output.bits
    assert (found.bits, found.bits_needed, found.overflowed_share) == (bits, 9, 0.25)
    assert (found.format_minimum, found.format_maximum) == (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    found = rows.loc[layers[unsigned].name]
    assert (found.bits, found.bits_needed, found.format_minimum, found.format_maximum) == (8, 8, 0, 255)


def test_a_walk_over_shapes_has_no_ranges_and_says_so(results):
    program = results[0].program
    trace = count(program)
    plain = [Result("counted", trace, estimate(trace, "systolic-16x16"))]
    frames = Frames.of(plain)
    assert len(frames.ranges) == 0
    assert "overflowed_share" in frames.ranges
    text = render_page(plain, frames, "t", {})
    assert "Only shapes were walked" in text
    assert "Departure from float" not in text
    assert "the clock tree, and leakage, for which the table has no rows. " in text
    leaking = [Result("leaking", trace, estimate(trace, "systolic-16x16", "aladdin-cacti-45nm"))]
    assert "Weights stay on chip; fetching them once" in render_page(leaking, Frames.of(leaking), "t", {})
    assert "and leakage where the table has rows for it. Not priced: " in render_page(leaking, Frames.of(leaking), "t", {})
    alone = simulate(program, images(residual()), np.arange(24) % 5)
    unlike = [evaluate(trace, "systolic-16x16", simulation=alone)]
    assert "No float network ran beside" in render_page(unlike, Frames.of(unlike), "t", {})
    assert "accuracy in float" not in text


def test_what_zeros_save_and_what_is_drawn_idly_is_shown():
    network = residual(arithmetic="l1")
    pixels = images(network, 6)
    trace = simulate(quantize(network, pixels, Quantization(activation_bits=16)), pixels).trace
    plain = load_accelerator("systolic-16x16")
    array, dram = plain.array, plain.dram
    machine = msgspec.structs.replace(
        plain,
        array=msgspec.structs.replace(array, zero_gating=True),
        dram=msgspec.structs.replace(dram, run_length_coding=RunLengthCoding(), idle_power_mw=2.5, idle_source="a data sheet"),
        buffers=msgspec.structs.replace(plain.buffers, keep_activations=False),
    )
    shown = [Result("ours", trace, estimate(trace, machine))]
    frames = Frames.of(shown)
    text = render_page(shown, frames, "t", {})
    busy = [layer.name for layer in trace.layers if layer.datapath == "l1-2a"]
    assert f"Note: zero gating saves nothing where the term of a zero is not zero ({first_of(busy)} of ours)." in text
    assert "and idle power as accelerators state it. Not priced: " in text
    assert "the clock tree beyond that" in text
    assert "2.5 mW at" in text
    assert "a data sheet" in text
    accesses = frames.accesses
    dram_kib = accesses[accesses["level"] == "dram"]["kib"].sum()
    assert dram_kib * 1024 == pytest.approx(shown[0].cost.dram_bytes)
    words = accesses[accesses["level"] == "dram"]
    assert dram_kib < ((words["reads"] + words["writes"]) * words["bits"]).sum() / 8192


def test_taps_of_whole_elements_link_to_their_prices_and_the_array_is_said_to_be_those(results):
    program, trace = results[0].program, results[0].trace
    priced = [Result("gates", trace, estimate(trace, "systolic-16x16", "sg13g2-gates"), program=program)]
    frames = Frames.of(priced)
    text = render_page(priced, frames, "t", {})
    assert 'href="#price-0-tap"' in text
    assert 'id="price-0-tap"' in text
    assert "taps times what its processing elements take in gates, by their zeros, not wires inside it" in text
    assert "Not priced: wires and control inside the array" in text


def test_the_paper_convention_has_no_latency_and_says_so(results):
    trace = count(results[0].program, "paper")
    plain = [Result("on paper", trace, estimate(trace, "systolic-16x16")), results[1]]
    text = render_page(plain, Frames.of(plain), "t", {})
    assert "arithmetic alone: no memory" in text
    parts = {part.key: part for part in sections(plain, Frames.of(plain))}
    assert [caption for caption, _ in parts["latency"].rows[0]] == ["conv, one image"]
    assert len(parts["energy"].rows[1]) == 2
    alone = {part.key: part for part in sections(plain[:1], Frames.of(plain[:1]))}
    assert alone["latency"].rows == ()


def test_a_network_without_any_work_has_a_page():
    layer = LayerTrace("only", "affine", OpCounts(), (Operand(4, 8),), Operand(4, 8), Operand(1, 30), sources=(-1,))
    trace = Trace("idle", "paper", (layer,))
    idle = [Result("idle", trace, estimate(trace, "systolic-16x16"))]
    text = render_page(idle, Frames.of(idle), "t", {})
    assert "idle takes 0\u00a0pJ an image, of arithmetic alone." in text
    assert '<div class="plot"' not in text


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        # signed 8 bit: inside; beyond both ends; wholly beyond
        ((True, -128, 127, -5, 7), [("seen, fits", -5, 7)]),
        (
            (True, -128, 127, -130, 200),
            [("seen, fits", -128, 127), ("seen, does not fit", -130, -128), ("seen, does not fit", 127, 200)],
        ),
        ((True, -128, 127, 300, 400), [("seen, does not fit", 300, 400)]),
        ((True, -128, 127, -400, -300), [("seen, does not fit", -400, -300)]),
        # unsigned: what is below zero is ReLU's, what is above is not
        (
            (False, 0, 255, -9, 256),
            [("seen, fits", 0, 255), ("below zero, cut by ReLU", -9, 0), ("seen, does not fit", 255, 256)],
        ),
        ((False, 0, 255, -9, -4), [("below zero, cut by ReLU", -9, -4)]),
    ],
)
def test_parts_of_a_range(row, parts):
    names = ["signed", "format_minimum", "format_maximum", "minimum", "maximum", "zero_point"]
    one = next(pd.DataFrame([(*row, 0)], columns=names).itertuples())
    assert values._spans(one) == [("the format holds", row[1], row[2]), *parts]


def test_a_format_that_ends_at_zero_cuts_and_others_count_how_far_apart_results_are():
    """Zero at -128 is the end of signed codes of a byte, at 4 it is none."""
    program = zero_point_program()
    images = np.random.default_rng(0).integers(0, 256, (8, 3, 8, 8), dtype=np.uint8)
    found = evaluate(simulate(program, images).trace, "systolic-16x16", program=program)
    rows = {row.layer: row for row in ranges_frame([found]).itertuples()}
    assert (rows["r1"].zero_point, rows["r2"].zero_point, rows["c1"].zero_point) == (-128, 4, 0)
    cut, kept = rows["r1"]._replace(minimum=-177, maximum=300), rows["r2"]._replace(minimum=-177, maximum=300)
    assert values._spans(cut)[2] == ("below zero, cut by ReLU", -177, -128)
    assert values._spans(kept)[2] == ("seen, does not fit", -177, -128)
    assert rows["r1"].bits_needed == max(1, (rows["r1"].maximum + 128).bit_length())
    assert rows["r2"].bits_needed == (max(rows["r2"].maximum, 4) - min(rows["r2"].minimum, 4)).bit_length()


def test_the_range_axis_counts_bits():
    assert values._bits(0) == 0
    assert values._bits(255) == 8
    assert values._bits(-255) == -8
    assert values._bits(-256) < -8


def panels(results, frames):
    return [figure for part in sections(results, frames) for row in part.rows for _, figure in row]


def test_bars_add_up_to_the_energy(results, frames):
    total = figures.energy_by_network(frames.energy)
    size = {"nJ": 1e3, "µJ": 1e6}[total.layout.xaxis.title.text.split(", ")[1]]
    for place, result in enumerate(results):
        assert sum(bar.x[place] for bar in total.data) * size == pytest.approx(result.cost.energy_pj)
        by_layer = figures.energy_by_layer(frames.energy, result.name)
        size_too = {"nJ": 1e3, "µJ": 1e6}[by_layer.layout.xaxis.title.text.split(", ")[1]]
        assert sum(sum(bar.x) for bar in by_layer.data) * size_too == pytest.approx(result.cost.energy_pj)
        by_part = figures.energy_by_part(frames.energy)
        size_too = {"nJ": 1e3, "µJ": 1e6}[by_part.layout.xaxis.title.text.split(", ")[1]]
        assert sum(by_part.data[place].x) * size_too == pytest.approx(result.cost.energy_pj)


def test_figures_of_networks_share_an_axis_that_holds_the_longest_bar(results, frames):
    drawn = [figures.energy_by_layer(frames.energy, result.name) for result in results]
    assert drawn[0].layout.xaxis.range == drawn[1].layout.xaxis.range
    lengths = [sum(bar.x[place] for bar in figure.data) for figure in drawn for place in range(len(figure.data[0].x))]
    assert max(lengths) < drawn[0].layout.xaxis.range[1] < 1.1 * max(lengths)


def test_small_parts_are_drawn_as_one():
    rows = [("n", "l", "s", "window", "mac", "array", "mul", 1e6), ("n", "l", "s", "relu", "", "vector", "cmp", 1.0)]
    energy = pd.DataFrame(rows, columns=list(energy_frame([]).columns))
    figure = figures.energy_by_part(energy)
    assert list(figure.layout.yaxis.ticktext) == ["array · mul", "1 smaller part"]


def test_bars_of_time_add_up_and_share_their_axis(results, frames):
    drawn = [figures.latency_by_layer(frames.layers, result.name) for result in results]
    for figure, result in zip(drawn, results, strict=True):
        assert figure.layout.xaxis.title.text == "time, µs"
        assert sum(sum(bar.x) for bar in figure.data) == pytest.approx(result.cost.latency_ms * 1e3)
        places = sorted(place for bar in figure.data for place in bar.y)
        assert places == list(range(len(result.stages())))
        for bar in figure.data:  # each bar has the colour of what bounds it
            for stage in (custom[0] for custom in bar.customdata):
                priced = next(layer for layer in result.cost.layers if layer.name == stage)
                assert bar.name == f"set by {COMPONENTS[priced.bound]}"
    assert drawn[0].layout.xaxis.range == drawn[1].layout.xaxis.range


def test_bars_of_operations_add_up_by_kind(results, frames):
    for result in results:
        figure = figures.operations_by_width(frames.operations, result.name)
        kinds = list(figure.layout.yaxis.ticktext)
        sums = {kind: sum(bar.x[place] for bar in figure.data) for place, kind in enumerate(kinds)}
        assert {kind: number for kind, number in sums.items() if number} == result.trace.operations.by_operation()
        narrow = sum(number for (_, bits), number in result.trace.operations.items() if bits <= 8)
        assert sum(figure.data[0].x) == narrow


def test_errors_beyond_the_threshold_stand_out(results, frames):
    name, errors = results[0].name, results[0].errors
    figure = figures.errors_by_layer(frames.layers, name, 0.01)
    beyond = {bar.name: bar for bar in figure.data}["beyond the threshold"]
    assert min(beyond.x) > 1 >= max({bar.name: bar for bar in figure.data}["within the threshold"].x)
    assert max(beyond.x) == pytest.approx(100 * max(errors.values()))
    assert figure.layout.shapes[0].x0 == 1
    assert [bar.name for bar in figures.errors_by_layer(frames.layers, name).data] == ["relative error"]


def test_names_are_escaped_and_long_ones_shortened_in_figures(results, frames):
    for figure in panels(results, frames):
        assert "<script" not in figure.to_json()
    assert short("layer1.0.conv1") == "layer1.0.conv1"
    assert short("layer2.0.downsample.0") != short("layer3.0.downsample.0")
    assert len(short("x" * 50)) == 18


class Page(HTMLParser):
    """Collects what matters: open tags, ids, links, scripts."""

    EMPTY = ("meta", "link", "img", "br")

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.scripts, self.handlers, self.tags = [], [], [], [], [], set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attributes), ""))
        for key, value in attributes:
            if key == "id":
                self.ids.append(value)
            if key in ("href", "src", "data", "action"):
                self.links.append(value)
            if key.startswith("on"):
                self.handlers.append(key)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)


@pytest.fixture(scope="module")
def parsed(text):
    parser = Page()
    parser.feed(text)
    parser.close()
    assert not parser.open
    return parser


def test_the_page_is_whole_and_asks_for_nothing(parsed, tmp_path_factory):
    local = {f"{one.name}.csv" for one in fields(Frames)} | {"results.json", "data:,"}
    assert {link for link in parsed.links if not link.startswith("#")} == local
    assert {link[1:] for link in parsed.links if link.startswith("#")} <= set(parsed.ids)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert not parsed.handlers


def test_nothing_that_a_user_named_becomes_markup(text, parsed):
    assert "<script>alert" not in text
    assert not {"img", "b", "u"} & parsed.tags
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;adder&quot;&#x27;s") > 5


def test_the_policy_knows_the_scripts_of_the_page_and_no_other(text, parsed):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    run = [body for attributes, body in parsed.scripts if "type" not in attributes]
    (packed,) = (body for attributes, body in parsed.scripts if attributes.get("id") == "library")
    run.append(zlib.decompress(base64.b64decode(packed)).decode())
    assert run[1] == plotly.offline.get_plotlyjs()
    hashes = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in run]
    assert re.findall(r"'sha256-([^']*)'", policy) == hashes
    assert len(run) == 2
    assert "unsafe" not in policy.split("style-src")[0]


def test_every_figure_has_a_place_and_data(parsed):
    (data,) = (body for attributes, body in parsed.scripts if attributes.get("id") == "figures")
    drawn = json.loads(data)
    assert set(drawn) <= set(parsed.ids)
    assert len(drawn) == FIGURES
    assert all(figure["data"] for figure in drawn.values())


def test_every_mark_of_a_figure_is_seen_on_white_and_in_the_dark(text):
    assert pale(text) == []


def test_the_summary_says_the_numbers(text, results):
    for result in results:
        found, cost = result.simulation, result.cost
        for words in (
            f"{100 * found.accuracy:.2f}\u00a0%",
            f"{100 * found.agreement:.2f}\u00a0%",
            f"{cost.energy_pj_per_image / 1e3:,.4g}\u00a0nJ",
            f"{cost.latency_ms * 1e3:,.4g}\u00a0µs",
            f"{cost.cycles:,} cycles",
            f"mac {result.trace.taps_by_datapath()['mac']:,}",
            found.departure.name,
        ):
            assert words in text
    ratio = results[1].cost.energy_pj / results[0].cost.energy_pj
    assert f"{ratio:.3g} \N{MULTIPLICATION SIGN} &lt;script&gt;" in text


def test_every_price_has_its_rule_and_source(text, results):
    for used in results[0].cost.prices:
        assert f'<th scope="row">{used.what}</th>' in text
        assert used.price.source.replace("'", "&#x27;") in text


def test_files_hold_the_tables(results, frames, tmp_path):
    written = write_report(results, tmp_path / "new" / "folder", title="t", about=ABOUT)
    assert written == tmp_path / "new" / "folder" / "index.html"
    for name in (one.name for one in fields(Frames)):
        table = pd.read_csv(written.with_name(f"{name}.csv"), keep_default_na=False, na_values={"relative_error": [""]})
        pd.testing.assert_frame_equal(table, getattr(frames, name), check_dtype=False)
    document = json.loads(written.with_name("results.json").read_text(encoding="utf-8"))
    assert document["about"] == ABOUT
    assert [one["cost"]["energy_pj"]["total"] for one in document["results"]] == [one.cost.energy_pj for one in results]
    tables = {f"{one.name}.csv" for one in fields(Frames)}
    assert {path.name for path in written.parent.iterdir()} == tables | {"index.html", "results.json"}


def test_no_text_of_a_figure_ends_its_script():
    figure = go.Figure(go.Bar(x=[1], name="</script><!--&")).update_layout(height=100)
    text = document._figures_json({"a": figure})
    assert not set("<>") & set(text)
    assert json.loads(text)["a"]["data"][0]["name"] == "</script><!--&"


def test_the_same_results_give_the_same_page(results, frames, text):
    assert render_page(results, frames, NASTY, ABOUT) == text


def test_nothing_is_written_where_a_table_or_the_page_cannot_be_made(results, tmp_path, monkeypatch):
    monkeypatch.setattr(render, "report_page", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(results, tmp_path / "report", title="t", about={})
    assert not (tmp_path / "report").exists()


def test_a_full_disk_leaves_no_part_of_a_file(results, tmp_path, monkeypatch):
    synced = []

    def fail(handle):
        synced.append(handle)
        if len(synced) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("addersim.storage.os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_report(results, tmp_path, title="t", about={})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layers.csv", "operations.csv"]


def test_results_are_needed_and_told_apart(results, tmp_path):
    with pytest.raises(ConfigError, match="^compare: no results; give at least one$"):
        write_report([], tmp_path, title="t", about={})
    with pytest.raises(ConfigError, match="^compare: two results are named 'conv'; give each a name of its own$"):
        write_report([results[1], results[1]], tmp_path, title="t", about={})
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the browser Chromium")
@pytest.mark.slow
def test_a_browser_draws_every_figure_without_a_complaint(results, tmp_path):
    written = write_report(results, tmp_path / "report", title=NASTY, about=ABOUT)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += ["--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}"]
    options += ["--enable-logging=stderr", "--v=0", "--virtual-time-budget=8000", "--dump-dom"]
    run = subprocess.run(["chromium", *options, written.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in run.stderr
    assert run.stdout.count('class="plot js-plotly-plot"') == FIGURES

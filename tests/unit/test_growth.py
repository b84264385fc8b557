"""Work and memory grow with the number of layers, not with its square, and deep networks meet no limit of recursion."""

import sys
import tracemalloc
from functools import partial

import pytest

from addersim import Quantization, count, estimate, load_network, quantize, simulate
from addersim.frontends.onnx import lower_onnx
from addersim.quantization import LayerBits
from addersim.quantization.pipeline import prepare
from addersim.report import write_report
from addersim.results.result import evaluate
from addersim.storage import record_digest
from tests.unit.networks import deep, images

WIRINGS = ("chain", "residual", "fan", "nested")
FINEST = Quantization(calibration="output", weight_rounding="output", clip_weights=False)


def calls(work):
    """Calls of Python's functions and of C's: equal on every machine."""
    found = 0

    def count_one(frame, event, argument):
        nonlocal found
        found += 1

    sys.setprofile(count_one)
    try:
        work()
    finally:
        sys.setprofile(None)
    return found


def steps(work):
    """Calls, and the lines that Python runs, so that a loop that calls nothing counts too."""
    found = 0

    def count_one(frame, event, argument):
        nonlocal found
        found += 1
        return count_one

    sys.settrace(count_one)
    try:
        called = calls(work)
    finally:
        sys.settrace(None)
    return found + called


def every_work(number, wiring, folder):
    """What there is to do with a network of a number of layers, by name."""
    network = deep(number, wiring)
    pixels, path = images(network, 4), folder / "net.npz"
    windows = [layer.name for layer in network.layers if layer.kind() == "window"]
    each = Quantization(layers={name: LayerBits(weight_bits=4) for name in windows})
    program, counted, simulated = (quantize(network, pixels) for _ in range(3))  # each keeps the facts that were asked of it
    trace = count(program)
    network.save(path)
    return {
        "make": lambda: deep(number, wiring),
        "print": lambda: (str(network), str(program)),
        "save": lambda: network.save(path),
        "load": lambda: load_network(path),
        "digest": lambda: record_digest(program),
        "run": lambda: network.run(pixels, threads=1),
        "quantize": lambda: quantize(network, pixels),
        "quantize, by the output": lambda: quantize(network, pixels, FINEST),
        "quantize, uncalibrated": lambda: quantize(network, None, each),
        "count": lambda: count(counted),
        "simulate": lambda: simulate(simulated, pixels, network=network, threads=1),
        "estimate": lambda: estimate(trace, "systolic-16x16"),
        "estimate, row stationary": lambda: estimate(trace, "eyeriss-65nm", "eyeriss-65nm"),
        "evaluate": lambda: evaluate(trace, "systolic-16x16"),
    }


@pytest.mark.parametrize("wiring", WIRINGS)
def test_as_many_more_layers_are_as_much_more_work(wiring, tmp_path):
    for work in every_work(40, wiring, tmp_path).values():
        work()  # what is made once for all networks is made now
    counts = [{name: steps(work) for name, work in every_work(n, wiring, tmp_path).items()} for n in (48, 96, 192)]
    once, twice, four = counts
    grown = {name: (four[name] - twice[name]) / (twice[name] - once[name]) for name in once}
    assert {name: round(ratio, 2) for name, ratio in grown.items() if ratio > 2.15} == {}
    assert {name: round(twice[name] / once[name], 2) for name in once if twice[name] > 2.15 * once[name]} == {}


def peak_bytes(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("what", ["run", "simulate"])
def test_values_that_nothing_reads_any_more_are_freed(what):
    peaks = {}
    for number in (30, 120):
        network = deep(number)
        program, pixels = quantize(network, images(network, 4)), images(network, 4000)
        calls = {"run": partial(network.run, pixels), "simulate": partial(simulate, program, pixels, network=network)}
        peaks[number] = peak_bytes(partial(calls[what], batch=4000, threads=1))
    value_bytes = 4000 * 2 * 4 * 4 * 4
    assert peaks[120] - peaks[30] < 8 * value_bytes  # 90 layers more; their errors of each image stay


def test_samples_are_of_values_that_get_a_format():
    network = deep(30)
    prepared = prepare(network, images(network, 4))
    sums = {layer.name for layer in prepared.network.layers if layer.kind() == "window"}
    assert prepared.samples.keys() == {"input", *(layer.name for layer in prepared.network.layers)} - sums


def test_a_page_of_more_layers_is_as_much_more_work(tmp_path):
    def page(number):
        network = deep(number)
        program = quantize(network, images(network, 4))
        simulation = simulate(program, images(network, 4), network=network)
        result = evaluate(simulation.trace, "systolic-16x16", simulation=simulation, program=program)
        return calls(lambda: write_report([result], tmp_path, title="deep", about={}))

    page(30)
    once, twice, four = (page(number) for number in (25, 50, 100))
    assert four - twice < 2.15 * (twice - once)


def test_deep_networks_meet_no_limit_of_recursion(tmp_path):
    assert sys.getrecursionlimit() <= 1000  # pytest's own frames lie below
    for name, work in every_work(1000, "residual", tmp_path).items():
        if name != "quantize, by the output":
            work()


def test_deep_onnx_files_meet_no_limit_of_recursion(tmp_path):
    onnx_models = pytest.importorskip("tests.unit.frontends.onnx.models", exc_type=ImportError)
    nodes = [onnx_models.node("Relu", "x", name="relu")]
    for place in range(5000):
        nodes.append(
            onnx_models.node("Add", nodes[-1].output[0], "x" if place == 0 else nodes[-2].output[0], name=f"a{place}")
        )
    network = lower_onnx(onnx_models.saved(tmp_path, onnx_models.whole(nodes)))
    assert [layer.kind() for layer in network.layers].count("add") == 5000


def test_deep_torch_networks_meet_no_limit_of_recursion():
    torch = pytest.importorskip("torch")
    from addersim.frontends.torch.lower import lower

    class Deep(torch.nn.Module):
        def forward(self, x):
            before = x
            for _ in range(600):
                before, x = x, (x + before) * 0.5
            return x

    assert len(lower(Deep(), (2, 4, 4)).layers) == 1_200

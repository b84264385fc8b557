"""Whole numbers that users give have one limit each, told alike by the command line, the files and the functions."""

import time
import tracemalloc

import pytest

import addersim
from addersim.config import parse_toml
from addersim.datasets import load
from addersim.errors import AddersimError, ConfigError
from addersim.exploration.sweeps.run import sweep
from addersim.exploration.sweeps.study import Study
from addersim.hardware import Accelerator
from addersim.hardware.sizing import fit_elements
from addersim.inputs import limits
from addersim.inputs.limits import Limit, read_number, shown
from tests import command_line

HUGE = 10**20
ASKED = {name: one for name, one in vars(limits).items() if isinstance(one, Limit)}
NO_DIGITS = ["²", "٣", "\N{FULLWIDTH DIGIT THREE}", "1_0", "1e1", "0x8", "8.0", "", " ", "--8", "1 2", "๓", "Ⅷ", "½"]


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """What a command line is told, in one line, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return command_line.refused


@pytest.mark.parametrize("name", ASKED)
def test_a_limit_takes_its_ends_and_nothing_beyond(name):
    one = ASKED[name]
    for value in (one.least, one.most):
        assert one.check(value, "here") == one.read(f" {value} ", "here") == one.read(f"+000{value}", "here") == value
    for value in (one.least - 1, one.most + 1, -1, HUGE, 10**5000, True, 1.0, "4", None):
        with pytest.raises(ConfigError, match=rf"^here: found .*, needs a whole number in {one.least:,}\.\.{one.most:,}$"):
            one.check(value, "here")


@pytest.mark.parametrize("text", NO_DIGITS)
def test_digits_are_ascii(text):
    with pytest.raises(ConfigError, match=r"^here: found .*, needs a whole number in 0\.\.99$"):
        Limit(0, 99).read(text, "here")


@pytest.mark.parametrize("text", ["٣", "1_000", "nan", "inf", "1e999", "½", "", "0x1p3", "\N{FULLWIDTH DIGIT ONE}"])
def test_numbers_are_finite_and_of_ascii_digits(text):
    with pytest.raises(ConfigError, match=r"^here: found .*, needs a number such as"):
        read_number(text, "here")


def test_what_was_found_is_cut_short():
    assert len(shown("x" * 1000)) == 60
    assert shown(10**5000) == "a number of more than 4,000 digits"


@pytest.mark.parametrize(
    ("arguments", "option", "limit"),
    [
        (("estimate", "lenet5-adder", "--batch", HUGE), "--batch", "BATCH"),
        (("compare", "lenet5-adder", "--batch", HUGE), "--batch", "BATCH"),
        (("sweep", "lenet5-adder", "--batch", f"1,{HUGE}"), "--batch", "BATCH"),
        (("estimate", "lenet5-adder", "--pes", HUGE), "--pes", "ELEMENTS"),
        (("simulate", "lenet5-adder", "--limit", HUGE), "--limit", "IMAGES"),
        (("report", "lenet5-adder", "--limit", HUGE), "--limit", "IMAGES"),
        (("simulate", "lenet5-adder", "--threads", HUGE), "--threads", "THREADS"),
        (("train", "lenet5-mnist", "--threads", HUGE), "--threads", "THREADS"),
        (("simulate", "lenet5-adder", "--bits", HUGE), "--bits", "BITS"),
        (("simulate", "lenet5-adder", "--layer", f"conv1=8/{HUGE}"), "conv1=8/", "BITS"),
        (("sweep", "lenet5-adder", "--jobs", HUGE), "--jobs", "JOBS"),
        (("sweep", "lenet5-adder", "--images", HUGE), "--images", "IMAGES"),
        (("search", "lenet5-adder", "--out", "out", "--trials", HUGE), "--trials", "TRIALS"),
        (("search", "lenet5-adder", "--out", "out", "--seed", -1), "--seed", "SEED"),
        (("search", "lenet5-adder", "--out", "out", "--images", HUGE), "--images", "MEASURED_IMAGES"),
        (("train", "lenet5-mnist", f"epochs={HUGE}", "-o", "out"), "epochs", "EPOCHS"),
        (("train", "lenet5-mnist", f"batch={HUGE}", "-o", "out"), "batch", "TRAINING_BATCH"),
        (("train", "lenet5-mnist", f"seed={HUGE}", "-o", "out"), "seed", "SEED"),
        (("train", "lenet5-mnist", f"limit={HUGE}", "-o", "out"), "limit", "IMAGES"),
    ],
)
def test_the_command_line_tells_the_limit(arguments, option, limit, refused):
    told = refused(*arguments)
    assert option in told
    assert "found " in told
    assert f"needs {ASKED[limit]}" in told


@pytest.mark.parametrize("text", ["²", "٣", "\N{FULLWIDTH DIGIT EIGHT}", "1_0"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("simulate", "lenet5-adder", "--layer", "conv1={}/8"),
        ("simulate", "lenet5-adder", "--layer", "conv1=8/{}"),
        ("simulate", "lenet5-adder", "--accumulator", "{}:wrap"),
        ("lower", "lenet5-adder", "-o", "out.npz", "--input-shape", "{},28,28"),
        ("lower", "lenet5-adder", "-o", "out.npz", "--mean", "{}"),
        ("estimate", "lenet5-adder", "--batch", "{}"),
        ("estimate", "lenet5-adder", "--node", "{}"),
        ("estimate", "lenet5-adder", "--area-budget", "{}"),
        ("sweep", "lenet5-adder", "--batch", "{}"),
        ("sweep", "lenet5-adder", "--bits", "{}"),
        ("search", "lenet5-adder", "--out", "out", "--bits", "{},8"),
        ("search", "lenet5-adder", "--out", "out", "--floor", "{}"),
        ("train", "lenet5-mnist", "epochs={}", "-o", "out"),
    ],
    ids=" ".join,
)
def test_other_digits_are_refused_in_one_line(arguments, text, refused):
    if text == "1_0" and "epochs={}" in arguments:
        pytest.skip("KEY=VALUE is TOML, where 1_0 is ten")
    assert text in refused(*(one.format(text) for one in arguments))


def test_records_and_functions_tell_the_same_limit(tmp_path):
    network = addersim.load_network("lenet5-adder")
    trace = addersim.count(addersim.quantize(network, None))
    toml = addersim.config.resolve_text("systolic-16x16", "accelerators", ".toml", "accelerator")[2]
    calls = {
        "batch": (
            lambda: addersim.estimate(trace, "systolic-16x16", batch=HUGE),
            lambda: parse_toml(f"batch = {HUGE}\n{toml}", Accelerator, "file"),
            lambda: parse_toml(f'networks = ["lenet5-adder"]\nbatch = [{HUGE}]', Study, "file"),
            lambda: network.run(load("fashion-mnist-2000", limit=2).pixels, batch=HUGE),
        ),
        "images": (lambda: parse_toml(f'networks = ["lenet5-adder"]\nimages = {HUGE}', Study, "file"),),
        "limit": (lambda: load("fashion-mnist-2000", limit=HUGE),),
        "elements": (lambda: fit_elements("systolic-16x16", HUGE),),
        "threads": (lambda: network.run(load("fashion-mnist-2000", limit=2).pixels, threads=HUGE),),
        "jobs": (lambda: sweep(Study(networks=("lenet5-adder",), images=4), tmp_path, jobs=HUGE),),
    }
    for name, several in calls.items():
        for call in several:
            with pytest.raises(AddersimError, match=rf"{name}\S*: found {HUGE}, needs a whole number in 1\.\."):
                call()


@pytest.mark.parametrize("machine", [("systolic-16x16", "horowitz-45nm"), ("eyeriss-65nm", "eyeriss-65nm")])
def test_an_estimate_at_the_largest_batch_takes_no_more_memory_and_little_time(machine):
    trace = addersim.count(addersim.quantize(addersim.load_network("lenet5-adder"), None))
    tracemalloc.start()
    begin = time.process_time()
    cost = addersim.estimate(trace, *machine, batch=limits.BATCH.most)
    seconds, peak = time.process_time() - begin, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 30
    assert peak < 200e6
    fewer = addersim.estimate(trace, *machine, batch=1000)
    assert cost.energy_pj_per_image <= fewer.energy_pj_per_image * (1 + 1e-12)


def test_a_layer_too_large_to_be_counted_in_64_bits_is_refused(tmp_path, refused):
    path = tmp_path / "net.csv"
    path.write_text("Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
                    "big, 1002, 1002, 3, 3, 100, 100, 1,\n")  # fmt: skip
    told = refused("estimate", path, "--batch", 1_000_000)
    assert "layer big: 90,000,000,000,000,000 taps in a batch of 1,000,000; at most 1,000,000,000,000,000: take a" in told


def test_eighteen_digits_are_read_and_no_more():
    one = Limit(0, 10**30)
    assert one.read("9" * 18, "here") == int("9" * 18)
    assert one.read("0" * 50 + "9" * 18, "here") == int("9" * 18)
    with pytest.raises(ConfigError, match="here: found 9999999999999999999, needs a whole number in 0"):
        one.read("9" * 19, "here")

"""Search of bit widths: the floor is kept, a seed decides everything, a stopped search goes on, files are whole."""

import csv
import sys
from itertools import pairwise

import numpy as np
import pytest
from msgspec.structs import replace

from addersim import Quantization, quantize, search_bits, simulate
from addersim.arithmetic.fixed import Accumulator
from addersim.config import load_toml, parse_toml
from addersim.datasets import Images
from addersim.errors import ConfigError, DataError, QuantizationError
from addersim.exploration import bit_search, sensitivity
from addersim.exploration.bit_search import to_toml
from addersim.exploration.sensitivity import Judge, Measured, ScanRow, greedy_chain, scan, uniform, with_widths
from addersim.inputs.limits import SEED
from addersim.layers import Affine, Move, Relu, Window
from addersim.network import Network
from addersim.processes.result_folders import held
from addersim.quantization import LayerBits
from tests.unit.networks import images, norm

BITS = (2, 4, 8)
WINDOWS = ("first", "scores")


@pytest.fixture(scope="module")
def network():
    """An adder layer and a linear one, whose scores are centred so that every class is chosen."""
    random = np.random.default_rng(0)
    weights = random.normal(0, 1, (6, 2, 3, 3)).astype(np.float32)
    scores = random.normal(0, 1, (5, 6 * 3 * 3, 1, 1)).astype(np.float32)
    layers = [
        Window(name="first", inputs=("input",), arithmetic="l1", weights=weights, stride=(3, 4)),
        norm(random, "norm", "first", 6, 0.2, -20.0),
        Relu(name="relu", inputs=("norm",)),
        Move(name="flatten", inputs=("relu",)),
        Window(name="scores", inputs=("flatten",), arithmetic="mac", weights=scores),
    ]
    found = Network(name="tiny", input_shape=(2, 10, 12), mean=(0.3, 0.4), std=(0.5, 0.6), layers=tuple(layers))
    values = found.run(images(found, 200, seed=7)).astype(np.float64)
    centred = Affine(
        name="centred",
        inputs=("scores",),
        multiplier=1 / values.std(axis=0),
        addend=-(values / values.std(axis=0)).mean(axis=0),
    )
    return replace(found, layers=(*layers, centred))


@pytest.fixture(scope="module")
def training(network):
    """Images labelled with what the float network sees: any other choice is a loss."""
    pixels = images(network, 120)
    return Images("made", pixels, network.run(pixels).argmax(axis=1).astype(np.int64), tuple("abcde"))


def search(network, training, folder, **options):
    return search_bits(network, training, folder, **{"floor_points": 15.0, "bits": BITS, "trials": 8} | options)


@pytest.fixture(scope="module")
def found(network, training, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, search(network, training, folder)


def test_the_floor_is_kept_and_the_best_takes_the_least_energy(found):
    _, result = found
    within = [one for one in result.trials if one.measured.loss_points <= 15.0]
    assert result.best.measured.energy_pj == min(one.measured.energy_pj for one in within)
    assert result.best.measured.energy_pj < result.uniform[8].energy_pj
    assert result.uniform[2].energy_pj < result.uniform[4].energy_pj < result.uniform[8].energy_pj
    assert result.trials[0].measured.loss_points <= 15.0
    assert len(result.trials) == 8
    assert (result.calibration_images, result.measuring_images) == (60, 60)


def test_what_is_found_takes_no_more_than_one_width_everywhere(network, training, tmp_path, monkeypatch):
    """Losses do not always rise along the greedy chain: where bisection stops early, narrow codes may still do."""
    monkeypatch.setattr(bit_search, "_last_within", lambda judge, chain, floor_points: chain[0])
    result = search(network, training, tmp_path, floor_points=100.0, bits=(2, 8), trials=1)
    assert result.best.number is None
    assert result.best.measured == result.uniform[2]
    assert {one.weight_bits for one in result.rules.layers.values()} == {2}


def test_the_formats_file_says_what_was_measured(found, network, training):
    folder, result = found
    rules = load_toml(folder / "formats.toml", Quantization)
    assert rules == result.rules
    program = quantize(network, training.pixels[:60], rules)
    again = simulate(program, training.pixels[60:], training.labels[60:])
    assert again.accuracy == result.best.measured.accuracy
    assert set(rules.layers) == set(WINDOWS)


def test_rows_hold_every_trial_and_every_scan_step(found):
    folder, result = found
    with (folder / "trials.csv").open() as stream:
        trials = list(csv.DictReader(stream))
    assert [float(row["energy_pj"]) for row in trials] == [one.measured.energy_pj for one in result.trials]
    assert int(trials[0]["first.weight_bits"]) == result.trials[0].widths["first", "weight_bits"]
    with (folder / "scan.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["layer"], row["operand"], int(row["bits"])) for row in rows] == [
        (layer, operand, bits) for layer in WINDOWS for operand in ("weight_bits", "activation_bits") for bits in (2, 4)
    ]
    assert {path.name for path in folder.iterdir()} == JOURNALS | {"formats.toml", "trials.csv", "scan.csv"}


JOURNALS = {"trials.journal", "measured.journal"}


class Killed(Exception):
    """What stands for a signal."""


@pytest.mark.parametrize("stop", [0, 1, 4])
def test_a_stopped_search_ends_as_one_that_was_not(found, network, training, tmp_path, stop, monkeypatch):
    """Stopped after some trials, while the next one is under way, with half a line in the journal."""
    whole, result = found
    measure = Judge.measure

    def killed(self, widths):
        if progress and progress[-1] == ("trials", stop):
            raise Killed
        return measure(self, widths)

    progress = []
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Judge, "measure", killed)
        search(network, training, tmp_path, progress=lambda what, done, total: progress.append((what, done)))
    assert {path.name for path in tmp_path.iterdir()} == JOURNALS
    with (tmp_path / "trials.journal").open("ab") as stream:
        stream.write(b'{"op_code": 4, "worker')
    with (tmp_path / "measured.journal").open("ab") as stream:
        stream.write(b'{"bits": [2, ')
    lines = (tmp_path / "measured.journal").read_bytes().count(b"\n")
    simulated = []
    with monkeypatch.context() as patch:
        patch.setattr(sensitivity, "simulate", lambda *given: simulated.append(1) or simulate(*given))
        again = search(network, training, tmp_path)
    measured = (whole / "measured.journal").read_bytes().count(b"\n") - 1
    assert len(simulated) == measured - (lines - 1) < measured
    assert again.trials == result.trials
    for name in ("formats.toml", "trials.csv", "scan.csv"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("content", [b"no journal\n", b"[1]\n", b'{"inputs": "other"}\n', b"\xff\xfe\n"], ids=range(4))
def test_damaged_measurements_and_those_of_another_search_are_told(network, training, tmp_path, content):
    (tmp_path / "measured.journal").write_bytes(content)
    with pytest.raises(ConfigError, match=r"measured\.journal: not a search's meas.*remove it to start over|another network"):
        search(network, training, tmp_path)


@pytest.mark.parametrize(
    "content", [b"no journal\n", b"[1]\n", b"{}\n", b"\xff\xfe\n", b'{"op_code": 99}\n', b"[" * 9999 + b"\n"], ids=range(6)
)
def test_a_damaged_journal_is_told_in_one_line(network, training, tmp_path, content):
    (tmp_path / "trials.journal").write_bytes(content * 2)
    with pytest.raises(
        ConfigError, match=r"trials\.journal: not a search's journal, or damaged; remove it to start over: [^\n]+$"
    ):
        search(network, training, tmp_path)


def test_a_second_search_in_a_folder_is_refused(network, training, tmp_path):
    with held(tmp_path, "search"), pytest.raises(ConfigError, match="another run is writing there"):
        search(network, training, tmp_path)


def test_the_largest_seed_is_one(network, training, tmp_path):
    assert len(search(network, training, tmp_path, seed=SEED.most, trials=3).trials) == 3


def test_another_seed_is_another_search_and_needs_another_folder(found, network, training, tmp_path):
    folder, result = found
    other = search(network, training, tmp_path, seed=1)
    assert other.trials[0] == result.trials[0]
    assert other.trials != result.trials
    with pytest.raises(ConfigError, match="holds a search of another network, data, rules or seed; choose another folder"):
        search(network, training, folder, seed=1)
    longer = search(network, training, tmp_path, seed=1, trials=9)
    assert longer.trials[:8] == other.trials


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"floor_points": -1.0}, QuantizationError, r"floor: -1 points; allowed are 0\.\.100"),
        ({"trials": 0}, QuantizationError, "trials: found 0, needs a whole number in 1..100,000"),
        ({"bits": (8,)}, QuantizationError, "bits: 8; a search needs at least two widths, rising"),
        ({"bits": (8, 4)}, QuantizationError, "bits: 8, 4; a search needs at least two widths, rising"),
        ({"bits": (2, 3), "floor_points": 0.0}, QuantizationError, "floor: 3 bits everywhere already lose .* more than 0"),
    ],
)
def test_impossible_searches_are_refused_in_one_line(network, training, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        search(network, training, tmp_path, **options)
    assert not (tmp_path / "formats.toml").exists()


def test_one_image_cannot_both_calibrate_and_measure(network, training):
    with pytest.raises(DataError, match="made: 1 training image; a search needs some to calibrate and some to measure"):
        Judge(network, training.first(1), Quantization(), "systolic-16x16", "horowitz-45nm")


def test_without_optuna_one_line_says_what_to_install(network, training, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"a search needs Optuna; install it with: pip install 'addersim\[search\]'"):
        search(network, training, tmp_path)


def test_the_scan_changes_one_operand_at_a_time(network, training):
    judge = Judge(network, training, Quantization(), "systolic-16x16", "horowitz-45nm")
    row = next(one for one in scan(judge, (4, 8)) if (one.layer, one.operand) == ("first", "weight_bits"))
    rules = Quantization(layers={"first": LayerBits(weight_bits=4)})
    program = quantize(network, training.pixels[:60], rules)
    found = simulate(program, training.pixels[60:], training.labels[60:], network)
    assert row.measured.accuracy == found.accuracy
    assert row.measured.agreement == found.agreement
    assert row.measured.loss_points == pytest.approx(100 * (found.accuracy_float - found.accuracy))


def test_the_greedy_chain_takes_harmless_savings_first():
    def row(layer, operand, bits, agreement, energy):
        return ScanRow(layer, operand, bits, Measured(0.9, 0.0, agreement, energy))

    rows = [
        row("a", "weight_bits", 4, 0.50, 70.0),  # harm 0.5 for 30
        row("a", "activation_bits", 4, 0.99, 90.0),  # harm 0.01 for 10
        row("b", "weight_bits", 4, 0.98, 50.0),  # harm 0.02 for 50
        row("b", "activation_bits", 4, 0.99, 100.0),  # saves nothing
    ]
    chain = greedy_chain(rows, Measured(0.9, 0.0, 1.0, 100.0), (4, 8))
    order = [next(key for key in one if one[key] != two[key]) for one, two in pairwise(chain)]
    assert order == [("b", "weight_bits"), ("a", "activation_bits"), ("a", "weight_bits"), ("b", "activation_bits")]
    assert chain[0] == uniform(("a", "b"), 8)
    assert chain[-1] == uniform(("a", "b"), 4)


def test_rules_survive_toml():
    layers = {'od"d\\name é': LayerBits(weight_bits=3), "b.c": LayerBits(weight_bits=4, activation_bits=5)}
    for rules in (
        Quantization(),
        Quantization(layers=layers, accumulator=Accumulator(16, "saturate"), calibration="output", percentile=99.5),
        with_widths(Quantization(), uniform(("x", "y"), 5)),
    ):
        assert parse_toml(to_toml(rules), Quantization, "test") == rules


@pytest.mark.parametrize("name", ["caf\u00e9", "\U0001f600", 'a"\\b', "\x1b\x7f\u202e", "a.b]"])
def test_rules_come_back_whatever_a_layer_is_called(name):
    rules = Quantization(layers={name: LayerBits(weight_bits=3)})
    assert parse_toml(to_toml(rules), Quantization, "formats") == rules

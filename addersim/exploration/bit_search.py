"""Bit search: the widths of each layer's weights and activations that take the least energy within an accuracy floor."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from addersim.arithmetic.multiplier import MultiplierTable
from addersim.datasets.records import Images
from addersim.errors import ConfigError, QuantizationError, check_kind
from addersim.exploration.search_journal import Measurements, open_journal
from addersim.exploration.sensitivity import Judge, Measured, Operand, ScanRow, greedy_chain, scan, uniform, with_widths
from addersim.hardware import Accelerator, EnergyTable
from addersim.inputs.limits import SEED, TRIALS
from addersim.network import Network
from addersim.processes.result_folders import held
from addersim.quantization.rules import Quantization
from addersim.storage import record_digest, write_atomically, write_rows

if TYPE_CHECKING:
    from optuna import Study

__all__ = ["BITS", "BitSearch", "Trial", "search_bits", "to_toml"]

BITS = (3, 4, 5, 6, 8)
_Widths = dict[tuple[str, Operand], int]


@dataclass(frozen=True, slots=True)
class Trial:
    """One assignment that was tried, and what was measured of it; ``number`` is None where it is one width everywhere."""

    number: int | None
    widths: _Widths
    measured: Measured


@dataclass(frozen=True, slots=True)
class BitSearch:
    """What a search found.

    Attributes
    ----------
    rules
        The best assignment, as rules for `quantize`.
    best
        What is behind it: the least energy whose loss is within the floor, of all trials and of one width everywhere.
    uniform
        Assignments of one width everywhere, by width, for comparison.
    trials, scan
        All that was measured. Trial 0 is the greedy assignment of the scan.
    floor_points
        Points of accuracy that could be lost.
    accuracy_float, calibration_images, measuring_images
        Of the float network, and the numbers of training images.
    """

    rules: Quantization
    best: Trial
    uniform: dict[int, Measured]
    trials: tuple[Trial, ...]
    scan: tuple[ScanRow, ...]
    floor_points: float
    accuracy_float: float
    calibration_images: int
    measuring_images: int


def search_bits(
    network: Network,
    images: Images,
    folder: str | Path,
    *,
    floor_points: float = 1.0,
    accelerator: Accelerator | str = "systolic-16x16",
    table: EnergyTable | str = "horowitz-45nm",
    rules: Quantization = Quantization(),  # noqa: B008  # frozen
    bits: Sequence[int] = BITS,
    trials: int = 50,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
    multiplier: MultiplierTable | None = None,
) -> BitSearch:
    """Search per-layer widths that take the least energy and lose at most some points of accuracy.

    First each layer's weights and input are measured alone at each lower width; the steps that change fewest predictions for
    the energy they save give a greedy assignment. Optuna's multi-objective sampler (TPE: energy, points lost beyond the floor)
    then tries assignments within one width of it. A search that was stopped goes on where it was; its result is that of one
    that was not.

    Parameters
    ----------
    network
        Trained network.
    images
        Training images with labels, see `Judge`: the first calibrate, the others measure. A network knows its training images
        by heart, so that narrow codes lose more points there than on test images: the floor errs on the safe side.
    folder
        Where ``formats.toml`` (rules, as `simulate` takes them), ``trials.csv``, ``scan.csv`` and Optuna's journal go.
    floor_points
        Points of a hundred that may be lost against the float network.
    accelerator, table
        As in `estimate`.
    rules
        Everything but the widths.
    bits
        Widths to choose from, rising.
    trials
        Number of assignments to try, the greedy one included.
    seed
        Of the sampler.
    progress
        Called with what is being done, and how many of how many steps are.
    multiplier
        Of multiplying layers, as in `quantize`; it takes at most 8 bits.

    Raises
    ------
    ConfigError
        Where Optuna is missing, the folder holds something else, another search or a damaged one, or a run is writing there.
    QuantizationError
        Where even the highest width everywhere loses more than the floor allows, and for numbers out of range.
    """
    check_kind(network, Network, "search_bits: network")
    _check(floor_points, trials, seed, bits)
    optuna = _optuna()
    say = progress or (lambda what, done, total: None)
    judge = Judge(network, images, rules, accelerator, table, multiplier=multiplier)
    digests = [record_digest(network), images.digest(), *([record_digest(multiplier)] if multiplier else [])]
    inputs = [network.name, rules, list(bits), floor_points, seed, str(accelerator), str(table), *digests]
    with held(folder, "search"):
        known = json.dumps(msgspec.to_builtins(inputs))
        study = open_journal(optuna, Path(folder), known)
        judge.keep(Measurements(Path(folder), known))
        rows = _scan(judge, bits, say)
        greedy = _last_within(judge, greedy_chain(rows, judge.measure(uniform(judge.layers, bits[-1])), bits), floor_points)
        found = _try(optuna, study, judge, greedy, (floor_points, list(bits), trials, seed), say)
        even = [Trial(None, widths := uniform(judge.layers, width), judge.measure(widths)) for width in bits]
    within = [one for one in (*found, *even) if one.measured.loss_points <= floor_points]
    best = min(within, key=lambda one: one.measured.energy_pj)
    result = BitSearch(
        rules=with_widths(rules, best.widths),
        best=best,
        uniform={width: one.measured for width, one in zip(bits, even, strict=True)},
        trials=tuple(found),
        scan=tuple(rows),
        floor_points=floor_points,
        accuracy_float=judge.accuracy_float,
        calibration_images=judge.calibration,
        measuring_images=judge.images,
    )
    _write(Path(folder), result)
    return result


def _check(floor_points: float, trials: int, seed: int, bits: Sequence[int]) -> None:
    if not 0 <= floor_points <= 100:
        raise QuantizationError(f"floor: {floor_points:g} points; allowed are 0..100")
    TRIALS.check(trials, "trials", QuantizationError)
    SEED.check(seed, "seed", QuantizationError)
    if len(bits) < 2 or any(low >= high for low, high in pairwise(bits)):
        raise QuantizationError(f"bits: {', '.join(map(str, bits))}; a search needs at least two widths, rising")
    for width in bits:
        Quantization(weight_bits=width, activation_bits=width)  # refuses widths that no format has


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ConfigError("a search needs Optuna; install it with: pip install 'addersim[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _scan(judge: Judge, bits: Sequence[int], say: Callable[[str, int, int], None]) -> list[ScanRow]:
    total, done = 2 * len(judge.layers) * (len(bits) - 1), 0

    def advance() -> None:
        nonlocal done
        done += 1
        say("sensitivity", done, total)

    return scan(judge, bits, advance)


def _last_within(judge: Judge, chain: Sequence[_Widths], floor_points: float) -> _Widths:
    """The furthest assignment of a chain that keeps the floor, by bisection: losses mostly rise along it."""
    first = judge.measure(chain[0])
    if first.loss_points > floor_points:
        width = max(chain[0].values())
        raise QuantizationError(
            f"floor: {width} bits everywhere already lose {first.loss_points:.2f} points, more than {floor_points:g}; "
            "allow more points or more bits"
        )
    good, bad = 0, len(chain)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if judge.measure(chain[middle]).loss_points <= floor_points else (good, middle)
    return chain[good]


def _try(
    optuna: Any,
    study: Study,
    judge: Judge,
    greedy: _Widths,
    settings: tuple[float, list[int], int, int],
    say: Callable[[str, int, int], None],
) -> list[Trial]:
    """Trials until there are enough, those of an earlier run included."""
    floor_points, bits, trials, seed = settings
    ranges = {f"{name} {operand}": _range(optuna, bits, width) for (name, operand), width in greedy.items()}
    complete = [optuna.trial.TrialState.COMPLETE]

    def judged(parameters: dict[str, int]) -> tuple[tuple[float, float], dict[str, Any]]:
        measured = judge.measure(_widths(parameters, greedy, bits))
        return (measured.energy_pj, max(0.0, measured.loss_points - floor_points)), asdict(measured)

    while (done := len(study.get_trials(deepcopy=False, states=complete))) < trials:
        say("trials", done, trials)
        if done == 0:
            start = {f"{name} {operand}": bits.index(width) for (name, operand), width in greedy.items()}
            values, notes = judged(start)
            create = optuna.trial.create_trial
            study.add_trial(create(params=start, distributions=ranges, values=list(values), user_attrs=notes))
            continue
        # a sampler of its own for each trial: what it proposes depends on the trials before it, not on when they ran
        study.sampler = optuna.samplers.TPESampler(
            seed=(seed * 1_000_003 + done) % (SEED.most + 1), n_startup_trials=min(10, trials // 4 + 1)
        )
        trial = study.ask(ranges)
        values, notes = judged(trial.params)
        for key, value in notes.items():
            trial.set_user_attr(key, value)
        study.tell(trial, list(values))
    say("trials", trials, trials)
    kept = study.get_trials(deepcopy=False, states=complete)[:trials]
    return [Trial(place, _widths(one.params, greedy, bits), Measured(**one.user_attrs)) for place, one in enumerate(kept)]


def _range(optuna: Any, bits: list[int], width: int) -> Any:
    """Places in the list of widths that lie within one step of a width."""
    place = bits.index(width)
    return optuna.distributions.IntDistribution(max(place - 1, 0), min(place + 1, len(bits) - 1))


def _widths(parameters: dict[str, int], like: Iterable[tuple[str, Operand]], bits: list[int]) -> _Widths:
    return {(name, operand): bits[parameters[f"{name} {operand}"]] for name, operand in like}


def _write(folder: Path, found: BitSearch) -> None:
    comment = (
        f"# {found.best.measured.loss_points:.2f} points lost on {found.measuring_images} training images (floor "
        f"{found.floor_points:g}), {found.best.measured.energy_pj / 1e6:.4g} uJ an image\n"
    )
    with write_atomically(folder / "formats.toml", "w") as stream:
        stream.write(comment + to_toml(found.rules))
    write_rows(
        folder / "scan.csv",
        ({"layer": row.layer, "operand": row.operand, "bits": row.bits} | asdict(row.measured) for row in found.scan),
    )
    write_rows(
        folder / "trials.csv",
        (
            {"trial": one.number, **{f"{name}.{operand}": width for (name, operand), width in one.widths.items()}}
            | asdict(one.measured)
            for one in found.trials
        ),
    )


def _quoted(name: str) -> str:
    """A name as TOML quotes it, whatever it holds."""
    plain = (one if one.isprintable() and one not in '"\\' else f"\\U{ord(one):08x}" for one in name)
    return f'"{"".join(plain)}"'


def to_toml(rules: Quantization) -> str:
    """Rules as a TOML document that `load_toml` reads back.

    Examples
    --------
    >>> from addersim import LayerBits
    >>> print(to_toml(Quantization(layers={"fc1": LayerBits(weight_bits=3)})).splitlines()[-2:])
    ['[layers."fc1"]', 'weight_bits = 3']
    """
    found = msgspec.to_builtins(rules)
    accumulator = {key: value for key, value in found.pop("accumulator").items() if value is not None}
    tables = {f"layers.{_quoted(name)}": one for name, one in found.pop("layers").items()}
    lines = [f"{key} = {json.dumps(value)}" for key, value in found.items() if value is not None]
    for title, fields in {"accumulator": accumulator, **tables}.items():
        lines += ["", f"[{title}]", *(f"{key} = {json.dumps(value)}" for key, value in fields.items() if value is not None)]
    return "\n".join(lines) + "\n"

"""Sweep: do what a study asks for and is not yet done, keep each result as it comes, and lay all of them out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from addersim.errors import SweepError
from addersim.exploration.sweeps.engines import Engine, check_engine, open_engine
from addersim.exploration.sweeps.fingerprint import code_digest
from addersim.exploration.sweeps.job_files import Failed, Key, Outcome, Priced, Simulated, SimulationKey, digest
from addersim.exploration.sweeps.jobs import Subject, simulate_rules, study_network
from addersim.exploration.sweeps.plan import Plan, Point, make_plan
from addersim.exploration.sweeps.prices import price, price_designs
from addersim.exploration.sweeps.results import Row, point_row, read_study, write_results, write_study
from addersim.exploration.sweeps.store import Store
from addersim.exploration.sweeps.study import Study, load_study
from addersim.exploration.sweeps.training import train_networks
from addersim.format_quantity import how_many
from addersim.processes.result_folders import check_kind, held
from addersim.quantization.rules import Circuit, Quantization
from addersim.tabular import Row as PlainRow
from addersim.tabular import Tabular, percent

__all__ = ["Progress", "Sweep", "recall", "sweep"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is, in points."""

    points: int
    done: int
    failed: int


@dataclass(frozen=True, slots=True, repr=False)
class Sweep(Tabular):
    """A finished sweep.

    Attributes
    ----------
    study
        What was asked.
    folder
        Where its jobs and results lie.
    rows
        One a point, in the study's order; keys as in `addersim.exploration.sweeps.results.RESULT_COLUMNS`.
    files
        The tables that were written.
    """

    study: Study
    folder: Path
    rows: tuple[Row, ...]
    files: tuple[Path, ...]

    @property
    def failed(self) -> int:
        """Points without a result; their rows say why."""
        return sum(bool(row["error"]) for row in self.rows)

    @property
    def waiting(self) -> int:
        """Points that are still to be done."""
        return sum(row["energy_pj"] is None and not row["error"] for row in self.rows)

    def to_dict(self) -> PlainRow:
        """Plain values, ready for JSON."""
        files = list(map(str, self.files))
        return {
            "folder": str(self.folder),
            "failed": self.failed,
            "waiting": self.waiting,
            "files": files,
            "points": self.to_rows(),
        }

    def to_rows(self) -> list[PlainRow]:
        """One row a point."""
        return [dict(row) for row in self.rows]

    def _title(self) -> str:
        return f"{how_many(len(self.rows), 'points')} in {self.folder}"

    def _figures(self) -> dict[str, str]:
        best = max((row["accuracy"] for row in self.rows if row["accuracy"] is not None), default=None)
        found = {} if best is None else {"best accuracy": percent(best)}
        return found | {"failed": f"{self.failed:,}", "waiting": f"{self.waiting:,}"}

    def _lines(self) -> list[PlainRow]:
        return [
            {
                "network": row["network"],
                "bits": f"{row['weight_bits']}/{row['activation_bits']}",
                "register": row["accumulator"],
                "circuit": row["circuit"],
                "accelerator": row["accelerator"],
                "accuracy": "failed" if row["error"] else percent(row["accuracy"]) or "waits",
                "energy nJ": None if row["energy_pj"] is None else row["energy_pj"] / 1e3,
            }
            for row in self.rows
        ]


def sweep(
    study: Study | str | os.PathLike[str] = "bit-widths",
    folder: str | os.PathLike[str] = "sweep",
    *,
    jobs: int | None = None,
    engine: str = "local",
    address: str | None = None,
    retry: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    note: Callable[[str], None] = lambda _: None,
) -> Sweep:
    """Simulate and price every point of a study.

    What is done lies in the folder, one file a job, and is never done again: a sweep that was stopped, killed or failed goes
    on where it was. Results do not depend on the engine, on the number of workers, or on interruptions.

    Parameters
    ----------
    study
        A record, a bundled name or a TOML file.
    folder
        Where results are kept. Several studies may share one, also at the same time.
    jobs, engine, address
        Where jobs run, see `addersim.exploration.sweeps.engines.open_engine`. Without them, on all processors of this machine.
    retry
        Do failed points once more.
    progress, note
        Called with how far it is, and with lines on what was found amiss in the folder.

    Raises
    ------
    AddersimError
        For a point that cannot exist, and a folder of other results, before anything is done; and a `SweepError` where the
        sweep has to stop.
    """
    given = study if isinstance(study, Study) else load_study(study)
    with held(folder, "sweep", together=True):
        asked = train_networks(given, folder, note=note)
        plan = make_plan(asked)
        for one in plan.warnings:
            note(f"warning: {one}")
        check_engine(engine, jobs, address)
        store = Store(Path(folder), note)
        store.open()
        write_study(store.folder, asked)
        ledger = _Ledger(plan, store, retry, progress)
        ledger.recall()
        if pending := ledger.pending():
            with open_engine(engine, jobs, address, most=len(pending), folder=store.folder) as machines:
                _simulate(ledger, machines)
        rows = ledger.rows()
        return Sweep(asked, Path(folder), rows, write_results(Path(folder), rows))


def recall(folder: str | os.PathLike[str], *, note: Callable[[str], None] = lambda _: None) -> Sweep:
    """Lay out what is done of the sweep that a folder holds; nothing is simulated.

    Parameters
    ----------
    folder
        Of a sweep that was begun: one that is running, was stopped, or is done.
    note
        As in `sweep`.

    Raises
    ------
    AddersimError
        Where the folder holds no sweep, or no point of it that this version did: its results are left as they are.
    """
    check_kind(folder, "sweep")
    study = read_study(Path(folder))
    ledger = _Ledger(make_plan(study), Store(Path(folder), note), False, lambda _: None)
    ledger.recall()
    if not ledger.found:
        raise SweepError(f"{folder}: none of the sweep's points was done by this version of addersim; run the sweep")
    rows = ledger.rows()
    return Sweep(study, Path(folder), rows, write_results(Path(folder), rows))


class _Ledger:
    """What is known of each point while a sweep runs."""

    def __init__(self, plan: Plan, store: Store, retry: bool, progress: Callable[[Progress], None]):
        self.plan, self.store, self.retry, self.progress = plan, store, retry, progress
        self.points: dict[str, list[Point]] = {}
        for point in plan.points:
            self.points.setdefault(point.cost.simulation, []).append(point)
        self.found: dict[str, Row] = {}
        self.settled: set[str] = set()
        self.failed = 0

    def recall(self) -> None:
        """Take what is done from the store, and price it on what is new."""
        self._tell()
        for simulation in self.points:
            self.take(simulation)

    def pending(self) -> list[str]:
        """Simulations that are to be done."""
        return [simulation for simulation in self.points if simulation not in self.settled]

    def key(self, simulation: str) -> SimulationKey:
        """A simulation's key."""
        return self.points[simulation][0].simulation

    def known(self, key: Key, store: Store | None = None) -> Outcome | None:
        """What the store has of a job, unless it failed and is to be done again."""
        outcome = (store or self.store).read(key)
        return None if self.retry and isinstance(outcome, Failed) else outcome

    def take(self, simulation: str) -> bool:
        """Settle a simulation from the store, if it is there."""
        outcome = self.known(self.key(simulation))
        if isinstance(outcome, Simulated | Failed):
            self.settle(simulation, outcome)
        return simulation in self.settled

    def keep(self, simulation: str, outcome: Simulated | Failed) -> None:
        """Store a simulation that was done, and settle it."""
        self.store.write(self.key(simulation), outcome)
        self.settle(simulation, outcome)

    def settle(self, simulation: str, outcome: Simulated | Failed) -> None:
        """Price every point of a simulation."""
        self.settled.add(simulation)
        points = self.points[simulation]
        at_once = self._price_at_once(points, outcome) if self.plan.study.grid and isinstance(outcome, Simulated) else {}
        for point in points:
            name = _name(point)
            priced = outcome if isinstance(outcome, Failed) else at_once[name] if at_once else self._price(point, outcome)
            self.found[name] = point_row(point, self.plan, outcome, priced)
            self.failed += isinstance(priced, Failed)
            self._tell()

    def rows(self) -> tuple[Row, ...]:
        """All points, in the study's order; those that are still to be done know their place only."""
        found = ((point, self.found.get(_name(point))) for point in self.plan.points)
        return tuple(point_row(point, self.plan, None, None) if row is None else row for point, row in found)

    def _price(self, point: Point, simulated: Simulated) -> Priced | Failed:
        outcome = self.known(point.cost)
        if isinstance(outcome, Priced | Failed):
            return outcome
        machine, table = self.plan.accelerators[point.accelerator], self.plan.tables[point.table]
        priced = price(simulated, point.circuit, machine, table, point.cost.batch)
        self.store.write(point.cost, priced)
        return priced

    def _price_at_once(self, points: Sequence[Point], simulated: Simulated) -> dict[str, Priced | Failed]:
        """Price the designs of a grid; nothing of it is kept, for it is done again as fast as files are read."""
        alike: dict[tuple[Circuit | None, str, int], list[Point]] = {}
        for point in points:
            alike.setdefault((point.circuit, point.table, point.cost.batch), []).append(point)
        found: dict[str, Priced | Failed] = {}
        for (circuit, table, batch), same in alike.items():
            designs = [self.plan.accelerators[point.accelerator] for point in same]
            priced = price_designs(simulated, circuit, designs, self.plan.tables[table], batch)
            found |= {_name(point): one for point, one in zip(same, priced, strict=True)}
        return found

    def _tell(self) -> None:
        self.progress(Progress(len(self.plan.points), len(self.found), self.failed))


def _name(point: Point) -> str:
    """A point's name in a ledger: files of the same content may stand under several names."""
    return f"{digest(point.cost)} {point.network} {point.multiplier} {point.accelerator} {point.table}"


def _simulate(ledger: _Ledger, machines: Engine) -> None:
    """Do the pending simulations, except those that another sweep in the same folder has done meanwhile."""
    code = code_digest(compiled=False)
    subjects = _subjects(ledger, machines, code)
    pending, quiet = ledger.pending(), Store(ledger.store.folder, lambda _: None)

    def arguments() -> Iterator[tuple[str, Subject, Quantization, str | None, str]]:
        for simulation in pending:
            key, point = ledger.key(simulation), ledger.points[simulation][0]
            if ledger.known(key, quiet) is None:
                yield simulation, subjects[point.network], key.rules, point.multiplier, code

    for simulation, outcome in machines.run(simulate_rules, arguments(), tuple(subjects.values())):
        ledger.keep(simulation, outcome)
    for simulation in ledger.pending():
        if not ledger.take(simulation):
            raise SweepError(f"{ledger.store.path(ledger.key(simulation))}: was there and is gone; run the same command again")


def _subjects(ledger: _Ledger, machines: Engine, code: str) -> dict[str, Subject]:
    """Run the float networks of the pending simulations; one that cannot run fails all of its points."""
    plan = ledger.plan
    users: dict[str, list[str]] = {}
    for simulation in ledger.pending():
        users.setdefault(ledger.points[simulation][0].network, []).append(simulation)
    folded = plan.study.quantization.fold_batch_norm
    arguments = ((name, plan.networks[name], plan.calibration, plan.test, folded, code) for name in users)
    found = {}
    for name, outcome in machines.run(study_network, arguments):
        if isinstance(outcome, Failed):
            for simulation in users[name]:
                ledger.keep(simulation, outcome)
        else:
            found[name] = Subject(
                prepared=outcome[0], float_predictions=outcome[1], test=plan.test, multipliers=plan.multipliers
            )
    return found

"""The journal of a search: what Optuna keeps of its trials, so that a search that was stopped goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from addersim.errors import ConfigError
from addersim.inputs.opening import MAX_FILE_BYTES, parsing, read_file
from addersim.processes.result_folders import MARKS

if TYPE_CHECKING:
    from optuna import Study

__all__ = ["Measurements", "open_journal"]

_JOURNAL, _MEASURED = MARKS["search"], "measured.journal"
_STUDY = "bits"


def open_journal(optuna: Any, folder: Path, inputs: str) -> Study:
    """The study in a folder, new or begun earlier; a search of something else is refused."""
    journal = folder / _JOURNAL
    _drop_half_line(journal)
    with parsing(str(journal), "not a search's journal, or damaged; remove it to start over", ConfigError):
        backend = optuna.storages.journal.JournalFileBackend(str(journal), _NoLock())
        storage = optuna.storages.JournalStorage(backend)
        study: Study = optuna.create_study(
            study_name=_STUDY, storage=storage, directions=["minimize", "minimize"], load_if_exists=True
        )
    if study.user_attrs.setdefault("inputs", inputs) != inputs:
        raise ConfigError(f"{folder}: holds a search of another network, data, rules or seed; choose another folder")
    study.set_user_attr("inputs", inputs)
    for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # was under way when the search was stopped
    return study


class Measurements:
    """What was measured in a search's folder, a line each, so that no assignment is measured twice, the scan's included.

    Parameters
    ----------
    folder
        Of the search, which is held alone.
    inputs
        What the measurements depend on, as in `open_journal`; lines of something else are refused.
    """

    def __init__(self, folder: Path, inputs: str) -> None:
        self._path = folder / _MEASURED
        _drop_half_line(self._path)
        self.known: dict[tuple[int, ...], dict[str, float]] = {}
        lines = read_file(self._path, MAX_FILE_BYTES, ConfigError).splitlines() if self._path.exists() else []
        with parsing(str(self._path), "not a search's measurements, or damaged; remove it to start over", ConfigError):
            found = [json.loads(line) for line in lines]
            if found and found[0] != {"inputs": inputs}:
                raise ConfigError(f"{folder}: holds a search of another network, data, rules or seed; choose another folder")
            self.known = {
                tuple(map(int, one["bits"])): {key: float(number) for key, number in one["measured"].items()}
                for one in found[1:]
            }
        if not found:
            self._write({"inputs": inputs})

    def note(self, bits: tuple[int, ...], measured: Mapping[str, float]) -> None:
        """Keep what was measured of the widths of all layers."""
        self._write({"bits": bits, "measured": measured})

    def _write(self, line: Mapping[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(json.dumps(line) + "\n")


class _NoLock:
    """Optuna's own lock would outlive a killed process and keep the next one waiting; the whole folder is held instead."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _drop_half_line(journal: Path) -> None:
    """Cut off what a killed process did not write to its end."""
    if journal.exists():
        content = read_file(journal, MAX_FILE_BYTES, ConfigError)
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with journal.open("r+b") as stream:
                stream.truncate(whole)

"""The journal of a search: what Optuna keeps of its trials, so that a search that was stopped goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from addersim.errors import ConfigError
from addersim.inputs.opening import MAX_FILE_BYTES, parsing, read_file

if TYPE_CHECKING:
    from optuna import Study

__all__ = ["open_journal"]

_JOURNAL = "trials.journal"
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

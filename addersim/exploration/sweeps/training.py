"""Networks that a study trains before it sweeps them: one for each combination of a recipe's values."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from addersim.errors import ConfigError
from addersim.exploration.sweeps.plan import check_costs
from addersim.exploration.sweeps.study import Study

if TYPE_CHECKING:
    from rich.console import Console

    from addersim.train.recipe import Recipe

__all__ = ["count_trained", "train_networks"]

MOST_RUNS = 1_000
NETWORKS, RUNS = "networks", "training"
"""Folders inside a sweep's: the trained networks, and their checkpoints."""
NONE, OWN_RUN = "none", "run:"
"""A value that leaves its key out of a combination, and what stands before the architecture of a run of the study itself."""
_FROM_RUNS = ("teacher", "distill", "start", "prune")


def train_networks(
    study: Study,
    folder: str | os.PathLike[str],
    *,
    console: Console | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Study:
    """The study with networks in place of the table ``[training]``, each of them trained unless it is already there.

    A run that was stopped goes on from its last epoch. Every recipe is checked before the first is trained. A value ``none``
    leaves its key out. ``teacher = "run:lenet5-conv"`` learns from the study's own run of that architecture, all else equal;
    ``prune`` without ``start`` prunes the study's own run without it. Such runs come first, also where no combination asks
    for them; then they are trained and not swept.

    Parameters
    ----------
    study
        What to do. One without such a table is given back as it is.
    folder
        The sweep's. Networks lie in ``networks``, checkpoints in ``training``.
    console
        Where progress and one line an epoch are printed.
    note
        Called with a line before each run.

    Raises
    ------
    ConfigError
        For a recipe that cannot be, accelerators or tables that are not there, and where torch is not installed.
    """
    if study.training is None:
        return study
    runs, trained = _checked_runs(study, study.training, Path(folder, RUNS)), []
    for number, (name, run) in enumerate(runs.items(), 1):
        path = Path(folder, NETWORKS, f"{name}.npz")
        if not path.exists() or not _is_finished(Path(folder, RUNS, name), run.recipe):
            note(f"training {name}, {number} of {len(runs)}")
            _train(run.recipe, name, path, Path(folder, RUNS, name), study.root, console)
        if run.wanted:
            trained.append(str(path))
    return replace(study, networks=(*study.networks, *trained), training=None)


def count_trained(study: Study) -> int:
    """How many networks a study trains and sweeps, every recipe checked and none trained; errors as `train_networks`."""
    return sum(run.wanted for run in _checked_runs(study, study.training or {}, Path(RUNS)).values())


@dataclass(frozen=True, slots=True)
class _Run:
    """A recipe, and whether the sweep asks for its network, or another run needs it first."""

    recipe: Recipe
    wanted: bool


def _checked_runs(study: Study, training: Mapping[str, Any], folder: Path) -> dict[str, _Run]:
    """The runs of a study that can be trained here, and whose points can be priced."""
    if missing := [name for name in ("torch", "safetensors") if find_spec(name) is None]:
        raise ConfigError(f"training needs {' and '.join(missing)}; install with: pip install 'addersim[train]'")
    runs = _runs(training, folder)
    check_costs(study)
    return runs


def _runs(training: Mapping[str, Any], folder: Path) -> dict[str, _Run]:
    """Runs of all combinations by names that tell where they differ, after the runs that they start from or learn from."""
    from addersim.train.recipe import load_recipe

    values = {key: value if isinstance(value, list | tuple) else [value] for key, value in training.items()}
    base = values.pop("recipe", [])
    if len(base) != 1 or not isinstance(base[0], str):
        raise ConfigError("training: needs recipe, a bundled training study or a TOML file (addersim train --help)")
    if empty := [key for key, options in values.items() if not options]:
        raise ConfigError(f"training.{empty[0]}: an empty list")
    told = [key for key, options in values.items() if (len(options) > 1 or key in _FROM_RUNS) and key != "architecture"]
    found: dict[str, _Run] = {}

    def add(changes: dict[str, Any], wanted: bool) -> str:
        """Take in a run, those that it needs before it; its folder."""
        own = {key: value for key, value in changes.items() if value != NONE}
        needed = {key: add(other, False) for key, other in _needed(own).items()}
        recipe = load_recipe(base[0], [f"{key}={_text(value)}" for key, value in (own | needed).items()])
        name = " ".join([recipe.architecture, *(f"{key} {own[key]}" for key in told if key in own)])
        name = name.replace(OWN_RUN, "").replace("/", "-").replace(":", "-")
        found[name] = _Run(recipe, wanted or (name in found and found[name].wanted))
        if len(found) > MOST_RUNS:
            raise ConfigError(f"training: more than {MOST_RUNS:,} networks")
        return os.path.abspath(folder / name)

    for combination in itertools.product(*values.values()):
        add(dict(zip(values, combination, strict=True)), True)
    return found


def _needed(changes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Runs of the study that must be finished before one, by the key that takes their folder."""
    teacher, needed = str(changes.get("teacher", "")), {}
    if teacher.startswith(OWN_RUN):
        plain = {key: value for key, value in changes.items() if key not in _FROM_RUNS}
        needed["teacher"] = plain | {"architecture": teacher.removeprefix(OWN_RUN)}
    if "prune" in changes and "start" not in changes:
        needed["start"] = {key: value for key, value in changes.items() if key != "prune"}
    return needed


def _text(value: Any) -> str:
    """A value as ``addersim train`` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_finished(folder: Path, recipe: Recipe) -> bool:
    from addersim.train.checkpoint import load_checkpoint
    from addersim.train.loop import CHECKPOINT

    if not (folder / CHECKPOINT).exists():
        return False
    checkpoint = load_checkpoint(folder / CHECKPOINT)
    checkpoint.require(recipe, folder / CHECKPOINT)
    return len(checkpoint.history) == recipe.epochs


def _train(recipe: Recipe, name: str, path: Path, folder: Path, root: str | None, console: Console | None) -> None:
    from addersim.train.loop import train

    run = train(recipe, folder, root=root, console=console)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(run.lowered, name=name).save(path)

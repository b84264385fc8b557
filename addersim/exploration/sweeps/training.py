"""Networks that a study trains before it sweeps them: one for each combination of a recipe's values."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
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

__all__ = ["train_networks"]

MOST_RUNS = 1_000
NETWORKS, RUNS = "networks", "training"
"""Folders inside a sweep's: the trained networks, and their checkpoints."""


def train_networks(
    study: Study,
    folder: str | os.PathLike[str],
    *,
    console: Console | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Study:
    """The study with networks in place of the table ``[training]``, each of them trained unless it is already there.

    A run that was stopped goes on from its last epoch. Every recipe is checked before the first is trained.

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
    if missing := [name for name in ("torch", "safetensors") if find_spec(name) is None]:
        raise ConfigError(f"training needs {' and '.join(missing)}; install with: pip install 'addersim[train]'")
    recipes = _recipes(study.training)
    check_costs(study)
    trained = []
    for number, (name, recipe) in enumerate(recipes.items(), 1):
        path = Path(folder, NETWORKS, f"{name}.npz")
        if not path.exists() or not _is_finished(Path(folder, RUNS, name), recipe):
            note(f"training {name}, {number} of {len(recipes)}")
            _train(recipe, name, path, Path(folder, RUNS, name), study.root, console)
        trained.append(str(path))
    return replace(study, networks=(*study.networks, *trained), training=None)


def _recipes(training: Mapping[str, Any]) -> dict[str, Recipe]:
    """Recipes of all combinations, by names that tell where they differ."""
    from addersim.train.recipe import load_recipe

    values = {key: value if isinstance(value, list | tuple) else [value] for key, value in training.items()}
    base = values.pop("recipe", [])
    if len(base) != 1 or not isinstance(base[0], str):
        raise ConfigError("training: needs recipe, a bundled training study or a TOML file (addersim train --help)")
    if empty := [key for key, options in values.items() if not options]:
        raise ConfigError(f"training.{empty[0]}: an empty list")
    several = [key for key, options in values.items() if len(options) > 1 and key != "architecture"]
    found: dict[str, Recipe] = {}
    for combination in itertools.product(*values.values()):
        changes = dict(zip(values, combination, strict=True))
        recipe = load_recipe(base[0], [f"{key}={_text(value)}" for key, value in changes.items()])
        name = " ".join([recipe.architecture, *(f"{key} {changes[key]}" for key in several)])
        found[name.replace("/", "-")] = recipe
        if len(found) > MOST_RUNS:
            raise ConfigError(f"training: more than {MOST_RUNS:,} networks")
    return found


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

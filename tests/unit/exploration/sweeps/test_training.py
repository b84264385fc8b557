"""Studies that train their networks first: one a combination, none twice, nothing impossible begun."""

import shutil

import pytest

pytest.importorskip("torch")

from addersim import load_network
from addersim.errors import AddersimError
from addersim.exploration.sweeps.run import recall, sweep
from addersim.exploration.sweeps.study import Study
from addersim.exploration.sweeps.training import train_networks
from addersim.train.checkpoint import load_checkpoint
from addersim.train.loop import CHECKPOINT
from addersim.train.recipe import Recipe

SMALL = {"recipe": "lenet5-fashion-mnist", "data": "fashion-mnist-2000", "limit": 64, "epochs": 1, "batch": 32}


def study(**training):
    return Study(training=SMALL | training, bits=4, images=20, calibration_images=20)


def test_every_combination_is_trained_once_and_swept(tmp_path):
    asked, notes = study(architecture=["lenet5-conv", "lenet5-xnor"], seed=[1, 2]), []
    found = sweep(asked, tmp_path, jobs=1, note=notes.append)
    names = ["lenet5-conv seed 1", "lenet5-conv seed 2", "lenet5-xnor seed 1", "lenet5-xnor seed 2"]
    assert [row["network"] for row in found.rows] == names
    assert notes[0] == "training lenet5-conv seed 1, 1 of 4"
    assert {row["arithmetic"] for row in found.rows} == {"mac", "mac+xnor"}
    assert found.failed == found.waiting == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "networks").iterdir()}
    assert len(before) == 4
    again = sweep(asked, tmp_path, jobs=1, note=notes.append)
    assert again.rows == found.rows
    assert [note for note in notes if note.startswith("training")] == [
        f"training {name}, {n} of 4" for n, name in enumerate(names, 1)
    ]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert recall(tmp_path).rows == found.rows


def test_a_grid_over_teachers_and_pruning_takes_its_own_runs(tmp_path):
    grid = {"architecture": "lenet5-adder", "teacher": ["none", "run:lenet5-conv"], "prune": ["none", "channels:0.25"]}
    asked, notes = study(**grid), []
    found = sweep(asked, tmp_path, jobs=1, note=notes.append)
    adder, taught = "lenet5-adder", "lenet5-adder teacher lenet5-conv"
    names = [adder, f"{adder} prune channels-0.25", taught, f"{taught} prune channels-0.25"]
    assert [row["network"] for row in found.rows] == names
    trained = [note.removeprefix("training ").partition(",")[0] for note in notes if note.startswith("training ")]
    assert trained == [*names[:2], "lenet5-conv", *names[2:]]
    runs = {name: load_checkpoint(tmp_path / "training" / name / CHECKPOINT).recipe for name in trained}
    assert runs[names[1]].start.endswith(adder)
    assert runs[names[3]].start.endswith(taught)
    assert {runs[name].teacher.rpartition("/")[2] for name in names[2:]} == {"lenet5-conv"}
    assert runs[names[0]].teacher is runs[names[0]].start is runs["lenet5-conv"].teacher is None
    small = {name: load_network(tmp_path / "networks" / f"{name}.npz").totals().parameters for name in names}
    assert small[names[1]] < small[names[0]]
    assert small[names[3]] < small[names[2]] == small[names[0]]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "networks").iterdir()}
    assert sweep(asked, tmp_path, jobs=1).rows == found.rows
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert {runs[name].start for name in names[1::2]} == {f"../{adder}", f"../{taught}"}
    kept = {path.name: path.read_bytes() for path in before}
    moved = shutil.move(tmp_path, tmp_path.with_name("moved"))  # a folder may go elsewhere, done or not
    assert sweep(asked, moved, jobs=1).rows == found.rows
    (moved / "networks" / f"{names[3]}.npz").unlink()
    notes = []
    assert sweep(asked, moved, jobs=1, note=notes.append).rows == found.rows
    assert [note for note in notes if note.startswith("training")] == [f"training {names[3]}, 5 of 5"]
    assert {path.name: path.read_bytes() for path in (moved / "networks").iterdir()} == kept


def test_runs_that_lie_elsewhere_stay_as_they_are_named(tmp_path):
    recipe = Recipe(architecture="lenet5-conv", data="fashion-mnist-2000", start=str(tmp_path / "a"), teacher="far/away")
    assert recipe.beside(tmp_path / "b").start == "../a"
    assert recipe.beside(tmp_path / "b").teacher == "far/away"
    assert recipe.beside(tmp_path / "deeper" / "b") == recipe


def test_a_network_that_is_lost_comes_back_from_its_checkpoint(tmp_path):
    asked = study(architecture="lenet5-ternary")
    (path,) = train_networks(asked, tmp_path).networks
    kept = (tmp_path / "networks" / "lenet5-ternary.npz").read_bytes()
    (tmp_path / "networks" / "lenet5-ternary.npz").unlink()
    assert train_networks(asked, tmp_path).networks == (path,)
    assert (tmp_path / "networks" / "lenet5-ternary.npz").read_bytes() == kept


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"epoch": 3}, r"options: unknown key epoch"),
        ({"architecture": ["lenet5-conv", "lenet6-conv"]}, r"architecture: 'lenet6-conv' is not known"),
        ({"recipe": "lenet7"}, r"study 'lenet7'"),
        ({"recipe": ["a", "b"]}, r"training: needs recipe, a bundled training study"),
        ({"seed": []}, r"training\.seed: an empty list"),
        ({"teacher": "run:lenet6-conv"}, r"architecture: 'lenet6-conv' is not known"),
        ({"teacher": ["none", "run:lenet5-conv"], "distill": "logits"}, r"distill logits: needs a teacher"),
        ({"prune": ["none", "channels:2"]}, r"prune"),
    ],
)
def test_what_cannot_be_trained_is_told_before_anything_is(training, message, tmp_path):
    with pytest.raises(AddersimError, match=message):
        sweep(study(**training), tmp_path)
    assert not list(tmp_path.iterdir())


def test_costs_are_checked_before_hours_of_training(tmp_path):
    asked = Study(training=SMALL | {"architecture": "lenet5-conv"}, accelerator="tpu-v9")
    with pytest.raises(AddersimError, match=r"accelerator: .*'tpu-v9'"):
        sweep(asked, tmp_path)
    assert not list(tmp_path.iterdir())


def test_another_recipe_does_not_overwrite_a_run(tmp_path):
    train_networks(study(architecture="lenet5-conv"), tmp_path)
    with pytest.raises(AddersimError, match=r"holds another run|another"):
        train_networks(study(architecture="lenet5-conv", rate=0.05), tmp_path)


def test_a_study_needs_networks_or_training():
    with pytest.raises(AddersimError, match=r"networks: found none, needs at least one, or a table \[training\]"):
        Study()

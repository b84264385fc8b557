"""Training on a user's own folder or file: shape, classes and statistics are found in it; a fifth is held out."""

from contextlib import nullcontext

import numpy as np
import pytest

pytest.importorskip("torch")
from addersim import load_images
from addersim.datasets.own_set import dataset_of
from addersim.datasets.registry import read
from addersim.errors import DataError
from addersim.train.loop import train
from addersim.train.recipe import load_recipe
from tests.command_line import call, refused
from tests.unit.datasets.test_own_folders import picture

IMAGES = load_images("fashion-mnist-2000", limit=100)


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("PIL.Image")
    for place, (one, label) in enumerate(zip(IMAGES.pixels, IMAGES.labels, strict=True)):
        picture(tmp_path / "own" / IMAGES.classes[label].replace("/", "_") / f"{place}.png", one)
    return tmp_path / "own"


def test_a_folder_is_a_set_of_its_own(folder):
    found = dataset_of(str(folder))
    assert (found.shape, len(found.classes), dict(found.counts)) == ((1, 28, 28), 10, {"train": 80, "test": 20})
    parts = [read(found, None, split) for split in ("train", "test")]
    seen = np.concatenate([one.pixels for one in parts]).reshape(100, -1)
    assert sorted(map(bytes, seen)) == sorted(map(bytes, IMAGES.pixels.reshape(100, -1)))
    inner = parts[0].pixels / 255
    assert found.mean == (round(inner.mean(), 4),)
    assert found.std == (round(inner.std(), 4),)
    assert found.classes == tuple(sorted(one.replace("/", "_") for one in IMAGES.classes))
    assert dataset_of(str(folder), 32).shape == (1, 32, 32)


def test_a_run_on_a_folder_ends_with_a_network_that_knows_its_images(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = call("train", "lenet5-mnist", "--data", "own", "epochs=1", "batch=16", "--output", "run", "--threads", "1")
    assert found.returncode == 0, found.stderr
    again = call("simulate", "run/network.npz", "--data", "own", "--limit", "10")
    assert again.returncode == 0, again.stderr
    assert "fixed-point accuracy" in again.stdout
    assert "is called as a class" not in again.stdout


def test_an_npz_trains_with_its_own_splits(tmp_path):
    path = tmp_path / "own.npz"
    half = {"images": IMAGES.pixels[:40, 0], "labels": IMAGES.labels[:40]}
    np.savez(path, **half, train_images=IMAGES.pixels[40:, 0], train_labels=IMAGES.labels[40:])
    assert dict(dataset_of(str(path)).counts) == {"train": 60, "test": 40}
    recipe = load_recipe("lenet5-mnist", [f"data={path}", "epochs=1", "batch=20", "limit=20"])
    assert len(train(recipe, tmp_path / "run").history) == 1


def as_parquet(path, labels):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pytest.importorskip("PIL.Image")
    for place, one in enumerate(IMAGES.pixels):
        picture(path.parent / f"{place}.png", one)
    cells = [{"bytes": (path.parent / f"{place}.png").read_bytes(), "path": None} for place in range(len(labels))]
    parquet.write_table(arrow.table({"image": cells, "label": labels}), path)


def as_csv(path, labels):
    names = [f"{row}x{column}" for row in range(1, 29) for column in range(1, 29)]
    rows = [",".join(map(str, (label, *one.ravel()))) for label, one in zip(labels, IMAGES.pixels, strict=True)]
    path.write_text("\n".join([",".join(("label", *names)), *rows]))


@pytest.mark.parametrize(("suffix", "write"), [(".parquet", as_parquet), (".csv", as_csv)])
@pytest.mark.parametrize("named", [False, True], ids=["numbers", "names"])
def test_tables_are_sets_of_their_own(tmp_path, suffix, write, named):
    path = tmp_path / f"own{suffix}"
    write(path, [IMAGES.classes[one] if named else int(one) for one in IMAGES.labels])
    found = dataset_of(str(path))
    assert (found.shape, dict(found.counts)) == ((1, 28, 28), {"train": 80, "test": 20})
    assert found.classes == (tuple(sorted(IMAGES.classes)) if named else tuple("0123456789"))
    called = [IMAGES.classes[one] if named else str(one) for one in IMAGES.labels]
    labels = dict(zip(map(bytes, IMAGES.pixels), called, strict=True))
    for split in ("train", "test"):
        part = read(found, None, split)
        assert [found.classes[one] for one in part.labels] == [labels[bytes(one)] for one in part.pixels]
    refused_here = pytest.raises(DataError, match=r"resize: the columns of .*own.csv are not resized")
    with refused_here if suffix == ".csv" else nullcontext():
        assert dataset_of(str(path), 32).shape == (1, 32, 32)


def test_tables_that_do_not_tell_what_they_hold_are_refused(tmp_path):
    table = tmp_path / "own.csv"
    for lines, message in (
        ("pixel0,pixel1\n1,2\n", "training needs a column of classes, called label or labels"),
        ("label,a,b\n0,1,2\n", r"training takes pixels of grey pictures: columns called 1x1, 1x2, ... \(row x column\)"),
        ("label,pixel0,pixel1\n0,1,2\n", "pixel1, ... of a square"),
        ("label,1x1,1x2\n99999999999999999999,1,2\n", r"label 999999999999999999; labels are the numbers of classes"),
        ("label,1x1,1x2\n", "holds no images"),
    ):
        table.write_text(lines)
        with pytest.raises(DataError, match=message):
            dataset_of(str(table))
    np.savez(tmp_path / "own.npz", images=IMAGES.pixels, labels=IMAGES.labels, train_images=IMAGES.pixels)
    with pytest.raises(DataError, match="training needs the classes of train_images, as an array train_labels"):
        dataset_of(str(tmp_path / "own.npz"))
    np.savez(tmp_path / "huge.npz", images=IMAGES.pixels, labels=np.full(100, 2**40))
    with pytest.raises(DataError, match=r"label 1099511627776; labels are the numbers of classes, from 0 on, below 1,048,576"):
        dataset_of(str(tmp_path / "huge.npz"))


def test_what_cannot_be_learned_from_is_refused(tmp_path):
    np.save(tmp_path / "own.npy", IMAGES.pixels)
    with pytest.raises(
        DataError, match=r"own.npy: has no classes, which training needs; give a folder with one folder a class"
    ):
        dataset_of(str(tmp_path / "own.npy"))
    np.savez(tmp_path / "own.npz", images=IMAGES.pixels / np.float32(255), labels=IMAGES.labels)
    with pytest.raises(DataError, match="images are float32; training takes uint8 pixels"):
        dataset_of(str(tmp_path / "own.npz"))
    assert refused("train", "lenet5-mnist", "data=svhn", "--output", tmp_path / "r").startswith(
        "options: data: 'svhn' is not known; known: mnist, fashion-mnist"
    )

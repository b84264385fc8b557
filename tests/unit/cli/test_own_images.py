"""Own images on the command line: files and folders; without labels no accuracy is made up, without images none."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from addersim import load_images
from addersim.cli import app
from addersim.errors import AddersimError
from tests.unit.datasets.test_own_folders import picture
from tests.unit.networks import residual

TEST, TRAIN = load_images("fashion-mnist-2000", limit=60), load_images("fashion-mnist-2000", split="train", limit=40)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Files of one user: with labels and training images, with labels alone, with images alone."""
    monkeypatch.chdir(tmp_path)
    images = {"images": TEST.pixels[:, 0], "labels": TEST.labels}
    np.savez("all.npz", **images, train_images=TRAIN.pixels[:, 0], train_labels=TRAIN.labels)
    np.savez("labelled.npz", **images)
    np.save("images.npy", TEST.pixels)
    return tmp_path


def run(*arguments):
    found = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert found.exit_code == 0
    return found


def document(*arguments):
    return json.loads(run(*arguments, "--json").stdout)


def refusal(*arguments):
    with pytest.raises(AddersimError) as caught:
        CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    return str(caught.value)


def test_a_file_with_everything_gives_what_the_same_set_gives(own):
    options = ("simulate", "lenet5-adder", "--bits", 8)
    found, known = document(*options, "--data", "all.npz"), document(*options, "--limit", 60)
    assert found["accuracy_float"] == known["accuracy_float"] == pytest.approx(0.9, abs=0.1)
    assert (found["data"], found["calibration"]) == ("all.npz", "first 40 training images of all.npz")
    assert found["warnings"] == []
    assert "predictions" not in found


def test_a_folder_called_as_a_known_set_is_taken_with_a_point_and_told_apart(own):
    pytest.importorskip("PIL.Image")
    picture(own / "fashion-mnist-2000" / "one.png", TEST.pixels[0])
    found = document("simulate", "lenet5-adder", "--data", "./fashion-mnist-2000")
    assert (found["data"], found["images"]) == ("./fashion-mnist-2000", 1)
    assert found["calibration"] == "1 image of ./fashion-mnist-2000 that seed 0 draws"
    assert document("simulate", "lenet5-adder", "--data", "fashion-mnist-2000", "--limit", 3)["images"] == 3


def test_images_that_calibrate_and_are_tested_carry_a_warning(own):
    found = document("simulate", "lenet5-adder", "--data", "labelled.npz", "--limit", 9)
    assert (found["images"], found["calibration"]) == (9, "60 images of labelled.npz that seed 0 draws")
    assert found["warnings"] == [
        "labelled.npz has no training images: up to 256 images that seed 0 draws choose the scales and are tested too; "
        "give others as train_images in an .npz, or folders train and test"
    ]
    run("simulate", "lenet5-adder", "--save-program", "program.npz", "--limit", 1)
    again = document("simulate", "program.npz", "--data", "labelled.npz")
    assert (again["calibration"], again["warnings"]) == ("as saved", [])


def test_without_labels_agreement_and_predictions_are_told_and_no_accuracy(own):
    found = document("simulate", "lenet5-adder", "--data", "images.npy")
    assert found["accuracy"] is found["accuracy_float"] is None
    assert found["agreement"] > 0.9
    assert sum(found["predictions"].values()) == 60
    assert [*found["predictions"].values()] == sorted(found["predictions"].values(), reverse=True)
    text = run("simulate", "lenet5-adder", "--data", "images.npy").stdout
    assert "fixed-point accuracy  not known: the images have no labels" in text
    assert "predictions           " in text
    assert "float accuracy" not in text


@pytest.mark.parametrize(
    "arguments",
    [("sweep", "lenet5-conv", "--bits", "8", "--out", "never"), ("search", "lenet5-conv", "--out", "never")],
    ids=lambda one: one[0],
)
def test_what_measures_accuracy_refuses_images_without_labels(own, arguments):
    message = refusal(*arguments, "--data", "images.npy")
    assert message.startswith(
        f"images.npy: the images have no labels, and a {arguments[0]} needs them; give an array of labels"
    )
    assert not (own / "never").exists()


def test_a_sweep_runs_on_a_users_images(own):
    options = ("sweep", "lenet5-adder", "lenet5-conv", "--bits", "8", "--jobs", 1, "--images", 20)
    found = run(*options, "--out", "a", "--data", "labelled.npz", "--json")
    assert {row["images"] for row in json.loads(found.stdout)["points"]} == {20}
    assert "warning: labelled.npz has no training images" in found.stderr
    assert "warning" not in run(*options, "--out", "b", "--data", "all.npz", "--json").stderr
    message = refusal("sweep", "lenet5-adder", "resnet20-adder", "--data", "labelled.npz", "--out", "c")
    assert message.startswith(
        "networks: resnet20-adder takes images of (3, 32, 32) in 10 classes, lenet5-adder takes images of"
    )


def test_a_search_takes_the_training_images_of_a_file(own):
    pytest.importorskip("optuna")
    found = document("search", "lenet5-conv", "--data", "all.npz", "--out", "s", "--bits", "6,8", "--trials", 1, "--floor", 50)
    assert (found["calibration_images"], found["measuring_images"]) == (20, 20)


def test_a_report_on_a_users_images_says_so(own):
    page = document("report", "lenet5-adder", "--data", "images.npy", "--output", "r")["page"]
    with open(page) as stream:
        text = stream.read()
    assert "of 60 images, which have no labels, are seen as in float." in text
    assert "60 test images of images.npy" in text


@pytest.mark.parametrize(
    "network",
    [pytest.param(("resnet20-adder",), marks=pytest.mark.slow), ("lenet5-adder", "--data", "none")],
    ids=lambda one: one[0],
)
def test_a_report_without_images_counts_and_prices(own, network):
    found = document("report", *network, "--output", "r")
    (result,) = found["results"]
    assert result["simulation"] is None
    assert result["count"]["taps_by_datapath"].keys() >= {"l1-2a"}
    with open(found["page"]) as stream:
        page = stream.read()
    assert "none: operations, words and cycles follow from the shapes alone" in page
    assert "accuracy in fixed point" not in page
    text = run("report", *network, "--output", "r").stdout
    assert f"no accuracy of {network[0]}: no images ran" in " ".join(text.split())
    assert "energy nJ" in text
    assert "fixed point" not in text


def test_a_report_of_networks_with_and_without_images_has_both_in_one_table(own):
    residual().save("other.npz")  # of images of two channels, which no known set has
    found = run("report", "other.npz", "lenet5-adder", "--limit", 20, "--output", "r").stdout
    assert "20 test images of fashion-mnist-2000" in (own / "r" / "index.html").read_text()
    assert "no accuracy of residual-l1: no images ran" in " ".join(found.split())
    assert "fixed" in found


def test_simulate_without_fitting_images_says_which_to_give(own):
    assert refusal("simulate", "resnet20-adder") == (
        "resnet20-adder: takes images of 3 x 32 x 32 in 10 classes; name some with --data: cifar10, "
        "your own .npz, .npy, .parquet, .csv or folder of pictures"
    )
    assert "name some with --data: mnist, fashion-mnist" in refusal("simulate", "lenet5-adder", "--data", "none")

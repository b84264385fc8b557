"""A user's own images: in the form that the network takes, or refused in one line; what calibrates is said."""

import re
from dataclasses import dataclass, field

import numpy as np
import pytest

from addersim.datasets import DATASETS, find_images, load_own
from addersim.errors import DataError
from addersim.images import Preprocessing

RNG = np.random.default_rng(7)
GREY = RNG.integers(0, 256, (12, 1, 4, 6), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (12, 3, 4, 6), dtype=np.uint8)
LABELS = np.arange(12) % 3


@dataclass(frozen=True)
class Net:
    """What a reader asks of a network."""

    input_shape: tuple[int, ...] = (1, 4, 6)
    classes: tuple[str, ...] = ()
    outputs: int = 3
    name: str = "net"
    preprocessing: Preprocessing = field(default=Preprocessing(mean=(0.5,), std=(0.25,)))


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "own.npz", **arrays)
    return tmp_path / "own.npz"


def told(path, network=Net(), split="test"):
    with pytest.raises(DataError) as caught:
        load_own(path, network, split)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(str(path))


@pytest.mark.parametrize(
    ("shape", "images", "expected"),
    [
        ((1, 4, 6), GREY, GREY),
        ((1, 4, 6), GREY[:, 0], GREY),
        ((1, 4, 6), GREY.transpose(0, 2, 3, 1), GREY),
        ((3, 4, 6), COLOUR, COLOUR),
        ((3, 4, 6), COLOUR.transpose(0, 2, 3, 1), COLOUR),
        ((4, 6), GREY[:, 0], GREY[:, 0]),
        ((6, 4), GREY[:, 0], GREY[:, 0].transpose(0, 2, 1)),
        ((1, 24), GREY.reshape(12, 24), GREY.reshape(12, 1, 24)),
        ((24,), GREY.reshape(12, 24), GREY.reshape(12, 24)),
        ((1, 1, 1), GREY[:, :, :1, :1], GREY[:, :, :1, :1]),
    ],
)
def test_channels_are_found_by_the_networks_shape(tmp_path, shape, images, expected):
    found = load_own(saved(tmp_path, images=images, labels=LABELS), Net(shape)).images
    np.testing.assert_array_equal(found.pixels, expected)
    np.testing.assert_array_equal(found.labels, LABELS)
    np.save(tmp_path / "own.npy", np.asfortranarray(images))
    alone = load_own(tmp_path / "own.npy", Net(shape)).images
    np.testing.assert_array_equal(alone.pixels, expected)
    assert alone.labels is None


@pytest.mark.parametrize("shape", [(3, 3, 3), (4, 4)])
def test_channels_that_may_be_first_or_last_are_refused(tmp_path, shape):
    path = saved(tmp_path, images=np.zeros((2, *shape), np.uint8))
    assert "may have channels first or last; the network takes" in told(path, Net(shape))


def test_labels_stand_in_one_row_or_column_of_any_whole_numbers(tmp_path):
    for labels in (LABELS.astype(np.uint8), LABELS[:, None], LABELS.astype(">i4")):
        found = load_own(saved(tmp_path, images=GREY, labels=labels), Net(), limit=5).images
        assert found.labels.tolist() == LABELS[:5].tolist()
        assert found.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS + 1, ": label 3 of image 2 is outside 0..2 (4 such labels)"),
        (LABELS - 1, ": label -1 of image 0 is outside 0..2"),
        (LABELS[:5], ": labels are int64 of shape (5,); expected whole numbers of shape (12,)"),
        (LABELS.astype(float), ": labels are float64 of shape (12,); expected whole numbers"),
        (np.eye(3, dtype=int)[LABELS], "one class an image; labels.argmax(axis=1) gives them"),
        (
            LABELS.astype(str),
            "one class an image; numpy.unique(labels, return_inverse=True)[1] gives them, for classes",
        ),
        (LABELS.astype("U3"), ": labels are <U3 of shape (12,); expected whole numbers"),
        (np.uint64(2**64 - 1) - LABELS.astype(np.uint64), ": label 18446744073709551615 of image 0 is no class"),
    ],
    ids=str,
)
def test_labels_that_are_no_classes_are_refused(tmp_path, labels, message):
    assert message in told(saved(tmp_path, images=GREY, labels=labels))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            GREY.astype(np.int64),
            ": images are int64; expected uint8 pixels of 0..255, or prepared floats; save them as images.as",
        ),
        (GREY.astype(np.int64) - 9, ": images are int64; expected uint8 pixels of 0..255, or prepared floats"),
        (GREY > 9, ": images are bool; expected uint8"),
        (GREY.astype("U3"), ": images are <U3; expected uint8"),
        (
            GREY / 255,
            ": float images span 0..1, as pixels / 255 do; the network's are -2..2: (pixel / 255 - mean) / std",
        ),
        (GREY * 0.01, ": float images span 0..2.55; the network's are -2..2"),
        (GREY * 1.0, "give uint8 pixels"),
        (np.full((2, 4, 6), np.nan), ": images hold NaN or infinite values"),
        (np.full((2, 4, 6), 1e300), ": images hold NaN or infinite values"),
        (GREY[:0], ": holds no images"),
        (np.uint8(3), ": holds no images"),
        (GREY[0, 0], ": images have shape (4, 6); expected (images, 1, 4, 6)"),
        (np.zeros((2, 1, 5, 6), np.uint8), ": images are 5 x 6, net takes 4 x 6 (height x width); resize them as in training"),
        (np.zeros((2, 5, 5, 1), np.uint8), ": images are 5 x 5, net takes 4 x 6 (height x width); resize them as in training"),
        (COLOUR, "the network takes grey images: convert them as in training"),
        (GREY.reshape(12, -1), "reshape them to (-1, 1, 4, 6)"),
    ],
    ids=lambda one: str(one)[:40] if isinstance(one, str) else f"{one.dtype}{one.shape}",
)
def test_images_that_the_network_does_not_take_are_refused(tmp_path, images, message):
    assert message in told(saved(tmp_path, images=images))


def test_prepared_floats_of_any_width_are_taken_as_float32(tmp_path):
    prepared = (GREY / 255 - 0.5) / 0.25
    for kind in ("f8", "f4", ">f4", "f2"):
        found = load_own(saved(tmp_path, images=prepared.astype(kind)), Net()).images.pixels
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, prepared, atol=2e-3)


def test_floats_of_a_network_that_does_not_say_its_preprocessing_are_taken_as_they_are(tmp_path):
    unknown = Net(preprocessing=Preprocessing(mean=(0.0,), std=(1.0,), known=False))
    assert load_own(saved(tmp_path, images=GREY / 255), unknown).images.pixels.max() <= 1


@pytest.mark.parametrize(("test", "labels"), [("test_images", "test_labels"), ("x_test", "y_test"), ("images", "labels")])
@pytest.mark.parametrize(("train", "of_train"), [("train_images", "train_labels"), ("x_train", "y_train")])
def test_training_images_of_the_file_calibrate(tmp_path, test, labels, train, of_train):
    path = saved(tmp_path, **{test: GREY, labels: LABELS, train: GREY[::-1], of_train: LABELS[::-1]})
    found = load_own(path, Net(), "train", 4)
    assert found.words == f"first 4 training images of {path}"
    assert found.warnings == ()
    np.testing.assert_array_equal(found.images.pixels, GREY[::-1][:4])
    np.testing.assert_array_equal(load_own(path, Net()).images.labels, LABELS)


def test_without_training_images_some_that_a_seed_draws_calibrate_and_a_warning_says_so(tmp_path):
    path = saved(tmp_path, images=GREY, labels=LABELS)
    found = load_own(path, Net(), "train", 4)
    drawn = np.random.default_rng(0).permutation(len(GREY))[:4]
    np.testing.assert_array_equal(found.images.pixels, GREY[drawn])
    np.testing.assert_array_equal(found.images.labels, LABELS[drawn])
    assert found.words == f"4 images of {path} that seed 0 draws"
    (warned,) = found.warnings
    assert warned.startswith(
        f"{path} has no training images: up to 4 images that seed 0 draws choose the scales and are tested too"
    )
    assert load_own(path, Net()).warnings == ()


def test_a_file_with_no_images_or_several_says_what_it_holds(tmp_path):
    assert (
        told(saved(tmp_path, arr_0=GREY)) == ": holds 'arr_0'; needs an array of images called images or test_images or x_test"
    )
    assert told(saved(tmp_path, train_images=GREY)).startswith(": holds 'train_images'; needs an array")
    assert told(saved(tmp_path, images=GREY, x_test=GREY)) == ": holds images and x_test; keep one of them"
    assert told(saved(tmp_path, images=np.array([{}], dtype=object))).endswith(
        "holds Python objects; only plain numbers are read"
    )
    (tmp_path / "own.tsv").write_text("1,2")
    assert told(tmp_path / "own.tsv") == ": found '.tsv'; images come as .npz, .npy, .parquet, .csv or a folder of pictures"


def test_a_reason_shows_no_place_in_memory(tmp_path):
    header = b"{'descr': f('<f4'), 'fortran_order': False, 'shape': (3,)}".ljust(117) + b"\n"
    (tmp_path / "own.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(12))
    assert told(tmp_path / "own.npy") == ": is not a plain array: malformed node or string on line 1"


def test_a_label_that_int64_does_not_hold_is_shown_as_it_is(tmp_path):
    labels = np.array([0] * (len(GREY) - 1) + [2**63], np.uint64)
    assert told(saved(tmp_path, images=GREY, labels=labels)) == (
        f": label 9223372036854775808 of image {len(GREY) - 1} is no class; expected numbers of classes, from 0 on"
    )


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"cos\nsystem\n(S'true'\ntR."])
def test_damaged_arrays_are_refused(tmp_path, damage):
    path = tmp_path / "own.npy"
    path.write_bytes(damage)
    assert "is not a plain array" in told(path)
    np.save(path, GREY)
    path.write_bytes(path.read_bytes()[:-9])
    assert "promises 288 bytes and holds another number" in told(path)


def test_an_array_that_promises_more_than_its_file_holds_takes_no_memory(tmp_path):
    path = tmp_path / "own.npy"
    np.save(path, np.zeros((2, 9), np.uint8))
    path.write_bytes(path.read_bytes().replace(b"(2, 9), }", b"(2000000000000, 9)}"))
    assert "promises 18,000,000,000,000 bytes" in told(path)


def test_a_known_name_wins_over_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fashion-mnist-2000").mkdir()
    net = Net((1, 28, 28), outputs=10)
    assert find_images("fashion-mnist-2000", None, net, limit=2).words == "first 2 test images of fashion-mnist-2000"
    with pytest.raises(DataError, match="fashion-mnist-2000: holds no pictures"):
        find_images("./fashion-mnist-2000", None, net)


def test_without_a_name_the_packages_own_set_is_taken_where_it_fits():
    ours = DATASETS["fashion-mnist-2000"]
    named = Net(ours.shape, ours.classes, 10)
    assert find_images(None, None, named, limit=1).warnings == ()
    (warned,) = find_images(None, None, Net(ours.shape, outputs=10), limit=1).warnings
    assert warned == "net does not say what its classes are: fashion-mnist-2000 is a guess (--data)"
    for other in (Net(ours.shape, tuple("0123456789"), 10), Net(ours.shape, outputs=9), Net((3, 32, 32), outputs=10)):
        with pytest.raises(DataError, match=r"net: takes images of .* in \d+ classes; name some with --data: "):
            find_images(None, None, other)


def test_a_set_of_another_shape_and_a_root_of_no_set_are_refused(tmp_path):
    with pytest.raises(
        DataError, match=re.escape("data cifar10: images of 3 x 32 x 32; net takes images of 1 x 28 x 28 in 3")
    ):
        find_images("cifar10", None, Net((1, 28, 28)))
    with pytest.raises(DataError, match="is a folder of a known set's files, and .* is no known set"):
        find_images(str(saved(tmp_path, images=GREY)), tmp_path, Net())
    with pytest.raises(
        DataError, match=r"data: 'lost.npz' is not known; known: mnist, .*; nor is there such a file or folder"
    ):
        find_images("lost.npz", None, Net())

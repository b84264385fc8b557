"""A user's folder of pictures: one folder a class, or all of them without labels; never resized, cut or guessed in silence."""

import struct
import zlib

import numpy as np
import pytest

from addersim.datasets import load_own
from addersim.datasets.own_set import dataset_of
from tests.unit.datasets.test_own import COLOUR, GREY, Net, told

Image = pytest.importorskip("PIL.Image")


def picture(path, pixels, mode=None, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    found = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    (found.convert(mode) if mode else found).save(path, **how)


def classes(folder, names, images=GREY):
    """Two pictures a class."""
    for place, name in enumerate(names):
        for number in range(2):
            picture(folder / name / f"{number}.png", images[2 * place + number])


def test_pictures_of_class_folders_come_in_turn(tmp_path):
    classes(tmp_path, "abc")
    found = load_own(tmp_path, Net())
    assert found.images.labels.tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(found.images.pixels, GREY[[0, 2, 4, 1, 3, 5]])
    assert load_own(tmp_path, Net(), limit=4).images.labels.tolist() == [0, 1, 2, 0]
    assert found.warnings == ()


def test_folders_that_are_called_as_classes_are_these_classes(tmp_path):
    classes(tmp_path, ["boot", "T-Shirt_top"])
    found = load_own(tmp_path, Net(classes=("t-shirt/top", "bag", "boot")))
    assert found.images.labels.tolist() == [0, 2, 0, 2]
    np.testing.assert_array_equal(found.images.pixels, GREY[[2, 0, 3, 1]])


def test_classes_that_differ_in_signs_alone_are_told_apart(tmp_path):
    classes(tmp_path, ["c", "c++"])
    assert load_own(tmp_path, Net(classes=("c", "b", "c++"))).images.labels.tolist() == [0, 2, 0, 2]


def test_folders_with_other_names_are_told_or_refused(tmp_path):
    classes(tmp_path, ["boot", "bag", "shirt"])
    (warned,) = load_own(tmp_path, Net(classes=("x", "y", "z"))).warnings
    assert warned.startswith(
        "no folder is called as a class of net (x, y, z, ...): they are taken as its classes in the order"
    )
    message = told(tmp_path, Net(classes=("boot", "bag", "shoe")))
    assert message == ": folder 'shirt' is no class of net, the others are; its classes: boot, bag, shoe"
    assert "holds 3 classes (bag, boot, shirt), expected one for each of the 4 classes of net" in told(
        tmp_path, Net(outputs=4)
    )


def test_folders_that_others_left_are_no_classes_and_deeper_ones_are_told(tmp_path):
    classes(tmp_path, "abc")
    for name in (".git", "__MACOSX", "@eaDir"):
        (tmp_path / name).mkdir()
    assert load_own(tmp_path, Net()).warnings == ()
    assert dataset_of(str(tmp_path)).classes == ("a", "b", "c")
    picture(tmp_path / "b" / "more" / "9.png", GREY[0])
    found = load_own(tmp_path, Net())
    assert len(found.images) == 6
    (warned,) = found.warnings
    assert warned == f"what lies in {tmp_path / 'b' / 'more'} is left out: pictures stand in the folder of their class itself"


def test_numbers_without_zeros_are_ordered_as_text_and_a_warning_says_so(tmp_path):
    images = np.zeros((22, 1, 4, 6), np.uint8)
    classes(tmp_path / "plain", map(str, range(11)), images)
    (warned,) = load_own(tmp_path / "plain", Net(outputs=11)).warnings
    assert warned.startswith("classes are the folders in the order of their names as text (0, 1, 10, ...)")
    classes(tmp_path / "padded", [f"{number:02}" for number in range(11)], images)
    assert load_own(tmp_path / "padded", Net(outputs=11)).warnings == ()


def test_pictures_alone_have_no_labels(tmp_path):
    for number in (1, 0):
        picture(tmp_path / f"{number}.png", GREY[number])
    (tmp_path / "notes.txt").write_text("not a picture")
    found = load_own(tmp_path, Net()).images
    assert found.labels is None
    np.testing.assert_array_equal(found.pixels, GREY[:2])


@pytest.mark.parametrize("test", ["test", "val"])
def test_a_folder_train_beside_calibrates(tmp_path, test):
    classes(tmp_path / test, "abc")
    classes(tmp_path / "train", "abc", GREY[::-1])
    found = load_own(tmp_path, Net(), "train", 3)
    assert (found.words, found.warnings) == (f"first 3 training images of {tmp_path}", ())
    np.testing.assert_array_equal(found.images.pixels, GREY[::-1][[0, 2, 4]])
    np.testing.assert_array_equal(load_own(tmp_path, Net(), limit=1).images.pixels, GREY[:1])


def test_folders_that_hold_no_pictures_or_both_kinds_are_refused(tmp_path):
    assert told(tmp_path) == ": holds no pictures; expected files that end in .png, .jpg, .jpeg or, as arrays, .npy"
    (tmp_path / "one.gif").touch()
    assert told(tmp_path).startswith(": holds no pictures but one.gif; expected files that end in .png")
    (tmp_path / "one.gif").unlink()
    classes(tmp_path, "abc")
    (tmp_path / "b" / "0.png").unlink()
    (tmp_path / "b" / "1.png").unlink()
    assert told(tmp_path) == "/b: holds no pictures; expected files that end in .png, .jpg, .jpeg or, as arrays, .npy"
    picture(tmp_path / "alone.png", GREY[0])
    assert told(tmp_path).startswith(
        ": holds pictures such as alone.png beside folders such as a; expected one folder a class"
    )


def test_a_network_without_height_width_and_grey_or_colour_takes_no_pictures(tmp_path):
    picture(tmp_path / "0.png", GREY[0])
    for shape in ((24,), (4, 6), (2, 4, 6), (4, 6, 1)):
        assert "pictures have 1 or 3 channels, height and width; net takes" in told(tmp_path, Net(shape))


@pytest.mark.parametrize(
    ("shape", "pixels", "how", "expected"),
    [
        ((3, 4, 6), COLOUR[0], {}, COLOUR[0]),
        ((3, 4, 6), GREY[0], {}, GREY[0].repeat(3, axis=0)),
        ((1, 4, 6), GREY[0].repeat(3, axis=0), {}, GREY[0]),
        ((1, 4, 6), GREY[0], {"mode": "LA"}, GREY[0]),
        ((3, 4, 6), COLOUR[0], {"mode": "RGBA"}, COLOUR[0]),
        ((1, 4, 6), GREY[0], {"mode": "P"}, GREY[0]),
        ((1, 4, 6), GREY[0], {"mode": "1"}, None),
    ],
    ids=str,
)
def test_pictures_of_8_bits_come_in_whole(tmp_path, shape, pixels, how, expected):
    picture(tmp_path / "0.png", pixels, **how)
    found = load_own(tmp_path, Net(shape)).images.pixels[0]
    if expected is None:
        assert set(np.unique(found)) <= {0, 255}
    else:
        np.testing.assert_array_equal(found, expected)


def png_of_16_bits(colour):
    """A PNG file of 6 x 4 pixels, by its specification; Pillow writes no colours of 16 bits."""
    samples = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    rows = b"".join(b"\0" + np.full((6, samples), 40_000, ">u2").tobytes() for _ in range(4))
    parts = ((b"IHDR", struct.pack(">IIBBBBB", 6, 4, 16, colour, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data)) for tag, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_pictures_that_would_be_changed_are_refused(tmp_path):
    path = tmp_path / "0.png"
    picture(path, COLOUR[0])
    assert told(tmp_path) == "/0.png: a coloured picture, the network takes grey ones; convert the pictures as in training"
    picture(path, np.zeros((1, 5, 7), np.uint8))
    assert told(tmp_path).startswith(
        "/0.png: 7 x 5 pixels, the network takes 6 x 4 (width x height); resize the pictures as in"
    )
    for colour in (0, 2, 4, 6):
        path.write_bytes(png_of_16_bits(colour))
        assert told(tmp_path, Net((3, 4, 6))) == (
            "/0.png: a picture of 16 bits a channel; allowed are 8 bits a channel: save it as grey or RGB, made 8 bits as in "
            "training, or as prepared floats in .npy"
        )
    Image.fromarray(np.full((4, 6, 4), 127, np.uint8)).save(path)
    assert "/0.png: a picture with transparent pixels" in told(tmp_path, Net((3, 4, 6)))
    path.write_bytes(b"GIF89a not a picture")
    assert "/0.png: not a JPEG or PNG picture, or damaged" in told(tmp_path)

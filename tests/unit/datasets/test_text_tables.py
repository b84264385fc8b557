"""Own inputs in .csv: features and pixels, a number a column, and the class where a column is called so."""

import numpy as np
import pytest

from addersim.datasets import load_own
from addersim.images import Preprocessing
from tests.unit.datasets.test_own import Net, told

FEATURES = np.array([[0.5, -1.25, 2.0], [1e-3, 0.0, -2.0], [3.0, 4.0, -0.5], [1.0, 1.0, 1.0]], np.float32)
SHAPE = (1, 1, 3)
CODES = Preprocessing(mean=(0.0,), std=(1.0,), codes="int8")
WILD = Preprocessing(mean=(0.0,), std=(1.0,), known=False)


def net(**others):
    return Net(SHAPE, **({"preprocessing": WILD} | others))


def table(tmp_path, header, rows, separator=","):
    lines = [header, *(separator.join(map(str, row)) for row in rows)]
    (tmp_path / "own.csv").write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return tmp_path / "own.csv"


@pytest.mark.parametrize(
    ("header", "place", "separator"),
    [("label,a,b,c", 0, ","), ("a;b;c;Class", 3, ";"), ("a\tb\ttarget\tc", 2, "\t"), ('"a, b",c,d,"y"', 3, ",")],
)
def test_features_stand_beside_their_class(tmp_path, header, place, separator):
    rows = [[*map(float, row[:place]), label, *map(float, row[place:])] for row, label in zip(FEATURES, "2012", strict=True)]
    found = load_own(table(tmp_path, header, rows, separator), net()).images
    np.testing.assert_array_equal(found.pixels, FEATURES.reshape(-1, *SHAPE))
    assert found.labels.tolist() == [2, 0, 1, 2]


def test_features_beyond_declared_pixels_say_how_a_network_takes_them(tmp_path):
    path = table(tmp_path, "a,b,c", [[-7.5, 0.0, 3.0], [0.5, 0.25, 6.0]])
    declared = Net(SHAPE, preprocessing=Preprocessing(mean=(0.0,), std=(1.0,)))
    assert told(path, declared).startswith(": float images span -7.5..6; the network's are 0..1: ")
    assert told(path, declared).endswith("features of any range need a network lowered without --mean and --std")
    assert load_own(path, net()).images.pixels.min() == pytest.approx(-7.5)


def test_without_a_class_and_a_part_of_the_rows(tmp_path):
    path = table(tmp_path, "a,b,c", FEATURES)
    found = load_own(path, net(), limit=2).images
    assert (found.labels, found.pixels.dtype, len(found)) == (None, np.float32, 2)
    drawn = load_own(path, net(), "train")
    assert "has no training images: its images choose the scales and are tested too" in drawn.warnings[0]
    assert sorted(drawn.images.pixels[:, 0, 0, 0].tolist()) == sorted(FEATURES[:, 0].tolist())


def test_names_of_classes_are_the_networks(tmp_path):
    path = table(tmp_path, "a,b,c,label", [[0.1, 0.2, 0.3, "owl"], [0, 0, 1, "cat"], [0, 0, 0.5, "owl"]])
    assert load_own(path, net(classes=("dog", "owl", "cat"))).images.labels.tolist() == [1, 2, 1]
    assert "is no class of net, the others are" in told(path, net(classes=("dog", "owl", "ant")))
    assert "holds 2 classes (cat, owl), expected one for each of the 3 classes" in told(path, net())


def test_columns_of_pixels_and_codes_keep_their_numbers(tmp_path):
    path = table(tmp_path, "label,pixel0,pixel1,pixel2", [[1, 0, 128, 255]])
    found = load_own(path, net()).images.pixels
    assert (found.dtype, found.tolist()) == (np.uint8, [[[[0, 128, 255]]]])
    path = table(tmp_path, "label,1x1,1x2,1x3", [[1, 0, 128, 255]])
    assert load_own(path, net()).images.pixels.tolist() == [[[[0, 128, 255]]]]
    path = table(tmp_path, "label,pixel0,pixel1,pixel2", [[1, 0, 128, 256]])
    assert told(path, net()) == ": columns such as 'pixel0' hold whole numbers of 0..255"
    path = table(tmp_path, "a,b,c", [[-128, 0, 127]])
    assert load_own(path, net(preprocessing=CODES)).images.pixels.dtype == np.int8
    path = table(tmp_path, "a,b,c", [[-128, 0.5, 127]])
    assert told(path, net(preprocessing=CODES)) == ": columns such as 'a' hold whole numbers of -128..127"


def test_pixels_under_other_names_are_told_how_to_be_called(tmp_path):
    known = net(preprocessing=Preprocessing(mean=(0.3,), std=(0.35,)))
    found = told(table(tmp_path, "p0,p1,p2", [[0, 128, 255]]), known)
    assert found.endswith("; columns of pixels are called pixel0, pixel1, ... or 1x1, 1x2, ...")
    assert "columns of pixels" not in told(table(tmp_path, "p0,p1,p2", [[0, 128.5, 255]]), known)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2,3\n4,5,6\n", ": the first line names no columns; put a line of names there, one of them label or"),
        ("", ": the first line names no columns"),
        ("a,b,c\n", ": holds no images"),
        ("a,b\n1,2\n", ": 2 columns of numbers; net takes 3, of shape (1, 1, 3); the class is the column label or"),
        ("a,b,label\n1,2,0\n", ": 2 columns of numbers beside 'label'; net takes 3"),
        ("a,b,c,d\n1,2,3\n", ": the first line names 4 columns, the others have 3"),
        ("a,b,c\n1,2,3\n1,2\n", ": no table of numbers: "),
        ("a,b,c\n1,x,3\n", ": no table of numbers: could not convert string 'x'"),
        ("a,b,c\n1,,3\n", ": no table of numbers: could not convert string ''"),
        ("a,b,c\n1,nan,3\n", ": images hold NaN or infinite values"),
        ("a,b,c,label\n1,2,3,7\n", "7"),
        ("a,b,c,label\n1,2,3," + "9" * 6000 + "\n", "labels"),
        ("a,b,c\n1,2,3\n\0", ": no table of numbers: "),
        (b"a,b,c\n1,\xff,3\n", ": no table of numbers: "),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, expected):
    path = tmp_path / "own.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert expected in told(path, net())

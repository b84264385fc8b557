"""A user's images in other forms: resized where that is asked for, in tables, as arrays a file; and many of them."""

import io
import json
import tracemalloc

import numpy as np
import pytest

import addersim
from addersim.datasets import find_images, load_own
from addersim.errors import DataError
from addersim.images import Preprocessing
from addersim.streamed import Streamed
from tests.unit.datasets.test_own import GREY, LABELS, Net, told
from tests.unit.datasets.test_own_folders import classes, picture

Image = pytest.importorskip("PIL.Image")
WIDE = np.repeat(np.arange(24, dtype=np.uint8) * 10, 8).reshape(1, 24, 8).transpose(0, 2, 1)  # 8 x 24, columns of one value


def test_pictures_of_another_size_are_resized_only_where_that_is_asked_for(tmp_path):
    picture(tmp_path / "folder" / "a.png", WIDE)
    np.save(tmp_path / "own.npy", np.stack([WIDE, WIDE]))
    for path in (tmp_path / "folder", tmp_path / "own.npy"):
        with pytest.raises(DataError, match=r"--resize do it: resized by their shorter side \(bilinear\) and cut to the"):
            load_own(path, Net())
        found = load_own(path, Net(), resize=True)
        assert found.words.endswith("resized by their shorter side (bilinear) and cut to the centre")
        # 8 x 24 becomes 4 x 12, of which columns 3 to 8 stay: each the mean of two columns and their neighbours
        np.testing.assert_allclose(found.images.pixels[0, 0, 0], [65, 85, 105, 125, 145, 165], atol=2)
    np.testing.assert_array_equal(load_own(tmp_path / "own.npy", Net((1, 8, 24)), resize=True).images.pixels[0], WIDE)
    np.save(tmp_path / "floats.npy", WIDE[None].astype(np.float32) / 255)
    with pytest.raises(DataError, match="as uint8 pixels --resize does it"):
        load_own(tmp_path / "floats.npy", Net(), resize=True)


def test_a_known_set_is_resized_too(tmp_path):
    net = Net((1, 14, 14), outputs=10)
    with pytest.raises(DataError, match=r"fashion-mnist-2000: images of 1 x 28 x 28; net takes .* \(or --resize\)"):
        find_images("fashion-mnist-2000", None, net, limit=2)
    found = find_images("fashion-mnist-2000", None, net, limit=2, resize=True)
    assert found.images.pixels.shape == (2, 1, 14, 14)
    assert "resized" in found.words


def test_a_part_of_the_classes_is_told_by_numbers_or_by_a_list(tmp_path):
    classes(tmp_path / "numbers", ["7", "2"])
    found = load_own(tmp_path / "numbers", Net(outputs=9))
    assert (found.images.labels.tolist(), found.warnings) == (
        [2, 7, 2, 7],
        ("2 folders of 9 classes: each is the class of its number",),
    )
    classes(tmp_path / "names", ["n03", "n01"])
    assert "list all of its classes, one a line, in a file classes.txt there" in told(tmp_path / "names", Net(outputs=4))
    (tmp_path / "names" / "classes.txt").write_text("n01 goldfish\nn02\nn00\nn03 cock\n")
    assert load_own(tmp_path / "names", Net(outputs=4)).images.labels.tolist() == [0, 3, 0, 3]
    assert "the list of classes beside it holds 4, net has 5" in told(tmp_path / "names", Net(outputs=5))
    (tmp_path / "names" / "classes.txt").write_text("n01\nn02\nn00\nn04\n")
    assert "folder 'n03' is no class of net, the others are" in told(tmp_path / "names", Net(outputs=4))


def test_a_folder_a_class_may_hold_arrays_of_any_shape(tmp_path):
    sound = np.random.default_rng(0).standard_normal((4, 40, 7)).astype(np.float32)
    for place, one in enumerate(sound):
        (tmp_path / f"class {place % 2}").mkdir(exist_ok=True)
        np.save(tmp_path / f"class {place % 2}" / f"{place}.npy", one)
    found = load_own(tmp_path, Net((40, 7), outputs=2, preprocessing=Preprocessing.of((40, 7)))).images
    np.testing.assert_array_equal(found.pixels, sound)
    assert found.labels.tolist() == [0, 1, 0, 1]


def encoded(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels[0]).save(stream, "png")
    return {"bytes": stream.getvalue(), "path": "a.png"}


@pytest.fixture
def parquet(tmp_path):
    pyarrow, tables = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")

    def write(name, metadata=None, **columns):
        made = pyarrow.table(columns)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        tables.write_table(made.replace_schema_metadata(metadata), tmp_path / name, row_group_size=5)
        return tmp_path / name

    return write


def test_a_table_of_pictures_gives_them_in_any_order(parquet):
    path = parquet("own.parquet", image=[encoded(one) for one in GREY], label=LABELS.tolist())
    found = load_own(path, Net())
    np.testing.assert_array_equal(found.images.pixels, GREY)
    np.testing.assert_array_equal(found.images.labels, LABELS)
    drawn = np.random.default_rng(0).permutation(len(GREY))[:7]
    part = load_own(path, Net(), "train", 7)
    np.testing.assert_array_equal(part.images.pixels, GREY[drawn])
    np.testing.assert_array_equal(part.images.labels, LABELS[drawn])


def test_tables_of_numbers_are_pixels_or_features(parquet):
    lists = parquet("lists.parquet", image=[one.ravel().tolist() for one in GREY], label=LABELS.tolist())
    np.testing.assert_array_equal(load_own(lists, Net()).images.pixels, GREY)
    features = np.random.default_rng(1).standard_normal((12, 3)).astype(np.float32)
    path = parquet("rows.parquet", a=features[:, 0], b=features[:, 1], label=LABELS.tolist(), c=features[:, 2])
    net = Net((3,), preprocessing=Preprocessing.of((3,)))
    np.testing.assert_array_equal(load_own(path, net).images.pixels, features)
    pixels = {f"pixel{place}": GREY.reshape(12, -1)[:, place] for place in range(GREY[0].size)}
    np.testing.assert_array_equal(load_own(parquet("pixels.parquet", **pixels), Net()).images.pixels, GREY)
    wide = parquet("wide.parquet", image=[[300] * 24], label=[0])
    assert told(wide) == ": column image has whole numbers beyond 0..255; give pixels, or prepared floats"
    lost = parquet("lost.parquet", image=[{"bytes": None, "path": "a.png"}], label=[0])
    assert told(lost) == ": column image holds no pictures, only where they lie; needs their bytes"


def test_numbers_of_a_table_are_classes_by_their_names(parquet):
    names = {"info": {"features": {"label": {"names": ["bag", "Shoe"]}}}}
    path = parquet(
        "own.parquet", {"huggingface": json.dumps(names)}, image=[encoded(one) for one in GREY[:3]], label=[0, 1, 1]
    )
    assert load_own(path, Net(classes=("shoe", "boot", "bag"))).images.labels.tolist() == [2, 0, 0]
    assert load_own(path, Net()).images.labels.tolist() == [0, 1, 1]
    words = parquet("words.parquet", image=[encoded(one) for one in GREY[:2]], label=["boot", "bag"])
    assert load_own(words, Net(classes=("shoe", "boot", "bag"))).images.labels.tolist() == [1, 2]


def test_a_folder_of_tables_has_their_splits(parquet):
    for name, images in (("train-0.parquet", GREY[:4]), ("train-1.parquet", GREY[4:6]), ("test-0.parquet", GREY[6:])):
        path = parquet(f"data/{name}", image=[encoded(one) for one in images], label=[0] * len(images))
    root = path.parents[1]
    train = load_own(root, Net(), "train", 5)
    np.testing.assert_array_equal(train.images.pixels, GREY[:5])
    assert train.warnings == ()
    np.testing.assert_array_equal(load_own(root, Net()).images.pixels, GREY[6:])


def test_what_is_no_table_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "own.parquet").write_bytes(b"PAR1" * 9)
    assert "not a whole .parquet file" in told(tmp_path / "own.parquet")


def test_a_table_without_images_is_refused_by_its_columns(parquet):
    path = parquet("own.parquet", label=[0, 1])
    assert told(path).endswith(
        "holds 'label' and no images; needs a column of pictures or lists called image or img or images "
        "or pixels or features or x, or a number a column"
    )


def test_images_without_pixels_are_refused_resized_or_not(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros((3, 0, 28), np.uint8))
    for resize in (False, True):
        with pytest.raises(DataError, match=r"flat.npy: holds no images$"):
            load_own(tmp_path / "flat.npy", Net(), resize=resize)


def test_a_broken_picture_of_a_table_is_told_without_an_object_of_the_program(parquet):
    path = parquet("own.parquet", image=[b"\x89PNG\r\n broken"])
    assert told(path).endswith(
        "row 0: not a JPEG or PNG picture, or damaged: it does not begin as one, or its header is cut off"
    )


@pytest.mark.parametrize("kind", ["pictures", "npy", "parquet"])
def test_many_images_are_simulated_in_the_memory_of_a_few(kind, tmp_path, monkeypatch, parquet):
    images = addersim.load_images("fashion-mnist-2000", limit=400)
    for module in ("addersim.streamed.KEPT_BYTES", "addersim.datasets.arrays.KEPT_BYTES", "addersim.storage._HELD_BYTES"):
        monkeypatch.setattr(module, 1000)
    if kind == "pictures":
        for place, one in enumerate(images.pixels):
            picture(tmp_path / f"{place:04}.png", one)
        path = tmp_path
    elif kind == "npy":
        path = tmp_path / "own.npy"
        np.save(path, images.pixels[:, 0])
    else:
        path = parquet("own.parquet", image=[encoded(one) for one in images.pixels])
    network = addersim.load_network("lenet5-adder")
    found = find_images(str(path), None, network).images
    assert isinstance(found.pixels, Streamed)
    assert found.digest() != images.digest()  # one has labels
    program = addersim.quantize(network, images.pixels[:50])
    whole = addersim.simulate(program, images.pixels, network=network, threads=1)
    part = addersim.simulate(program, found, network=network, batch=10, threads=1)
    np.testing.assert_array_equal(part.predictions, whole.predictions)
    assert part.agreement == whole.agreement
    used = []
    for number in (100, 400):
        tracemalloc.start()
        addersim.simulate(program, found.first(number), batch=50, threads=1)
        used.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert used[1] - used[0] < images.pixels[:150].nbytes  # of the 300 more, not even the half was held

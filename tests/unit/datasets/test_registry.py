import dataclasses
import gzip
import hashlib
import io
import pickle
import struct
import sys
from types import MappingProxyType

import numpy as np
import pytest

from addersim.datasets import DATASETS, Images, load, read
from addersim.datasets.pictures import picture
from addersim.errors import DataError

COUNTS = MappingProxyType({"train": 20, "test": 4})
SMALL = {
    name: dataclasses.replace(DATASETS[name], counts=COUNTS, default_root=None, checksums=MappingProxyType({}))
    for name in ("mnist", "cifar10", "cifar100")
}


@pytest.fixture
def random():
    return np.random.default_rng(1)


def idx(array):
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder, random, *, images=4, pack=gzip.compress, suffix=".gz"):
    pixels = random.integers(0, 256, (images, 28, 28), dtype=np.uint8)
    labels = random.integers(0, 10, images, dtype=np.uint8)
    (folder / f"t10k-images-idx3-ubyte{suffix}").write_bytes(pack(idx(pixels)))
    (folder / f"t10k-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(labels)))
    return pixels, labels


def write_cifar10(folder, random, split="test"):
    names = ["test_batch"] if split == "test" else [f"data_batch_{part}" for part in range(1, 6)]
    rows = np.concatenate(
        [random.integers(0, 10, (4 * len(names), 1)), random.integers(0, 256, (4 * len(names), 3072))], axis=1
    )
    rows = rows.astype(np.uint8)
    for part, name in enumerate(names):
        (folder / f"{name}.bin").write_bytes(rows[4 * part : 4 * part + 4].tobytes())
    return rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0]


def batch(random, rows=4, key=b"labels", **changes):
    data = random.integers(0, 256, (rows, 3072), dtype=np.uint8)
    return {b"batch_label": b"a batch", key: [3] * rows, b"data": data, b"filenames": [b"x.png"] * rows} | changes


@pytest.mark.parametrize(("pack", "suffix"), [(gzip.compress, ".gz"), (bytes, "")])
def test_idx_plain_and_gzipped(tmp_path, random, pack, suffix):
    pixels, labels = write_mnist(tmp_path, random, pack=pack, suffix=suffix)
    found = read(SMALL["mnist"], tmp_path)
    np.testing.assert_array_equal(found.pixels[:, 0], pixels)
    np.testing.assert_array_equal(found.labels, labels)
    assert found.labels.dtype == np.int64
    assert len(read(SMALL["mnist"], tmp_path, limit=3)) == 3


def test_folder_below_the_root(tmp_path, random):
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    write_mnist(tmp_path / "MNIST" / "raw", random)
    assert len(read(SMALL["mnist"], tmp_path)) == 4


@pytest.mark.parametrize("split", ["train", "test"])
def test_cifar10_binary(tmp_path, random, split):
    pixels, labels = write_cifar10(tmp_path, random, split)
    found = read(SMALL["cifar10"], tmp_path, split)
    np.testing.assert_array_equal(found.pixels, pixels)
    np.testing.assert_array_equal(found.labels, labels)


def test_cifar100_binary_takes_the_fine_label(tmp_path, random):
    rows = random.integers(0, 20, (4, 3074), dtype=np.uint8)
    rows[:, 1] = [99, 0, 50, 1]
    (tmp_path / "test.bin").write_bytes(rows.tobytes())
    assert read(SMALL["cifar100"], tmp_path).labels.tolist() == [99, 0, 50, 1]


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_python_batches(tmp_path, random, protocol, name):
    file, key = {"cifar10": ("test_batch", b"labels"), "cifar100": ("test", b"fine_labels")}[name]
    stored = batch(random, key=key)
    content = python2(stored) if protocol == 2 else pickle.dumps(stored, protocol)
    (tmp_path / file).write_bytes(content)
    found = read(SMALL[name], tmp_path)
    np.testing.assert_array_equal(found.pixels.reshape(4, -1), stored[b"data"])
    assert found.labels.tolist() == [3] * 4


def python2(stored):
    """The batch as Python 2 pickled the official files: bytes are its strings, not calls of _codecs.encode."""

    class Pickler(pickle._Pickler):
        def save_bytes(self, text):
            self.write(b"T" + struct.pack("<i", len(text)) + text)
            self.memoize(text)

        dispatch = pickle._Pickler.dispatch | {bytes: save_bytes}

    file = io.BytesIO()
    Pickler(file, 2).dump(stored)
    return file.getvalue()


class Evil:
    def __reduce__(self):
        return (eval, ("1 + 1",))


class Huge:
    def __reduce__(self):
        return (np.ndarray, ((1 << 60,),))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda r: pickle.dumps(Evil()), "names builtins.eval; only arrays"),
        (lambda r: pickle.dumps(batch(r, extra=Evil())), "names builtins.eval; only arrays"),
        (lambda r: pickle.dumps(batch(r) | {b"data": Huge()}), "cannot unpack non-iterable NoneType"),
        (lambda r: pickle.dumps(batch(r))[:-500], "not a CIFAR python batch"),
        (lambda r: pickle.dumps([1, 2]), "'list' object has no attribute 'items'"),
        (lambda r: pickle.dumps(batch(r, rows=3)), r"data are 'u1' of shape \(3, 3072\), expected uint8 of \(4, 3072\)"),
        (lambda r: pickle.dumps(batch(r) | {b"data": np.zeros((4, 768), "f4")}), "data are 'f4'"),
        (lambda r: pickle.dumps(batch(r) | {b"data": np.zeros((4, 3072), "u1", "F")}), "data are 'u1' of shape"),
        (lambda r: pickle.dumps(batch(r) | {b"labels": [3, 3, 3, 256]}), "labels are not 4 numbers"),
        (lambda r: pickle.dumps(batch(r) | {b"labels": [3]}), "labels are not 4 numbers"),
        (lambda r: pickle.dumps(batch(r) | {b"data": 5}), "'int' object has no attribute 'state'"),
        (lambda r: b"\x80\x02" + b"r\xff\xff\xff\x7f.", "opcode LONG_BINPUT is not admitted"),
        (lambda r: b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".", "not a CIFAR python batch"),
        (lambda r: b"version https://git-lfs.github.com/spec/v1\n", "not a CIFAR python batch"),
        (lambda r: pickle.dumps(batch(r) | {b"padding": b"0" * 99999}), "holds more than 12800 bytes, too many for 4 images"),
    ],
)
def test_hostile_python_batches(tmp_path, random, content, message):
    (tmp_path / "test_batch").write_bytes(content(random))
    with pytest.raises(DataError, match=message):
        read(SMALL["cifar10"], tmp_path)


def _damage(position, value):
    def change(content):
        content = bytearray(gzip.decompress(content))
        content[position] = value
        return gzip.compress(bytes(content))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_damage(2, 0x0D), "starts with 00000d03, expected 00000803"),
        (_damage(7, 5), r"sizes are \(5, 28, 28\), expected \(4, 28, 28\)"),
        (lambda c: gzip.compress(gzip.decompress(c)[:-1]), "holds 3151 bytes, expected exactly 3152"),
        (lambda c: gzip.compress(gzip.decompress(c) + b"0"), "holds more than 3152 bytes, expected exactly 3152"),
        (lambda c: gzip.compress(b""), "starts with nothing"),
        (lambda c: gzip.compress(gzip.decompress(c)[:9]), "holds 9 bytes, expected exactly 3152"),
        (lambda c: c[:-20], "damaged or unreadable"),
        (lambda c: b"not gzip", "damaged or unreadable: Not a gzipped file"),
    ],
)
def test_damaged_idx(tmp_path, random, change, message):
    write_mnist(tmp_path, random)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=message) as raised:
        read(SMALL["mnist"], tmp_path)
    assert str(path) in str(raised.value)


def test_content_that_is_not_the_official_files(tmp_path, random):
    def strict(name, *files):
        return dataclasses.replace(SMALL[name], checksums=dict.fromkeys(files, hashlib.md5(b"official").hexdigest()))

    write_mnist(tmp_path, random)
    write_cifar10(tmp_path, random)
    for dataset in (strict("mnist", "t10k-labels-idx1-ubyte"), strict("cifar10", "test_batch.bin")):
        with pytest.raises(DataError, match=r"MD5 of its content is [0-9a-f]{32}, that of the official file c74f86f2"):
            read(dataset, tmp_path)
    (tmp_path / "test_batch.bin").unlink()
    (tmp_path / "test_batch").write_bytes(content := pickle.dumps(batch(random)))
    with pytest.raises(DataError, match="test_batch: MD5 of its content"):
        read(strict("cifar10", "test_batch"), tmp_path)
    known = dataclasses.replace(SMALL["cifar10"], checksums={"test_batch": hashlib.md5(content).hexdigest()})
    assert len(read(known, tmp_path)) == 4


def test_labels_out_of_range(tmp_path, random):
    write_mnist(tmp_path, random)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.array([1, 2, 10, 11], np.uint8))))
    with pytest.raises(DataError, match=r"mnist: label 10 of image 2 is outside 0..9 \(2 such labels\)"):
        read(SMALL["mnist"], tmp_path)


@pytest.mark.parametrize("change", [-1, 1])
def test_cifar_file_of_another_length(tmp_path, random, change):
    write_cifar10(tmp_path, random)
    path = tmp_path / "test_batch.bin"
    content = path.read_bytes()
    path.write_bytes(content[:-1] if change < 0 else content + b"0")
    with pytest.raises(DataError, match="expected exactly 12292"):
        read(SMALL["cifar10"], tmp_path)


def test_missing_files_say_where_to_get_them(tmp_path):
    with pytest.raises(
        DataError, match=r"t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte .*not found in .*MNIST/raw; get the files from https"
    ):
        read(SMALL["mnist"], tmp_path)
    with pytest.raises(DataError, match=r"test_batch.bin, test_batch .*not found"):
        read(SMALL["cifar10"], tmp_path)
    with pytest.raises(DataError, match="name the folder that holds its files"):
        load("mnist")


@pytest.fixture
def pictures(tmp_path):
    """Two classes, three and one pictures below val, each of one colour and of another size."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    sizes = {"n01/a.JPEG": (14, 30), "n01/b.png": (9, 8), "n01/c.jpg": (40, 20), "n02/z.png": (16, 16)}
    for place, (name, size) in enumerate(sizes.items()):
        (tmp_path / "val" / name).parent.mkdir(parents=True, exist_ok=True)
        image.new("RGB", size, (40 * place, 100, 200)).save(tmp_path / "val" / name)
    (tmp_path / "val" / "n02" / "notes.txt").write_text("not a picture")
    return dataclasses.replace(DATASETS["imagenet"], shape=(3, 14, 14), classes=("cat", "dog"))


def test_folders_of_pictures_class_by_class_in_turn(pictures, tmp_path):
    found = read(pictures, tmp_path)
    assert found.pixels.shape == (4, 3, 14, 14)
    assert found.labels.tolist() == [0, 1, 0, 0]
    assert (
        np.abs(found.pixels[:, :, 7, 7].astype(int) - [[0, 100, 200], [120, 100, 200], [40, 100, 200], [80, 100, 200]]).max()
        < 4
    )
    assert read(pictures, tmp_path, limit=2).labels.tolist() == [0, 1]


def test_pictures_keep_their_shape_and_lose_their_edges(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    columns = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] * 4, 32, 0).repeat(3, 2)
    image.fromarray(columns).save(tmp_path / "wide.png")
    found = picture(tmp_path / "wide.png", 14)  # 64 x 32 becomes 32 x 16, of which columns 9 to 22 stay
    expected = np.repeat([8 * column + 2 for column in range(9, 23)], 1)
    assert np.abs(found[0].astype(int) - expected).max() <= 2
    assert (found == found[:, :1]).all()


def test_bad_folders_of_pictures(pictures, tmp_path, monkeypatch):
    with pytest.raises(
        DataError, match=r"imagenet: .*train holds 0 folders, expected one for each of 2 classes; get the pict"
    ):
        read(pictures, tmp_path, "train")
    monkeypatch.setattr("addersim.streamed.KEPT_BYTES", 4 * 588 - 1)
    monkeypatch.setattr("addersim.streamed.LARGEST_BYTES", 4 * 588 - 1)
    with pytest.raises(DataError, match=r"4 images take 0.0 GiB in memory, at most 0 are held; name a limit"):
        np.asarray(read(pictures, tmp_path).pixels)
    monkeypatch.setattr("addersim.datasets.pictures.MOST_PIXELS", 100)
    with pytest.raises(
        DataError, match=r"a.JPEG: not a JPEG or PNG picture, or damaged: 14 x 30 pixels, at most 100 are read"
    ):
        read(pictures, tmp_path, limit=1)
    monkeypatch.undo()
    path = tmp_path / "val" / "n01" / "a.JPEG"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match=r"a.JPEG: not a JPEG or PNG picture, or damaged: .*[Tt]runcated"):
        read(pictures, tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match=r"pictures need Pillow; install it with: pip install 'addersim\[images\]'"):
        read(pictures, tmp_path)


def test_wrong_arguments(tmp_path, random):
    with pytest.raises(DataError, match="'svhn' is not known; known: mnist, fashion-mnist"):
        load("svhn")
    with pytest.raises(DataError, match="no split 'validation'; it has train, test"):
        load("fashion-mnist-2000", split="validation")
    with pytest.raises(DataError, match="limit: found 0, needs a whole number in 1..1,000,000"):
        load("fashion-mnist-2000", limit=0)


@pytest.mark.parametrize(
    ("pixels", "labels", "message"),
    [
        (np.zeros((2, 1, 4, 4)), np.zeros(2, np.int64), "pixels are float64"),
        (np.zeros((2, 1, 1, 4, 4), np.uint8), np.zeros(2, np.int64), r"shape \(2, 1, 1, 4, 4\)"),
        (np.zeros(2, np.uint8), np.zeros(2, np.int64), r"shape \(2,\)"),
        (np.zeros((0, 1, 4, 4), np.uint8), np.zeros(0, np.int64), r"shape \(0, 1, 4, 4\)"),
        (np.zeros((2, 1, 4, 4), np.uint8), np.zeros(3, np.int64), r"labels are int64 of shape \(3,\)"),
        (np.zeros((2, 1, 4, 4), np.uint8), np.array([0, -1]), "label -1 of image 1"),
    ],
)
def test_images_check_themselves(pixels, labels, message):
    with pytest.raises(DataError, match=message):
        Images("mine", pixels, labels, ("a", "b"))


@pytest.mark.parametrize(("split", "count"), [("train", 256), ("test", 2000)])
def test_embedded_images_are_the_first_of_the_official_sets(split, count):
    embedded = load("fashion-mnist-2000", split=split)
    assert embedded.pixels.shape == (count, 1, 28, 28)
    official = DATASETS["fashion-mnist"]
    if not official.default_root.is_dir():
        pytest.skip("the full set is not installed")
    full = load("fashion-mnist", split=split, limit=count)
    np.testing.assert_array_equal(embedded.pixels, full.pixels)
    np.testing.assert_array_equal(embedded.labels, full.labels)


def test_statistics_of_the_embedded_images_are_near_those_of_the_set():
    pixels = load("fashion-mnist-2000").pixels / 255
    record = DATASETS["fashion-mnist-2000"]
    assert pixels.mean() == pytest.approx(record.mean[0], abs=0.01)
    assert pixels.std() == pytest.approx(record.std[0], abs=0.01)


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_every_record_is_complete(dataset):
    assert len(dataset.mean) == len(dataset.std) == dataset.shape[0]
    assert len(set(dataset.classes)) == len(dataset.classes) in (10, 100, 1000)
    assert dataset.source

"""Files: what is saved comes back; what is damaged, foreign or dangerous is refused in one line."""

import io
import os
import pickle
import re
import zipfile

import msgspec
import numpy as np
import pytest

import addersim
from addersim import Network, Program, Quantization, quantize
from addersim.errors import ConfigError, NetworkError
from addersim.model_zoo import load_network, load_network_or_program
from addersim.storage import check_writable, load_arrays, load_record, record_digest, save_record, write_atomically
from tests.command_line import refused
from tests.unit.networks import images, residual


@pytest.fixture(scope="module")
def network():
    return residual()


@pytest.fixture
def saved(network, tmp_path):
    path = tmp_path / "network.npz"
    network.save(path)
    return path


def test_a_network_comes_back_with_the_same_scores(network, saved):
    pixels = images(network)
    assert np.array_equal(Network.load(saved).run(pixels), network.run(pixels))
    assert str(Network.load(saved)) == str(network)


def test_a_program_comes_back_with_the_same_codes(network, tmp_path):
    pixels = images(network)
    program = quantize(network, pixels, Quantization(weight_bits=5, activation_bits=6))
    program.save(tmp_path / "program.npz")
    again = load_network_or_program(tmp_path / "program.npz")
    assert isinstance(again, Program)
    assert np.array_equal(again.run(pixels), program.run(pixels))
    with pytest.raises(NetworkError, match="holds a quantised program; expected a network"):
        load_network(tmp_path / "program.npz")
    with pytest.raises(NetworkError, match="holds a Program, expected a Network"):
        Network.load(tmp_path / "program.npz")


def test_metadata_is_kept_and_read_under_its_former_name(network, tmp_path):
    """Files hold it as ``about``, as ever, so that files of before load, and digests of what is stored stay."""
    told = msgspec.structs.replace(network, metadata={"origin": "a test"})
    for kind, record in ((Network, told), (Program, quantize(told, None))):
        record.save(tmp_path / "record.npz")
        with np.load(tmp_path / "record.npz") as stored:
            tree = msgspec.json.decode(stored["header"].item())[kind.__name__]
        assert (tree["about"], "metadata" in tree) == ({"origin": "a test"}, False)
        again = kind.load(tmp_path / "record.npz")
        assert again.metadata == again.about == {"origin": "a test"}


def test_numpy_reads_the_file_without_pickle(saved):
    with np.load(saved, allow_pickle=False) as stored:
        assert all(stored[name].dtype.kind in "fU" for name in stored.files)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(NetworkError, match=r"network\.npz: not a whole \.npz file, truncated or altered"):
        Network.load(saved)


def test_an_altered_byte_is_never_taken_silently(network, saved):
    content = saved.read_bytes()
    expected = str(network), network.run(images(network, 2)).tobytes()
    refused = 0
    for place in range(0, len(content), max(1, len(content) // 150)):
        changed = bytearray(content)
        changed[place] ^= 0x10
        saved.write_bytes(bytes(changed))
        try:
            found = Network.load(saved)
        except NetworkError as error:
            assert "\n" not in str(error)
            refused += 1
        else:  # bytes that carry no content, such as time stamps
            assert (str(found), found.run(images(network, 2)).tobytes()) == expected
    assert refused > 100


def rewrite(path, change):
    """The file again, with its members changed by a function on a dict of arrays."""
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    change(arrays)
    np.savez_compressed(path, **arrays, allow_pickle=True)


def nan_weights(arrays):
    name = next(name for name, values in arrays.items() if values.dtype == np.float32 and values.ndim == 4)
    arrays[name] = np.full_like(arrays[name], np.nan)


def header(find, put):
    def change(arrays):
        text = arrays["header"].item()
        assert find in text
        arrays["header"] = np.array(text.replace(find, put, 1))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (nan_weights, "layer stem: weights holds 144 NaN or infinite values of 144"),
        (
            lambda arrays: arrays.update(array0=np.array([{}], dtype=object)),
            "holds Python objects; only plain numbers are read",
        ),
        (lambda arrays: arrays.pop("array2"), r"array 'array2' is missing"),
        (lambda arrays: arrays.pop("header"), "without addersim's header"),
        (lambda arrays: arrays.update(header=np.array("{}")), "header does not name one record"),
        (lambda arrays: arrays.update(header=np.array("{")), "header is not JSON"),
        (header('"relu"', '"gelu"'), "Invalid value 'gelu'"),
        (header('"groups":2', '"groups":3'), r"layer grouped: 8 filters do not divide into 3 groups"),
        (header('"groups":2', '"grupen":2'), "unknown field `grupen`"),
        (
            header('"stride":[2,2]', '"stride":[0,2]'),
            r"layer pool: stride: \(0, 2\) is not a pair of whole numbers in 1..1048576",
        ),
        (header('"inputs":["pool"]', '"inputs":["later"]'), "layer grouped: reads 'later', which no layer before it gives"),
        (header('"arithmetic":"l1"', '"arithmetic":"l3"'), "unknown arithmetic 'l3'; known: l1, mac"),
    ],
)
def test_an_altered_network_is_refused_by_name(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(NetworkError, match=message) as caught:
        Network.load(saved)
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def test_a_pickle_is_not_run(tmp_path):
    path = tmp_path / "evil.npz"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(NetworkError, match="not a whole .npz file"):
        Network.load(path)
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.npy", member.getvalue() + pickle.dumps([Bomb()]))
    with pytest.raises(NetworkError, match="holds Python objects"):
        Network.load(path)


def test_a_size_bomb_is_refused_before_memory_is_taken(tmp_path):
    path = tmp_path / "bomb.npz"
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.npy", member.getvalue())
    with pytest.raises(NetworkError, match="promises 8,796,093,022,208 bytes and holds another number"):
        Network.load(path)


TOPOLOGY = "Layer name, M, N, K,\nfc, 4, 5, 6,\n"


def test_one_door_for_everything_that_can_be_counted(tmp_path):
    network = load_network("lenet5-adder")
    network.save(tmp_path / "network.npz")
    quantize(network, None).save(tmp_path / "PROGRAM.NPZ")
    network.save(tmp_path / "no-ending")
    (tmp_path / "topology.CSV").write_text(TOPOLOGY)
    found = [
        addersim.load(one)
        for one in ("lenet5-conv", *(tmp_path / name for name in ("network.npz", "PROGRAM.NPZ", "no-ending", "topology.CSV")))
    ]
    assert [type(one).__name__ for one in found] == ["Network", "Network", "Program", "Network", "Topology"]
    assert [one.name for one in found] == ["lenet5-conv", "lenet5-adder", "lenet5-adder", "lenet5-adder", "topology"]


def test_one_door_takes_onnx(tmp_path):
    onnx = pytest.importorskip("onnx")
    from tests.unit.frontends.onnx.models import node, whole

    onnx.save(whole([node("Relu", "x", output="y")]), tmp_path / "net.ONNX")
    assert isinstance(addersim.load(tmp_path / "net.ONNX"), Network)


def test_one_door_takes_architectures():
    pytest.importorskip("torch")
    assert "untrained" in addersim.load("vgg-small-adder").metadata["origin"]


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("net.pkl", b"\x80\x04", "found a file '.pkl'"),
        ("net.toml", b"networks = []", "found a file '.toml'"),
        ("net", b"text", "found a file"),
        ("net", b"", "found a file"),
    ],
)
def test_a_file_of_another_kind_is_told_what_is_allowed(name, content, found, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(NetworkError) as caught:
        addersim.load(path)
    allowed = "allowed are .npz (a saved network or program), .onnx, .tflite, or .csv (a SCALE-Sim topology)"
    assert str(caught.value) == f"{path}: {found}; {allowed}"


def test_a_topology_has_no_weights(tmp_path):
    (tmp_path / "net.csv").write_text(TOPOLOGY)
    with pytest.raises(NetworkError, match=r"net.csv: holds a SCALE-Sim topology, which has no weights; expected a network"):
        load_network(tmp_path / "net.csv")
    with pytest.raises(NetworkError, match=r"net.csv: holds a SCALE-Sim topology, .*; count, estimate, compare, report and"):
        load_network_or_program(tmp_path / "net.csv")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.npz", "No such file"),
        ("nothing-of-the-kind", "neither a bundled name .* nor a file"),
    ],
)
def test_an_unknown_network_lists_the_known(name, message):
    with pytest.raises(NetworkError, match=message):
        load_network(name)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="disk full"), write_atomically(path, "w") as stream:
        stream.write("half")
        raise RuntimeError("disk full")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def member(descr, shape, data=b"", tail="}"):
    """A member of an .npz under a header of one's own."""
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, {tail}".encode()
    head += b" " * (-(11 + len(head)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + data


def text_member(raw):
    return member(f"'<U{len(raw) // 4}'", "()", raw)


NETWORK = text_member('{"Network":{}}'.encode("utf-32-le"))
HOSTILE = {
    "header of an array that does not end": {"header.npy": NETWORK, "array0.npy": member("'|u1'", "(1L,", tail="")},
    "65 axes": {"header.npy": NETWORK, "array0.npy": member("'<f4'", f"({'1,' * 65})", b"0000")},
    "0 x 10^30": {"header.npy": NETWORK, "array0.npy": member("'|u1'", f"(0, 1{'0' * 30})")},
    "negative size": {"header.npy": NETWORK, "array0.npy": member("'|u1'", "(-1, -4)", b"0000")},
    "items of no bytes": {"header.npy": NETWORK, "array0.npy": member("'<U0'", "(4,)")},
    "nested header": {"header.npy": NETWORK, "array0.npy": member("[" * 3000, "()")},
    "impossible character": {"header.npy": text_member(b"\xff" * 4)},
    "lone surrogate": {"header.npy": text_member('"\ud800"'.encode("utf-32-le", "surrogatepass"))},
    "30,000 nested lists": {"header.npy": text_member("[".encode("utf-32-le") * 30_000)},
    "no array": {"header.npy": b"{}"},
    "not ours": {"header.npy": text_member('{"Network":{},"Program":{}}'.encode("utf-32-le"))},
    "empty record": {"header.npy": NETWORK},
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE)
def test_hostile_members_are_one_line(tmp_path, members):
    path = tmp_path / "f.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(NetworkError, match=r"f\.npz: ") as refused:
        load_network_or_program(path)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1000


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "f.npz", "w") as archive:
        for _ in range(2):
            archive.writestr("header.npy", NETWORK)
    with pytest.raises(NetworkError, match="several members have one name"):
        load_network_or_program(tmp_path / "f.npz")


def test_a_written_file_has_the_rights_that_others_have(tmp_path):
    with write_atomically(tmp_path / "ours") as stream:
        stream.write(b"x")
    (tmp_path / "plain").write_bytes(b"x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_arrays_in_columns_come_back_as_they_were(tmp_path):
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.savez(tmp_path / "a.npz", a=array)
    assert load_arrays(tmp_path / "a.npz", NetworkError)["a"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_file_is_bounded_by_what_it_unpacks_to(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(1000, np.uint8))
    size = 1000 + 128  # npy's header
    monkeypatch.setattr("addersim.storage.MAX_FILE_BYTES", size)
    assert load_arrays(tmp_path / "a.npz", NetworkError)["a"].size == 1000
    monkeypatch.setattr("addersim.storage.MAX_FILE_BYTES", size - 1)
    with pytest.raises(NetworkError, match="1,128 bytes when unpacked; at most 1,127 are read"):
        load_arrays(tmp_path / "a.npz", NetworkError)


def test_a_digest_tells_types_and_shapes_apart():
    """The same bytes, as another type or in another shape, are another record."""

    class Kept(msgspec.Struct):
        array: np.ndarray

    same = np.arange(4, dtype=np.int32)
    others = (same.view(np.uint32), same.reshape(2, 2), same[::-1].copy())
    assert record_digest(Kept(same)) == record_digest(Kept(same.copy()))
    assert len({record_digest(Kept(one)) for one in (same, *others)}) == 4


class Codes(msgspec.Struct):
    array: np.ndarray


@pytest.mark.parametrize(
    ("array", "stored"),
    [
        (np.arange(-8, 8, dtype=np.int8).reshape(2, 2, 2, 2), (8,)),
        (np.arange(15, dtype=np.uint8).reshape(3, 5), (8,)),
        (np.asfortranarray(np.arange(-8, 7, dtype=np.int8).reshape(3, 5)), (8,)),
        (np.array([7, -1], np.int8)[::-1], (1,)),
        (np.array([-9, 0], np.int8), (2,)),
        (np.array([8, 0], np.int8), (2,)),
        (np.array([16, 0], np.uint8), (2,)),
        (np.array([3], np.int8), (1,)),
        (np.zeros((0, 3), np.int8), (0, 3)),
        (np.array([3, 4], np.int16), (2,)),
        (np.broadcast_to(np.int8(3), (4, 4)), (1, 1)),
    ],
    ids=str,
)
def test_codes_of_four_bits_are_two_to_a_byte_and_come_back_as_they_were(array, stored, tmp_path):
    save_record(tmp_path / "codes.npz", Codes(array))
    with np.load(tmp_path / "codes.npz", allow_pickle=False) as held:
        assert held["array0"].shape == stored
    again = load_record(tmp_path / "codes.npz", Codes).array
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(again, array)


def test_half_bytes_are_laid_out_as_documented(tmp_path):
    save_record(tmp_path / "codes.npz", Codes(np.array([1, -2, 3], np.int8)))
    with np.load(tmp_path / "codes.npz", allow_pickle=False) as held:
        assert held["array0"].tolist() == [0xE1, 0x03]
        assert msgspec.json.decode(held["header"].item()) == {"Codes": {"array": "array0 int4 3"}}


def test_a_program_of_four_bits_is_smaller_and_the_same(network, tmp_path):
    program = quantize(network, images(network), Quantization(weight_bits=4, activation_bits=4))
    program.save(tmp_path / "program.npz")
    again = Program.load(tmp_path / "program.npz")
    assert record_digest(again) == record_digest(program)
    assert np.array_equal(again.run(images(network)), program.run(images(network)))
    window = next(layer for layer in program.layers if layer.name == "first")
    with np.load(tmp_path / "program.npz", allow_pickle=False) as held:
        header = held["header"].item()
        (name,) = re.findall(r'"(array\d+) uint4 8 3 3 8"', header)
        assert held[name].nbytes == window.weights.size // 2


@pytest.mark.parametrize("sizes", ["int4 2 9", "int4 4 5", "int4 -2 -8", "uint4 16 2", "int5 2 8", "int4 2 x", "int4"])
def test_sizes_that_half_bytes_do_not_have_are_refused(sizes, tmp_path):
    path = tmp_path / "codes.npz"
    save_record(path, Codes(np.arange(-8, 8, dtype=np.int8).reshape(2, 8)))
    rewrite(path, header("int4 2 8", sizes))
    with pytest.raises(NetworkError) as caught:
        load_record(path, Codes)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_in_a_folders_place_is_told_and_stays(tmp_path):
    (tmp_path / "taken").write_text("mine")
    told = "taken: cannot be written to: a file stands in its place, and stays; name a folder"
    for command in (
        ("export", "lenet5-adder", "--layer", "conv1", "--vectors", tmp_path / "taken"),
        ("report", "lenet5-adder", "--data", "none", "--output", tmp_path / "taken"),
    ):
        assert refused(*command).endswith(told)
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("below", ["net.npz", "new/deeper/net.npz"])
def test_a_place_that_is_read_only_is_refused_before_anything_is_made(below, tmp_path, monkeypatch):
    check_writable(tmp_path / below)
    check_writable("-")
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (tmp_path, os.W_OK))
    with pytest.raises(ConfigError) as caught:
        check_writable(tmp_path / below)
    assert str(caught.value) == f"{tmp_path / below}: cannot be written: {tmp_path} is read-only; name another place"
    assert not list(tmp_path.iterdir())


def test_long_verbs_look_first_whether_they_can_write(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    told = refused("report", "lenet5-adder", "--output", tmp_path / "page")
    assert told == f"{tmp_path / 'page'}: cannot be written: {tmp_path} is read-only; name another place"
    pytest.importorskip("torch")
    assert "is read-only; name another place" in refused("finetune", "lenet5-conv", "-o", tmp_path / "tuned.npz")

import re
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addersim.config import parse_toml
from addersim.errors import ConfigError
from addersim.hardware import Accelerator, accelerator_names, load_accelerator
from addersim.hardware.accelerator import Buffer

NAMES = ("systolic-128x128", "systolic-16x16", "systolic-32x32")


def bundled_text(name):
    return resources.files("addersim").joinpath("data", "accelerators", f"{name}.toml").read_text("utf-8")


def test_the_bundled_accelerators():
    machines = ("ethos-u55-256-like", "eyeriss-65nm", "gemmini-default", "nvdla-large")
    assert accelerator_names() == ("diannao-like", "edge-unified-32x32", *machines, *NAMES, "tpu-v1")
    for name in NAMES:
        found = load_accelerator(name)
        assert found.name == name
        assert name == f"systolic-{found.array.rows}x{found.array.columns}"


def test_every_kind_of_memory_and_array_is_bundled():
    found = [load_accelerator(name) for name in accelerator_names()]
    assert {tuple(one.buffers.memories()) for one in found} == {("unified",), ("input", "weight", "output")}
    assert {one.array.dataflow for one in found} == {"output", "weight", "row", "broadcast"}
    assert {one.array.overlapped_folds for one in found} == {True, False}
    assert {one.buffers.l2 is None for one in found} == {True, False}


@pytest.mark.parametrize("name", accelerator_names())
def test_every_number_of_a_bundled_accelerator_says_where_it_is_from(name):
    numbers = re.findall(r"^\w+ = [\d.]+.*$", bundled_text(name), re.MULTILINE)
    assert len(numbers) >= 9
    assert all(re.search(r"  # \S", line) for line in numbers)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("clock_mhz = 500", "clock_mhz = -5", "clock_mhz: found -5, needs a number > 0 and <= 100000"),
        ("clock_mhz = 500", "clock_mhz = nan", "clock_mhz: found nan, needs a number > 0"),
        ("clock_mhz = 500", "clok_mhz = 500", "unknown key clok_mhz; known: name, source, clock_mhz, array"),
        ("rows = 16", "rows = 0", "array.rows: found 0, needs a whole number in 1..65,536"),
        ("columns = 16", "", "key array.columns is missing; needs a whole number in 1..65,536"),
        (
            '"output"',
            '"row"',
            "array: found the dataflow 'row' without row_stationary; the dataflow 'row' and the scratchpads",
        ),
        ('"output"', '"rows"', "array.dataflow: found 'rows', needs 'broadcast' or 'input' or 'output' or 'row' or 'weight'"),
        ("lanes = 16", "lanes = 1.5", "vector.lanes: found 1.5, needs a whole number"),
        ("bandwidth_gb_s = 12.8", "bandwidth_gb_s = 0", "dram.bandwidth_gb_s: found 0, needs a number > 0"),
        (
            "bandwidth_gb_s = 12.8",
            "bandwidth_gb_s = 1\nenergy_pj_per_bit = 8",
            "dram: energy_pj_per_bit and source come together",
        ),
        (
            "[array]",
            '[array]\ndatapaths = ["mac", "xor2"]',
            "array: unknown datapath 'xor2' in datapaths; known: l1-2a, l1-1c1a, l1-xor, mac, l2",
        ),
        ("[array]", "[array]\ndatapaths = []", "array.datapaths: found [], needs"),
        ("banks = 4", "banks = 0", "buffers.input.banks: found 0, needs a whole number in 1.."),
        (
            "capacity_kib = 64",
            "capacity_kib = 64\nread_pj_per_word = 5",
            "buffers.input: read_pj_per_word, write_pj_per_word and source come together",
        ),
        (
            "[buffers.input]",
            "[buffers.unified]",
            "buffers: found the memories output, unified, weight; needs input, weight and output, or unified alone",
        ),
        ("capacity_kib = 64", "capacity_kib = 0", "buffers.input.capacity_kib: found 0, needs a number > 0"),
        ("keep_activations = true", "keep_activations = 1", "buffers.keep_activations: found 1, needs true or false"),
    ],
)
def test_a_bad_accelerator_is_told_in_one_line(tmp_path, old, new, message):
    text = bundled_text("systolic-16x16")
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(f"{path}: {message}")):
        load_accelerator(path)


def test_dram_energy_with_its_source_is_taken():
    text = bundled_text("systolic-16x16").replace('kind = "dram"', 'kind = "LPDDR4"\nenergy_pj_per_bit = 8\nsource = "CACTI"')
    assert parse_toml(text, Accelerator, "x").dram.energy_pj_per_bit == 8


def test_dram_bits_per_cycle():
    assert load_accelerator("systolic-16x16").dram_bits_per_cycle == 12.8e9 * 8 / 500e6


@pytest.mark.parametrize(
    ("operands", "bits", "words"), [(8, 8, 1), (9, 8, 2), (5, 12, 1), (6, 12, 2), (3, 65, 6), (4, 0, 0), (0, 8, 0)]
)
def test_operands_lie_whole_in_words_or_take_several(operands, bits, words):
    assert Buffer(capacity_kib=1).words(operands, bits) == words


@given(st.integers(0, 10_000), st.integers(1, 100), st.integers(1, 128))
def test_wider_operands_never_take_fewer_words(operands, bits, word_bits):
    buffer = Buffer(capacity_kib=1, word_bits=word_bits)
    assert buffer.words(operands, bits) <= buffer.words(operands, bits + 1)

"""Golden vectors as files: they hold the same words, their test bench passes, and damage is told."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from addersim.errors import ConfigError
from addersim.golden.files import WORD_FILES, write_vectors
from addersim.golden.reading import read_vectors
from addersim.golden.vectors import layer_vectors
from addersim.rtl.sources import verilog_files


def test_files_hold_the_same_words(conv1, tmp_path):
    paths = {path.name: path for path in write_vectors(conv1, tmp_path)}
    expected = (conv1.sums.reshape(-1) & ((1 << conv1.element.accumulator_bits) - 1)).tolist()
    found = {end: paths[f"sums{end}"].read_text() for end in WORD_FILES}
    assert [int(line, 16) for line in found[".hex"].split()] == expected
    assert [int(word, 16) for word in re.findall(r": (\w+);", found[".mif"])] == expected
    assert "DEPTH = 4704;\nWIDTH = 20;" in found[".mif"]
    radix, vector = found[".coe"].split(";\n", 1)
    assert radix == "memory_initialization_radix=16"
    assert [int(word, 16) for word in re.findall(r"\w+", vector.partition("=")[2])] == expected
    listed = re.search(r"int64_t sums\[4704\] = \{(.*)\}", paths["vectors.h"].read_text())[1]
    assert [int(word) for word in listed.split(",")] == conv1.sums.reshape(-1).tolist()


@pytest.mark.parametrize(("layer", "bits"), [("conv1", 8), ("fc3", 16)])
def test_codes_are_as_wide_as_their_format(programs, layer, bits, tmp_path):
    """Of a ReLU, and signed ones."""
    program, images = programs["lenet5-conv"]
    vectors = layer_vectors(program, layer, images)
    write_vectors(vectors, tmp_path)
    assert (vectors.codes.min() < 0) == (layer == "fc3")
    assert f"WIDTH = {bits};" in (tmp_path / "outputs.mif").read_text()
    words = [int(line, 16) for line in (tmp_path / "outputs.hex").read_text().split()]
    assert words == (vectors.codes.reshape(-1) & ((1 << bits) - 1)).tolist()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_the_header_is_c(conv1, tmp_path):
    write_vectors(conv1, tmp_path)
    use = "int main(void) { return inputs[0] + weights[0] + (int)sums[0] + outputs[0]; }"
    (tmp_path / "use.c").write_text(f'#include "vectors.h"\n{use}\n')
    subprocess.run(["gcc", "-Wall", "-Werror", "-fsyntax-only", "use.c"], cwd=tmp_path, check=True)


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="no Icarus Verilog")
@pytest.mark.parametrize("name", ["lenet5-adder", "lenet5-conv"])
def test_the_test_bench_passes_and_stops_at_a_wrong_word(programs, name, tmp_path):
    program, images = programs[name]
    write_vectors(layer_vectors(program, "conv1", images), tmp_path)
    build = ["iverilog", "-g2005", "-Ptestbench.CHECKED=300", "-o", "test", "testbench.v", *verilog_files()]
    subprocess.run(build, cwd=tmp_path, check=True)

    def run():
        return subprocess.run(["vvp", "-n", "test"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert "PASS: 300 sums of 25 taps" in run()
    lines = (tmp_path / "sums.hex").read_text().splitlines()
    lines[7] = f"{int(lines[7], 16) ^ 1:0{len(lines[7])}x}"
    (tmp_path / "sums.hex").write_text("\n".join(lines))
    told = run()
    assert "PASS" not in told
    assert re.search(r"^WRONG sum 7: pixel 1, filter 1: expected -?\d+, found -?\d+$", told, re.MULTILINE)


def test_words_are_read_back(conv1, tmp_path):
    write_vectors(conv1, tmp_path)
    found = read_vectors(tmp_path)
    for name in ("network", "layer", "element", "shape"):
        assert getattr(found, name) == getattr(conv1, name)
    for name in ("inputs", "weights", "sums"):
        assert np.array_equal(getattr(found, name), getattr(conv1, name))


def changed(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("layer.json", '"pixels": 784', '"pixels": 785', r"shape\.pixels: 785 is not 784, which the other sizes make it"),
        ("layer.json", '"taps": 25', '"taps": 24', r"shape\.taps: 24 is not 20, which the other sizes make it"),
        ("layer.json", '"channels": 1', '"channels": 2', r"shape\.channels: 2 is not 1, which the other sizes make it"),
        ("layer.json", '"stride_y": 1', '"stride_y": 0', r"shape\.stride_y: 0 is not between 1 and 2147483648"),
        ("layer.json", '"input_bits": 8', '"input_bits": 65', r"element\.input_bits: 65 is not between 1 and 64"),
        ("layer.json", '"circuit": "mac"', '"circuit": "mad"', r"element\.circuit: 'mad' is none of l1_2a, "),
        ("layer.json", '"shape"', '"shapes"', r"is no description of a layer's words: .*missing required field `shape`"),
        ("layer.json", "{", "[", r"is no description of a layer's words: Expected `object`, got `array`"),
        ("inputs.hex", "\n", "\nzz\n", r"785 words; layer\.json beside it makes it 784"),
        ("sums.hex", "0", "g", r"word 1: 'g\w+' is no hexadecimal number of 20 bits"),
        ("weights.hex", "\n", "0\n", r"word 1: '\w{3}' is no hexadecimal number of 8 bits"),
    ],
)
def test_damaged_words_are_told_in_one_line(conv1, file, old, new, told, tmp_path):
    write_vectors(conv1, tmp_path)
    changed(tmp_path / file, old, new)
    with pytest.raises(ConfigError, match=rf"{re.escape(file)}: {told}"):
        read_vectors(tmp_path)

"""Verilog as machine code: what was compiled is found again, wide words pass, and what goes round without an end is told."""

import numpy as np
import pytest

from addersim.arithmetic.geometry import Geometry
from addersim.errors import ConfigError
from addersim.rtl import compiled
from addersim.rtl.compiled import CACHE, Design, compile_designs
from addersim.rtl.layers import compile_array
from addersim.rtl.pools import PoolDesign, run_pool
from addersim.rtl.shapes import ArrayDesign, LayerShape
from addersim.rtl.sources import sources_text
from addersim.rtl.tools import RtlError, yosys_candidates

pytestmark = pytest.mark.skipif(
    not any(one.headers for one in yosys_candidates()), reason="no yosys with the headers of its CXXRTL runtime"
)
SUM = "module adder(input clk, input [63:0] a, input [32:0] b, output [63:0] y);\n  assign y = a + b;\nendmodule\n"
WIDE = Design("adder", (), (("a", 64), ("b", 33)), (("y", 64),))
ROUND = "module round(input clk, input start, output a);\n  assign a = ~a & start;\nendmodule\n"


def test_words_are_whole_and_other_verilog_is_compiled_anew(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path))
    random = np.random.default_rng(1)
    a, b = random.integers(-(1 << 63), 1 << 63, 100), random.integers(0, 1 << 33, 100)
    for text, expected in ((SUM, a + b), (SUM.replace("a + b", "a - b"), a - b)):
        for _ in range(2):
            (module,) = compile_designs([WIDE], {"adder.v": text})
            assert np.array_equal(module.run({"a": a, "b": b}, 100)["y"].view(np.int64), expected)
    assert len(list(tmp_path.glob("rtl/*"))) == 2


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE, str(tmp_path / "file"))
    with pytest.raises(ConfigError, match=r"file/rtl: Not a directory; ADDERSIM_CACHE names another folder for "):
        compile_designs([WIDE], {"adder.v": SUM})


def test_wires_that_go_round_are_told(monkeypatch):
    """Where the yosys that compiles does not find them first: the machine code would run for ever."""
    script = compiled._script
    monkeypatch.setattr(compiled, "_script", lambda *given: script(*given).replace("check -assert\n", ""))
    (module,) = compile_designs([Design("round", (), (("start", 1),), (("a", 1),))], {"round.v": ROUND})
    with pytest.raises(RtlError, match=r"^module round: wires go round without an end after clock edge 3$"):
        module.run({"start": np.arange(6) == 3}, 6)


def test_layers_that_never_end_are_told():
    sources = sources_text()
    shape = LayerShape.of_pool((1, 4, 4, 2), Geometry((2, 2), (2, 2)))
    for file, old in (("pool_layer.v", "assign done = "), ("layer_output_stationary.v", "assign done = ")):
        assert sources[file].count(old) == 1
        sources[file] = sources[file].replace(old, "assign done = 1'b0 & ")
    with pytest.raises(RtlError, match=r"^module pool_layer: it did not finish in a cycle for each tap$"):
        run_pool(PoolDesign("maximum", 8, True, 8), shape, np.zeros(32), sources)
    array = compile_array(ArrayDesign("mac", 1, 1, 8, 8, True, True, 32), sources)
    with pytest.raises(RtlError, match=r"^module quantised_layer: it did not finish in the cycles that its folds, "):
        array.run(shape, np.zeros(32), np.zeros(8))

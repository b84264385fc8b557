"""What NVRTC makes of the CUDA kernels, without a GPU: shares of floating-point work, registers, spills, occupancy."""

import itertools

import pytest

pytest.importorskip("torch")

from addersim.train.cuda import device
from tests.bench import cuda as bench
from tests.machine_code import __main__ as report
from tests.machine_code.disassembly import ARCHITECTURES, Code, main_loop, read, tool
from tests.machine_code.listed import KERNELS

needs_compiler = pytest.mark.skipif(
    not (device.compiler_version() and tool("nvdisasm") and tool("cuobjdump")),
    reason="needs NVRTC (make test-cuda installs the extra cuda) and the disassembler, which Triton ships",
)
FAMILIES = [next(kernels) for _, kernels in itertools.groupby(KERNELS, lambda one: one.name.split("Tile")[0])]
CASES = [pytest.param(one, marks=[] if one in FAMILIES else pytest.mark.slow, id=one.name) for one in KERNELS]


@needs_compiler
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kernel", CASES)
def test_nothing_is_spilled_and_the_main_loop_computes(kernel, architecture, tmp_path):
    path = tmp_path / "kernel.cubin"
    path.write_bytes(bytes(device.compile_kernel(kernel.name, f"sm_{architecture}").code))
    code = read(path, kernel.threads, architecture)
    assert (code.spills, code.stack) == (0, 0)
    assert code.registers <= 255
    assert code.warps >= 8
    assert code.share >= kernel.least, code.loop
    if kernel.least:
        assert code.floating >= 256  # the loop that was found is the one of the sums


@needs_compiler
def test_the_ceiling_of_the_benchmark_is_made_of_additions(tmp_path):
    path = tmp_path / "kernel.cubin"
    path.write_bytes(bytes(device.compile_kernel("additions", "sm_90", bench.ADDITIONS).code))
    code = read(path, 256, 90)
    assert code.loop["FADD"] == 256
    assert code.share > 0.97


@needs_compiler
def test_an_error_names_its_place_in_the_source():
    with pytest.raises(Exception, match="Tile"):
        device.compile_kernel("l1_forward<float,float,3,Tile<8,8,8,16>>", "sm_90")


def test_goal_of_nine_tenths():
    """Floating-point inputs in float32 or packed, and the input gradient, on tiles of full size."""
    reached = {one.name.split("<")[0] for one in KERNELS if one.least >= 0.9}
    assert reached == {"l1_forward", "l1_forward_packed", "l1_input_gradient"}


LISTING = """
.L_x_0:
        /*0000*/                   IMAD.WIDE R2, R3, 0x4, R4 ;
.L_x_1:
        /*0010*/                   LDS.128 R8, [R2] ;
        /*0020*/                   FADD R9, |R9|, R8 ;
        /*0030*/              @!P0 FADD.FTZ R9, |R9|, R8 ;
        /*0040*/               @P1 BRA `(.L_x_1) ;
        /*0050*/                   STL [R1], R9 ;
        /*0060*/               @P0 BRA `(.L_x_0) ;
        /*0070*/                   EXIT ;
"""


def test_the_innermost_loop_is_found():
    assert main_loop(LISTING) == {"LDS": 1, "FADD": 2, "BRA": 1}
    assert main_loop("EXIT ;") == {}


def test_occupancy():
    """Four warps of 4,864 registers: three blocks; with fewer registers as many as fit, or as shared memory holds."""
    assert Code({}, 150, 0, 26 << 10, 0, 128, 90).warps == 12
    assert Code({}, 150, 0, 26 << 10, 0, 128, 90).occupancy == 12 / 64
    assert Code({}, 32, 0, 0, 0, 128, 90).occupancy == 1
    assert Code({}, 32, 0, 0, 0, 128, 120).warps == 48
    assert Code({}, 32, 0, 49 << 10, 0, 128, 120).warps == 8


def test_the_table_names_every_kernel():
    text = report.README.read_text()
    assert [name for name in (str(one) for one in KERNELS) if f"`{name}`" not in text] == []
    assert report.COMMAND in text

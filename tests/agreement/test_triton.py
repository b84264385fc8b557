"""The Triton kernels in Triton's interpreter against the CPU kernels, and their code for GPUs, which needs none to compile."""

import os
import subprocess
import sys
from functools import partial

import pytest

torch = pytest.importorskip("torch")
triton = pytest.importorskip("triton", reason="Triton is not installed")

from addersim.errors import DataError, NetworkError  # noqa: E402
from addersim.train import kernels, operands  # noqa: E402

if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("TRITON_INTERPRET is not 1: the kernels would need a GPU", allow_module_level=True)

from addersim.train import triton_kernels  # noqa: E402
from tests.adder_layers import assert_near as near  # noqa: E402
from tests.adder_layers import tensors  # noqa: E402

# images, channels, height, width, outputs, kernel, stride, padding, dilation, groups
LENET = (2, 1, 9, 8, 6, (5, 5), (1, 1), (2, 2), (1, 1), 1)  # K = 25
PROBLEMS = {
    "K = 25": LENET,
    "K = 27": (1, 3, 5, 5, 17, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "K = 75": (1, 3, 7, 7, 5, (5, 5), (2, 2), (2, 2), (1, 1), 1),
    "K = 150": (2, 6, 6, 6, 16, (5, 5), (1, 1), (0, 0), (1, 1), 1),
    "linear": (5, 37, 1, 1, 11, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "strides that skip inputs": (1, 4, 9, 8, 3, (1, 2), (3, 2), (0, 1), (1, 1), 1),
    "dilation": (1, 2, 8, 9, 5, (3, 2), (1, 2), (2, 1), (2, 3), 1),
    "groups": (2, 6, 5, 6, 9, (3, 2), (2, 1), (1, 0), (1, 2), 3),
    "depthwise": (1, 7, 4, 5, 7, (3, 3), (1, 1), (1, 1), (1, 1), 7),
}


assert_near = partial(near, precision=1e-6)


class Tile:
    """One tile of a tuned kernel, in the place of the fastest."""

    def __init__(self, tuned, config):
        self.tuned, self.config = tuned, config

    def __getitem__(self, grid):
        return lambda *arguments: self.tuned.fn[grid](*arguments, **self.config.kwargs)


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
@pytest.mark.parametrize("place", [0, -1], ids=["first tile", "last tile"])
def test_kernels_equal_the_cpu_kernels(problem, place):
    gradient, x, adder, geometry = tensors(problem)
    config = triton_kernels.CONFIGS[place]
    forward, by_input, by_sign = (
        Tile(getattr(triton_kernels, name), config) for name in ("_FORWARD", "_INPUT_GRADIENT", "_SIGN_FILTER_GRADIENT")
    )
    found = triton_kernels.l1_forward(x, adder, *geometry, kernel=forward)
    assert_near(found, kernels.l1_forward(x, adder, *geometry, False))
    found = triton_kernels.l1_input_gradient(gradient, x, adder, *geometry, kernel=by_input)
    assert_near(found, kernels.l1_input_gradient(gradient, x, adder, *geometry))
    found = triton_kernels.l1_sign_filter_gradient(gradient, x, adder, *geometry, kernel=by_sign)
    assert_near(found, kernels.l1_sign_filter_gradient(gradient, x, adder, *geometry))


@pytest.mark.parametrize("config", triton_kernels.CONFIGS, ids=str)
def test_every_tile(config):
    _, x, adder, geometry = tensors(PROBLEMS["K = 27"])
    found = triton_kernels.l1_forward(x, adder, *geometry, kernel=Tile(triton_kernels._FORWARD, config))
    assert_near(found, kernels.l1_forward(x, adder, *geometry, False))


@pytest.mark.parametrize(("dtype", "precision"), [(torch.float16, 2**-10), (torch.bfloat16, 2**-7)], ids=str)
def test_half_precision_is_read_as_it_is_and_summed_in_float32(dtype, precision):
    gradient, x, adder, geometry = tensors(PROBLEMS["K = 150"], dtype)
    y = kernels.l1_forward(x.float(), adder, *geometry, False)
    found = triton_kernels.l1_forward(x, adder, *geometry)
    assert found.dtype == torch.float32  # the wider of input and filters, as under autocast
    assert_near(found, y)
    found = triton_kernels.l1_forward(x, adder.to(dtype), *geometry)
    assert found.dtype == dtype
    assert_near(found, kernels.l1_forward(x.float(), adder.to(dtype).float(), *geometry, False), precision=precision)
    found = triton_kernels.l1_input_gradient(gradient, x, adder, *geometry)
    assert found.dtype == dtype
    assert_near(found, kernels.l1_input_gradient(gradient, x.float(), adder, *geometry), precision=precision)
    found = triton_kernels.l1_sign_filter_gradient(gradient, x, adder, *geometry)
    assert_near(found, kernels.l1_sign_filter_gradient(gradient, x.float(), adder, *geometry))
    found = kernels.l1_filter_gradient(gradient, x, adder, *geometry)
    torch.testing.assert_close(found, kernels.l1_filter_gradient(gradient, x.float(), adder, *geometry))


def test_filter_gradient_of_several_splits(monkeypatch):
    monkeypatch.setattr(triton_kernels, "SPLIT", 40)
    gradient, x, adder, geometry = tensors(LENET)
    assert gradient[:, 0].numel() == 144
    found = triton_kernels.l1_sign_filter_gradient(gradient, x, adder, *geometry)
    assert_near(found, kernels.l1_sign_filter_gradient(gradient, x, adder, *geometry))


def test_operators_take_these_kernels_on_cuda():
    gradient, x, adder, geometry = tensors(PROBLEMS["groups"])
    on_cuda = {name: getattr(kernels, name)._backend_fns["cuda"] for name in triton_kernels.__all__ if name.startswith("l1")}
    for name in ("l1_forward", "l1_input_gradient", "l1_sign_filter_gradient"):
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f"addersim::{name}", "CUDA")
    assert_near(on_cuda["l1_forward"](x, adder, *geometry, True), kernels.l1_forward(x, adder, *geometry, True))
    for name in ("l1_input_gradient", "l1_sign_filter_gradient"):
        assert_near(on_cuda[name](gradient, x, adder, *geometry), getattr(kernels, name)(gradient, x, adder, *geometry))


def test_bad_shapes_never_reach_a_kernel(monkeypatch):
    gradient, x, adder, geometry = tensors(LENET)
    with pytest.raises(NetworkError, match="1 input channels; x has 2"):
        triton_kernels.l1_forward(x.repeat(1, 2, 1, 1), adder, *geometry)
    with pytest.raises(
        NetworkError, match=r"gradient: shape \(2, 9, 7, 6\), channels last; the layer's output has \(2, 9, 8, 6\)"
    ):
        triton_kernels.l1_input_gradient(gradient[..., :-1], x, adder, *geometry)
    with pytest.raises(
        DataError, match=r"2,147,479,553 values in one tensor; the CUDA kernels take at most 2,147,479,552: use"
    ):
        operands.check_size(x, torch.empty(operands.LARGEST + 1, 1, 1, 1, device="meta"))


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from addersim.train import triton_kernels

POINTERS = ("gradient", "x", "filters", "zeros", "y", "result")
tile = next(c for c in triton_kernels.CONFIGS if c.kwargs["HEIGHT"] == 8)
for kernel in (triton_kernels._forward, triton_kernels._input_gradient, triton_kernels._sign_filter_gradient):
    place = {name: (position,) for position, name in enumerate(kernel.arg_names)}
    constants = {place[name]: value for name, value in tile.kwargs.items()}
    by_sixteen = {place[name]: [["tt.divisibility", 16]] for name in place if name in (*POINTERS, "channels", "outputs")}
    for element, load in (("*fp32", "ld.global.v4.b32"), ("*bf16", "ld.global.v2.b32")):
        types = {name: element if name in POINTERS else "i32" for name in place} | dict.fromkeys(tile.kwargs, "constexpr")
        for capability in (80, 90):
            target, options = GPUTarget("cuda", capability, 32), {"num_warps": tile.num_warps}
            found = triton.compile(ASTSource(kernel, types, constants, by_sixteen), target=target, options=options)
            print(kernel.__name__, element, capability, found.metadata.shared, load in found.asm["ptx"], "cubin" in found.asm)
"""


def test_code_for_gpus_compiles_without_shared_memory_and_with_vector_loads(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    printed = subprocess.run(
        [sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split() for line in printed.splitlines()]
    assert len(rows) == 12
    assert all(row[3:] == ["0", "True", "True"] for row in rows), printed

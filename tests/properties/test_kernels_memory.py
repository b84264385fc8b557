"""The kernels touch no byte beyond their operands, take memory for the work and not for the moves, refuse what cannot be."""

import ctypes
import mmap
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim import kernels
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.geometry import MAX_WORK, Geometry
from addersim.errors import NetworkError
from addersim.kernels import reference
from tests.properties.strategies import CODE_TYPES

ROOT = Path(__file__).parents[2]

AT_THE_END_OF_A_PAGE = """
import sys
import numpy as np
from addersim import kernels
from addersim.kernels import reference
from tests.properties.test_kernels_memory import at_the_end_of_a_page

random = np.random.default_rng(1)
for kind in ("int8", "uint8", "int16", "uint16"):
    for _ in range(60):
        images, height, width, channels, outputs = random.integers(1, (4, 6, 6, 6, 20))
        kernel = random.integers(1, (min(3, height) + 1, min(3, width) + 1))
        low, high = np.iinfo(kind).min, np.iinfo(kind).max
        x = random.integers(low, high, (images, height, width, channels), kind, endpoint=True)
        w = random.integers(low, high, (outputs, *kernel, channels), kind, endpoint=True)
        for arithmetic in ("l1", "mac"):
            for after in (0, 2):
                how = {"arithmetic": arithmetic, "far_padding": (after, after)}
                found = kernels.window(at_the_end_of_a_page(x), at_the_end_of_a_page(w), **how)
                assert np.array_equal(found.values, reference.window(x, w, **how).values)
        kernels.max_pool(at_the_end_of_a_page(x), tuple(map(int, kernel)), (1, 1))
        kernels.add(at_the_end_of_a_page(x), at_the_end_of_a_page(x), output=reference.FixedFormat(16))
print("whole")
"""


def at_the_end_of_a_page(values):
    """A copy of an array behind which no byte may be read."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    size = -(-values.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    start = libc.mmap(
        None, size + mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0
    )
    assert libc.mprotect(start + size, mmap.PAGESIZE, 0) == 0
    raw = (ctypes.c_uint8 * values.nbytes).from_address(start + size - values.nbytes)
    copy = np.frombuffer(raw, values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


@pytest.mark.skipif(sys.platform != "linux", reason="the borders are Linux's mprotect")
def test_no_byte_behind_the_operands_is_read():
    done = subprocess.run([sys.executable, "-c", AT_THE_END_OF_A_PAGE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr


far = st.one_of(st.integers(1, 4), st.integers(1, 20).map(lambda power: 1 << power))


@settings(max_examples=150)
@given(
    data=st.data(),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(far, far),
    dilation=st.tuples(far, far),
    groups=st.sampled_from((1, 1, 2)),
    arithmetic=st.sampled_from(list(ARITHMETICS)),
)
def test_far_moves_take_no_memory(data, kernel, stride, dilation, groups, arithmetic):
    """Strides, dilations and paddings up to 2**20, with few outputs: as in the twin, and in a few MB."""
    padding, far_padding = (
        tuple(  # each about half of what a window spans, so that small images do
            min(1 << 20, (taps - 1) * step // 2 + data.draw(st.integers(0, 1)))
            for taps, step in zip(kernel, dilation, strict=True)
        )
        for _ in range(2)
    )
    geometry = Geometry(kernel, stride, padding, dilation, groups, far_padding=far_padding)
    size = tuple(max(1, (kernel[axis] - 1) * dilation[axis] + 1 - sum(geometry.sides(axis))) for axis in range(2))
    if np.prod(geometry.output_size(*size), dtype=object) > 100 or np.prod(size, dtype=object) > 10_000:
        return
    random = np.random.default_rng(0)
    kind = data.draw(st.sampled_from(CODE_TYPES))
    x, w = (random.integers(0, 100, shape).astype(kind) for shape in ((1, *size, 4 * groups), (2 * groups, *kernel, 4)))
    how = {"stride": stride, "padding": padding, "far_padding": far_padding, "dilation": dilation, "groups": groups}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = kernels.window(x, w, arithmetic=arithmetic, **how)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    assert np.array_equal(found.values, reference.window(x, w, arithmetic=arithmetic, **how).values)


def test_arrays_of_any_layout_are_copied_before_c_sees_them():
    random = np.random.default_rng(3)
    x, w = random.integers(0, 1000, (2, 4, 4, 3)).astype("int16"), random.integers(-9, 9, (5, 2, 2, 3)).astype("int16")
    expected = reference.window(x, w, arithmetic="mac").values
    raw = np.zeros(x.nbytes + 1, np.uint8)[1:]
    unaligned = raw.view("int16").reshape(x.shape)
    unaligned[...] = x
    assert not unaligned.flags.aligned
    strided = np.zeros((2, 8, 4, 6), "int16")[:, ::2, :, ::2]
    strided[...] = x
    for other in (unaligned, strided, np.asfortranarray(x), x.astype(">i2"), x[::-1, ::-1][::-1, ::-1]):
        assert np.array_equal(kernels.window(other, w, arithmetic="mac").values, expected)
    floats = np.zeros(x.nbytes * 2 + 1, np.uint8)[1:].view(np.float32).reshape(x.shape)
    floats[...] = x
    assert np.array_equal(
        kernels.mac_forward(floats, w.astype(np.float32)), kernels.mac_forward(x.astype(np.float32), w.astype(np.float32))
    )


def test_more_work_than_can_be_counted_is_refused():
    with pytest.raises(NetworkError, match=re.escape(f"taps each; at most {MAX_WORK:,} taps are allowed")):
        Geometry((4, 4)).output_shape((1 << 20, 1 << 10, 1 << 10, 8), (128, 4, 4, 8))
    with pytest.raises(NetworkError, match=re.escape("16,777,217 taps an output; at most 16,777,216 are allowed")):
        Geometry((1, 1)).output_shape((1, 1, 1, (1 << 24) + 1), (1, 1, 1, (1 << 24) + 1))
    with pytest.raises(NetworkError, match="16,777,217 taps an output"):
        kernels.window(
            np.ones((1, 1, 1, 1), np.uint8), np.broadcast_to(np.zeros(1, np.uint8), (1, 1, 1, (1 << 24) + 1)), arithmetic="l1"
        )


@settings(max_examples=300)
@given(
    kernel=st.integers(1, 5),
    stride=st.integers(1, 6),
    padding=st.integers(0, 12),
    far_padding=st.integers(0, 12),
    dilation=st.integers(1, 5),
    size=st.integers(1, 9),
)
def test_pooling_windows_that_miss_the_image(kernel, stride, padding, far_padding, dilation, size):
    """In closed form as by looking at every tap."""
    geometry = Geometry((kernel, 1), (stride, 1), (padding, 0), (dilation, 1), far_padding=(far_padding, 0))
    if size + padding + far_padding < (kernel - 1) * dilation + 1:
        return
    outputs, _ = geometry.output_size(size, 1)
    taps = [[window * stride - padding + tap * dilation for tap in range(kernel)] for window in range(outputs)]
    misses = any(not any(0 <= at < size for at in window) for window in taps)
    if misses:
        with pytest.raises(NetworkError, match="lets a pooling window miss the image along its height"):
            geometry.pooled_size(size, 1)
    else:
        assert geometry.pooled_size(size, 1) == (outputs, 1)

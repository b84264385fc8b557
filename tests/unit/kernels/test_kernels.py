"""Kernels: corners of the arithmetic, an outside oracle, what is refused and how, and what a call may take."""

import os
import subprocess
import sys
import textwrap

import apytypes
import numpy as np
import pytest

from addersim import kernels
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.fixed import OVERFLOWS, ROUNDINGS, FixedFormat
from addersim.errors import ConfigError, FormatError, NetworkError
from addersim.kernels import reference
from addersim.kernels.checks import CODES

SETS = kernels.kernel_info().available
ORACLE_ROUNDING = {
    "half-even": apytypes.QuantizationMode.RND_CONV,
    "half-up": apytypes.QuantizationMode.RND,
    "truncate": apytypes.QuantizationMode.TRN,
}
ORACLE_OVERFLOW = {"saturate": apytypes.OverflowMode.SAT, "wrap": apytypes.OverflowMode.WRAP}


@pytest.fixture(params=SETS)
def each_set(request, monkeypatch):
    monkeypatch.setenv("ADDERSIM_KERNELS", request.param)


def run_python(code, **environment):
    """A fresh interpreter's exit status, standard output and last line of standard error."""
    settings = {key: value for key, value in os.environ.items() if key != "ADDERSIM_KERNELS"} | environment
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, env=settings, timeout=120
    )
    return done.returncode, done.stdout, done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""


def codes_of(values, kind, shape=(1, 1, 1, -1)):
    return np.array(values, kind).reshape(shape)


def linear(x, weights, arithmetic, kind="int8", weights_kind=None, **options):
    """One output of a linear layer."""
    return kernels.window(codes_of(x, kind), codes_of(weights, weights_kind or kind), arithmetic=arithmetic, **options)


@pytest.mark.usefixtures("each_set")
@pytest.mark.parametrize(
    ("x", "w", "x_kind", "w_kind"),
    [
        (-128, 127, "int8", "int8"),
        (255, -128, "uint8", "int8"),
        (-128, 255, "int8", "uint8"),
        (65535, -32768, "uint16", "int16"),
        (-32768, 65535, "int16", "uint16"),
        (-32768, -32768, "int16", "int16"),
        (65535, 65535, "uint16", "uint16"),
        (-32768, 32767, "int16", "int16"),
        (255, -32768, "uint8", "int16"),
        (-32768, 255, "int16", "uint8"),
    ],
)
@pytest.mark.parametrize("taps", [1, 2, 3, 64, 1001])
def test_farthest_codes_are_exact(x, w, x_kind, w_kind, taps):
    """A difference of 17 bits, a pair of products of 2**31, sums beyond 32 bits."""
    found = linear([x] * taps, [w] * taps, "l1", x_kind, w_kind)
    assert found.values.item() == found.minimum == found.maximum == -taps * abs(x - w)
    found = linear([x] * taps, [w] * taps, "mac", x_kind, w_kind)
    assert found.values.item() == found.minimum == found.maximum == taps * x * w


@pytest.mark.usefixtures("each_set")
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("kind", ["int16", "uint16"])
def test_very_long_sums_of_16_bits(arithmetic, kind):
    """More taps than 32 bits can sum, in one run and in many."""
    random, ends = np.random.default_rng(1), np.iinfo(kind)
    for kernel, channels in ((1, 100_003), (2, 40_000)):
        x = random.integers(ends.min, ends.max, (1, kernel, kernel, channels), kind, endpoint=True)
        weights = random.integers(ends.min, ends.max, (3, kernel, kernel, channels), kind, endpoint=True)
        wide, wide_weights = x.astype(np.int64), weights.astype(np.int64)
        terms = ARITHMETICS[arithmetic].term(wide, wide_weights)
        found = kernels.window(x, weights, arithmetic=arithmetic)
        assert found.values.dtype == (np.int64 if ARITHMETICS[arithmetic].degree else np.int32)
        assert found.values.ravel().tolist() == terms.sum(axis=(1, 2, 3)).tolist()


@pytest.mark.usefixtures("each_set")
def test_saturation_follows_the_order_of_the_taps():
    """100 * 100 saturates a 12-bit register at 2047 before -100 * 100 arrives; the other way round it ends at the top."""
    falling = linear([100, 100], [100, -100], "mac", accumulator_bits=12, overflow="saturate")
    rising = linear([100, 100], [-100, 100], "mac", accumulator_bits=12, overflow="saturate")
    assert (falling.values.item(), rising.values.item()) == (-2048, 2047)
    assert (falling.minimum, falling.maximum, falling.overflowed) == (0, 0, 1)
    passing = linear([100, 100, 100], [20, 20, -20], "mac", accumulator_bits=12, overflow="saturate")
    assert (passing.values.item(), passing.overflowed) == (47, 1)  # 2000, 4000 cut to 2047, 47: saturated on its way


@pytest.mark.usefixtures("each_set")
def test_order_of_taps_is_row_column_channel():
    """One tap at a time decides a saturating sum; the image is asymmetric in each direction."""
    random = np.random.default_rng(2)
    x = random.integers(-128, 127, (2, 5, 6, 3), np.int8)
    weights = random.integers(-128, 127, (7, 2, 3, 3), np.int8)
    found = kernels.window(x, weights, arithmetic="mac", accumulator_bits=15, overflow="saturate", padding=(1, 0))
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0))).astype(int)
    image, row, column, output = 1, 3, 2, 4
    total = 0
    for i in range(2):
        for j in range(3):
            for channel in range(3):
                total += padded[image, row + i, column + j, channel] * int(weights[output, i, j, channel])
                total = max(-(2**14), min(2**14 - 1, total))
    assert found.values[image, row, column, output] == total
    assert found.overflowed > 0


def test_padding_is_an_operand_of_l1():
    found = kernels.window(np.zeros((1, 1, 1, 1), np.int8), np.full((1, 3, 3, 1), 5, np.int8), arithmetic="l1", padding=(1, 1))
    assert found.values.item() == -45


def test_weights_beyond_the_type_of_x_count_in_full():
    """|x - w| = |x - clip(w)| + |w - clip(w)|."""
    assert linear([255, 0], [-128, -1], "l1", "uint8", "int8").values.item() == -384


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("overflow", OVERFLOWS)
@pytest.mark.usefixtures("each_set")
def test_affine_agrees_with_apytypes(rounding, overflow):
    """Every integer of 12 bits, 5 of them fraction, times 13 and plus 7, into 7 bits of which 2 are fraction."""
    x = np.arange(-2048, 2048, dtype=np.int32).reshape(-1, 1)
    one, output = np.ones(1, np.int64), FixedFormat(7)
    found = kernels.affine(
        x, 13 * one.astype(np.int32), 7 * one, 3 * one.astype(np.uint8), output=output, rounding=rounding, overflow=overflow
    )
    wide = apytypes.APyFixedArray((13 * x.ravel() + 7).tolist(), bits=32, int_bits=27)
    cast = wide.cast(int_bits=5, frac_bits=2, quantization=ORACLE_ROUNDING[rounding], overflow=ORACLE_OVERFLOW[overflow])
    assert found.values.ravel().tolist() == (cast.to_numpy() * 4).astype(int).tolist()


@pytest.mark.usefixtures("each_set")
@pytest.mark.parametrize("overflow", OVERFLOWS)
def test_accumulation_agrees_with_apytypes(overflow):
    """A dot product step by step in a register of 10 bits."""
    random = np.random.default_rng(3)
    x, weights = random.integers(-8, 8, 40), random.integers(-16, 16, 40)
    mode = ORACLE_OVERFLOW[overflow]
    register = apytypes.APyFixed(0, bits=10, int_bits=10)
    for a, b in zip(x.tolist(), weights.tolist(), strict=True):
        product = apytypes.APyFixed(a, bits=10, int_bits=10) * apytypes.APyFixed(b, bits=10, int_bits=10)
        register = (register + product).cast(int_bits=10, frac_bits=0, overflow=mode)
    found = linear(x, weights, "mac", accumulator_bits=10, overflow=overflow)
    assert found.values.item() == int(float(register))


@pytest.mark.usefixtures("each_set")
def test_affine_beyond_the_precision_of_doubles():
    """2**54 + 2**39 + 1 is just above a tie of 40 places; a double holds only the tie, which would go down to even."""
    addend = np.array([2**54 + 2**39 + 1])
    for x in (np.zeros((20, 1), np.int8), np.zeros((20, 1), np.int32)):
        found = kernels.affine(x, np.ones(1, np.int32), addend, np.array([40], np.uint8), output=FixedFormat(16))
        assert (found.minimum, found.maximum) == (16385, 16385)


@pytest.mark.usefixtures("each_set")
@pytest.mark.parametrize(
    "register", [{}, {"accumulator_bits": 12, "overflow": "saturate"}, {"accumulator_bits": 12, "overflow": "wrap"}]
)
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize(("groups", "outputs"), [(1, 50), (1, 3), (48, 48)])
def test_a_layer_and_its_batch_norm(arithmetic, register, groups, outputs):
    """The shapes and constants of real layers, where the affine follows each sum at once; gains of both signs."""
    random = np.random.default_rng(5)
    x = random.integers(0, 127, (2, 9, 8, 48), np.int8)
    weights = random.integers(-60, 60, (outputs, 3, 3, 48 // groups), np.int8)
    by = (
        random.integers(-(2**15), 2**15, outputs).astype(np.int32),
        random.integers(-(2**24), 2**24, outputs),
        random.integers(18, 24, outputs).astype(np.uint8),
    )
    options = {"arithmetic": arithmetic, "groups": groups, "padding": (1, 1), "output": FixedFormat(8), **register}
    for then in (None, FixedFormat(7, signed=False)):
        found = kernels.window_affine(x, weights, *by, then=then, **options)
        expected = reference.window_affine(x, weights, *by, then=then, **options)
        np.testing.assert_array_equal(found.values, expected.values)
        for field in ("sums_minimum", "sums_maximum", "sums_overflowed", "minimum", "maximum", "overflowed"):
            assert getattr(found, field) == getattr(expected, field), field


def test_a_second_saturation_is_not_counted():
    found = kernels.affine(
        np.array([[-9], [3], [500]], np.int32),
        np.ones(1, np.int32),
        np.zeros(1, np.int64),
        np.zeros(1, np.uint8),
        output=FixedFormat(8),
        then=FixedFormat(7, signed=False),
    )
    assert found.values.ravel().tolist() == [0, 3, 127]
    assert (found.values.dtype, found.minimum, found.maximum, found.overflowed) == (np.uint8, -9, 500, 1)


def test_word_type_depends_on_types_and_weights_alone():
    weights = np.full((1, 1, 1, 40_000), 32767, np.int16)
    for x in (np.zeros((1, 1, 1, 40_000), np.int16), np.zeros((0, 1, 1, 40_000), np.int16)):
        assert kernels.window(x, weights, arithmetic="l1").values.dtype == np.int64
        assert kernels.window(x, weights, arithmetic="mac", accumulator_bits=32, overflow="wrap").values.dtype == np.int32
    assert kernels.window(x.astype(np.int8), weights // 300, arithmetic="mac").values.dtype == np.int32


@pytest.mark.usefixtures("each_set")
def test_arrays_that_are_strided_or_byte_swapped():
    random = np.random.default_rng(4)
    x, weights = random.integers(-999, 999, (2, 6, 5, 8), np.int16), random.integers(-999, 999, (3, 2, 2, 8), np.int16)
    expected = kernels.window(x, weights, arithmetic="l1").values
    turned = np.asfortranarray(x), weights[::-1][::-1]
    np.testing.assert_array_equal(kernels.window(*turned, arithmetic="l1").values, expected)
    np.testing.assert_array_equal(kernels.window(x.astype(">i2"), weights.astype(">i2"), arithmetic="l1").values, expected)
    every_other = random.normal(size=(2, 6, 5, 16)).astype(np.float32)[..., ::2]
    real = weights.astype(np.float32)
    np.testing.assert_array_equal(kernels.l1_forward(every_other, real), kernels.l1_forward(every_other.copy(), real))


def test_inputs_are_left_alone():
    x, weights = np.full((2, 4, 4, 5), -7, np.int8), np.full((6, 3, 3, 5), 9, np.int8)
    kernels.window(x, weights, arithmetic="l1", padding=(1, 1))
    assert (x == -7).all()
    assert (weights == 9).all()


@pytest.mark.parametrize("engine", [kernels, reference])
def test_no_images(engine):
    x, weights = np.zeros((0, 4, 4, 2), np.int8), np.ones((3, 3, 3, 2), np.int8)
    found = engine.window(x, weights, arithmetic="mac", padding=(1, 1))
    assert (found.values.shape, found.minimum, found.maximum, found.overflowed) == ((0, 4, 4, 3), 0, 0, 0)
    assert engine.max_pool(x, (2, 2), (2, 2)).shape == (0, 2, 2, 2)
    assert engine.l1_forward(x.astype(np.float32), weights.astype(np.float32)).shape == (0, 2, 2, 3)


X, W = np.zeros((1, 4, 4, 4), np.int8), np.zeros((2, 3, 3, 4), np.int8)
ONE = np.ones(4, np.int32), np.ones(4, np.int64), np.ones(4, np.uint8)


@pytest.mark.parametrize("engine", [kernels, reference])
@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda e: e.window(X.astype(float), W, arithmetic="l1"),
            FormatError,
            "x: float64 is not an array of int8 or uint8 or",
        ),
        (lambda e: e.window(X, [1], arithmetic="l1"), FormatError, "weights: list is not an array of int8"),
        (lambda e: e.window(X[0], W, arithmetic="l1"), NetworkError, r"x: shape \(4, 4, 4\) is not \(images, height"),
        (lambda e: e.window(X, W[0], arithmetic="l1"), NetworkError, r"weights: shape \(3, 3, 4\) is not \(outputs, kernel"),
        (
            lambda e: e.window(X, W[..., :3], arithmetic="l1"),
            NetworkError,
            "weights: 3 input channels; x has 4 in 1 groups: needs 4",
        ),
        (
            lambda e: e.window(X, W, arithmetic="l1", groups=3),
            NetworkError,
            "groups: 3 does not divide 4 input and 2 output channels",
        ),
        (lambda e: e.window(X, W, arithmetic="sad"), FormatError, "arithmetic: 'sad' is not one of l1, mac, l2"),
        (
            lambda e: e.window(X, W, arithmetic="l1", stride=(0, 1)),
            NetworkError,
            r"stride: \(0, 1\) is not a pair of whole numbers in 1",
        ),
        (lambda e: e.window(X, W, arithmetic="l1", padding=1), NetworkError, "padding: 1 is not a pair of whole numbers in 0"),
        (
            lambda e: e.window(X, W, arithmetic="l1", dilation=(2, 1)),
            NetworkError,
            "height: a window of 3 taps, dilation 2, spans 5",
        ),
        (
            lambda e: e.window(X, W, arithmetic="l1", threads=0),
            ConfigError,
            "threads: found 0, needs a whole number in 1..1,024",
        ),
        (lambda e: e.window(X, W, arithmetic="l1", overflow="wrap"), FormatError, "accumulator: wrap needs a width"),
        (
            lambda e: e.window(X, W + 9, arithmetic="l1", accumulator_bits=8),
            FormatError,
            "sums of -324..-324 leave the 8 bits",
        ),
        (lambda e: e.affine(X, *ONE, output=8), FormatError, "output: 8 is not a FixedFormat"),
        (
            lambda e: e.affine(X, *ONE, output=FixedFormat(8), overflow="clip"),
            FormatError,
            "overflow: 'clip' is not one of sat",
        ),
        (
            lambda e: e.affine(X, *ONE, output=FixedFormat(8), rounding="up"),
            FormatError,
            "rounding: 'up' is not one of half-even",
        ),
        (
            lambda e: e.affine(X, ONE[1], *ONE[1:], output=FixedFormat(8)),
            FormatError,
            "multiplier: int64 is not an array of int32",
        ),
        (lambda e: e.affine(X[..., :2], *ONE, output=FixedFormat(8)), NetworkError, r"multiplier: shape \(4,\); x of shape"),
        (lambda e: e.affine(X, *ONE[:2], ONE[2] * 63, output=FixedFormat(8)), FormatError, r"shift: 63 is not in 0\.\.62"),
        (
            lambda e: e.affine(X, ONE[0], ONE[1] << 62, ONE[2], output=FixedFormat(8)),
            FormatError,
            "affine: .* reaches 4611686018427387904; the arithmetic holds less",
        ),
        (lambda e: e.add(X, W, output=FixedFormat(8)), NetworkError, r"add: shapes \(1, 4, 4, 4\) and \(2, 3, 3, 4\) differ"),
        (lambda e: e.clamp(X, output=None), FormatError, "output: None is not a FixedFormat"),
        (
            lambda e: e.max_pool(X, (2, 2), (4, 4), (3, 3)),
            NetworkError,
            r"padding: \(3, 3\) lets a pooling window miss the image",
        ),
        (lambda e: e.l1_forward(X, W), FormatError, "x: int8 is not an array of float32"),
        (
            lambda e: e.l1_input_gradient(*(a.astype(np.float32) for a in (X, X, W))),
            NetworkError,
            r"gradient: shape \(1, 4, 4, 4\); the layer's output has \(1, 2, 2, 2\)",
        ),
    ],
)
def test_what_is_refused(engine, call, error, text):
    with pytest.raises(error, match=text):
        call(engine)


def test_kernel_info(monkeypatch):
    info = kernels.kernel_info()
    assert info.available[-1] == "portable"
    assert info.threads >= 1
    for name in SETS:
        monkeypatch.setenv("ADDERSIM_KERNELS", name)
        assert kernels.kernel_info().instruction_set == name
    monkeypatch.setenv("ADDERSIM_KERNELS", "mmx")
    with pytest.raises(
        ConfigError, match="ADDERSIM_KERNELS: 'mmx' is not a known instruction set; this machine runs .*portable"
    ):
        kernels.kernel_info()


def test_an_unknown_set_stops_the_import():
    status, _, last = run_python("import addersim.kernels", ADDERSIM_KERNELS="sse9")
    assert status == 1
    assert "ADDERSIM_KERNELS: 'sse9' is not a known instruction set; this machine runs" in last


def test_without_the_compiled_module_the_import_says_how_to_build_it():
    status, _, last = run_python("import sys; sys.modules['addersim._core'] = None; import addersim.kernels")
    assert status == 1
    assert last.startswith("ImportError: addersim._core, the compiled kernels, cannot load")
    assert "pip install -e ." in last


def test_a_forked_child_does_not_wait_for_threads():
    """GNU OpenMP's threads do not survive a fork: a child that called for them would hang."""
    code = """
        import os, warnings
        import numpy as np
        from addersim import kernels
        warnings.simplefilter("ignore")
        x, w = np.ones((8, 32, 32, 16), np.int8), np.zeros((16, 3, 3, 16), np.int8)
        total = kernels.window(x, w, arithmetic="l1", threads=2).values.sum()
        child = os.fork()
        if child == 0:
            os._exit(int(kernels.window(x, w, arithmetic="l1", threads=2).values.sum() != total))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert run_python(code)[:2] == (0, "0\n")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect is called through libc")
@pytest.mark.parametrize("name", SETS)
def test_nothing_is_read_beyond_the_operands(name):
    """x and weights end where memory ends: the page after them must not be touched."""
    code = """
        import ctypes, itertools, mmap
        import numpy as np
        from addersim import kernels
        from addersim.arithmetic.arithmetics import ARITHMETICS
        from addersim.arithmetic.fixed import FixedFormat

        libc, page = ctypes.CDLL(None), mmap.PAGESIZE

        def at_the_end(shape, kind):
            size = int(np.prod(shape)) * np.dtype(kind).itemsize
            pages = -(-size // page)
            memory = mmap.mmap(-1, (pages + 1) * page)
            whole = np.frombuffer(memory, np.uint8)
            assert libc.mprotect(ctypes.c_void_p(whole.ctypes.data + pages * page), page, 0) == 0
            return whole[pages * page - size : pages * page].view(kind).reshape(shape)

        kinds = ("int8", "uint8", "int16", "uint16")
        layers = [((2, 6, 7, 1), (6, 5, 5, 1), 1), ((2, 6, 7, 3), (5, 3, 3, 3), 1), ((1, 5, 5, 16), (17, 3, 3, 16), 1)]
        layers += [((3, 1, 1, 37), (9, 1, 1, 37), 1), ((2, 5, 4, 70), (70, 3, 3, 1), 70), ((2, 5, 4, 6), (4, 3, 2, 3), 2)]
        for (shape, weights, groups), padding in itertools.product(layers, (0, 1)):
            for arithmetic, kind in itertools.product(ARITHMETICS, kinds):
                x, w = at_the_end(shape, kind), at_the_end(weights, kind)
                kernels.window(x, w, arithmetic=arithmetic, groups=groups, padding=(padding, padding), threads=1)
            x, w = at_the_end(shape, "float32"), at_the_end(weights, "float32")
            options = {"groups": groups, "padding": (padding, padding), "threads": 1}
            y = kernels.l1_forward(x, w, **options)
            gradient = at_the_end(y.shape, "float32")
            kernels.l1_input_gradient(gradient, x, w, **options)
            kernels.l1_sign_filter_gradient(gradient, x, w, **options)
        for kind, channels in itertools.product(kinds, (1, 5, 33)):
            x = at_the_end((2, 4, 5, channels), kind)
            kernels.max_pool(x, (2, 2), (1, 1))
            kernels.sum_pool(x, (2, 2), (1, 1))
            kernels.add(x, x, output=FixedFormat(9))
            kernels.look_up(at_the_end((2, channels, 4, 5), "uint8"), np.zeros((256, channels), kind))
            by = np.ones(channels, np.int32), np.ones(channels, np.int64), np.ones(channels, np.uint8)
            kernels.affine(x, *by, output=FixedFormat(9))
        print("done")
    """
    assert run_python(code, ADDERSIM_KERNELS=name) == (0, "done\n", "")


def test_memory_stays_near_input_and_output():
    """3x3 windows of 64 channels on a 224x224 image would be 29 MB in one piece; tiles are not."""
    code = """
        import resource
        import numpy as np
        from addersim import kernels
        x, w = np.ones((1, 224, 224, 64), np.int8), np.ones((64, 3, 3, 64), np.int8)
        small = kernels.window(x[:, :8, :8], w, arithmetic="l1", padding=(1, 1), threads=1).values
        y = np.zeros((1, 224, 224, 64), np.int32)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = kernels.window(x, w, arithmetic="l1", padding=(1, 1), threads=1).values
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before - found.nbytes // 1024)
    """
    status, printed, _ = run_python(code)
    assert status == 0
    assert int(printed) < 4096  # KiB


@pytest.mark.parametrize("engine", [kernels, reference])
@pytest.mark.parametrize("register", [(None, "exact"), (14, "wrap"), (14, "saturate"), (32, "saturate")])
@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_a_prepared_layer_gives_what_the_layer_gives_batch_after_batch(engine, register, kind, arithmetic):
    random = np.random.default_rng(3)
    ends = np.iinfo(kind)
    weights = random.integers(-128, 128, (5, 3, 3, 4)).astype(np.int8)
    constants = random.integers(1, 100, 5).astype(np.int32), random.integers(-9, 9, 5), np.full(5, 9, np.uint8)
    bits, overflow = register
    how = {"arithmetic": arithmetic, "padding": (1, 1), "stride": (2, 1), "accumulator_bits": bits, "overflow": overflow}
    into = {"output": FixedFormat(8), "rounding": "half-up", "then": FixedFormat(7, signed=False)}
    given = weights.copy()
    layer = engine.prepare_window(kind, given, **how)
    both = engine.prepare_window_affine(layer, *constants, **into)
    for images, share in ((2, 1), (0, 1), (3, 100), (1, 1)):
        x = random.integers(ends.min // share, ends.max // share, (images, 5, 6, 4), endpoint=True).astype(kind)
        pairs = (
            (layer(x, threads=1), engine.window(x, weights, **how)),
            (both(x, threads=2), engine.window_affine(x, weights, *constants, **how, **into)),
        )
        for found, expected in pairs:
            assert found.values.dtype == expected.values.dtype
            np.testing.assert_array_equal(found.values, expected.values)
            fields = [name for name in expected.__dataclass_fields__ if name != "values"]
            assert [getattr(found, name) for name in fields] == [getattr(expected, name) for name in fields]


def test_a_prepared_layer_owns_its_weights_and_knows_its_type():
    weights = np.full((1, 1, 1, 1), 3, np.int8)
    layer = kernels.prepare_window("int8", weights, arithmetic="l1")
    weights[:] = 50
    assert layer(np.full((1, 1, 1, 1), 1, np.int8)).values.item() == -2
    with pytest.raises(ValueError, match="read-only"):
        layer.weights[:] = 1
    with pytest.raises(FormatError, match="^x: uint8 is not an array of int8$"):
        layer(np.zeros((1, 1, 1, 1), np.uint8))
    for engine in (kernels, reference):
        with pytest.raises(FormatError, match="^kind: int32 is not int8 or uint8 or int16 or uint16$"):
            engine.prepare_window("int32", weights, arithmetic="l1")


@pytest.mark.parametrize("kernel", [(9, 19), (4, 43), (13, 14)])
def test_depthwise_sums_of_extreme_bytes_are_whole_for_any_window(kernel):
    x, weights = np.full((1, *kernel, 35), 255, np.uint8), np.full((35, *kernel, 1), -128, np.int8)
    assert (kernels.window(x, weights, arithmetic="l1", groups=35).values == -383 * kernel[0] * kernel[1]).all()

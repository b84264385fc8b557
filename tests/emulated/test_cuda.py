"""The CUDA kernels' own source, run on a CPU, against the portable kernels: every geometry, tile and type, without a GPU."""

import math
import re
import shutil
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from addersim.errors import DataError, NetworkError  # noqa: E402
from addersim.train import kernels  # noqa: E402
from addersim.train.cuda import device, filters, launches  # noqa: E402
from addersim.train.cuda.source import kernels_source  # noqa: E402
from tests.adder_layers import HALF, OPERATORS, PROBLEMS, assert_near, expected, operands, problems, tensors  # noqa: E402
from tests.emulated import cuda_emulator  # noqa: E402
from tests.emulated.cuda_emulator import Emulator  # noqa: E402


def names_of(problem, dtype=torch.float32):
    """The kernels that a problem's launches name."""
    gradient, x, adder, geometry = tensors(problem, dtype)
    found = []
    for name in OPERATORS:
        for filters_ in {adder.dtype: adder, dtype: adder.to(dtype)}.values():
            given_ = operands(name, gradient, x, filters_)
            getattr(launches, name)(*given_, *geometry, run=lambda all_: found.extend(one.kernel for one in all_))
    return found


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    compiler = shutil.which("g++") or shutil.which("c++")
    if not compiler:
        pytest.skip("needs a C++ compiler")
    made = Emulator(tmp_path_factory.mktemp("kernels"), compiler)
    names = [name for problem in PROBLEMS.values() for name in names_of(problem)]
    made.prepare(
        names + [name for dtype in HALF for key in ("K = 144", "depthwise") for name in names_of(PROBLEMS[key], dtype)]
    )
    return made


@pytest.fixture
def full_precision():
    """Torch's switch that no sum may be less precise."""
    chosen = torch.backends.cuda.matmul
    before, chosen.allow_fp16_reduced_precision_reduction = chosen.allow_fp16_reduced_precision_reduction, False
    yield
    chosen.allow_fp16_reduced_precision_reduction = before


def every_tile(emulator, name, arguments):
    """What each of an operator's launches gives."""
    names = []
    getattr(launches, name)(*arguments, run=lambda candidates: names.extend(one.kernel for one in candidates))
    emulator.prepare(names)
    for place in range(len(names)):
        yield getattr(launches, name)(*arguments, run=lambda candidates, place=place: emulator.run(candidates[place]))


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_every_tile_equals_the_portable_kernels(emulator, problem, name):
    gradient, x, adder, geometry = tensors(problem)
    wanted = expected(name, gradient, x, adder, geometry)
    found = list(every_tile(emulator, name, (*operands(name, gradient, x, adder), *geometry)))
    assert found
    for one in found:
        assert_near(one, wanted)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("key", ["K = 144", "groups", "depthwise"])
def test_equal_values_have_no_sign(emulator, key, name):
    gradient, x, adder, geometry = tensors(PROBLEMS[key], steps=1)
    assert torch.isin(x, adder).any()
    for one in every_tile(emulator, name, (*operands(name, gradient, x, adder), *geometry)):
        assert torch.equal(one, expected(name, gradient, x, adder, geometry))  # small whole numbers: no sum is rounded


@settings(max_examples=60, deadline=None)
@given(problem=problems(), place=st.integers(0, 4), name=st.sampled_from(OPERATORS))
def test_random_layers(emulator, problem, place, name):
    gradient, x, adder, geometry = tensors(problem)

    def run(candidates):
        emulator.run(candidates[place % len(candidates)])

    found = getattr(launches, name)(*operands(name, gradient, x, adder), *geometry, run=run)
    assert_near(found, expected(name, gradient, x, adder, geometry))


@pytest.mark.parametrize("key", ["K = 144", "depthwise"])
@pytest.mark.parametrize(("dtype", "precision"), HALF.items(), ids=str)
@pytest.mark.usefixtures("full_precision")
def test_half_precision_is_read_as_it_is_and_summed_in_float32(emulator, key, dtype, precision):
    gradient, x, adder, geometry = tensors(PROBLEMS[key], dtype)
    for name in OPERATORS:
        wanted, given_ = expected(name, gradient, x, adder, geometry), operands(name, gradient, x, adder)
        for found in every_tile(emulator, name, (*given_, *geometry)):
            types = {"l1_forward": torch.float32, "l1_input_gradient": dtype, "l1_sign_filter_gradient": torch.float32}
            assert found.dtype == types[name]  # the wider of input and filters, as under autocast; those of the operand
            assert_near(found, wanted, precision if found.dtype == dtype else 2e-6)
    narrow = adder.to(dtype)
    for found in every_tile(emulator, "l1_forward", (x, narrow, *geometry)):
        assert found.dtype == dtype
        assert_near(found, expected("l1_forward", gradient, x, narrow, geometry), precision)


def packs(x, adder, geometry):
    names = []
    launches.l1_forward(x, adder, *geometry, run=lambda candidates: names.extend(one.kernel for one in candidates))
    return ["packed" in name for name in names] == [True] * len(launches.PACKED_TILES)


@pytest.mark.parametrize("scale", [0.01, 1, 100])
def test_packed_sums_keep_to_the_stated_error(emulator, scale):
    """Five roundings of 2^-11 each for eight terms, all of one sign; and one as the result is rounded."""
    problem = (2, 24, 7, 6, 19, (3, 3), (2, 1), (1, 1), (1, 1), 1)
    _, x, adder, geometry = tensors(problem, torch.float16)
    x, adder = x * scale, (adder * scale).half()
    assert packs(x, adder, geometry)
    wanted = expected("l1_forward", None, x, adder, geometry)
    for found in every_tile(emulator, "l1_forward", (x, adder, *geometry)):
        assert found.dtype == torch.float16
        error = (found.float() - wanted).abs() / wanted.abs()
        assert 0 < float(error.max()) <= 6 * 2**-11
        assert float(error.mean()) < 2**-11


def test_packed_sums_of_small_whole_numbers_are_exact(emulator):
    for groups in (1, 2):
        problem = (2, 16, 5, 6, 10, (2, 3), (1, 2), (1, 0), (1, 1), groups)
        _, x, adder, geometry = tensors(problem, torch.float16, steps=1)
        assert packs(x, adder.half(), geometry)
        for found in every_tile(emulator, "l1_forward", (x, adder.half(), *geometry)):
            assert torch.equal(found.float(), expected("l1_forward", None, x, adder, geometry))


def test_sums_are_packed_only_where_eight_channels_lie_together():
    problem = (1, 24, 4, 4, 8, (1, 1), (1, 1), (0, 0), (1, 1), 1)
    _, x, adder, geometry = tensors(problem, torch.float16)
    adder = adder.half()
    assert packs(x, adder, geometry)
    assert not packs(x[:, :20], adder[:, :20], geometry)
    assert not packs(x, adder.float(), geometry)
    assert not packs(x.bfloat16(), adder.bfloat16(), geometry)
    shifted = torch.cat([x.permute(0, 2, 3, 1).flatten(), x.new_zeros(1)])[1:].view(1, 4, 4, 24).permute(0, 3, 1, 2)
    assert not packs(shifted, adder, geometry)


@pytest.mark.usefixtures("full_precision")
def test_sums_are_packed_only_where_torch_allows_it():
    _, x, adder, geometry = tensors(PROBLEMS["K = 144"], torch.float16)
    assert not packs(x, adder.half(), geometry)


def test_tensors_that_begin_anywhere_are_read_value_by_value(emulator):
    gradient, x, adder, geometry = tensors(PROBLEMS["K = 144"])

    def shifted(tensor):
        flat = tensor.permute(0, 2, 3, 1).flatten()
        room = torch.cat([flat.new_zeros(1), flat])[1:]
        return room.view(tensor.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)

    assert shifted(x).data_ptr() % 16
    for name in OPERATORS:
        given_ = operands(name, shifted(gradient), shifted(x), adder)
        for found in every_tile(emulator, name, (*given_, *geometry)):
            assert_near(found, expected(name, gradient, x, adder, geometry))


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("key", ["K = 27", "depthwise"])
def test_other_types_are_summed_in_float32(emulator, key, name):
    gradient, x, adder, geometry = tensors(PROBLEMS[key])
    given_ = [one.double() for one in operands(name, gradient, x, adder)]
    for found in every_tile(emulator, name, (*given_, *geometry)):
        assert found.dtype == torch.float64
        assert_near(found, expected(name, gradient, x, adder, geometry))


@pytest.mark.parametrize("key", ["K = 25", "groups", "depthwise, stride"])
def test_filter_gradient_of_several_splits(emulator, monkeypatch, key):
    monkeypatch.setattr(launches, "SPLIT", 7)
    gradient, x, adder, geometry = tensors(PROBLEMS[key])
    counts = []
    launches.l1_sign_filter_gradient(
        gradient, x, adder, *geometry, run=lambda all_: counts.append(all_[0].arguments[3].shape[0])
    )
    assert counts[0] == math.ceil(gradient[:, 0].numel() / 7) > 1
    for found in every_tile(emulator, "l1_sign_filter_gradient", (gradient, x, adder, *geometry)):
        assert_near(found, expected("l1_sign_filter_gradient", gradient, x, adder, geometry))


@pytest.mark.parametrize("key", ["K = 27", "depthwise"])
def test_no_images_launch_nothing(key):
    gradient, x, adder, geometry = tensors(PROBLEMS[key])

    def refuse(candidates):
        raise AssertionError(candidates)

    assert launches.l1_forward(x[:0], adder, *geometry, run=refuse).shape == (0, *gradient.shape[1:])
    assert launches.l1_input_gradient(gradient[:0], x[:0], adder, *geometry, run=refuse).shape == (0, *x.shape[1:])
    assert not launches.l1_sign_filter_gradient(gradient[:0], x[:0], adder, *geometry, run=refuse).any()


def test_operators_take_these_kernels_where_they_can_be_compiled(emulator, monkeypatch):
    gradient, x, adder, geometry = tensors(PROBLEMS["groups"])
    taken = []

    def run(candidates):
        taken.append(candidates[0].kernel.split("<")[0])
        emulator.run(candidates[0])

    monkeypatch.setattr(device, "is_usable", lambda _: True)
    monkeypatch.setattr(device, "run", run)
    for name in OPERATORS:
        more = (True,) if name == "l1_forward" else ()
        found = getattr(kernels, name)._backend_fns["cuda"](*operands(name, gradient, x, adder), *geometry, *more)
        assert_near(found, expected(name, gradient, x, adder, geometry))
    assert taken == list(OPERATORS)


def test_without_kernels_for_a_tensor_one_line_says_what_to_install(monkeypatch):
    _, x, adder, geometry = tensors(PROBLEMS["groups"])
    monkeypatch.setattr(device, "is_usable", lambda _: False)
    monkeypatch.setattr(kernels, "find_spec", lambda _: None)
    with pytest.raises(
        DataError, match=r"input is on cpu, for which no kernels can be compiled: pip install 'addersim\[cuda\]'"
    ):
        kernels.l1_forward._backend_fns["cuda"](x, adder, *geometry, True)


def test_bad_shapes_never_reach_a_kernel():
    gradient, x, adder, geometry = tensors(PROBLEMS["K = 25"])
    with pytest.raises(NetworkError, match="1 input channels; x has 2"):
        launches.l1_forward(x.repeat(1, 2, 1, 1), adder, *geometry)
    message = r"gradient: shape \(2, 9, 7, 6\), channels last; the layer's output has \(2, 9, 8, 6\)"
    for name in OPERATORS[1:]:
        with pytest.raises(NetworkError, match=message):
            getattr(launches, name)(gradient[..., :-1], x, adder, *geometry)


def test_sizes_that_32_bits_do_not_count_are_refused():
    x, adder = torch.empty(1, 1, 1 << 16, 1 << 15, device="meta"), torch.empty(1, 1, 1, 1, device="meta")
    with pytest.raises(
        DataError, match="2,147,483,648 values in one tensor; the CUDA kernels take at most 2,147,479,552: use a"
    ):
        launches.l1_forward(x, adder, (1, 1), (0, 0), (1, 1), 1)


def test_source_and_launches_agree_on_their_constants():
    places = {"STEP": filters, "EIGHT": filters}
    for name, place in places.items():
        assert re.findall(rf"constexpr int {name} = (\d+);", kernels_source()) == [str(getattr(place, name))]
    assert re.findall(r"constexpr int CHANNELS = (\d+);", kernels_source()) == [str(launches.LANES)]
    tiles = (*launches.FORWARD_TILES, *launches.INPUT_TILES, *launches.SIGN_TILES, *launches.PACKED_TILES)
    assert {filters.WIDEST % (tile.columns * tile.across) for tile in tiles} == {0}


FAULTS = {
    "a barrier too few": ("tile.cuh", "wait_for_sent();\n      __syncthreads();", "wait_for_sent();", None),
    "copies not waited for": (
        "tile.cuh",
        "wait_for_sent();\n      __syncthreads();",
        "__syncthreads();",
        "nothing waited for",
    ),
    "a read past the end": ("loaders.cuh", "place.left + tap.x < (unsigned)windows.width", "true", "outside of the operands"),
    "a write past the end": ("windows.cu", "if (row < pixels)\n        store", "store", "outside of the operands"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_emulator_notices(emulator, tmp_path, monkeypatch, fault):
    """A fault that a GPU would answer with wrong sums on some days, or with a crash, is one here on each."""
    _, old, new, told = FAULTS[fault]
    assert old in kernels_source(cuda_emulator.PRIMITIVES)
    broken = kernels_source(cuda_emulator.PRIMITIVES).replace(old, new)
    monkeypatch.setattr(cuda_emulator, "kernels_source", lambda _: broken)
    _, x, adder, geometry = tensors(PROBLEMS["K = 144"])
    other, wrong = Emulator(tmp_path, emulator.compiler), 0
    for _ in range(4):
        if told:
            with pytest.raises(AssertionError, match=told):
                next(every_tile(other, "l1_forward", (x, adder, *geometry)))
            break
        found = next(every_tile(other, "l1_forward", (x, adder, *geometry)))
        wrong += not torch.equal(found, expected("l1_forward", None, x, adder, geometry))
    assert told or wrong


def test_the_emulator_notices_vectors_at_any_address(emulator):
    gradient, x, adder, geometry = tensors(PROBLEMS["K = 144"])
    room = torch.zeros(x.numel() + 1)[1:]

    def run(candidates):
        first, (_, _, *others) = candidates[0], candidates[0].arguments
        assert "<float,float,4,4," in first.kernel
        emulator.run(replace(first, arguments=(gradient, room, *others)))

    with pytest.raises(AssertionError, match="not aligned to 16 bytes"):
        launches.l1_sign_filter_gradient(gradient, x, adder, *geometry, run=run)

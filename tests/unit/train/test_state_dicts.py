"""Checkpoints as people have them: what fits is found by itself, and what does not is told with what to do."""

import argparse
import random

import pytest

torch = pytest.importorskip("torch")

import safetensors.torch  # noqa: E402
from torch import nn  # noqa: E402

from addersim.errors import AddersimError  # noqa: E402
from addersim.train.nn import Adder2d  # noqa: E402
from addersim.train.state_dicts import Fit, load_checkpoint, load_fitting  # noqa: E402


def net(seed=0, width=4):
    torch.manual_seed(seed)
    found = nn.Sequential()
    found.features = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), Adder2d(width, 5, 3, bias=True))
    found.fc = nn.Linear(5, 2)
    with torch.no_grad():
        found.features[1].running_mean += torch.rand(width)
    return found


SOURCE = net(1).state_dict()


def saved(folder, value, name="w.pth"):
    torch.save(value, folder / name)
    return folder / name


def same(module, state=SOURCE):
    return all(torch.equal(tensor, state[name]) for name, tensor in module.state_dict().items())


def told(path, *options, module=None):
    with pytest.raises(AddersimError) as refused:
        load_checkpoint(module or net(), path, *options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


KEYS = ["net", "model", "network", "state_dict", "model_state_dict", "ema", "model_ema", "ema_state_dict", "module", "params"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("outer", ["", "checkpoint"])
def test_the_mapping_is_found_beside_all_else(tmp_path, key, outer):
    adam = torch.optim.Adam(net().parameters())
    sum(one.sum() for one in adam.param_groups[0]["params"]).backward()
    adam.step()
    inner = {key: SOURCE, "optimizer": adam.state_dict(), "epoch": 9, "best": torch.tensor(0.5)}
    inner["args"] = argparse.Namespace(lr=0.1, data="cifar")
    module = net()
    found, _ = load_checkpoint(module, saved(tmp_path, {outer: inner, "version": "1"} if outer else inner))
    assert found == (f"{outer}.{key}" if outer else key)
    assert same(module)


def renamed(rename):
    return {rename(name): tensor for name, tensor in SOURCE.items()}


RENAMED = {
    "DataParallel": renamed(lambda name: f"module.{name}"),
    "of a part": renamed(lambda name: name.replace("features.", "features.module.")),
    "compiled": renamed(lambda name: f"_orig_mod.{name}"),
    "both": renamed(lambda name: f"module._orig_mod.{name}"),
    "official": renamed(lambda name: name.replace("2.bias", "2.b")),
    "no counters": {name: one for name, one in SOURCE.items() if "num_batches" not in name},
}


@pytest.mark.parametrize("state", RENAMED.values(), ids=RENAMED)
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_wrapped_names_are_matched_in_any_order(tmp_path, state, suffix):
    names = list(state)
    random.Random(3).shuffle(names)
    mixed = {name: state[name] for name in names}
    module, path = net(), tmp_path / f"w.{suffix}"
    safetensors.torch.save_file(mixed, path) if suffix == "safetensors" else torch.save(mixed, path)
    assert load_checkpoint(module, path) == ("", ())
    counter = {name for name in SOURCE if "num_batches" in name}
    assert same(module, SOURCE | {name: module.state_dict()[name] for name in counter})


def test_a_module_whose_own_parameter_is_b_takes_it():
    class Official(nn.Module):
        def __init__(self):
            super().__init__()
            self.b = nn.Parameter(torch.zeros(3))

    for name in ("b", "bias", "module.b"):
        module = Official()
        load_fitting(module, Fit.of(module, {name: torch.ones(3)}))
        assert module.b.tolist() == [1, 1, 1]


def test_counters_of_profilers_are_left_out_and_told(tmp_path):
    module = net()
    more = {"total_ops": torch.zeros(1), "features.0.total_params": torch.zeros(1), "fc.num_batches_tracked": torch.tensor(0)}
    _, left = load_checkpoint(module, saved(tmp_path, SOURCE | more))
    assert left == tuple(sorted(more))
    assert same(module)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_narrow_floats_are_converted(tmp_path, dtype):
    module = net()
    load_checkpoint(module, saved(tmp_path, {name: one.to(dtype) for name, one in SOURCE.items()}))
    assert module.fc.weight.dtype == torch.float32
    assert torch.equal(module.fc.weight, SOURCE["fc.weight"].to(dtype).float())


def test_of_several_that_fit_the_user_chooses(tmp_path):
    other = net(2).state_dict()
    path = saved(tmp_path, {"model": SOURCE, "ema": {"state_dict": other}, "old": net(width=5).state_dict()})
    message = told(path)
    assert "2 state dicts fit Sequential, 'ema.state_dict', 'model'; choose one, such as --weights " in message
    assert message.endswith("w.pth::ema.state_dict")
    for key, state in (("model", SOURCE), ("ema.state_dict", other)):
        module = net()
        assert load_checkpoint(module, path, key)[0] == key
        assert same(module, state)
    assert "has no state dict 'emma'; it has 'ema.state_dict', 'model', 'old'" in told(path, "emma")


def test_names_under_a_prefix_are_asked_for_and_taken(tmp_path):
    path = saved(tmp_path, renamed(lambda name: f"backbone.{name}") | {"head.weight": torch.ones(2)})
    assert "its names stand under 'backbone.': give --prefix backbone." in told(path)
    module = net()
    load_checkpoint(module, path, None, "backbone.")
    assert same(module)


def test_what_does_not_fit_is_counted_and_the_first_few_told(tmp_path):
    before = net()
    module = net()
    wide = told(saved(tmp_path, net(width=6).state_dict()), module=module)
    assert "7 of another shape: features.0.bias (6,) instead of (4,), features.0.weight (6, 3, 3, 3) instead of" in wide
    assert wide.endswith("and 2 more")
    state = dict(SOURCE)
    state["fc.weigth"] = state.pop("fc.weight")
    misspelt = told(saved(tmp_path, state), module=module)
    assert "1 missing: fc.weight (nearest fc.weigth); 1 unknown: fc.weigth (nearest fc.weight)" in misspelt
    twice = told(saved(tmp_path, SOURCE | {"module.fc.bias": torch.zeros(2)}), module=module)
    assert "1 given twice: fc.bias (fc.bias and module.fc.bias)" in twice
    other = told(saved(tmp_path, {"stem.kernel": torch.ones(2)}), module=module)
    assert "no name fits: is it a checkpoint of another architecture?" in other
    whole = told(saved(tmp_path, SOURCE | {"fc.bias": torch.ones(2, dtype=torch.int8)}), module=module)
    assert "1 of another type: fc.bias int8 instead of floats" in whole
    assert same(module, before.state_dict())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, value):
    bad = {**SOURCE, "fc.bias": torch.tensor([0.0, value])}
    assert "weights do not fit Sequential: 1 not finite: fc.bias" in told(saved(tmp_path, bad))


def test_a_whole_pickled_module_is_refused_with_what_to_save(tmp_path):
    message = told(saved(tmp_path, net()))
    assert "nothing of it was run; save torch.save(module.state_dict(), FILE)" in message


def test_a_checkpoint_that_holds_itself_ends(tmp_path):
    loop = {"model": SOURCE}
    loop["again"] = loop
    module = net()
    assert load_checkpoint(module, saved(tmp_path, loop))[0] == "model"

"""Want of memory: which verb, for what, and what that verb can do about it; from workers too."""

import pytest
from joblib import Parallel, delayed

from addersim.cli import app
from addersim.cli.usage import out_of_memory_told
from addersim.errors import lacks_memory, needing_memory, out_of_memory
from addersim.exploration.sweeps.job_files import attempt
from addersim.layers import Window
from addersim.model_zoo import load_network
from tests.command_line import refused

VERBS = [verb.name for verb in app.registered_commands]


def starve(*arguments, **options):
    raise MemoryError("Unable to allocate 8 TiB")


def needy():
    with needing_memory("layer conv1"):
        starve()


@pytest.mark.parametrize("verb", VERBS)
def test_only_options_of_the_verb_are_advised(verb):
    import inspect

    told = out_of_memory_told(MemoryError(), [verb], app)
    callback = next(one.callback for one in app.registered_commands if one.name == verb)
    assert told.startswith(f"{verb}: not enough memory; ")
    for option in ("jobs", "limit", "images", "threads", "batch"):
        assert f"--{option}" not in told or option in inspect.signature(callback).parameters
    assert told.endswith("close other programs")


def test_advice_of_some_verbs():
    error = MemoryError()
    assert out_of_memory_told(error, ["simulate"], app) == (
        "simulate: not enough memory; take fewer images (--limit) or fewer threads (--threads) or close other programs"
    )
    assert "fewer processes (--jobs)" in out_of_memory_told(error, ["sweep"], app)
    assert "a smaller batch (--batch)" in out_of_memory_told(error, ["estimate"], app)
    assert out_of_memory_told(error, ["count"], app) == "count: not enough memory; close other programs"


def test_the_layer_is_told(monkeypatch):
    network = load_network("lenet5-adder")
    monkeypatch.setattr(Window, "run", starve)
    with pytest.raises(MemoryError) as caught:
        network.run(__import__("numpy").zeros((2, 1, 28, 28), "uint8"))
    assert out_of_memory(caught.value) == "not enough memory for layer conv1 (Unable to allocate 8 TiB)"


def test_the_note_comes_out_of_a_worker():
    with pytest.raises(MemoryError) as caught:
        Parallel(n_jobs=2)(delayed(needy)() for _ in range(2))
    assert out_of_memory(caught.value) == "not enough memory for layer conv1 (Unable to allocate 8 TiB)"
    assert attempt(needy).error == "not enough memory for layer conv1 (Unable to allocate 8 TiB)"


def test_torch_says_it_in_its_own_way():
    assert lacks_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"))
    assert not lacks_memory(RuntimeError("shapes do not fit"))


def test_the_command_line_ends_in_one_line(monkeypatch):
    import addersim.simulation

    monkeypatch.setattr(addersim.simulation, "count", lambda *_: needy())
    told = "count: not enough memory for layer conv1 (Unable to allocate 8 TiB); close other programs"
    assert refused("count", "lenet5-adder") == told

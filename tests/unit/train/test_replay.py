"""What is recorded on a GPU, as far as it goes without one: which batches are replayed, and what is left as it was."""

from types import SimpleNamespace

import pytest
from msgspec.structs import replace

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from addersim.train import loop  # noqa: E402
from addersim.train.precision import whole_products  # noqa: E402
from addersim.train.recipe import load_recipe  # noqa: E402
from addersim.train.replay import Replayed, is_replayable  # noqa: E402


@pytest.fixture
def recorder(monkeypatch):
    """In torch's place: trial passes, and a forward that counts the batches it was given."""
    seen = SimpleNamespace(replayed=[], recorded=0)

    def make_graphed_callables(network, samples, **options):
        assert options == {"allow_unused_input": True}
        seen.recorded += 1
        plain = network.forward
        for _ in range(3):
            plain(*samples).sum().backward()
        network.zero_grad()

        def forward(pixels):
            if not network.training:
                return plain(pixels)
            seen.replayed.append(len(pixels))
            return plain(pixels)

        network.forward = forward
        return network

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", make_graphed_callables)
    return seen


def network_of():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.LazyLinear(3))


def test_batches_of_the_first_size_are_replayed(recorder):
    network, random = network_of(), torch.Generator().manual_seed(1)
    network(torch.zeros(2, 1, 5, 5))
    replayed = Replayed(network.train())
    for count in (4, 4, 3, 4):
        x = torch.rand((count, 1, 5, 5), generator=random)
        assert torch.equal(replayed(x), type(network).forward(network, x))
    assert (recorder.recorded, recorder.replayed) == (1, [4, 4, 4])
    replayed.forget()
    assert "forward" not in vars(network)
    replayed(torch.rand(3, 1, 5, 5))
    assert (recorder.recorded, recorder.replayed[-1]) == (2, 3)


def test_trial_passes_leave_no_statistics(recorder):
    network = network_of()
    network(torch.zeros(2, 1, 5, 5))
    network.train()[1].reset_running_stats()
    x = torch.rand(4, 1, 5, 5)
    Replayed(network)(x)
    assert int(network[1].num_batches_tracked) == 1
    pixels = network[0](x)
    torch.testing.assert_close(network[1].running_mean, 0.1 * pixels.mean((0, 2, 3)))


def test_only_on_a_gpu_and_without_hooks():
    network, gpu = network_of(), torch.device("cuda", 0)
    assert is_replayable(network[:3], gpu)
    assert not is_replayable(network[:3], torch.device("cpu"))
    for register in ("register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"):
        held = getattr(network[0], register)(lambda *_: None)
        assert not is_replayable(network[:3], gpu)
        held.remove()
    assert is_replayable(network[:3], gpu)


def small(*changes):
    return load_recipe("lenet5-fashion-mnist", ["data=fashion-mnist-2000", "epochs=1", "limit=250", "batch=100", *changes])


def test_training_is_the_same(recorder, monkeypatch, tmp_path):
    plain = loop.train(small(), tmp_path / "plain")
    monkeypatch.setattr(loop, "is_replayable", lambda network, device: True)
    found = loop.train(small(), tmp_path / "replayed")
    assert recorder.replayed == [100, 100]  # not the last 50
    for name, value in found.network.state_dict().items():
        assert torch.equal(value, plain.network.state_dict()[name]), name


def test_what_diverges_is_named_though_it_was_recorded(recorder, monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "is_replayable", lambda network, device: True)
    with pytest.raises(loop.NetworkError, match=r"step \d: the loss is (nan|inf); .* (is not finite|is that of) "):
        loop.train(replace(small("architecture=lenet5-conv"), rate=1e18), tmp_path)  # no recipe may ask for it


def test_products_are_whole_on_a_gpu_alone():
    places = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    before = [place.fp32_precision for place in places]
    for kind, wanted in (("cpu", before), ("cuda", ["ieee", "ieee"])):
        with pytest.raises(ZeroDivisionError), whole_products(SimpleNamespace(device=torch.device(kind))):
            assert [place.fp32_precision for place in places] == wanted
            raise ZeroDivisionError
        assert [place.fp32_precision for place in places] == before

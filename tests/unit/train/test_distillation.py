import re

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from addersim.datasets import load  # noqa: E402
from addersim.errors import ConfigError  # noqa: E402
from addersim.train import loop  # noqa: E402
from addersim.train.distillation import Distiller, distiller  # noqa: E402
from addersim.train.models import build  # noqa: E402
from addersim.train.nn import adder_layers  # noqa: E402
from addersim.train.recipe import Recipe  # noqa: E402
from tests.unit.train.embedded import embedded  # noqa: E402

PIXELS = load("fashion-mnist-2000", limit=64)
SMALL = {"data": "fashion-mnist", "epochs": 2, "batch": 32}


@pytest.fixture(autouse=True)
def embedded_images():
    with embedded(PIXELS):
        yield


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    with embedded(PIXELS):
        loop.train(Recipe(architecture="lenet5-conv", **SMALL), folder)
    return folder


def weights(run):
    return run.network.state_dict()


def test_the_loss_of_logits_is_the_one_that_is_written_down(teacher):
    recipe = Recipe(architecture="lenet5-adder", teacher=str(teacher), temperature=3.0, distill_weight=0.25, **SMALL)
    found = distiller(recipe, build("lenet5-adder", seed=1))
    pixels, labels = torch.randn(6, 1, 28, 28), torch.arange(6)
    scores = torch.randn(6, 10, requires_grad=True)
    hard = functional.cross_entropy(scores, labels)
    with torch.no_grad():
        goal = torch.softmax(found.teacher.eval()(pixels) / 3, 1)
    kl = (goal * (goal.log() - torch.log_softmax(scores / 3, 1))).sum(1).mean()
    assert found.loss(hard, scores, pixels, labels).item() == pytest.approx((0.75 * hard + 0.25 * 9 * kl).item(), rel=1e-5)
    assert not list(found.trained())


def test_a_student_of_logits_goes_another_way_and_its_teacher_stays(tmp_path, teacher):
    before = (teacher / loop.CHECKPOINT).read_bytes()
    plain = loop.train(Recipe(architecture="lenet5-adder", **SMALL), tmp_path / "plain")
    taught = loop.train(Recipe(architecture="lenet5-adder", teacher=str(teacher), **SMALL), tmp_path / "taught")
    assert not torch.equal(weights(plain)["fc3.adder"], weights(taught)["fc3.adder"])
    assert (teacher / loop.CHECKPOINT).read_bytes() == before
    assert weights(taught).keys() == weights(plain).keys()


def pair(**changes):
    recipe = Recipe(architecture="lenet5-adder", distill="pkkd", **SMALL | changes)
    student = build("lenet5-adder", seed=1)
    return student, distiller(recipe, student)


def test_kernels_pass_gradients_to_student_and_transform_and_none_to_the_teacher():
    student, found = pair(distill_weight=0.0)
    pixels, labels = torch.randn(8, 1, 28, 28), torch.arange(8)
    scores = student(pixels)
    taught = functional.cross_entropy(found.teacher(pixels), labels)
    own = torch.autograd.grad(taught, found.teacher.conv1.weight)[0]
    total = found.loss(functional.cross_entropy(scores, labels), scores, pixels, labels)
    names = [name for name, _ in adder_layers(student)]
    wanted = [student.conv1.adder, found.teacher.conv1.weight, found.kernels[0].log_width, found.kernels[0].mix.weight]
    gradients = torch.autograd.grad(total, wanted)
    assert list(found.names) == names
    assert torch.allclose(gradients[1], own, rtol=1e-4, atol=1e-6)
    assert all(one.abs().sum() > 0 for one in gradients)


def test_the_weight_of_features_is_that_of_their_mean_square():
    pixels, labels = torch.randn(8, 1, 28, 28), torch.arange(8)
    totals = []
    for weight in (0.0, 1.0, 3.0):
        student, found = pair(feature_weight=weight)
        scores = student(pixels)
        totals.append(found.loss(functional.cross_entropy(scores, labels), scores, pixels, labels).item())
    assert totals[1] > totals[0]
    assert totals[2] - totals[0] == pytest.approx(3 * (totals[1] - totals[0]), rel=1e-4)


class Killed(BaseException):
    pass


def test_killed_and_resumed_the_teacher_goes_on_too(tmp_path, monkeypatch):
    recipe = Recipe(architecture="lenet5-adder", distill="pkkd", **SMALL | {"epochs": 3})
    whole = loop.train(recipe, tmp_path / "whole")
    calls, real = iter(range(100)), Distiller.loss

    def dies(self, *arguments):
        if next(calls) == 3:
            raise Killed
        return real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Distiller, "loss", dies)
        with pytest.raises(Killed):
            loop.train(recipe, tmp_path / "killed")
    resumed = loop.train(recipe, tmp_path / "killed")
    assert all(torch.equal(tensor, weights(resumed)[name]) for name, tensor in weights(whole).items())


@pytest.mark.parametrize("architecture", ["resnet20-adder", "squeezenet1.1-cifar-adder", "mobilenetv2-cifar-adder"])
def test_each_adder_layer_finds_the_layer_of_its_place_in_the_twin(architecture):
    recipe = Recipe(architecture=architecture, data="cifar10", distill="pkkd")
    student = build(**recipe.network(), seed=1)
    found = distiller(recipe, student)
    pixels, labels = torch.randn(2, 3, 32, 32), torch.arange(2)
    scores = student(pixels)
    assert len(found.kernels) == len(list(adder_layers(student)))
    assert found.loss(functional.cross_entropy(scores, labels), scores, pixels, labels).isfinite()


def test_what_cannot_teach_is_refused_before_training(tmp_path, teacher):
    def refused(match, **changes):
        with pytest.raises(ConfigError, match=match):
            loop.train(Recipe(**{"architecture": "lenet5-adder", **SMALL, **changes}), tmp_path / "run")
        assert not (tmp_path / "run" / loop.CHECKPOINT).exists()

    refused(f"teacher: no file {re.escape(str(tmp_path / 'none'))}; name the folder", teacher=str(tmp_path / "none"))
    refused("teacher: no file .*checkpoint.safetensors; name the folder", teacher=str(tmp_path))
    wrong = "teacher: .*network.npz: not a checkpoint, or damaged: .*; name the folder of a training run"
    refused(wrong, teacher=str(teacher / "network.npz"))
    refused("teacher: .* tells apart the 10 classes of fashion-mnist, not the 10 of mnist", teacher=str(teacher), data="mnist")
    other = {"architecture": "vgg-small-adder", "data": "cifar10"}
    refused(r"teacher: .* takes images \(1, 28, 28\), data cifar10 has \(3, 32, 32\)", teacher=str(teacher), **other)
    refused("distill logits: needs a teacher", distill="logits")
    refused(
        "distill pkkd: is for architectures in -adder, -euclidean; found lenet5-conv",
        distill="pkkd",
        architecture="lenet5-conv",
    )
    loop.train(Recipe(architecture="lenet5-adder", **SMALL), tmp_path / "adder")
    refused("is a lenet5-adder; distill pkkd compares", teacher=str(tmp_path / "adder"), distill="pkkd")
    with pytest.raises(ConfigError, match="distill pkkd: runs in one process, found 2"):
        distiller(Recipe(architecture="lenet5-adder", distill="pkkd", **SMALL), build("lenet5-adder"), 2)

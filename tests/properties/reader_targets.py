"""What the fuzz test of the readers damages: a sound file of every kind, its reader, and the command lines that take it."""

import dataclasses
import gzip
import io
import pickle
import struct
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
import torch
from PIL import Image
from safetensors.torch import save as dumped

from addersim import LayerBits, Network, Program, Quantization, load_images, load_multiplier, quantize
from addersim.config import load_toml
from addersim.datasets import DATASETS, load_own, read
from addersim.datasets.pictures import picture
from addersim.exploration.bit_search import to_toml
from addersim.exploration.sweeps.results import read_study
from addersim.exploration.sweeps.run import recall, sweep
from addersim.exploration.sweeps.study import Study, load_study
from addersim.frontends.onnx import lower_onnx
from addersim.frontends.scalesim import load_topology
from addersim.hardware.load import load_accelerator
from addersim.hardware.prices.csv_file import load_table
from addersim.layers import Add, Affine, AveragePool, MaxPool, Move, Relu, Window
from addersim.report.sweep.render import render_sweep
from addersim.train.checkpoint import load_checkpoint, save_checkpoint
from addersim.train.models import build
from addersim.train.recipe import Recipe, load_recipe
from addersim.train.weights import read_state_dict
from tests.properties.mutators import binary, json_text, npy, pickled, protobuf, safetensors, text, zipped
from tests.unit.frontends.onnx import quantised_networks
from tests.unit.frontends.onnx.models import node, weights, whole
from tests.unit.frontends.scalesim.test_topology import CONFIGURATION
from tests.unit.multipliers import multiplier

MOST_PIXELS = 10_000
"""Of an image on which a damaged network is run."""
DATA = Path(__file__).parents[2] / "addersim" / "data"


@dataclasses.dataclass(frozen=True)
class Target:
    """A kind of file.

    `read` gets the path; command lines have ``{}`` where the path stands. Where several files lie in one folder, `beside` are
    the sound ones, by path below it, and `place` is where the damaged one goes. `share` is how much of the mutants it gets.
    """

    name: str
    place: str
    sound: bytes
    mutate: Callable
    read: Callable
    verbs: tuple = ()
    beside: Mapping = dataclasses.field(default_factory=dict)
    share: float = 1.0


def small_network():
    """A network of some kilobytes for the embedded images, with every layer kind."""
    random = np.random.default_rng(3)

    def draw(*shape):
        return random.normal(0, 0.5, shape).astype(np.float32)

    layers = (
        MaxPool(name="small", inputs=("input",), kernel=(4, 4), stride=(4, 4)),
        Window(name="conv", inputs=("small",), arithmetic="l1", weights=draw(4, 1, 3, 3), padding=(1, 1)),
        Affine(name="norm", inputs=("conv",), multiplier=draw(4).astype(float), addend=draw(4).astype(float)),
        Relu(name="relu", inputs=("norm",)),
        Window(name="again", inputs=("relu",), arithmetic="mac", weights=draw(4, 2, 1, 1), groups=2, bias=draw(4)),
        Add(name="add", inputs=("relu", "again")),
        AveragePool(name="mean", inputs=("add",), kernel=None),
        Move(name="flat", inputs=("mean",)),
        Window(name="end", inputs=("flat",), arithmetic="mac", weights=draw(10, 4, 1, 1)),
    )
    return Network(name="small", input_shape=(1, 28, 28), mean=(0.3,), std=(0.4,), layers=layers)


def targets(folder):
    """All of them; their sound files are made in a folder."""
    return (
        *_networks(folder),
        *_quantised(),
        *_tflite(),
        *_texts(folder),
        *_weights(folder),
        *_sweeps(folder),
        *_images(folder),
        *_multipliers(),
    )


def _networks(folder):
    network = small_network()
    network.save(folder / "sound.npz")
    pixels = load_images("fashion-mnist-2000", split="train", limit=8).pixels
    quantize(network, pixels, Quantization(weight_bits=4, activation_bits=5)).save(folder / "program.npz")
    model = whole(
        [
            node("Conv", "x", "w", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
            node("BatchNormalization", "conv_out", "g", "b", "m", "v", name="bn", epsilon=1e-5),
            node("Relu", "bn_out"),
            node("MaxPool", "relu_out", name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        ],
        {"w": weights(4, 3, 3, 3), "g": weights(4), "b": weights(4), "m": weights(4), "v": np.abs(weights(4)) + 1},
        (4, 4, 4),
    ).SerializeToString()
    wide = zipped(npy)
    verbs = (
        ("check", "{}"),
        ("count", "{}"),
        ("estimate", "{}"),
        ("simulate", "{}", "--limit", "2"),
        ("estimate", "{}", "--json"),
    )
    return (
        Target("network .npz", "a.npz", (folder / "sound.npz").read_bytes(), wide, Network.load, verbs, share=3),
        Target("program .npz", "a.npz", (folder / "program.npz").read_bytes(), wide, Program.load, verbs, share=3),
        Target("ONNX", "a.onnx", model, protobuf(onnx.ModelProto.FromString), lower_onnx,
               (("check", "{}"), ("lower", "{}", "-o", "{}.npz"), ("estimate", "{}")), share=3),
    )  # fmt: skip


def _quantised():
    """ONNX files of quantised networks: what is read is run, too, on one image."""

    def read(path):
        found = lower_onnx(path)
        if isinstance(found, Program) and int(np.prod(found.input_shape)) < MOST_PIXELS:
            found.run(np.zeros((1, *found.input_shape), np.float32))

    verbs = (("check", "{}"), ("count", "{}"), ("lower", "{}", "-o", "{}.npz"), ("prove", "{}"))
    made = {"QDQ": quantised_networks.of_reals, "QOperator": quantised_networks.of_codes, "QONNX": quantised_networks.of_steps}
    mutate = protobuf(onnx.ModelProto.FromString)
    return tuple(
        Target(name, "a.onnx", make().SerializeToString(), mutate, read, verbs, share=0.7) for name, make in made.items()
    )


def _tflite():
    if find_spec("tflite") is None:
        return ()
    from addersim.frontends.tflite import lower_tflite
    from tests.unit.frontends.tflite.networks import dense

    verbs = (("check", "{}"), ("count", "{}"), ("lower", "{}", "-o", "{}.npz"))
    return (Target("TFLite", "a.tflite", dense("INT8", "RELU").content(), binary, lower_tflite, verbs, share=3),)


def _texts(folder):
    network = str(folder / "sound.npz")
    topology = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
    topology += "conv1, 34, 34, 3, 3, 3, 16, 1,\nconvDP, 16, 16, 3, 3, 8, 1, 2,\n"
    study = f"""networks = ["{network}"]
bits = "2..4,8"
accumulator = ["exact", "16:wrap"]
accelerator = ["systolic-16x16"]
images = 4
calibration_images = 4
[quantization]
rounding = "half-even"
[quantization.layers.conv]
weight_bits = 3
"""
    rules = to_toml(Quantization(weight_bits=5, layers={"conv": LayerBits(weight_bits=3, activation_bits=4)}))

    def bundled(*names):
        return DATA.joinpath(*names).read_bytes()

    machine = (("check", "{}"), ("estimate", network, "--accelerator", "{}"))
    return (
        Target("accelerator", "a.toml", bundled("accelerators", "systolic-16x16.toml"), text, load_accelerator, machine),
        Target("accelerator, rows", "a.toml", bundled("accelerators", "eyeriss-65nm.toml"), text, load_accelerator, machine),
        Target("study .toml", "a.toml", study.encode(), text, load_study, (("check", "{}"),), share=2),
        Target("recipe .toml", "a.toml", bundled("studies", "lenet5-mnist.toml"), text, lambda path: load_recipe(str(path))),
        Target("formats .toml", "a.toml", rules.encode(), text, lambda path: load_toml(path, Quantization),
               (("simulate", network, "--limit", "2", "--rules", "{}"),)),
        Target("energy .csv", "a.csv", bundled("energy", "horowitz-45nm.csv"), text, load_table,
               (("check", "{}"), ("estimate", network, "--table", "{}"))),
        Target("topology .csv", "a.csv", topology.encode(), text, load_topology, (("count", "{}"), ("estimate", "{}"))),
        Target("SCALE-Sim .cfg", "a.cfg", CONFIGURATION.encode(), text, load_accelerator, machine),
    )  # fmt: skip


def _multipliers():
    products, array, archive, table = multiplier(5).products, io.BytesIO(), io.BytesIO(), "table.bin"
    np.save(array, products)
    np.savez_compressed(archive, products=products)
    numbers, short = "\n".join(",".join(map(str, row)) for row in products.tolist()), products.astype("<u2").tobytes()
    said = f'products = "{table}"\noperands = "unsigned"\nrelative_energy = 0.5\nrelative_area = 0.6\nsource = "a book"\n'
    verbs = (("multiplier", "{}"), ("count", "lenet5-conv", "--multiplier", "{}"))
    return (
        Target("multiplier .npy", "a.npy", array.getvalue(), npy, load_multiplier, verbs, share=0.3),
        Target("multiplier .npz", "a.npz", archive.getvalue(), zipped(npy), load_multiplier, verbs, share=0.3),
        Target("multiplier .csv", "a.csv", numbers.encode(), text, load_multiplier, verbs, share=0.05),
        Target("multiplier .bin", "a.bin", short, binary, load_multiplier, verbs, share=0.3),
        Target("multiplier .toml", "a.toml", said.encode(), text, load_multiplier, verbs, MappingProxyType({table: short})),
    )


def _weights(folder):
    recipe = Recipe(architecture="lenet5-adder", data="fashion-mnist-2000", epochs=1, limit=8, batch=4)
    module = build("lenet5-adder", seed=0)
    optimizer = torch.optim.SGD(module.parameters(), 0.1, 0.9)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    path = folder / "checkpoint.safetensors"
    save_checkpoint(path, recipe, module, optimizer, scaler, [{"epoch": 1.0, "train_accuracy": 0.4, "test_accuracy": 0.5}])
    state = module.state_dict()
    saved = {}
    for name, options in (("zip", {}), ("old", {"_use_new_zipfile_serialization": False})):
        torch.save(state, folder / name, **options)
        saved[name] = (folder / name).read_bytes()
    verbs = (("lower", "lenet5-adder", "--weights", "{}", "-o", "{}.npz"),)
    return (
        Target("weights .pth", "a.pth", saved["zip"], zipped(binary), read_state_dict, verbs, share=0.7),
        Target("weights .pth, old", "a.pth", saved["old"], pickled, read_state_dict, verbs, share=0.7),
        Target("weights .safetensors", "a.safetensors", dumped(state), safetensors, read_state_dict, verbs, share=0.7),
        Target(
            "checkpoint",
            "c.safetensors",
            path.read_bytes(),
            safetensors,
            lambda path: load_checkpoint(path).lowered(),
            share=0.7,
        ),
    )


def _sweeps(folder):
    study = Study(networks=(str(folder / "sound.npz"),), bits=(3, 4), images=8, calibration_images=8)
    place = folder / "sweep"
    sweep(study, place, jobs=1)
    files = {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}
    files = {name: content for name, content in files.items() if not name.endswith(".parquet")}
    files["scan.csv"] = b"layer,operand,bits,agreement,loss_points\nconv,weights,3,0.5,1.5\nend,weights,4,0.9,0.5\n"

    def page(path):
        return render_sweep(path.parents[path.parent.name in ("simulation", "cost") and 2])

    def whole_folder(path):
        return recall(path.parents[2])

    def target(name, place, read, **more):
        mutate = json_text if place.endswith(".json") else text
        return Target(name, place, files[place], mutate, read, beside=MappingProxyType(files), **more)

    jobs = [next(name for name in files if name.startswith(f"jobs/{kind}/")) for kind in ("simulation", "cost")]
    return (
        target(
            "study.json", "study.json", lambda path: read_study(path.parent), verbs=(("sweep", "--report", "-o", "{folder}"),)
        ),
        target("sweep: simulation", jobs[0], whole_folder),
        target("sweep: cost", jobs[1], whole_folder),
        target("sweep: results.csv", "results.csv", page, share=0.05),
        target("sweep: scan.csv", "scan.csv", page, share=0.05),
        target("sweep: page's jobs", jobs[0], page, share=0.05),
    )


def _images(folder):
    counts = MappingProxyType({"train": 4, "test": 4})
    small = {
        name: dataclasses.replace(DATASETS[name], counts=counts, default_root=None, checksums=MappingProxyType({}))
        for name in ("mnist", "cifar10", "fashion-mnist-2000")
    }
    random = np.random.default_rng(5)
    pixels, labels = random.integers(0, 256, (4, 28, 28), dtype=np.uint8), random.integers(0, 10, 4, dtype=np.uint8)
    image_file, label_file = (
        bytes((0, 0, 8, one.ndim)) + struct.pack(f">{one.ndim}I", *one.shape) + one.tobytes() for one in (pixels, labels)
    )
    rows = np.concatenate([labels[:, None], random.integers(0, 256, (4, 3072), dtype=np.uint8)], axis=1)
    batch = pickle.dumps({b"labels": labels.tolist(), b"data": rows[:, 1:], b"filenames": [b"x.png"] * 4}, 3)
    stored = io.BytesIO()
    np.savez_compressed(stored, test_pixels=pixels[:, None], test_labels=labels)
    pictures = {}
    for kind in ("PNG", "JPEG"):
        made = io.BytesIO()
        Image.fromarray(rows[0, 1:].reshape(32, 32, 3)).save(made, kind)
        pictures[kind] = made.getvalue()
    network, own, alone, large = small_network(), io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez_compressed(own, images=pixels, labels=labels)
    np.save(alone, pixels)
    Image.fromarray(pixels[0]).save(large, "PNG")
    own_verbs = (("simulate", str(folder / "sound.npz"), "--data", "{}"),)
    names = {"images": "t10k-images-idx3-ubyte", "labels": "t10k-labels-idx1-ubyte"}
    beside = MappingProxyType({names["images"]: image_file, names["labels"]: label_file})

    def reader(name):
        return lambda path: read(small[name], path.parent)

    return (
        Target("idx images", names["images"], image_file, binary, reader("mnist"), beside=beside),
        Target("idx labels", names["labels"], label_file, binary, reader("mnist"), beside=beside),
        Target("idx .gz", f"{names['labels']}.gz", gzip.compress(label_file, mtime=0), binary, reader("mnist"),
               beside=MappingProxyType({names["images"]: image_file})),
        Target("CIFAR binary", "test_batch.bin", rows.tobytes(), binary, reader("cifar10")),
        Target("CIFAR batch", "test_batch", batch, pickled, reader("cifar10")),
        Target("images .npz", "fashion_mnist_2000.npz", stored.getvalue(), zipped(npy), reader("fashion-mnist-2000")),
        Target("own images .npz", "a.npz", own.getvalue(), zipped(npy), lambda path: load_own(path, network), own_verbs),
        Target("own images .npy", "a.npy", alone.getvalue(), npy, lambda path: load_own(path, network), own_verbs),
        Target("own picture .png", "0.png", large.getvalue(), binary, lambda path: load_own(path.parent, network)),
        Target("picture .png", "a.png", pictures["PNG"], binary, lambda path: picture(path, 8)),
        Target("picture .jpeg", "a.jpeg", pictures["JPEG"], binary, lambda path: picture(path, 8)),
    )  # fmt: skip

"""Plan: a study with everything that it names loaded, checked and hashed, and the jobs that its points share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from msgspec.structs import replace

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.datapaths import datapath
from addersim.arithmetic.multiplier import MultiplierTable
from addersim.arithmetic.multiplier_files import load_multiplier
from addersim.datasets.find import find_images
from addersim.datasets.records import Images
from addersim.datasets.registry import DATASETS
from addersim.errors import AddersimError, ConfigError
from addersim.exploration.sweeps.fingerprint import code_digest
from addersim.exploration.sweeps.job_files import CostKey, SimulationKey, digest
from addersim.exploration.sweeps.study import EXACT, Study, once
from addersim.hardware.accelerator import Accelerator
from addersim.hardware.designs.design_grid import design_grid, grid_points
from addersim.hardware.load import load_accelerator
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.prices.table import EnergyTable
from addersim.images import check_declared
from addersim.layers import Window
from addersim.model_zoo import is_architecture, load_network
from addersim.network import Network
from addersim.quantization.pipeline import check_layer_names
from addersim.quantization.rules import Circuit, Quantization
from addersim.storage import record_digest

__all__ = ["Plan", "Point", "make_plan"]

Loaded = TypeVar("Loaded")
_PLAIN = Quantization()


@dataclass(frozen=True, slots=True)
class Point:
    """One row of the results: its place on every axis, and the two jobs behind it.

    Attributes
    ----------
    network, accelerator, table
        Names in the plan.
    arithmetic
        What its windows compute: ``l1``, ``mac`` or ``l1+mac``.
    rules
        How it is quantised, for circuit 2a.
    circuit, clip_weights
        None in a network without adder layers: points that differ in nothing else are one.
    multiplier
        Its name in the plan, or ``exact``; None in a network without multiplying layers.
    simulation, cost
        Keys of its jobs.
    """

    network: str
    arithmetic: str
    rules: Quantization
    circuit: Circuit | None
    clip_weights: bool | None
    multiplier: str | None
    accelerator: str
    table: str
    simulation: SimulationKey
    cost: CostKey


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sweep works on.

    Attributes
    ----------
    study
        The study.
    points
        In the order of its results.
    networks, multipliers, accelerators, tables
        By the names that points use.
    calibration, test
        Images that choose scales, and images that are simulated.
    warnings
        What makes accuracies on these images doubtful, a line each.
    """

    study: Study
    points: tuple[Point, ...]
    networks: Mapping[str, Network]
    multipliers: Mapping[str, MultiplierTable]
    accelerators: Mapping[str, Accelerator]
    tables: Mapping[str, EnergyTable]
    calibration: Images
    test: Images
    warnings: tuple[str, ...] = ()


def check_costs(study: Study) -> None:
    """Refuse a study whose accelerators or tables do not exist, in the same words."""
    _designs(_load("accelerator", study.accelerator, load_accelerator), study)
    _load("table", study.table, load_table)


def make_plan(study: Study) -> Plan:
    """Load and check all that a study names, so that nothing impossible is found out after hours of work.

    Raises
    ------
    AddersimError
        For a network, accelerator, table or image set that does not exist or does not fit, with the study's key.
    """
    networks = _load("networks", study.networks, _trained)
    multipliers = _multipliers(study, networks)
    accelerators = _designs(_load("accelerator", study.accelerator, load_accelerator), study)
    tables = _load("table", study.table, load_table)
    for name, network in networks.items():
        _check_network(name, network, study)
    _check_datapaths(study, networks.values())
    calibration, test, warned = _images(study, networks)
    points = {
        (point.network, point.multiplier, point.accelerator, point.table, digest(point.cost)): point
        for point in _points(study, networks, multipliers, (accelerators, tables), (calibration, test))
    }
    return Plan(study, tuple(points.values()), networks, multipliers, accelerators, tables, calibration, test, warned)


def _load(key: str, texts: Sequence[str], load: Callable[[str], Loaded]) -> dict[str, Loaded]:
    """What the texts name, each under its own name, or under its text where several have that name."""
    found = []
    for text in once(texts):
        try:
            found.append((text, load(text)))
        except AddersimError as error:
            raise type(error)(f"{key}: {error}") from None
    names = [one.name for _, one in found]  # type: ignore[attr-defined]  # networks, accelerators and tables have names
    return {own if names.count(own) == 1 else text: one for own, (text, one) in zip(names, found, strict=True)}


def _multipliers(study: Study, networks: Mapping[str, Network]) -> dict[str, MultiplierTable]:
    """The tables that a study names, none of which may change nothing."""
    found = _load("multiplier", [text for text in study.multiplier or () if text != EXACT], load_multiplier)
    if found and not any(map(_multiplies, networks.values())):
        raise ConfigError("multiplier: no layer of the networks multiplies, so that it would change nothing")
    if EXACT in found:
        raise ConfigError(
            f"multiplier: a table named {EXACT!r}, which is what having none is called here; give it another name"
        )
    return found


def _multiplies(network: Network) -> bool:
    return any(isinstance(layer, Window) and layer.arithmetic == "mac" for layer in network.layers)


def _designs(accelerators: Mapping[str, Accelerator], study: Study) -> dict[str, Accelerator]:
    """The accelerators, or in the place of each the designs of the study's grid, under names that say what they are."""
    if not study.grid:
        return dict(accelerators)
    words = [", ".join(f"{field} {value}" for field, value in point.items()) for point in grid_points(study.grid)]
    return {
        f"{name}, {word}": design
        for name, machine in accelerators.items()
        for word, design in zip(words, design_grid(machine, study.grid), strict=True)
    }


def _trained(text: str) -> Network:
    if is_architecture(text):
        raise ConfigError(f"network {text!r}: an architecture with random weights has no accuracy; give a trained file")
    return load_network(text)


def _check_network(name: str, network: Network, study: Study) -> None:
    data = DATASETS.get(study.data)
    if data and (network.input_shape != data.shape or network.outputs != len(data.classes)):
        raise ConfigError(
            f"networks: {name} takes {_taken(network)}; data {data.name} has {data.shape} in {len(data.classes)}"
        )
    try:
        check_layer_names(study.quantization, network)
    except AddersimError as error:
        raise type(error)(f"quantization: {error} (network {name})") from None


def _check_datapaths(study: Study, networks: Iterable[Network]) -> None:
    """Refuse a datapath that no network could run on: it would change nothing, and seem to."""
    computed = {layer.arithmetic for network in networks for layer in network.layers if isinstance(layer, Window)}
    named = [datapath(one) for one in study.datapath or study.circuit or ()]
    if idle := [one.name for one in named if one.arithmetic.name not in computed]:
        told = f"no layer of the networks computes; they compute {', '.join(sorted(computed))}"
        raise ConfigError(f"datapath: found {idle[0]}, which {told}")


def _taken(network: Network) -> str:
    return f"images of {network.input_shape} in {network.outputs} classes"


def _images(study: Study, networks: Mapping[str, Network]) -> tuple[Images, Images, tuple[str, ...]]:
    """Images that calibrate and labelled images to test, the same for all networks; and what is doubtful about them."""
    first, *others = networks.values()
    for one in others:
        if (one.input_shape, one.outputs) != (first.input_shape, first.outputs) or (
            one.classes and first.classes and one.classes != first.classes
        ):
            told = f"{one.name} takes {_taken(one)}, {first.name} takes {_taken(first)}"
            raise ConfigError(f"networks: {told}; one sweep runs all of them on the same images and classes")
    train = find_images(study.data, study.root, first, "train", study.calibration_images, study.resize)
    test = find_images(study.data, study.root, first, "test", study.images, study.resize)
    test.images.needed_labels("a sweep")
    for one in others:
        for found in (train, test):
            check_declared(found.images.pixels, one.preprocessing, f"{found.images.name}, network {one.name}")
    return train.images, test.images, tuple(dict.fromkeys((*test.warnings, *train.warnings)))


def _points(
    study: Study,
    networks: Mapping[str, Network],
    multipliers: Mapping[str, MultiplierTable],
    hardware: tuple[Mapping[str, Accelerator], Mapping[str, EnergyTable]],
    images: tuple[Images, Images],
) -> Iterator[Point]:
    accelerators, tables = hardware
    code = code_digest()
    calibration, test = (one.digest() for one in images)
    machines = {name: digest(one) for name, one in accelerators.items()}
    prices = {name: digest(one.rows) for name, one in tables.items()}
    contents = {name: record_digest(one) for name, one in networks.items()}
    products = {EXACT: None, **{name: record_digest(one) for name, one in multipliers.items()}}
    chosen = [name for name in products if name != EXACT or study.multiplier is None or EXACT in study.multiplier]
    for name, how, multiplier in itertools.product(networks, list(study.rules()), chosen):
        exact = not _multiplies(networks[name])
        lanes = sorted({layer.arithmetic for layer in networks[name].layers if isinstance(layer, Window)})
        adder, clips = "l1" in lanes, any(ARITHMETICS[name].exact_clip for name in lanes)
        rules = replace(how, circuit=_PLAIN.circuit, clip_weights=how.clip_weights if clips else _PLAIN.clip_weights)
        simulation = SimulationKey(
            network=contents[name],
            multiplier=None if exact else products[multiplier],
            calibration_images=calibration,
            test_images=test,
            rules=rules,
            code=code,
        )
        behind, circuit = digest(simulation), how.circuit if adder else None
        for machine, table in itertools.product(machines, prices):
            for batch in once(study.batch or (accelerators[machine].batch,)):
                yield Point(
                    network=name,
                    arithmetic="+".join(lanes),
                    rules=rules,
                    circuit=circuit,
                    clip_weights=how.clip_weights if clips else None,
                    multiplier=None if exact else multiplier,
                    accelerator=machine,
                    table=table,
                    simulation=simulation,
                    cost=CostKey(
                        simulation=behind,
                        circuit=circuit,
                        accelerator=machines[machine],
                        table=prices[table],
                        batch=batch,
                        code=code,
                    ),
                )

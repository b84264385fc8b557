"""The house stands: imports go downwards only, heavy libraries stay where they belong, registries are complete."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "addersim"

# Of two names that both fit, the longer one decides. A package's face, its __init__, is named as the package.
FLOORS = {
    "inputs": 1,
    "processes": 1,
    "errors": 1,
    "config": 1,
    "glossary": 1,
    "storage": 1,
    "format_quantity": 1,
    "tabular": 1,
    "arithmetic": 1,
    "quantization.rules": 1,
    "_core": 2,
    "kernels": 2,
    "rtl": 2,
    "images": 3,
    "streamed": 3,
    "totals": 3,
    "toggles": 3,
    "network": 3,
    "program": 3,
    "steps": 3,
    "trace": 3,
    "zeros": 3,
    "engines": 3,
    "layers": 3,
    "datasets": 3,
    "simulated_batches": 3,
    "simulation": 4,
    "certificate": 4,
    "quantization": 4,
    "pruning": 4,
    "twins": 4,
    "golden": 4,
    "hardware": 4,
    "results": 4,
    "train": 5,
    "report": 5,
    "frontends": 5,
    "model_zoo": 5,
    "nn": 5,
    "figures": 5,
    "exploration": 6,
    "cli": 6,
    "__init__": 6,
    "__main__": 6,
}
HARDWARE = (  # the order inside hardware, lowest first
    ("accelerator", "arrays", "even_parts", "file_keys", "kept_weights", "processing_array"),
    ("schedule", "traffic", "cost", "layer_cost", "sparsity", "zero_savings", "residency", "tap_order", "operand_activity"),
    ("batches", "chain_parts"),
    ("prices",),
    ("gates",),
    ("dataflow",),
    ("operand_streams",),
    ("row_operands", "row_sums"),
    ("activity", "latency", "area", "leakage", "idle", "load", "scalesim", "second_level"),
    (
        "depth_first",
        "estimate",
        "layer_walk",
        "least_way",
        "own_clock",
        "runs",
        "shape_bounds",
        "shape_search",
        "sizing",
        "table_range",
    ),
    ("designs",),
    ("__init__",),
)
ONLY_IN = {
    "torch": {"train", "frontends.torch", "cli"},
    "pandas": {"report", "tabular"},
    "plotly": {"report", "figures"},
    "kaleido": {"report.images"},
    "triton": {"train"},
    "cuda": {"train.cuda"},
    "typer": {"cli"},
    "joblib": {"exploration.sweeps"},
    "dask": {"exploration.sweeps"},
    "distributed": {"exploration.sweeps"},
    "ray": {"exploration.sweeps"},
    "pyarrow": {"exploration.sweeps", "datasets.parquet"},
    "onnx": {"frontends.onnx"},
    "tflite": {"frontends.tflite"},
    "flatbuffers": {"frontends.tflite"},
    "optuna": {"exploration.bit_search", "exploration.search_journal"},
}
# Of this package only the rules are had from its face, so that the face stands where they do.
FACES = {"quantization": "quantization.rules"}


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if "data" not in path.relative_to(PACKAGE).parts)


def name_of(path):
    """The dotted name of a file's module below the package; a package's own is that of its folder, and of ours __init__."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


NAMES = {name_of(path): path for path in modules()} | {"_core": PACKAGE / "_core.pyi"}


def within(name, places):
    """The longest of some places, folders or modules, that a module stands in; None where it stands in none."""
    fitting = [place for place in places if name == place or name.startswith(f"{place}.")]
    return max(fitting, key=len, default=None)


def floor(name):
    return FLOORS[within(FACES.get(name, name), FLOORS)]


def imported(tree):
    """(line, dotted name) of every import, those inside functions and TYPE_CHECKING blocks included.

    A name that is imported from a package is the module of that name, where there is one.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "imports are absolute"
            assert not node.level, "imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                known = inner.startswith("addersim.") and inner.removeprefix("addersim.") in NAMES
                yield node.lineno, inner if known else node.module


def own_imports(path):
    """(line, name below the package) of every import of ours; the package's own face is __init__."""
    for line, name in imported(ast.parse(path.read_text())):
        if name.split(".")[0] == "addersim":
            yield line, name.removeprefix("addersim").removeprefix(".") or "__init__"


GRAPH = {name: {target for _, target in own_imports(path)} for name, path in NAMES.items() if path.suffix == ".py"}


def circle(graph):
    """The modules of one circle of imports, in their order; empty where there is none."""
    done = set()

    def walk(name, way):
        if name in way:
            return [*way[way.index(name) :], name]
        if name not in done:
            for target in sorted(graph.get(name, ())):
                if found := walk(target, [*way, name]):
                    return found
            done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := walk(name, []))), [])


def hardware_floor(name):
    """A module's place in the order inside hardware; the folder's face imports what it shows and stands above all."""
    part = name.split(".")[1] if "." in name else "__init__"
    places = [number for number, parts in enumerate(HARDWARE) if part in parts]
    assert len(places) == 1, f"{name} stands in {len(places)} places of the order inside hardware, expected one"
    return places[0]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downwards(path):
    name = name_of(path)
    for line, target in own_imports(path):
        assert target in NAMES, f"{path}:{line} imports {target}, which is no module"
        assert floor(target) <= floor(name), f"{path}:{line}: floor {floor(name)} imports {target} on floor {floor(target)}"
    for line, full in imported(ast.parse(path.read_text())):
        owners = ONLY_IN.get(full.split(".")[0])
        assert owners is None or within(name, owners), f"{path}:{line} imports {full}; only {sorted(owners)} may"


def test_no_circle_of_imports():
    """Circles that only a type checker or a later call would see are circles too."""
    assert " > ".join(circle(GRAPH)) == ""


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"d", "b"}}) == ["b", "c", "b"]
    assert circle({"a": {"a"}}) == ["a", "a"]
    assert circle({"a": {"b", "c"}, "b": {"c"}}) == []


@pytest.mark.parametrize("name", sorted(name for name in NAMES if name.split(".")[0] == "hardware"))
def test_imports_inside_hardware_go_downwards(name):
    here = hardware_floor(name)
    for target in GRAPH[name]:
        if within(target, ["hardware"]):
            assert hardware_floor(target) <= here, f"{name} imports {target}, which stands above it"


def test_no_module_imports_the_face_of_its_own_package():
    """The face imports what it shows: a module behind it that asks it back is a circle that waits for its day."""
    for name, targets in GRAPH.items():
        folders = {name.rsplit(".", count)[0] for count in range(1, name.count(".") + 1)}
        assert not folders & targets, f"{name} imports {sorted(folders & targets)}"


def test_frontends_do_not_know_each_other():
    folders = [name for name, path in NAMES.items() if re.fullmatch(r"frontends\.\w+", name) and path.stem == "__init__"]
    assert folders
    for name, targets in GRAPH.items():
        if own := within(name, folders):
            others = {within(target, folders) for target in targets} - {None, own}
            assert not others, f"{name} imports {sorted(others)}"


def test_every_part_has_a_floor():
    assert [name for name in NAMES if not within(FACES.get(name, name), FLOORS)] == []
    assert [place for place in FLOORS if place not in NAMES] == []
    assert {part for parts in HARDWARE for part in parts} == {
        name.split(".")[1] if "." in name else "__init__" for name in NAMES if name.split(".")[0] == "hardware"
    }


def test_the_guide_for_contributors_tells_the_same_floors():
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| (\d) \w+ \| (.*) \|$", guide, re.MULTILINE)
    told = {
        name.replace("/", "."): int(floor)
        for floor, names in rows
        for name in re.findall(r"[\w/]+", re.sub(r"\(.*?\)", "", names))
    }
    assert told == {name: floor for name, floor in FLOORS.items() if name not in ("_core", "__main__")}
    (order,) = re.findall(r"^In `hardware`: (.*)\.$", guide, re.MULTILINE)
    assert [set(part.split(", ")) for part in order.split(" > ")] == [set(parts) for parts in reversed(HARDWARE[:-1])]


def test_only_kernels_imports_the_compiled_module():
    assert {name.split(".")[0] for name, targets in GRAPH.items() if "_core" in targets} == {"kernels"}


def _loaded_by(statement):
    code = f"{statement}; import sys; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    ("statement", "more"),
    [
        ("import addersim", {"numpy"}),
        ("import addersim.cli, addersim.cli.lower", {"numpy"}),
        ("from addersim import simulate, estimate, sweep", set()),
        ("import addersim; addersim.load('lenet5-adder')", set()),
    ],
)
def test_imports_stay_light(statement, more):
    heavy = {"torch", "pandas", "plotly", "triton", "cuda", "onnx", "tflite", "joblib", "distributed", "pyarrow", "optuna"}
    assert not (heavy | more) & _loaded_by(statement)


def test_every_public_name_can_be_had():
    import addersim

    for name in addersim.__all__:
        if name not in ("lower", "nn"):  # they need torch
            assert getattr(addersim, name) is not None
    assert {"Network", "load", "simulate", "__version__"} < set(addersim.__all__) == set(dir(addersim))
    stub = (PACKAGE / "__init__.pyi").read_text()
    assert stub.count("import") == len(addersim._PLACES), "a line of the stub that is no `from MODULE import NAME as NAME`"
    places = {
        there if module == "addersim" else module.removeprefix("addersim.") for module, there in addersim._PLACES.values()
    }
    assert places <= set(NAMES)
    with pytest.raises(AttributeError, match="no attribute 'adder'"):
        _ = addersim.adder


def test_every_arithmetic_is_complete():
    """One record, a row in C that it names, a datapath; and no field of the record that nobody reads."""
    import dataclasses

    from addersim import _core
    from addersim.arithmetic.arithmetics import ARITHMETICS, BY_TABLE, Arithmetic
    from addersim.arithmetic.datapaths import DATAPATHS

    assert set(_core.arithmetics()) == {record.kernel for record in ARITHMETICS.values()}
    assert {*ARITHMETICS, BY_TABLE.name} == {record.arithmetic.name for record in DATAPATHS.values()}
    for name, record in ARITHMETICS.items():
        assert record.name == name
    code = "".join(path.read_text() for path in PACKAGE.rglob("*.py") if path.stem != "arithmetics")
    for field in dataclasses.fields(Arithmetic):
        assert re.search(rf"(arithmetic|record|\[[^]]*\]|one|\))\.{field.name}\b", code), field.name


def test_numbers_that_cross_into_c_are_those_of_its_enums():
    from addersim import _core
    from addersim.kernels import core

    numbers = _core.numbers()
    assert numbers["overflow"] == core.OVERFLOWS
    assert numbers["rounding"] == core.ROUNDINGS
    assert numbers["type"] == {kind.name: number for kind, number in core._NUMBERS.items()}


def test_kernels_and_reference_have_the_same_functions():
    import inspect

    from addersim import kernels
    from addersim.kernels import reference

    own = {name for name, one in vars(reference).items() if inspect.isfunction(one) and one.__module__ == reference.__name__}
    assert {name for name in own if not name.startswith("_")} <= set(reference.__all__)
    for name in reference.__all__:
        ours, twin = (inspect.signature(getattr(engine, name)) for engine in (kernels, reference))
        assert list(ours.parameters) == list(twin.parameters), name

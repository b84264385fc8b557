"""The house stands: imports go downwards only, heavy libraries stay where they belong, registries are complete."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "addersim"

FLOORS = {
    "errors": 1,
    "text": 1,
    "opening": 1,
    "limits": 1,
    "pareto": 1,
    "ops": 1,
    "arithmetics": 1,
    "fixed": 1,
    "config": 1,
    "storage": 1,
    "geometry": 1,
    "arguments": 2,
    "datafiles": 1,
    "quantization": 1,
    "trace": 1,
    "units": 1,
    "_core": 2,
    "kernels": 2,
    "reference": 2,
    "batches": 2,
    "datapaths": 1,
    "layouts": 3,
    "layers": 3,
    "network": 3,
    "program": 3,
    "datasets": 3,
    "calibration": 4,
    "correction": 4,
    "output_errors": 4,
    "value_formats": 4,
    "rewrites": 4,
    "scalesim": 4,
    "quantizer": 4,
    "simulation": 4,
    "hardware": 4,
    "summary": 4,
    "comparison": 4,
    "comparison_words": 4,
    "sensitivity": 4,
    "bit_search": 4,
    "train": 5,
    "report": 5,
    "onnx_reader": 5,
    "library": 6,
    "sweeps": 6,
    "cli": 6,
    "__init__": 6,
    "__main__": 6,
}
ONLY_IN = {
    "torch": {"train", "cli"},
    "pandas": {"report"},
    "plotly": {"report"},
    "triton": {"train"},
    "typer": {"cli"},
    "joblib": {"sweeps"},
    "dask": {"sweeps"},
    "distributed": {"sweeps"},
    "ray": {"sweeps"},
    "pyarrow": {"sweeps"},
    "onnx": {"onnx_reader"},
    "optuna": {"bit_search"},
}


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if "data" not in path.relative_to(PACKAGE).parts)


def part(path):
    """The folder or module directly under the package to which a file belongs."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(tree):
    """(line, dotted name) of every import, those inside functions and TYPE_CHECKING blocks included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module
            if node.module == "addersim":
                yield from ((node.lineno, f"addersim.{alias.name}") for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downwards(path):
    here = FLOORS[part(path)]
    for line, name in imported(ast.parse(path.read_text())):
        if name.startswith("addersim."):
            target = name.split(".")[1]
            if target not in FLOORS:  # a public name of the package itself, such as __version__
                assert here == 6, f"{path}:{line} imports the package's face"
                continue
            assert FLOORS[target] <= here, f"{path}:{line}: floor {here} imports {name} on floor {FLOORS[target]}"
        owner = ONLY_IN.get(name.split(".")[0])
        assert owner is None or part(path) in owner, f"{path}:{line} imports {name}; only {sorted(owner)} may"


def test_every_part_has_a_floor():
    assert {part(path) for path in modules()} <= FLOORS.keys()


def test_the_guide_for_contributors_tells_the_same_floors():
    rows = re.findall(r"^\| (\d) \w+ \| (.*) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    told = {name: int(floor) for floor, names in rows for name in re.findall(r"\w+", re.sub(r"\(.*?\)", "", names))}
    assert told == {name: floor for name, floor in FLOORS.items() if name not in ("_core", "__main__")}


def test_only_kernels_imports_the_compiled_module():
    users = [
        path for path in modules() for _, name in imported(ast.parse(path.read_text())) if name.startswith("addersim._core")
    ]
    assert {part(path) for path in users} == {"kernels"}


def _loaded_by(statement):
    code = f"{statement}; import sys; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    "statement", ["import addersim", "import addersim.cli", "from addersim import simulate, estimate, sweep"]
)
def test_imports_stay_light(statement):
    heavy = {"torch", "pandas", "plotly", "triton", "onnx", "joblib", "distributed", "pyarrow", "optuna"}
    assert not heavy & _loaded_by(statement)


def test_every_public_name_can_be_had():
    import addersim

    for name in addersim.__all__:
        if name != "lower":  # needs torch
            assert getattr(addersim, name) is not None
    assert sorted(addersim._PLACES) == sorted(set(addersim.__all__) - {"__version__"})
    with pytest.raises(AttributeError, match="no attribute 'adder'"):
        _ = addersim.adder


def test_every_arithmetic_is_complete():
    """One record, one row in C under the same name, a datapath; and no field of the record that nobody reads."""
    import dataclasses

    from addersim import _core
    from addersim.arithmetics import ARITHMETICS, Arithmetic
    from addersim.datapaths import DATAPATHS

    assert set(_core.arithmetics()) == set(ARITHMETICS) == {record.arithmetic.name for record in DATAPATHS.values()}
    for name, record in ARITHMETICS.items():
        assert record.name == name
    code = "".join(path.read_text() for path in PACKAGE.rglob("*.py") if path.stem != "arithmetics")
    for field in dataclasses.fields(Arithmetic):
        assert re.search(rf"(arithmetic|record|ARITHMETICS\[[^]]*\]|one|find_arithmetic\([^)]*\))\.{field.name}\b", code), (
            field.name
        )


def test_kernels_and_reference_have_the_same_functions():
    import inspect

    from addersim import kernels, reference

    public = [
        name for name, one in vars(reference).items() if inspect.isfunction(one) and one.__module__ == reference.__name__
    ]
    public = [name for name in public if not name.startswith("_")]
    assert public
    for name in public:
        ours, twin = (inspect.signature(getattr(engine, name)) for engine in (kernels, reference))
        assert list(ours.parameters) == list(twin.parameters), name

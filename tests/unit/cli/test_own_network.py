"""`addersim lower PACKAGE.MODULE:CALLABLE`: whatever a user's code does ends in one line, or in a network."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("torch")

from tests.command_line import call, refused

MODULES = {
    "fine": "print('hello')\nimport torch\nfrom torch import nn\ndef make():\n    torch.manual_seed(1)\n"
    "    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())\n",
    "ready": "from torch import nn\nnet = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())\nclass In:\n    make = net\n",
    "raises": "print('so far')\nraise RuntimeError('no weights\\nhere')\n",
    "leaves": "import sys\nsys.exit(0)\n",
    "warns": "import sys\nprint('careful', file=sys.stderr)\n1 / 0\n",
    "broken": "def f(:\n",
    "wants": "def make(width): return None\nasync def later(): pass\nNUMBER = 7\nnothing = lambda: None\n",
    "calls": "import sys\ndef make(): sys.exit(3)\ndef fails(): raise KeyError('x')\n",
    "lacks": "\nimport no_such_package\n",
    "pairs": "from torch import nn\nboth = lambda: (nn.ReLU(), 3)\nclass Net:\n    def __init__(self, depth): pass\n",
    "torch": "import torch\ndef make():\n    return torch.ones(2) @ torch.ones(3)\n",
    "sibling": "from own_fine import make\nfrom torch import nn\nclass Small(nn.Sequential):\n    @classmethod\n"
    "    def make(cls): return cls(*make())\n",
}


LOWERED = ("-o", "net.npz", "--input-shape", "1,5,5", "--json")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a user's modules. As for the installed command, it is not on Python's path from the start."""
    for name, text in MODULES.items():
        (tmp_path / f"own_{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])
    yield tmp_path
    for name in MODULES:  # those of the next test are others
        sys.modules.pop(f"own_{name}", None)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (":x", "':x': needs PACKAGE.MODULE:CALLABLE, such as my.package:make_network"),
        ("x:", "'x:': needs PACKAGE.MODULE:CALLABLE"),
        (":", "':': needs PACKAGE.MODULE:CALLABLE"),
        (".x:y", "'.x:y': needs PACKAGE.MODULE:CALLABLE"),
        ("a:b:c", "'a:b:c': needs PACKAGE.MODULE:CALLABLE"),
        ("a.b:c.d", "a.b:c.d: cannot be imported (No module named 'a')"),
        ("own_lacks:f", "own_lacks:f: cannot be imported (No module named 'no_such_package')"),
        (
            "own_lacks:f",
            "own_lacks:f: cannot be imported (No module named 'no_such_package') at {folder}/own_lacks.py, line 2; install",
        ),
        (
            "own_absent:f",
            "own_absent:f: cannot be imported (No module named 'own_absent'); stand in its folder, or give FILE.py",
        ),
        ("own_torch:make", "own_torch:make: the call failed (RuntimeError: "),
        (
            "own_raises.py:f",
            "own_raises.py:f: its import failed (RuntimeError: no weights here) at {folder}/own_raises.py, line 2",
        ),
        ("own_absent.py:f", "own_absent.py:f: there is no file own_absent.py; needs"),
        ("own_fine.py", "'own_fine.py': needs PACKAGE.MODULE:CALLABLE, such as my.package:make_network, or FILE.py:CALLABLE"),
        ("own_fine.py:absent", "own_fine.py:absent: own_fine.py has no absent; needs"),
        ("own_pairs.py:both", "own_pairs.py:both: gives a tuple of ReLU, int; needs a torch.nn.Module"),
        (
            "own_pairs:Net",
            "own_pairs:Net: cannot be called without arguments (missing a required argument: 'depth'); needs a callable that "
            "can: def network(): return Net(...)",
        ),
        ("os:getcwd", "os:getcwd: gives a str; needs a torch.nn.Module, or what returns one"),
        ("os:path", "os:path: is the module posixpath; needs a torch.nn.Module"),
        ("os:nothing", "os:nothing: os has no nothing; needs PACKAGE"),
        ("own_raises:f", "own_raises:f: its import failed (RuntimeError: no weights here)"),
        ("own_leaves:f", "own_leaves:f: its import ends the program (exit status 0)"),
        ("own_warns:f", "own_warns:f: its import failed (ZeroDivisionError: division by zero)"),
        ("own_broken:f", "own_broken:f: its import failed (SyntaxError: "),
        ("own_wants:make", "own_wants:make: cannot be called without arguments (missing a required argument: 'width'); needs"),
        ("own_wants:NUMBER", "own_wants:NUMBER: is a int; needs a torch.nn.Module"),
        ("own_wants:later", "own_wants:later: gives a coroutine; needs a torch.nn.Module"),
        ("own_wants:nothing", "own_wants:nothing: gives None; needs a torch.nn.Module"),
        ("own_calls:make", "own_calls:make: the call ends the program (exit status 3)"),
        ("own_calls:fails", "own_calls:fails: the call failed (KeyError: 'x')"),
    ],
)
def test_what_gives_no_network_is_told_in_one_line(source, told, folder):
    assert refused("lower", source, *LOWERED).startswith(told.replace("{folder}", str(folder)))


@pytest.mark.parametrize("source", ["own_fine:make", "own_ready:net", "own_ready:In.make"])
def test_a_network_is_lowered_and_only_its_document_is_printed(source, folder):
    found = call("lower", source, *LOWERED)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["layers"][0]["kind"] == "window"
    assert found.stderr == ("hello\n" if "fine" in source else "")


def test_a_process_of_its_own_does_the_same(folder):
    command = ("lower", "own_fine:make", *LOWERED)
    start = [sys.executable, "-W", "ignore", "-m", "addersim"]
    found = subprocess.run([*start, *command], capture_output=True, text=True, check=False)
    here = call(*command)
    assert (found.returncode, found.stdout, found.stderr) == (0, here.stdout, here.stderr)


@pytest.mark.parametrize(
    ("source", "name"),
    [("own_fine.py:make", "Sequential"), ("own_sibling:Small.make", "Small"), ("{folder}/own_ready.py:net", "Sequential")],
)
def test_the_folder_is_on_the_path_of_the_installed_command_too_and_the_class_names_the_network(source, name, folder):
    source = source.replace("{folder}", str(folder))
    found = call("lower", source, *LOWERED)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["network"] == name
    named = call("lower", source, *LOWERED, "--name", "mine")
    assert json.loads(named.stdout)["network"] == "mine"


def test_an_error_inside_a_library_is_told_at_the_line_of_the_users_file(folder):
    assert refused("lower", "own_torch:make", *LOWERED).endswith(f"at {folder}/own_torch.py, line 3")

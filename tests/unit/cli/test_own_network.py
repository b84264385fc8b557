"""`addersim lower PACKAGE.MODULE:CALLABLE`: whatever a user's code does ends in one line, or in a network."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("torch")

MODULES = {
    "fine": "print('hello')\nfrom torch import nn\nmake = lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())\n",
    "ready": "from torch import nn\nnet = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())\nclass In:\n    make = net\n",
    "raises": "print('so far')\nraise RuntimeError('no weights\\nhere')\n",
    "leaves": "import sys\nsys.exit(0)\n",
    "warns": "import sys\nprint('careful', file=sys.stderr)\n1 / 0\n",
    "broken": "def f(:\n",
    "wants": "def make(width): return None\nasync def later(): pass\nNUMBER = 7\nnothing = lambda: None\n",
    "calls": "import sys\ndef make(): sys.exit(3)\ndef fails(): raise KeyError('x')\n",
    "lacks": "import no_such_package\n",
}


def lower(folder, source, *more):
    for name, text in MODULES.items():
        (folder / f"own_{name}.py").write_text(text)
    options = ("-o", folder / "net.npz", "--input-shape", "1,5,5", *more)
    command = [sys.executable, "-W", "ignore", "-m", "addersim", "lower", source, *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


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
        ("own_wants:nothing", "own_wants:nothing: gives a NoneType; needs a torch.nn.Module"),
        ("own_calls:make", "own_calls:make: the call ends the program (exit status 3)"),
        ("own_calls:fails", "own_calls:fails: the call failed (KeyError: 'x')"),
    ],
)
def test_what_gives_no_network_is_told_in_one_line(source, told, tmp_path):
    found = lower(tmp_path, source)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith(f"addersim: {told}")
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize("source", ["own_fine:make", "own_ready:net", "own_ready:In.make"])
def test_a_network_is_lowered_and_only_its_document_is_printed(source, tmp_path):
    found = lower(tmp_path, source, "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["layers"][0]["kind"] == "window"
    assert found.stderr == ("hello\n" if "fine" in source else "")

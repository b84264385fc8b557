"""How packages are built: flags of each compiler, README as an index shows it, plain C, the workflows' files."""

import re
import subprocess
import sys
import tarfile
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for path in (ROOT / "ext").glob("*.c") if path.stem != "_core")


@pytest.fixture
def flags(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "build_support")
    return import_module("compiler_flags")


@pytest.fixture
def index(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "build_support")
    return import_module("index_page")


def test_gnu_and_clang(flags):
    found = flags.choose_flags("unix", ("-fopenmp",), ("-fsanitize=address",))
    assert found.compiling[0] == "-O3"
    assert found.compiling[-2:] == found.linking == ("-fopenmp", "-fsanitize=address")
    assert found.libraries == ("m",)
    assert not any(flag.startswith(("-march", "-m", "/arch")) for flag in found.compiling), "the binary runs on any processor"


def test_microsoft(flags):
    found = flags.choose_flags("msvc", ("/openmp",))
    assert {"/O2", "/std:c17", "/openmp"} <= set(found.compiling)
    assert all(flag.startswith("/") for flag in found.compiling)
    assert (found.linking, found.libraries) == ((), ())


@pytest.mark.parametrize(
    ("compiler", "platform", "asked"),
    [
        ("unix", "linux", ("-fopenmp",)),
        ("unix", "darwin", ()),
        ("msvc", "win32", ("/openmp",)),
        ("mingw32", "win32", ("-fopenmp",)),
    ],
)
def test_openmp_is_asked_for_where_it_may_be(flags, compiler, platform, asked):
    assert flags.openmp_flags(compiler, platform) == asked


def test_what_asks_for_openmp_has_every_form_that_the_kernels_have(flags, tmp_path):
    """A compiler that knows OpenMP but not all of it must build plain kernels, and not fail at the first of them."""

    def forms(text):
        lines = re.findall(r"^ *(?:#pragma|_Pragma\(\") *(omp .*)", text, re.M)
        return {re.sub(r"\([^)]*\)", "()", re.sub("static|dynamic", "", word)) for one in lines for word in one.split()}

    used = {one for path in (ROOT / "ext").glob("*.[ch]") if path.stem != "_core" for one in forms(path.read_text("utf-8"))}
    assert {"parallel", "for", "schedule()"} < used
    assert used <= forms(flags.OPENMP_PROBE)
    probe = tmp_path / "probe.c"
    probe.write_text(flags.OPENMP_PROBE, encoding="utf-8")
    subprocess.run(["cc", "-std=c17", "-Wall", "-Werror", "-fopenmp", probe, "-o", tmp_path / "probe"], check=True)
    assert subprocess.run([tmp_path / "probe"], check=False).returncode == 0


def test_the_stable_interface_is_that_of_the_lowest_python(flags):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lowest = project["project"]["requires-python"].removeprefix(">=3.")
    assert int(flags.LIMITED_API, 16) == 0x03000000 + (int(lowest) << 16)
    assert project["tool"]["cibuildwheel"]["build"] == f"cp3{lowest}-*"
    assert flags.stable_abi("cpython", free_threaded=False)
    assert not flags.stable_abi("cpython", free_threaded=True)
    assert not flags.stable_abi("pypy", free_threaded=False)


def test_every_link_of_the_readme_works_on_an_index(index):
    readme = (ROOT / "README.md").read_text("utf-8")
    relative = re.compile(r"\]\((?!https?:)")
    assert relative.search(readme)
    assert not relative.search(index.index_page(readme, "https://host.example/me/addersim"))
    plain = index.index_page(readme)
    assert not relative.search(plain)
    assert "docs/claims.md" in plain
    assert "![" not in plain


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 80


def test_no_address_is_made_up(index):
    assert index.project_urls() == {}
    assert set(index.project_urls("https://host.example/me/addersim/").values()) == {
        "https://host.example/me/addersim",
        "https://host.example/me/addersim/blob/main/CHANGELOG.md",
        "https://host.example/me/addersim/blob/main/docs/index.md",
    }
    assert "urls" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_plain_c_has_no_word_of_gnus(source):
    """What Microsoft's compiler sees: our own lines after the preprocessor; of GNU's words it has __typeof__ alone."""
    command = ["cc", "-std=c17", "-E", "-DADDERSIM_PLAIN", "-D__GNUC_STDC_INLINE__", f"-I{ROOT / 'ext'}", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    own, kept = False, []
    for line in done.stdout.splitlines():
        if mark := re.match(r'# \d+ "([^"]*)"', line):
            own = str(ROOT) in mark[1]
        elif own:
            kept.append(line)
    assert kept or source.stem.startswith("kernels_")
    assert re.findall(r"__(?:builtin_\w+|attribute__|asm__|extension__)|\(\{", "\n".join(kept)) == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_on_windows_nothing_is_called_that_no_compiler_has_there(source):
    """GNU's and Clang's have Windows' C library, as Microsoft's has: it lacks what POSIX and C11 allocate and fork by."""
    command = ["cc", "-std=gnu11", "-E", "-fopenmp", "-D_WIN32", f"-I{ROOT / 'ext'}", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    own = re.split(r"^# \d+ ", done.stdout, flags=re.MULTILINE)
    kept = "".join(part for part in own if part.startswith(f'"{ROOT}'))
    assert kept
    assert re.findall(r"\b(?:aligned_alloc|posix_memalign|pthread_\w+|fork)\(", kept) == []


@pytest.mark.slow
def test_plain_c_computes_the_same(tmp_path):
    """The module built without GNU's words and instruction sets, beside this process's own."""
    built = tmp_path / "built"
    command = [sys.executable, "setup.py", "-q", "build", "--build-lib", built, "--build-temp", tmp_path / "objects"]
    flags = {"ADDERSIM_FLAGS": "-DADDERSIM_PLAIN -O1"}
    subprocess.run(command, cwd=ROOT, env={"PATH": "/usr/bin:/bin", **flags}, check=True, capture_output=True)
    code = (
        "import addersim, hashlib; from addersim import _core; print(*_core.instruction_sets());"
        "p = addersim.quantize(addersim.load_network('lenet5-{}'), addersim.load_images('fashion-mnist-2000', split='train'));"
        "print(hashlib.sha256(p.run(addersim.load_images('fashion-mnist-2000').pixels[:200]).tobytes()).hexdigest())"
    )
    for network in ("adder", "conv"):
        plain, ours = (
            subprocess.run(
                [sys.executable, "-c", code.replace("{}", network)],
                env={"PYTHONPATH": str(path)},
                cwd=tmp_path,
                check=True,
                capture_output=True,
                text=True,
            ).stdout.split()
            for path in (built, ROOT)
        )
        assert plain[:-1] == ["portable"]
        assert plain[-1] == ours[-1]


@pytest.mark.slow
def test_a_source_archive_holds_all_that_is_tracked(tmp_path):
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("no repository: a source archive itself")
    subprocess.run([sys.executable, "setup.py", "-q", "sdist", "-d", tmp_path], cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        held = {name.partition("/")[2] for name in packed.getnames()}
    assert set(tracked.stdout.split()) - held - {".gitignore"} == set()
    assert not [name for name in held if name.endswith((".so", "_core.c", ".pyc"))]


def test_workflows_name_actions_by_their_content_and_keep_no_password():
    """A tag may be moved by whoever takes an action over: a commit's hash may not."""
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = path.read_text()
        used = re.findall(r"uses: (\S+)", text)
        assert used
        assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", one) for one in used), path.name
        assert text.count("actions/checkout@") == text.count("persist-credentials: false"), path.name
        assert "\npermissions:\n  contents: read\n" in text, path.name


def test_every_job_of_the_workflows_ends_and_none_runs_beside_another_of_its_kind():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = path.read_text()
        assert text.count(" timeout-minutes: ") == text.count(" runs-on: ") > 0, path.name
        assert "\nconcurrency:\n  group: " in text, path.name

"""README and docs/: every block of code runs, every link leads somewhere, pages that are made are up to date."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from tests.documents import Block, blocks, commands, run_notebook, run_page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md"))]
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
WITH_CODE = [
    page for page in PAGES if any(one.kind in ("bash", "python", "pycon") for one in blocks((ROOT / page).read_text()))
]
NEEDS = {"docs/start/ml-engineer.md": ("torch", "onnx")}


def found(page):
    return blocks((ROOT / page).read_text("utf-8"))


def runs(page, tmp_path, monkeypatch, slow):
    for needed in NEEDS.get(page, ()):
        pytest.importorskip(needed)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    run_page(found(page), slow)


@pytest.mark.parametrize("page", WITH_CODE)
def test_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    runs(page, tmp_path, monkeypatch, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in WITH_CODE if any(one.mark == "slow" for one in found(page))])
def test_slow_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="architectures are torch networks")
    runs(page, tmp_path, monkeypatch, slow=True)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_notebook(path.read_text("utf-8"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_results(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    assert [one for one in cells if one.get("outputs") or one.get("execution_count")] == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_stand_in_fenced_blocks(page):
    """An indented command would be run by nobody."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"^    addersim .*", text, re.MULTILINE) == []
    for block in found(page):
        assert block.mark != "not run" or len(block.reason) > 7, block


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text("utf-8")
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]*)?\)", text):
        if "://" not in link:
            target = (ROOT / page).parent / link
            assert target.exists(), f"{page}: {link}"


@pytest.fixture(scope="module")
def made():
    spec = importlib.util.spec_from_file_location("docs_pages", DOCS / "pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_that_are_made_are_current(made):
    for name, make in made.PAGES.items():
        assert (DOCS / name).read_text("utf-8") == make(), f"{name}: run make docs"


def test_every_public_name_stands_in_the_reference(made):
    import addersim

    text = made.api()
    for name in set(addersim.__all__) - {"__version__", "nn", "load_images", "load_energy_table"}:
        assert re.search(rf"^::: addersim\.[\w.]*\.?{name}$", text, re.MULTILINE), name


def test_every_entry_of_the_navigation_is_a_page():
    """But for the pages of the site that stand elsewhere or are not written yet."""
    listed = re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    there = {page.removeprefix("docs/") for page in PAGES} | {f"notebooks/{one.stem}.md" for one in NOTEBOOKS}
    assert set(listed) - there <= {"rtl.md", "CHANGELOG.md", "CONTRIBUTING.md"}
    assert there - set(listed) == {"README.md"}


def test_a_block_that_fails_is_noticed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match="no-such-network"):
        run_page(blocks("```bash\naddersim count no-such-network\n```"))
    with pytest.raises(AssertionError, match="Expected:"):
        run_page(blocks("```pycon\n>>> 1 + 1\n3\n\n```"))
    with pytest.raises(ZeroDivisionError):
        run_page(blocks("```python\n1 / 0\n```"))
    with pytest.raises(AssertionError, match="only addersim is run here"):
        run_page(blocks("```bash\nrm -rf x\n```"))


def test_marks_and_files():
    page = '<!-- not run: a download -->\n```bash\naddersim train\n```\n\n```toml title="a.toml"\nx = 1\n```\n'
    assert blocks(page) == [
        Block("bash", "", "not run", "a download", "addersim train\n"),
        Block("toml", "a.toml", "", "", "x = 1\n"),
    ]
    assert list(commands("addersim a 'b c' \\\n  d   # e\n# f\n")) == [["addersim", "a", "b c", "d"]]

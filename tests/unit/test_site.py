"""The site: it asks for nothing elsewhere, and its search works where its pages are opened as files."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEARCH = """<script>addEventListener("load", () => {
  document.querySelector("[data-md-toggle=search]").click();
  const field = document.querySelector(".md-search__input");
  field.value = "roofline";
  field.dispatchEvent(new KeyboardEvent("keyup", { bubbles: true, key: "e" }));
});</script></head>"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return folder


def test_no_page_loads_anything_from_elsewhere(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=\"?([^\"\s>]+)", page.read_text("utf-8"))
        assert loaded
        assert [one for one in loaded if "//" in one] == [], page
        for one in loaded:
            assert page.name == "404.html" or one.startswith("data:") or (page.parent / one.split("#")[0]).exists(), (
                page,
                one,
            )


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the browser Chromium")
@pytest.mark.parametrize("name", ["index.html", "start/architect.html"])
def test_the_search_of_a_page_that_was_opened_as_a_file_finds(site, name, tmp_path):
    page = site / name
    whole = page.read_text("utf-8")
    page.write_text(whole.replace("</head>", SEARCH, 1), "utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={tmp_path / 'profile'}"]
    options += ["--virtual-time-budget=20000", "--dump-dom"]
    try:
        drawn = subprocess.run(["chromium", *options, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    finally:
        page.write_text(whole, "utf-8")
    assert re.search(r"md-search-result__meta[^>]*>\s*[1-9]\d* matching document", drawn.stdout)

"""What mkdocs does besides: pages that stand elsewhere in the repository, notebooks as pages, links between all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.utils import get_relative_url

ROOT = Path(__file__).parents[1]
MOUNTED = ("CHANGELOG.md", "CONTRIBUTING.md", "reports/*/README.md", "reports/*/*.png", "addersim/train/cuda/README.md")
"""Files that keep their place below the site's root, as they have below the repository's."""

FOREIGN, OWN = "https://unpkg.com/iframe-worker/shim", "file_worker.js"
"""What starts the search of a page that was opened as a file: where the theme has it from, and ours."""


def on_config(config: Any) -> Any:
    """Leave entries of the navigation out whose page is not there (yet)."""
    config.nav = _present(config.nav)
    return config


def _present(entries: list[Any]) -> list[Any]:
    found = []
    for entry in entries:
        ((title, target),) = entry.items()
        if isinstance(target, list):
            found.append({title: _present(target)})
        elif any((ROOT / place).exists() for place in (f"docs/{target}", target, f"docs/{target}".replace(".md", ".ipynb"))):
            found.append(entry)
    return found


def on_files(files: Files, config: Any) -> Files:
    """Add what stands elsewhere, and the notebooks."""
    for pattern in MOUNTED:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=notebook_page(path.read_text("utf-8"))))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links as the site has them: the folder docs/ is its root, and so is the repository's."""
    return site_links(markdown)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Nothing is fetched from elsewhere: what the plugin `offline` would load is a script of the site."""
    return output.replace(FOREIGN, get_relative_url(OWN, page.url))


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    """The same for pages without a source, such as that of an address without a page."""
    return output_content.replace(FOREIGN, OWN)


def site_links(markdown: str) -> str:
    """Links to pages outside docs/ lose the step out of it, links into docs/ the step in.

    Examples
    --------
    >>> site_links("[a](../reports/x/README.md) [b](docs/claims.md) [c](../../docs/glossary.md)")
    '[a](reports/x/README.md) [b](claims.md) [c](../../glossary.md)'
    """
    markdown = re.sub(r"\]\((?:\.\./)((?:\.\./)*(?:reports|addersim|CONTRIBUTING|CHANGELOG))", r"](\1", markdown)
    return re.sub(r"\]\(((?:\.\./)*)docs/", r"](\1", markdown)


def notebook_page(text: str) -> str:
    """A notebook as Markdown: what it says, and its code without results."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n\n".join(source if kind == "markdown" else f"```python\n{source}\n```" for kind, source in cells) + "\n"

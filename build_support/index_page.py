"""README as the page of a package index, where a link into the repository leads nowhere unless its address is known.

The address is said once, when a package is built: ADDERSIM_URL=https://HOST/OWNER/addersim. None is written down in the
repository, for it names no host. Without it links become plain words, and the package has no URLs.
"""

from __future__ import annotations

import re

__all__ = ["ADDRESS", "index_page", "project_urls"]

ADDRESS = "ADDERSIM_URL"
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")


def index_page(readme: str, address: str = "") -> str:
    """The text with absolute links, or, where no address is known, without links that need one.

    Examples
    --------
    >>> text = "See [claims](docs/claims.md) and [arXiv](https://arxiv.org). ![A page](a.png)"
    >>> index_page(text, "https://host/me/addersim/")
    'See [claims](https://host/me/addersim/blob/main/docs/claims.md) and [arXiv](https://arxiv.org). ![A page](https://host/me/addersim/raw/main/a.png)'
    >>> index_page(text)
    'See claims (docs/claims.md) and [arXiv](https://arxiv.org). '
    """
    address = address.rstrip("/")

    def changed(link: re.Match[str]) -> str:
        picture, text, target = link.groups()
        if not address:
            return "" if picture else text if text == target else f"{text} ({target})"
        return f"{picture}[{text}]({address}/{'raw' if picture else 'blob'}/main/{target})"

    return _LINK.sub(changed, re.sub(r"^<!--.*-->\n", "", readme, flags=re.MULTILINE))


def project_urls(address: str = "") -> dict[str, str]:
    """What a package index shows beside the page; nothing where no address is known."""
    address = address.rstrip("/")
    if not address:
        return {}
    return {
        "Source": address,
        "Changes": f"{address}/blob/main/CHANGELOG.md",
        "Documentation": f"{address}/blob/main/docs/index.md",
    }

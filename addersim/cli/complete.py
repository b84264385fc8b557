"""Names that a shell completes: of networks, accelerators, tables and whatever else is asked for by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from types import MappingProxyType

import typer

__all__ = ["completes", "completes_from", "names_of_its_kind"]

Names = Callable[[], Iterable[str]]


def completes(*kinds: str) -> Callable[[str], list[str]]:
    """What completes an option or argument that takes a name of these kinds, keys of `_NAMES`."""
    return completes_from(lambda: chain.from_iterable(_NAMES[kind]() for kind in kinds))


def completes_from(names: Names) -> Callable[[str], list[str]]:
    """What completes an option or argument that takes one of some names, asked for when a shell does."""

    def known(incomplete: str) -> list[str]:
        once = dict.fromkeys(names())  # a bundled network may be an architecture, too
        return [name for name in once if name.startswith(incomplete)]

    return known


def names_of_its_kind(ctx: typer.Context, incomplete: str) -> list[str]:
    """What completes the name after the kind in ``addersim list KIND NAME``."""
    kind = str(ctx.params.get("what"))
    return completes(kind)(incomplete) if kind in _NAMES else []


def _networks() -> Iterable[str]:
    from addersim.model_zoo import bundled_networks

    return bundled_networks()


def _architectures() -> Iterable[str]:
    from addersim.model_zoo import architectures

    return architectures()


def _data() -> Iterable[str]:
    from addersim.datasets.registry import DATASETS

    return DATASETS


def _datapaths() -> Iterable[str]:
    from addersim.arithmetic.datapaths import DATAPATHS

    return DATAPATHS


def _rules() -> Iterable[str]:
    from addersim.arithmetic.requantisation import RULES

    return RULES


def _words() -> Iterable[str]:
    from addersim.glossary import glossary

    return glossary()


def _files(folder: str, suffix: str) -> Names:
    """Names alone, without the modules that read such files: a shell waits for them."""

    def names() -> Iterable[str]:
        from addersim.config import bundled_names

        return bundled_names(folder, suffix)

    return names


_NAMES: MappingProxyType[str, Names] = MappingProxyType(
    {
        "networks": _networks,
        "architectures": _architectures,
        "data": _data,
        "accelerators": _files("accelerators", ".toml"),
        "tables": _files("energy", ".csv"),
        "sweeps": _files("sweeps", ".toml"),
        "studies": _files("studies", ".toml"),
        "datapaths": _datapaths,
        "rules": _rules,
        "words": _words,
    }
)

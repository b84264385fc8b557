"""Names that the shell completes; where none begins as what was typed the shell offers files."""

from __future__ import annotations

from collections.abc import Callable

from addersim.config import bundled_names

__all__ = ["ACCELERATORS", "NETWORKS", "SWEEPS_OR_NETWORKS", "TABLES"]


def _bundled(*kinds: tuple[str, str]) -> Callable[[str], list[str]]:
    """Completes names of data files of these folders, which end so."""

    def complete(incomplete: str) -> list[str]:
        return [name for kind in kinds for name in bundled_names(*kind) if name.startswith(incomplete)]

    return complete


NETWORKS = _bundled(("networks", ".npz"))
SWEEPS_OR_NETWORKS = _bundled(("sweeps", ".toml"), ("networks", ".npz"))
ACCELERATORS = _bundled(("accelerators", ".toml"))
TABLES = _bundled(("energy", ".csv"))

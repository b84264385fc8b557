"""Section on unit prices, to which every energy links."""

from __future__ import annotations

from collections.abc import Sequence

from addersim.report.frames import Frames
from addersim.report.markup import Column, details, escape, number, table
from addersim.report.section import Section
from addersim.results.result import Result

__all__ = ["price_anchors", "prices"]


def price_anchors(frames: Frames) -> dict[tuple[str, str], str]:
    """Place on the page of the prices of a network and group, as an id."""
    tables = list(frames.prices["table"].unique())
    pairs = frames.prices[["network", "table", "group"]].drop_duplicates().itertuples(index=False)
    return {(row.network, row.group): f"price-{tables.index(row.table)}-{row.group}" for row in pairs}


def prices(_: Sequence[Result], frames: Frames) -> Section:
    """Every price, a table each energy table, in groups that energies link to."""
    columns = {
        "what": Column("what"),
        "energy_pj": Column("price, pJ", number),
        "unit": Column("for one"),
        "rule": Column("rule"),
        "source": Column("source"),
    }
    texts = []
    for place, name in enumerate(frames.prices["table"].unique()):
        used = frames.prices[frames.prices["table"] == name]
        used = used.drop_duplicates(["what", "unit", "energy_pj", "rule", "source"])
        ordered = used.sort_values(["unit", "group", "what"], kind="stable")
        first = ~ordered.duplicated("group")
        ordered = ordered.assign(
            id=[f"price-{place}-{group}" if one else "" for group, one in zip(ordered["group"], first, strict=True)]
        )
        texts.append(table(ordered, columns, f"energy table {name}", ids="id"))
    text = "Every unit price behind the energies, the rule of the table that gave it, and where that comes from."
    return Section(
        "prices",
        "Prices",
        f"<p>{escape(text)}</p>",
        (),
        details("Numbers: prices, rules and sources", "".join(texts), "numbers-prices"),
    )

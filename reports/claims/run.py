"""Every published claim decided anew, with public functions; one command, some minutes on two cores.

    python reports/claims/run.py             # ledger.json and docs/claims.md
    python reports/claims/run.py --written   # docs/claims.md again, from ledger.json
    python reports/claims/run.py --only KEY  # one claim, printed

Needs the extra `train`: architectures that are not bundled are torch's. `claim.py` says what a claim is and how a verdict
follows; `counted.py`, `priced.py` and `undecided.py` hold them.
"""

from __future__ import annotations

import argparse
import json
from math import inf
from pathlib import Path

import counted
import priced
import undecided
from claim import VERDICTS, Claim, Measured, verdict

from addersim.storage import write_atomically

HERE = Path(__file__).parent
LEDGER = HERE / "ledger.json"
PAGE = HERE.parents[1] / "docs" / "claims.md"
ONLY = "python reports/claims/run.py --only {}"
CLAIMS = (*counted.CLAIMS, *priced.CLAIMS, *undecided.CLAIMS)
_HEAD = """\
# Published claims, decided anew

Claims of the field about AdderNets and their rivals, each decided with addersim's own functions: not by reading, by running.
`make claims` writes this page and `reports/claims/ledger.json`; tests compare both with the code.

{counts}

A range is over energy tables, accelerators, circuits or widths, as the claim's section says. Where no limit was published,
ours stands in the claim's words. A verdict is about the claim as a number of this model, pre-layout and without control, clock
tree and wires inside the array.

| claim | published | ours | verdict |
|---|---:|---:|---|
{rows}

{sections}"""
_SECTION = """\
## {title}

{paper}: {text}.

| | |
|---|---|
{facts}
"""


def decided(claims: tuple[Claim, ...]) -> dict[str, Measured | None]:
    """What each claim's own function gives."""
    found = {}
    for claim in claims:
        found[claim.key] = claim.measure() if claim.measure else None
        print(f"{claim.key}: {verdict(claim, found[claim.key])}")
    return found


def page(found: dict[str, Measured | None]) -> str:
    """The page of all claims, in their order."""
    verdicts = {claim.key: verdict(claim, found[claim.key]) for claim in CLAIMS}
    rows = [
        f"| [{claim.paper}: {_cell(claim.text)}](#{claim.key}) | {_published(claim)} | {_ours(claim, found[claim.key])} | "
        f"{verdicts[claim.key]} |"
        for claim in CLAIMS
    ]
    counts = "\n".join(
        f"- **{name}** ({sum(one == name for one in verdicts.values())}): {about}." for name, about in VERDICTS.items()
    )
    sections = "\n".join(_section(claim, found[claim.key], verdicts[claim.key]) for claim in CLAIMS)
    return _HEAD.format(counts=counts, rows="\n".join(rows), sections=sections)


def _section(claim: Claim, ours: Measured | None, told: str) -> str:
    facts = {
        "verdict": f"**{told}**",
        "published": _published(claim),
        "ours": _ours(claim, ours),
        "tolerance": f"{100 * claim.tolerance:.2g} %" if claim.tolerance else "",
        "seen": ours.note if ours else "",
        "how, and what it leaves open" if ours else "why not": claim.about,
        "command": f"`{claim.command or ONLY.format(claim.key)}`" if ours else "",
        "source": claim.source,
    }
    listed = "\n".join(f"| {name} | {_cell(text)} |" for name, text in facts.items() if text)
    return _SECTION.format(title=claim.key, paper=claim.paper, text=claim.text, facts=listed)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _published(claim: Claim) -> str:
    if claim.published is None:
        return ""
    low, high = claim.published
    if high == inf:
        return f"above {_number(low)} {claim.unit}"
    if low == -inf:
        return f"at most {_number(high)} {claim.unit}"
    return _range(low, high, claim.unit)


def _ours(claim: Claim, ours: Measured | None) -> str:
    return _range(ours.low, ours.high, claim.unit) if ours else ""


def _range(low: float, high: float, unit: str) -> str:
    ends = dict.fromkeys((_number(low), _number(high)))
    return f"{' to '.join(ends)} {unit}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def read_ledger() -> dict[str, Measured | None]:
    """What was written down."""
    return {key: Measured(**row) if row else None for key, row in json.loads(LEDGER.read_text("utf-8")).items()}


def main() -> None:
    """Decide all, or one, or write the page again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--written", action="store_true", help="the page again, from ledger.json")
    chosen.add_argument("--only", choices=[claim.key for claim in CLAIMS], help="print what decides this claim")
    asked = parser.parse_args()
    if asked.only:
        (claim,) = (one for one in CLAIMS if one.key == asked.only)
        ours = claim.measure() if claim.measure else None
        print(_section(claim, ours, verdict(claim, ours)))
        return
    found = read_ledger() if asked.written else decided(CLAIMS)
    rows = {key: one._asdict() if one else None for key, one in found.items()}
    with write_atomically(LEDGER, "w") as file:
        file.write(json.dumps(rows, indent=2) + "\n")
    with write_atomically(PAGE, "w") as file:
        file.write(page(found))


if __name__ == "__main__":
    main()

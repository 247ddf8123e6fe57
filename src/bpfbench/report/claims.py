# SPDX-License-Identifier: Apache-2.0
"""The paper's claims with their verdicts: for the eye, as Markdown, and as JSON.

JSON (`schema` counts incompatible changes; new keys may come without one):

    schema       1
    run          RunInfo, key by key; null where the paper's own numbers were judged
    remarks[]    what a reader must know of all of it
    counts       verdict -> how many
    claims[]     id, section, claim, verdict, missing[], contradicted (by which of its own numbers the paper refutes it,
                 or null), statements[]
    statements[] subject, unit, wanted {low, high}, holds (true, false, or null: cannot be told),
                 found {estimate, low, high, n} or null, missing or null
    Bounds that are infinite are null; n is null for what the paper prints.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bpfbench.analysis.claims.evidence import Evidence, Known, Missing
from bpfbench.analysis.claims.judge import Judgement, Verdict
from bpfbench.analysis.claims.predicate import Statement
from bpfbench.report.markdown import bullets, escaped, table
from bpfbench.report.run_info import RunInfo

SCHEMA = 1
"""Version of the JSON document. History: 1 (first)."""

STYLES = {
    Verdict.REPRODUCED: "green",
    Verdict.REFUTED: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NOT_TESTABLE: "dim",
}
EXPLANATION = (
    "A claim is reproduced where it holds over all of the 95 % confidence intervals, refuted where it holds nowhere"
    " in them, else inconclusive. Shown is the comparison that tells most: the nearest to its limits where the claim is"
    " reproduced, the farthest outside where it is not. --json has all; docs/claims.md has the tolerances."
)


def counts(judgements: Sequence[Judgement]) -> dict[Verdict, int]:
    """Count the verdicts; every verdict has an entry."""
    return {verdict: sum(judgement.verdict is verdict for judgement in judgements) for verdict in Verdict}


def render(judgements: Sequence[Judgement], evidence: Evidence, info: RunInfo | None, console: Console) -> None:
    """Print all of it."""
    console.print(Text(headline(judgements, info), style="bold"), soft_wrap=True)
    for remark in evidence.remarks:
        console.print(Text(f"Note: {remark}", style="yellow"), soft_wrap=True)
    ascii_only = console.options.ascii_only
    grid = Table(box=box.ASCII if ascii_only else box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("verdict", no_wrap=True)
    grid.add_column("section", no_wrap=True)
    grid.add_column("claim", ratio=4)
    grid.add_column("evidence", ratio=5)
    for judgement in judgements:
        claim = judgement.claim
        verdict = Text(judgement.verdict, style=STYLES[judgement.verdict])
        grid.add_row(verdict, claim.section, Text(claim.text), Text("\n".join(evidence_lines(judgement))))
    console.print(grid)
    console.print(Text(EXPLANATION))


def to_markdown(judgements: Sequence[Judgement], evidence: Evidence, info: RunInfo | None) -> str:
    """Write all of it as a Markdown section."""
    parts = ["## The paper's claims", escaped(headline(judgements, info))]
    if evidence.remarks:
        parts.append(bullets(evidence.remarks))
    parts.append(markdown_table(judgements))
    parts.append(escaped(EXPLANATION))
    return "\n\n".join(parts) + "\n"


def markdown_table(judgements: Sequence[Judgement]) -> str:
    """Write the table alone."""
    rows = (
        [j.verdict.value, j.claim.section, escaped(j.claim.text), "<br>".join(map(escaped, evidence_lines(j)))]
        for j in judgements
    )
    return table(["verdict", "section", "claim", "evidence"], rows, texts=4)


def to_json(judgements: Sequence[Judgement], evidence: Evidence, info: RunInfo | None) -> str:
    """Write all of it as one JSON document."""
    document = {
        "schema": SCHEMA,
        "run": None if info is None else dataclasses.asdict(info),
        "remarks": list(evidence.remarks),
        "counts": {verdict.value: count for verdict, count in counts(judgements).items()},
        "claims": [_claim(judgement) for judgement in judgements],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def headline(judgements: Sequence[Judgement], info: RunInfo | None) -> str:
    """Say in one line what came out."""
    source = "the paper's own numbers" if info is None else f"run {info.run_id} ({info.study})"
    found = ", ".join(f"{count} {verdict}" for verdict, count in counts(judgements).items() if count)
    return f"{len(judgements)} claims judged by {source}: {found}"


def evidence_lines(judgement: Judgement) -> list[str]:
    """Say what made the verdict, a line each."""
    if judgement.verdict is Verdict.NOT_TESTABLE:
        return [f"takes {'; '.join(judgement.missing)}"]
    first, *others = judgement.deciding
    lines = [describe(first)]
    if others:
        lines.append(f"and {len(others)} more like it, of {len(judgement.statements)} comparisons")
    if judgement.claim.contradicted:
        lines.append(f"The paper contradicts itself here: {judgement.claim.contradicted}.")
    return lines


def describe(statement: Statement) -> str:
    """Put a statement into words: what was found, and what was wanted."""
    found = statement.found
    if isinstance(found, Missing):
        return f"{statement.subject}: takes {found.what}"
    n = "" if found.n is None else f", n {found.n}"
    return f"{statement.subject} {_value(found, statement.unit)}{n}; wanted {_wanted(statement)}"


def _value(found: Known, unit: str) -> str:
    low, high = found.interval.low, found.interval.high
    if low == high:
        return _number(low, unit)
    ends = [
        _number(end, "" if found.estimate is not None else unit) if math.isfinite(end) else "" for end in (low, high)
    ]
    interval = f"[{', '.join(end or 'unknown' for end in ends)}]"
    return interval if found.estimate is None else f"{_number(found.estimate, unit)} {interval}"


def _wanted(statement: Statement) -> str:
    low, high, unit = statement.low, statement.high, statement.unit
    if not math.isfinite(high):
        return f"at least {_number(low, unit)}"
    if not math.isfinite(low):
        return f"at most {_number(high, unit)}"
    return f"{_number(low, '')} to {_number(high, unit)}"


def _number(value: float, unit: str) -> str:
    """Write a number with 4 digits, a factor with a cross, anything else with its unit."""
    text = f"{value:.4g}"
    return f"x{text}" if unit == "x" else f"{text} {unit}".rstrip()


def _claim(judgement: Judgement) -> dict[str, Any]:
    claim = judgement.claim
    return {
        "id": claim.id,
        "section": claim.section,
        "claim": claim.text,
        "verdict": judgement.verdict.value,
        "missing": list(judgement.missing),
        "contradicted": claim.contradicted,
        "statements": [_statement(statement) for statement in judgement.statements],
    }


def _statement(statement: Statement) -> dict[str, Any]:
    found = statement.found
    known = None
    if isinstance(found, Known):
        ends = {"low": _finite(found.interval.low), "high": _finite(found.interval.high)}
        known = {"estimate": found.estimate, **ends, "n": found.n}
    return {
        "subject": statement.subject,
        "unit": statement.unit,
        "wanted": {"low": _finite(statement.low), "high": _finite(statement.high)},
        "holds": statement.holds,
        "found": known,
        "missing": found.what if isinstance(found, Missing) else None,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

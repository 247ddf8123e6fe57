# SPDX-License-Identifier: Apache-2.0
"""The paper's claims with their verdicts: for the eye, as Markdown, and as JSON.

JSON (`schema` counts incompatible changes; new keys may come without one):

    schema       2
    source       run, or paper: no evidence, but a check of our transcription of the paper's numbers
    run          RunInfo, key by key; null where the source is the paper
    remarks[]    what a reader must know of all of it
    counts       verdict -> how many: reproduced, not-reproduced, inconclusive, not-testable
    circumstances[]   what, paper, here, same (null where a side does not tell): both environments; empty for the paper
    on_the_paper[]    id, section, statement, remark: counted in no verdict
    claims[]     id, section, claim, verdict, wording (the verdict in words), missing[], contradicted (by which of its
                 own numbers the paper contradicts it, or null), unprinted (what the paper prints too little of, or
                 null), circumstances (where those are that it is not reproduced in: a JSON pointer, or null),
                 statements[]
    statements[] subject, unit, wanted {low, high, strict: more than low}, holds (true, false, or null: cannot be told),
                 found {estimate, low, high, n, swamped: vanilla against vanilla comes to as much} or null,
                 missing or null
    Bounds that are infinite are null; n is null for what the paper prints.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bpfbench.analysis.claims.circumstances import Circumstance
from bpfbench.analysis.claims.evidence import Known, Missing
from bpfbench.analysis.claims.judge import ClaimVerdict, Findings, Judgement
from bpfbench.analysis.claims.predicate import Statement
from bpfbench.report.run_info import RunInfo
from bpfbench.report.write.markdown import bullets, escaped, table

SCHEMA = 2
"""Version of the JSON document. History: 1 (first); 2 (refuted became not-reproduced, and "not testable here"
not-testable)."""

WORDS = {
    ClaimVerdict.REPRODUCED: "reproduced",
    ClaimVerdict.NOT_REPRODUCED: "not reproduced by these versions on this machine",
    ClaimVerdict.INCONCLUSIVE: "inconclusive",
    ClaimVerdict.NOT_TESTABLE: "not testable here",
}
WORDS_OF_PAPER = {
    ClaimVerdict.REPRODUCED: "as printed",
    ClaimVerdict.NOT_REPRODUCED: "contradicted",
    ClaimVerdict.INCONCLUSIVE: "left open",
    ClaimVerdict.NOT_TESTABLE: "not printed",
}
"""Of a claim against the paper's own numbers."""
STYLES = {
    ClaimVerdict.REPRODUCED: "green",
    ClaimVerdict.NOT_REPRODUCED: "red",
    ClaimVerdict.INCONCLUSIVE: "yellow",
    ClaimVerdict.NOT_TESTABLE: "dim",
}
EXPLANATION = (
    "A claim is reproduced where it holds over all of the 95 % confidence intervals, not reproduced where it holds"
    " nowhere in them, else inconclusive; a rank takes that all steps of it are told apart, and a tie is none. Not"
    " reproduced is by these versions on this machine: the circumstances are beside the paper's, and any that differs"
    " may be why. Shown is the comparison that tells most: the nearest to its limits where the claim is reproduced, the"
    " farthest outside where it is not. --json has all; docs/claims.md has the tolerances."
)
OF_PAPER = (
    "No evidence, but a check of our transcription: what the paper says in words against the numbers that it prints,"
    " as data/paper.toml has both. It shows that a claim says what the paper says, and where the paper contradicts"
    " itself. Whether any of it is so, only a run can tell."
)
CIRCUMSTANCES = "Circumstances: the paper's and this run's"
ON_THE_PAPER = "Remarks on the paper, counted in no verdict"
POINTER = "/circumstances"


def wording(judgement: Judgement, *, of_paper: bool = False) -> str:
    """Put a verdict into words."""
    return (WORDS_OF_PAPER if of_paper else WORDS)[judgement.verdict]


def render(found: Findings, info: RunInfo | None, console: Console) -> None:
    """Print all of it; `info` is None where the paper's own numbers were judged."""
    console.print(Text(headline(found, info), style="bold"), soft_wrap=True)
    for remark in found.remarks:
        console.print(Text(f"Note: {remark}", style="yellow"), soft_wrap=True)
    style = box.ASCII if console.options.ascii_only else box.SIMPLE_HEAD
    grid = Table(box=style, pad_edge=False)
    grid.add_column("verdict", no_wrap=True)
    grid.add_column("section", no_wrap=True)
    grid.add_column("claim", ratio=4)
    grid.add_column("evidence", ratio=5)
    for judgement in found.judgements:
        claim, words = judgement.claim, wording(judgement, of_paper=found.of_paper)
        verdict = Text(words.replace(" by", "\nby").replace(" on", "\non"), style=STYLES[judgement.verdict])
        evidence = Text("\n".join(evidence_lines(judgement, of_paper=found.of_paper)))
        grid.add_row(verdict, claim.section, Text(claim.text), evidence)
    console.print(grid)
    console.print(Text(OF_PAPER if found.of_paper else EXPLANATION))
    if found.circumstances:
        console.print(Text(f"\n{CIRCUMSTANCES}", style="bold"))
        beside = Table(box=style, pad_edge=False)
        for title in ("", "the paper", "this run", ""):
            beside.add_column(title, overflow="fold")
        for own in found.circumstances:
            beside.add_row(*map(Text, circumstance(own)))
        console.print(beside)
    console.print(Text(f"\n{ON_THE_PAPER}", style="bold"))
    for line in on_the_paper(found):
        console.print(Text(f"  - {line}"))


def to_markdown(found: Findings, info: RunInfo | None) -> str:
    """Write all of it as a Markdown section."""
    parts = ["## The paper's claims", escaped(headline(found, info))]
    if found.remarks:
        parts.append(bullets(found.remarks))
    parts += [markdown_table(found), escaped(OF_PAPER if found.of_paper else EXPLANATION)]
    if found.circumstances:
        rows = (list(map(escaped, circumstance(own))) for own in found.circumstances)
        parts += [f"### {CIRCUMSTANCES}", table(["", "the paper", "this run", ""], rows, texts=4)]
    parts += [f"### {ON_THE_PAPER}", bullets(on_the_paper(found))]
    return "\n\n".join(parts) + "\n"


def markdown_table(found: Findings) -> str:
    """Write the table of claims alone."""
    rows = (
        [
            wording(j, of_paper=found.of_paper),
            j.claim.section,
            escaped(j.claim.text),
            "<br>".join(map(escaped, evidence_lines(j, of_paper=found.of_paper))),
        ]
        for j in found.judgements
    )
    return table(["verdict", "section", "claim", "evidence"], rows, texts=4)


def to_json(found: Findings, info: RunInfo | None) -> str:
    """Write all of it as one JSON document."""
    document = {
        "schema": SCHEMA,
        "source": "paper" if found.of_paper else "run",
        "run": None if info is None else dataclasses.asdict(info),
        "remarks": [OF_PAPER] if found.of_paper else list(found.remarks),
        "counts": {verdict.value: count for verdict, count in found.counts.items()},
        "circumstances": [dataclasses.asdict(own) for own in found.circumstances],
        "on_the_paper": [dataclasses.asdict(remark) for remark in found.on_the_paper],
        "claims": [_claim(judgement, found) for judgement in found.judgements],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def headline(found: Findings, info: RunInfo | None) -> str:
    """Say in one line what came out."""
    if info is None:
        source = "against the paper's own numbers (a check of our transcription, no evidence)"
    else:
        source = f"judged by run {info.run_id} ({info.study})"
    return f"{len(found.judgements)} claims {source}: {totals(found)}"


def totals(found: Findings) -> str:
    """Say how many claims there are of each verdict, and how many of those not reproduced contradict the paper too."""
    words = WORDS_OF_PAPER if found.of_paper else WORDS
    parts = [f"{count} {words[verdict]}" for verdict, count in found.counts.items() if count]
    own = sum(
        judgement.verdict is ClaimVerdict.NOT_REPRODUCED and judgement.claim.contradicted is not None
        for judgement in found.judgements
    )
    if own and not found.of_paper:
        parts.append(f"of those not reproduced, {own} the paper's own numbers contradict, too")
    return ", ".join(parts)


def circumstance(own: Circumstance) -> tuple[str, str, str, str]:
    """Write one line of what is set side by side."""
    return own.what, own.paper, own.here, {True: "same", False: "differs", None: ""}[own.same]


def on_the_paper(found: Findings) -> list[str]:
    """Write the remarks on the paper, a paragraph each."""
    return [f'{remark.section}: "{remark.statement}". {remark.remark}' for remark in found.on_the_paper]


def evidence_lines(judgement: Judgement, *, of_paper: bool = False) -> list[str]:
    """Say what made the verdict, a line each."""
    if judgement.verdict is ClaimVerdict.NOT_TESTABLE:
        return [f"takes {'; '.join(judgement.missing)}"]
    first, *others = judgement.deciding
    lines = [describe(first)]
    if others:
        lines.append(f"and {len(others)} more like it, of {len(judgement.statements)} comparisons")
    return [*lines, *_reservations(judgement, of_paper=of_paper)]


def _reservations(judgement: Judgement, *, of_paper: bool) -> Iterator[str]:
    """Say what keeps a verdict from being the paper's or the library's alone."""
    if judgement.claim.contradicted:
        yield f"The paper contradicts itself here: {judgement.claim.contradicted}."
    if of_paper and judgement.claim.unprinted:
        yield f"The paper prints too little to tell: {judgement.claim.unprinted}."
    swamped = {s.subject for s in judgement.deciding if isinstance(s.found, Known) and s.found.swamped}
    if judgement.verdict is ClaimVerdict.INCONCLUSIVE and swamped:
        yield f"Noise swamps {len(swamped)} of them: vanilla against vanilla comes to as much."
    if judgement.verdict is ClaimVerdict.NOT_REPRODUCED and not of_paper:
        yield "Versions and machine: under Circumstances."


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
    if statement.strict:
        return f"more than {_number(low, unit)}"
    if not math.isfinite(high):
        return f"at least {_number(low, unit)}"
    if not math.isfinite(low):
        return f"at most {_number(high, unit)}"
    return f"{_number(low, '')} to {_number(high, unit)}"


def _number(value: float, unit: str) -> str:
    """Write a number with 4 digits, a factor with a cross, anything else with its unit."""
    text = f"{value:.4g}"
    return f"x{text}" if unit == "x" else f"{text} {unit}".rstrip()


def _claim(judgement: Judgement, found: Findings) -> dict[str, Any]:
    claim = judgement.claim
    elsewhere = judgement.verdict is ClaimVerdict.NOT_REPRODUCED and found.circumstances
    return {
        "id": claim.id,
        "section": claim.section,
        "claim": claim.text,
        "verdict": judgement.verdict.value,
        "wording": wording(judgement, of_paper=found.of_paper),
        "missing": list(judgement.missing),
        "contradicted": claim.contradicted,
        "unprinted": claim.unprinted,
        "circumstances": POINTER if elsewhere else None,
        "statements": [_statement(statement) for statement in judgement.statements],
    }


def _statement(statement: Statement) -> dict[str, Any]:
    found = statement.found
    known = None
    if isinstance(found, Known):
        ends = {"low": _finite(found.interval.low), "high": _finite(found.interval.high)}
        known = {"estimate": found.estimate, **ends, "n": found.n, "swamped": found.swamped}
    return {
        "subject": statement.subject,
        "unit": statement.unit,
        "wanted": {"low": _finite(statement.low), "high": _finite(statement.high), "strict": statement.strict},
        "holds": statement.holds,
        "found": known,
        "missing": found.what if isinstance(found, Missing) else None,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

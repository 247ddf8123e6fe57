# SPDX-License-Identifier: Apache-2.0
"""The paper's claims with their verdicts: the document for people, the data for programs.

Data:

    source            run, or paper: no evidence, but a check of our transcription of the paper's numbers
    remarks[]         what a reader must know of all of it
    counts            verdict -> how many: reproduced, not-reproduced, inconclusive, not-testable
    circumstances[]   what, paper, here, same (null where a side does not tell): both environments; empty for the paper
    on_the_paper[]    id, section, statement, remark: counted in no verdict
    claims[]          id, section, claim, verdict, wording (the verdict in words), missing[], contradicted (by which of
                      its own numbers the paper contradicts it, or null), unprinted (what the paper prints too little
                      of, or null), circumstances (where those are that it is not reproduced in: a JSON pointer into
                      the whole output, or null), statements[]
    statements[]      subject, unit, wanted {low, high, strict: more than low}, holds (true, false, or null: cannot be
                      told), found {estimate, low, high, n, swamped: vanilla against vanilla comes to as much} or null,
                      missing or null
    Bounds that are infinite are null; n is null for what the paper prints.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from bpfbench.analysis.questions.claims.claim import Statement
from bpfbench.analysis.questions.claims.judge import ClaimVerdict, Findings, Judgement
from bpfbench.analysis.questions.claims.witness import Known, Missing
from bpfbench.report.about import About
from bpfbench.report.document import Document, Field, Heading, Paragraph, Table, table, texts

SCHEMA = 3
"""Version of the data. History: 1 (first); 2 (refuted became not-reproduced, and "not testable here" not-testable); 3
(in the envelope of all answers)."""

WORDS = {
    ClaimVerdict.REPRODUCED: ("reproduced", "as printed"),
    ClaimVerdict.NOT_REPRODUCED: ("not reproduced by these versions on this machine", "contradicted"),
    ClaimVerdict.INCONCLUSIVE: ("inconclusive", "left open"),
    ClaimVerdict.NOT_TESTABLE: ("not testable here", "not printed"),
}
"""Verdicts by a run, and by the paper's own numbers."""
WEIGHTS = {ClaimVerdict.REPRODUCED: "good", ClaimVerdict.NOT_REPRODUCED: "bad", ClaimVerdict.INCONCLUSIVE: "open"}
SAME = {True: "same", False: "differs", None: ""}
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
POINTER = "/data/circumstances"


def document(found: Findings, info: About | None) -> Document:
    """Describe all of it; `info` is None where the paper's own numbers were judged."""
    judged, *others = tables(found)
    return (
        Heading(headline(found, info), 1),
        *(Paragraph(remark, "note") for remark in found.remarks),
        judged,
        Paragraph(OF_PAPER if found.of_paper else EXPLANATION),
        *(block for own in others for block in (Heading(own.title), own)),
    )


def tables(found: Findings) -> tuple[Table, ...]:
    """Return the claims, the circumstances where there are any, and the remarks on the paper."""
    rows = tuple(_row(judgement, of_paper=found.of_paper) for judgement in found.judgements)
    columns = texts("claim", "section", "verdict", "evidence")
    judged = Table(columns, rows, "claims", "The paper's claims", tiled=True)
    sides = [(own.what, own.paper, own.here, SAME[own.same]) for own in found.circumstances]
    beside = table(
        ("what", "the paper", "this run", "same?"),
        sides,
        4,
        key="circumstances",
        title="Circumstances: the paper's and this run's",
        caption="Of what is not reproduced, any that differs may be why.",
    )
    noted = table(
        ("the paper says", "section", "remark"),
        [(own.statement, own.section, own.remark) for own in found.on_the_paper],
        3,
        key="on-the-paper",
        title="Remarks on the paper, counted in no verdict",
        caption="Whatever a run measured, they would be the same.",
    )
    return (judged, beside, noted) if sides else (judged, noted)


def _row(judgement: Judgement, *, of_paper: bool) -> tuple[Field, ...]:
    claim, verdict = judgement.claim, judgement.verdict
    word, by, here = WORDS[verdict][of_paper].partition(" by ")
    anchor = "claims-circumstances" if here else ""
    first, *others = evidence(judgement, of_paper=of_paper)
    return (
        Field(claim.text),
        Field(claim.section),
        Field(word, f"{by}{here}".strip(), WEIGHTS.get(verdict, "unclear"), anchor),
        Field(first, " ".join(others)),
    )


def headline(found: Findings, info: About | None) -> str:
    """Say in one line what came out."""
    if info is None:
        source = "against the paper's own numbers (a check of our transcription, no evidence)"
    else:
        source = f"judged by run {info.run_id} ({info.study})"
    return f"{len(found.judgements)} claims {source}: {totals(found)}"


def totals(found: Findings) -> str:
    """Say how many claims there are of each verdict, and how many of those not reproduced contradict the paper too."""
    parts = [f"{count} {WORDS[verdict][found.of_paper]}" for verdict, count in found.counts.items() if count]
    missed = [j.claim for j in found.judgements if j.verdict is ClaimVerdict.NOT_REPRODUCED]
    own = sum(claim.contradicted is not None for claim in missed)
    if own and not found.of_paper:
        parts.append(f"of those not reproduced, {own} the paper's own numbers contradict, too")
    return ", ".join(parts)


def evidence(judgement: Judgement, *, of_paper: bool = False) -> Iterator[str]:
    """Say what made the verdict, then what keeps it from being the paper's or the library's alone."""
    claim, verdict, deciding = judgement.claim, judgement.verdict, judgement.deciding
    if verdict is ClaimVerdict.NOT_TESTABLE:
        yield f"takes {'; '.join(judgement.missing)}"
        return
    yield describe(deciding[0])
    if len(deciding) > 1:
        yield f"and {len(deciding) - 1} more like it, of {len(judgement.statements)} comparisons."
    if claim.contradicted:
        yield f"The paper contradicts itself here: {claim.contradicted}."
    if of_paper and claim.unprinted:
        yield f"The paper prints too little to tell: {claim.unprinted}."
    swamped = {s.subject for s in deciding if isinstance(s.found, Known) and s.found.swamped}
    if verdict is ClaimVerdict.INCONCLUSIVE and swamped:
        yield f"Noise swamps {len(swamped)} of them: vanilla against vanilla comes to as much."
    if verdict is ClaimVerdict.NOT_REPRODUCED and not of_paper:
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
    own = unit if found.estimate is None else ""
    ends = ", ".join(_number(end, own) if math.isfinite(end) else "unknown" for end in (low, high))
    return f"[{ends}]" if found.estimate is None else f"{_number(found.estimate, unit)} [{ends}]"


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


def data(found: Findings) -> dict[str, Any]:
    """Return all of it for programs."""
    return {
        "source": "paper" if found.of_paper else "run",
        "remarks": [OF_PAPER] if found.of_paper else found.remarks,
        "counts": found.counts,
        "circumstances": found.circumstances,
        "on_the_paper": found.on_the_paper,
        "claims": [_claim(judgement, found) for judgement in found.judgements],
    }


def _claim(judgement: Judgement, found: Findings) -> dict[str, Any]:
    claim = judgement.claim
    elsewhere = judgement.verdict is ClaimVerdict.NOT_REPRODUCED and found.circumstances
    return {
        "id": claim.id,
        "section": claim.section,
        "claim": claim.text,
        "verdict": judgement.verdict,
        "wording": WORDS[judgement.verdict][found.of_paper],
        "missing": judgement.missing,
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

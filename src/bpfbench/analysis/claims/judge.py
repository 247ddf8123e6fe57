# SPDX-License-Identifier: Apache-2.0
"""A claim and a source of evidence -> a verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bpfbench.analysis.claims.claim import CLAIMS, Claim
from bpfbench.analysis.claims.evidence import Evidence, Missing
from bpfbench.analysis.claims.predicate import Statement


class Verdict(StrEnum):
    """What evidence says about a claim."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not-reproduced"
    """By these versions on this machine: no run says anything of others."""
    INCONCLUSIVE = "inconclusive"
    """The intervals reach to both sides, or cannot tell neighbours apart."""
    NOT_TESTABLE = "not-testable"


VERDICTS = {True: Verdict.REPRODUCED, False: Verdict.NOT_REPRODUCED, None: Verdict.INCONCLUSIVE}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A claim, judged."""

    claim: Claim
    verdict: Verdict
    statements: tuple[Statement, ...]
    """All comparisons it is made of, those that could not be made too."""
    missing: tuple[str, ...] = ()
    """What it would take to test it; empty where it was tested."""

    @property
    def deciding(self) -> tuple[Statement, ...]:
        """The statements that made the verdict, the most telling first; none where it could not be tested.

        That is the one nearest to its limits where the claim is reproduced, the one farthest outside where it is not.
        An inconclusive claim may have none that is open, but some that are false, and not false enough for so many.
        """
        kinds: dict[Verdict, tuple[bool | None, ...]] = {
            Verdict.REPRODUCED: (True,),
            Verdict.NOT_REPRODUCED: (False,),
            Verdict.INCONCLUSIVE: (None, False),
        }
        telling = kinds.get(self.verdict, ())
        made = (statement for statement in self.statements if not isinstance(statement.found, Missing))
        return tuple(sorted((s for s in made if s.holds in telling), key=lambda s: s.margin))


def judge(claim: Claim, evidence: Evidence) -> Judgement:
    """Judge one claim. One that is surely false is not reproduced even where not all of it can be tested.

    A claim of many statements holds if all do, for which no correction is due; and is false if any one is, which by
    chance alone happens the more often, the more there are. So what 95 % intervals call false must still be false with
    intervals as wide as so many statements call for (Bonferroni).
    """
    outcome = claim.predicate.judge(evidence)
    holds, statements = outcome.holds, outcome.statements
    missing = [statement.found.what for statement in statements if isinstance(statement.found, Missing)]
    if holds is False:
        holds = claim.predicate.judge(evidence.stricter(len(statements))).holds
    if holds is None and missing:
        return Judgement(claim, Verdict.NOT_TESTABLE, statements, tuple(dict.fromkeys(missing)))
    return Judgement(claim, VERDICTS[holds], statements)


def judge_all(evidence: Evidence, claims: Iterable[Claim] = CLAIMS) -> tuple[Judgement, ...]:
    """Judge all claims in their order."""
    return tuple(judge(claim, evidence) for claim in claims)

# SPDX-License-Identifier: Apache-2.0
"""Judgement: of the paper's claims, by a source of evidence, a verdict each, and all else to say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bpfbench import catalogue
from bpfbench.analysis.questions.claims.circumstances import Circumstance, circumstances
from bpfbench.analysis.questions.claims.claim import Claim, Remark, Statement, claims, remarks, weigh
from bpfbench.analysis.questions.claims.paper import paper_witness
from bpfbench.analysis.questions.claims.run import run_witness
from bpfbench.analysis.questions.claims.witness import Missing, Witness
from bpfbench.analysis.results import Results


class ClaimVerdict(StrEnum):
    """What evidence says about a claim."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not-reproduced"
    """By these versions on this machine: no run says anything of others."""
    INCONCLUSIVE = "inconclusive"
    """The intervals reach to both sides, or cannot tell neighbours apart."""
    NOT_TESTABLE = "not-testable"


VERDICTS = {True: ClaimVerdict.REPRODUCED, False: ClaimVerdict.NOT_REPRODUCED, None: ClaimVerdict.INCONCLUSIVE}
TELLING: Mapping[ClaimVerdict, tuple[bool | None, ...]] = {
    ClaimVerdict.REPRODUCED: (True,),
    ClaimVerdict.NOT_REPRODUCED: (False,),
    ClaimVerdict.INCONCLUSIVE: (None, False),
    ClaimVerdict.NOT_TESTABLE: (),
}
"""How statements came out that make a verdict. An inconclusive claim may have none that is open, but some that are
false, and not false enough for so many."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A claim, judged."""

    claim: Claim
    verdict: ClaimVerdict
    statements: tuple[Statement, ...]
    """All comparisons it is made of, those that could not be made too."""

    @property
    def missing(self) -> tuple[str, ...]:
        """What it would take to test it; empty where it was tested."""
        if self.verdict is not ClaimVerdict.NOT_TESTABLE:
            return ()
        return tuple(dict.fromkeys(s.found.what for s in self.statements if isinstance(s.found, Missing)))

    @property
    def deciding(self) -> tuple[Statement, ...]:
        """The statements that made the verdict, the most telling first; none where it could not be tested.

        That is the one nearest to its limits where the claim is reproduced, the one farthest outside where it is not.
        """
        made = (statement for statement in self.statements if not isinstance(statement.found, Missing))
        telling = TELLING[self.verdict]
        return tuple(sorted((s for s in made if s.holds in telling), key=lambda s: s.margin))


@dataclass(frozen=True, slots=True)
class Findings:
    """The claims, judged, and what belongs to them."""

    judgements: tuple[Judgement, ...]
    on_the_paper: tuple[Remark, ...]
    """Counted in no verdict."""
    remarks: tuple[str, ...] = ()
    """What a reader must know of all verdicts."""
    circumstances: tuple[Circumstance, ...] = ()
    """The paper's beside the run's; empty where the paper's own numbers were judged, or records without a run."""
    of_paper: bool = False
    """No evidence, but a check of our transcription: judged were the paper's own numbers."""

    @property
    def counts(self) -> Mapping[ClaimVerdict, int]:
        """How many there are of each verdict; every verdict has an entry."""
        found = [judgement.verdict for judgement in self.judgements]
        return {verdict: found.count(verdict) for verdict in ClaimVerdict}


def by_run(run: Results) -> Findings:
    """Judge the claims by a run."""
    witness, paper = run_witness(run.records), catalogue.paper()
    beside = circumstances(paper, run.info, witness.records) if run.info else ()
    return Findings(judge_all(witness), remarks(paper), witness.remarks, beside)


def by_paper() -> Findings:
    """Judge the claims by the paper's own numbers."""
    paper = catalogue.paper()
    return Findings(judge_all(paper_witness(paper)), remarks(paper), of_paper=True)


def judge_all(witness: Witness) -> tuple[Judgement, ...]:
    """Judge all claims in their order."""
    return tuple(judge(claim, witness) for claim in claims())


def judge(claim: Claim, witness: Witness) -> Judgement:
    """Judge one claim. One that is surely false is not reproduced even where not all of it can be tested.

    A claim of many statements holds if all do, for which no correction is due; and is false if any one is, which by
    chance alone happens the more often, the more there are. So what 95 % intervals call false must still be false with
    intervals as wide as so many statements call for (Bonferroni).
    """
    holds, statements = weigh(claim.holds, witness)
    if holds is False:
        holds, _ = weigh(claim.holds, witness.stricter(len(statements)))
    untestable = holds is None and any(isinstance(statement.found, Missing) for statement in statements)
    return Judgement(claim, ClaimVerdict.NOT_TESTABLE if untestable else VERDICTS[holds], statements)

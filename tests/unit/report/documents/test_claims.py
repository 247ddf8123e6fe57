# SPDX-License-Identifier: Apache-2.0
"""What is said of the paper's claims, for people and for programs."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import Any

from judged import CLAIMS, found_in, some_run
from rich.console import Console

from bpfbench.analysis.questions.claims.judge import ClaimVerdict, Findings, Judgement, by_paper, judge_all
from bpfbench.analysis.questions.claims.run import run_witness
from bpfbench.report.about import About
from bpfbench.report.documents import claims as report
from bpfbench.report.write import json as json_writer
from bpfbench.report.write import markdown, terminal

INFO = About(study="quick", run_id="20260102-030405", trials_done=9, trials_planned=9)


def _data(found: Findings) -> dict[str, Any]:
    return dict(json.loads(json_writer.written(report.data(found))))


class TestReport:
    def _shown(self, found: Findings, info: About | None = INFO) -> str:
        out = io.StringIO()
        terminal.write(report.document(found, info), Console(file=out, width=160))
        return " ".join(out.getvalue().split())

    def test_counts_come_first_and_every_verdict_has_its_evidence(self) -> None:
        text = self._shown(found_in(some_run()))
        assert text.startswith(f"{len(CLAIMS)} claims judged by run 20260102-030405 (quick): ")
        assert "takes mixed runs" in text
        assert "read rw-tracer bcc saved 40.1 % [39.85, 40.35], n 3; wanted 37.45 to 57.45 %" in text

    def test_not_reproduced_says_by_what_and_leads_to_both_environments(self) -> None:
        found = found_in(some_run())
        text = self._shown(found)
        assert "not reproduced by these versions on this machine" in text
        for shown in (text, markdown.text(report.document(found, INFO))):
            assert "Versions and machine: under Circumstances." in shown
            assert "Circumstances: the paper's and this run's" in shown
            assert "6.8.0-58-generic" in shown
            assert "Remarks on the paper, counted in no verdict" in shown
        document = _data(found)
        missed = [claim for claim in document["claims"] if claim["verdict"] == "not-reproduced"]
        assert missed
        assert {claim["circumstances"] for claim in missed} == {"/data/circumstances"}
        assert {claim["wording"] for claim in missed} == {"not reproduced by these versions on this machine"}
        assert {"what": "kernel", "paper": "6.8.0-58-generic", "here": "6.18", "same": False} in document[
            "circumstances"
        ]

    def test_what_is_false_but_not_false_enough_for_so_many_comparisons_has_its_evidence(self) -> None:
        judged = judge_all(run_witness(some_run()))
        missed = [judgement for judgement in judged if judgement.verdict is ClaimVerdict.NOT_REPRODUCED]
        assert missed
        for judgement in missed:
            doubted = dataclasses.replace(judgement, verdict=ClaimVerdict.INCONCLUSIVE)
            assert set(judgement.deciding) <= set(doubted.deciding)
            assert list(report.evidence(doubted))

    def test_the_papers_own_numbers_are_said_to_be_no_evidence(self) -> None:
        found = by_paper()
        text = self._shown(found, None)
        contradicted = sum(claim.contradicted is not None for claim in CLAIMS)
        open_ = sum(claim.unprinted is not None for claim in CLAIMS)
        printed = len(CLAIMS) - contradicted - open_
        assert text.startswith(
            f"{len(CLAIMS)} claims against the paper's own numbers (a check of our transcription, no evidence):"
            f" {printed} as printed, {contradicted} contradicted, {open_} left open"
        )
        assert "Whether any of it is so, only a run can tell." in text
        assert "this machine" not in text
        document = _data(found)
        assert (document["source"], document["circumstances"]) == ("paper", [])

    def test_what_the_paper_contradicts_itself_is_said(self) -> None:
        found = by_paper()
        text = markdown.text(report.document(found, None))
        assert "The paper contradicts itself here: aya-sync falls from 3.64 to 3.09 times vanilla's" in text
        assert "The paper prints too little to tell: with the rw tools it does not tell BCC from bpftrace" in text
        assert len(report.tables(found)[0].rows) == len(CLAIMS)

    def test_what_the_paper_contradicts_itself_is_counted_apart(self) -> None:
        (claim,) = (claim for claim in CLAIMS if claim.id == "polling-cpu-large-events")
        judgement = Judgement(claim, ClaimVerdict.NOT_REPRODUCED, ())
        found = dataclasses.replace(by_paper(), judgements=(judgement,), of_paper=False)
        assert "of those not reproduced, 1 the paper's own numbers contradict, too" in report.headline(found, INFO)

    def test_json_has_every_comparison(self) -> None:
        document = _data(found_in(some_run()))
        assert sum(document["counts"].values()) == len(CLAIMS) == len(document["claims"])
        (found,) = (claim for claim in document["claims"] if claim["id"] == "read-rw-saved-order")
        statement = found["statements"][0]
        assert statement["subject"] == "read rw-tracer libbpf saved - aya-sync"
        assert statement["wanted"] == {"low": 0.0, "high": None, "strict": True}
        assert statement["missing"] == "trials of aya-sync rw-tracer"

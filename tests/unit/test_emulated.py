# SPDX-License-Identifier: Apache-2.0
"""A machine whose CPU is emulated proves correctness, never fidelity: no verb says more of its run than that."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from builders import make_config, make_record, make_summary, make_trial

from bpfbench.analysis import metrics
from bpfbench.analysis.questions import costs
from bpfbench.analysis.questions.capacity import learnt
from bpfbench.analysis.questions.ring_trials import trials
from bpfbench.analysis.results import of
from bpfbench.analysis.statistics import analyse
from bpfbench.analysis.summary import summarise
from bpfbench.analysis.table import tidy
from bpfbench.model import EMULATED, EMULATED_BECAUSE, Accelerator, Environment, Record, Variant
from bpfbench.run.progress import describe

# The entry point reads sys.argv, as the command does.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")

FORMAT_3 = Path(__file__).parent.parent / "data" / "runs" / "format-3"
TCG = Environment("6.12", "boot", Accelerator.TCG)

SHARE = re.compile(r"\d ?%|\bMiB/s|percent")


def emulated(setup: str, block: int = 0, variant: Variant = Variant.FULL) -> Record:
    config = None if setup == "vanilla" else make_config(variant=variant)
    trial = make_trial(setup, block, config=config)
    summary = make_summary(trial, saved=600, lost={"ring_full": 400, "missed": None})
    return replace(make_record(trial, summary=summary), environment=TCG)


RECORDS = [emulated(setup, block) for block in range(3) for setup in ("vanilla", "libbpf", "bcc")]

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bpfbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Invoke) -> Invoke:
    """Call the entry point beside a run that was kept, as if its machine had been emulated."""
    run = tmp_path / "runs" / "emulated"
    shutil.copytree(FORMAT_3, run)
    for path in run.glob("trials/*/record.json"):
        record = json.loads(path.read_text())
        record["environment"]["accelerator"] = "tcg"
        path.write_text(json.dumps(record))
    info = json.loads((run / "run.json").read_text())
    info["machine"] |= {"emulated": True, "accelerator": "tcg"}
    (run / "run.json").write_text(json.dumps(info))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return invoke


class TestVerbs:
    @pytest.mark.parametrize(
        "words",
        [
            ("summary", "runs/emulated"),
            ("summary", "runs/emulated", "--markdown"),
            ("export", "runs/emulated", "--format", "latex"),
            ("status", "runs/emulated"),
            ("tradeoffs", "runs/emulated"),
            ("capacity", "runs/emulated"),
            ("recommend", "runs/emulated", "--rate", "20k"),
        ],
    )
    def test_correctness_is_all_they_speak_of_with_the_reason_once(
        self, bpfbench: Invoke, words: tuple[str, ...]
    ) -> None:
        status, out, _ = bpfbench(*words)
        text = " ".join(out.split())
        assert status == 0
        assert EMULATED in text.lower()
        once = len(re.findall(re.escape(EMULATED_BECAUSE), text))
        assert once == 1 or words[0] == "export"  # every table of LaTeX stands for itself
        wanted = r"at least 99 ?% saved|at most 2 ?% overhead"
        assert not SHARE.search(re.sub(wanted, "", text)), text

    def test_the_summary_has_what_became_of_each_call(self, bpfbench: Invoke) -> None:
        _, out, _ = bpfbench("summary", "runs/emulated")
        rows = [line.split() for line in out.splitlines() if line.startswith("libbpf ")]
        assert rows
        for _, n, ios, intercepted, saved, lost in rows:
            assert int(n) == 2
            assert int(intercepted) >= int(ios)
            assert int(intercepted) == int(saved) + int(lost)
        assert out.count("intercepted = saved + lost, and the output holds what was saved") == 4

    def test_programs_get_counts_and_no_share(self, bpfbench: Invoke) -> None:
        _, out, _ = bpfbench("summary", "runs/emulated", "--json")
        for group in json.loads(out)["data"]["groups"]:
            assert group["emulated"]
            for row in group["rows"]:
                present = {key for key, value in row["metrics"].items() if value is not None}
                assert present <= {metric.key for metric in metrics.CORRECTNESS}

    def test_raw_data_stays_raw_data(self, bpfbench: Invoke) -> None:
        status, out, _ = bpfbench("export", "runs/emulated", "--format", "csv")
        assert status == 0
        assert "saved_percent" in out
        assert ",true," in out

    @pytest.mark.parametrize(("form", "empty"), [("bencher", {}), ("github-benchmark", [])])
    def test_what_watches_benchmarks_gets_nothing_and_people_the_reason(
        self, bpfbench: Invoke, form: str, empty: object
    ) -> None:
        status, out, err = bpfbench("export", "runs/emulated", "--format", form)
        assert (status, json.loads(out)) == (0, empty)
        assert EMULATED_BECAUSE in err

    @pytest.mark.parametrize(
        "words", [("compare", "runs/emulated", str(FORMAT_3)), ("costs", "runs/emulated"), ("knee", "runs/emulated")]
    )
    def test_what_would_compare_it_refuses_with_the_reason(self, bpfbench: Invoke, words: tuple[str, ...]) -> None:
        status, out, err = bpfbench(*words)
        assert (status, out) == (2, "")
        assert EMULATED in err
        assert EMULATED_BECAUSE in err

    def test_drain_rates_of_one_predict_nothing(self, bpfbench: Invoke, tmp_path: Path) -> None:
        (tmp_path / "drain.json").write_text(json.dumps({"machine": {"emulated": True}, "measurements": []}))
        status, out, err = bpfbench("recommend", str(FORMAT_3), "--rate", "20k", "--drain", "drain.json")
        assert (status, out) == (2, "")
        assert EMULATED in err

    def test_no_claim_is_judged(self, bpfbench: Invoke) -> None:
        _, out, _ = bpfbench("claims", "runs/emulated", "--json")
        claims = json.loads(out)["data"]["claims"]
        assert {claim["verdict"] for claim in claims} == {"not-testable"}
        assert any("a CPU that is not emulated" in claim["missing"] for claim in claims)


def test_a_table_keeps_the_rows_and_says_nothing_by_them() -> None:
    results = of(RECORDS)
    table = tidy(results)
    assert len(table) > 0
    assert list(results.measured) == []
    assert analyse(results).statistics == ()
    assert learnt(trials(results)) == ()


def test_variants_cost_nothing_that_could_be_told() -> None:
    assert costs.costs(of([*RECORDS, emulated("libbpf", 0, Variant.NO_OUTPUT)])) == ()


def test_a_summary_says_still_what_cannot_be_counted() -> None:
    (group,) = summarise(of(RECORDS)).groups
    libbpf = next(row for row in group.rows if row.cell.setup == "libbpf")
    assert libbpf.lost_percent_by_cause == {"missed": None}
    assert not any(own.is_compared for own in libbpf.samples.values())


def test_the_line_of_a_trial_says_what_it_proves() -> None:
    assert describe(RECORDS[1], 2.0, 1, 9).endswith(": intercepted 1000 = saved 600 + lost 400 (2.0 s)")
    assert describe(RECORDS[0], 2.0, 1, 9).endswith(": ok (2.0 s)")

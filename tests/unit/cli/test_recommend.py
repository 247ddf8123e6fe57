# SPDX-License-Identifier: Apache-2.0
"""recommend, on stored runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bpfbench.analysis.questions.candidates import Fit
from bpfbench.analysis.questions.recommend import Recommendation, recommend

Invoke = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")
RUNS = Path(__file__).parents[2] / "data" / "runs"
OLD, NEW, LIMITED, LONG = (str(RUNS / name) for name in ("format-1", "format-2", "format-3", "format-5"))


class TestRecommend:
    def test_that_nobody_is_known_to_qualify_is_an_answer(self, invoke: Invoke) -> None:
        status, out, err = invoke("recommend", LIMITED, "--rate", "80k", "--max-memory", "1KiB")
        assert (status, err) == (0, "")
        assert "memory is undecided: fewer than 3 rounds say nothing of its error" in " ".join(out.split())
        assert "<= 1 KiB" in out

    def test_that_nothing_is_known_is_one_too_with_what_would_tell(self, invoke: Invoke) -> None:
        status, out, _ = invoke("recommend", OLD, "--rate", "1k")
        assert status == 0
        assert "This run does not tell: fidelity is undecided" in out
        (command,) = (line for line in out.splitlines() if line.startswith("  bpfbench run quick "))
        assert "--setups bpftrace,libbpf " in command
        assert "--rate-iops 250 " in command

    def test_json_has_every_candidate_with_its_evidence(self, invoke: Invoke) -> None:
        status, out, _ = invoke("recommend", NEW, "--rate", "10k", "--prefer", "memory", "--json")
        document = json.loads(out)["data"]
        assert status == 0
        assert {candidate["setup"] for candidate in document["candidates"]} == {"libbpf", "bpftrace"}
        by_setup = {candidate["setup"]: candidate["assessments"] for candidate in document["candidates"]}
        assert [own["verdict"] for own in by_setup["libbpf"]] == ["undecided", "not measured"]
        assert by_setup["libbpf"][0]["evidence"]["validated_by"] == "docs/capacity.md"
        assert document["wish"]["rate_per_s"] == 10_000

    @pytest.mark.parametrize("rate", ["200k", "200K", "2e5", "200_000", "200,000", "0.2M", "200000"])
    def test_rates_are_read_however_they_are_written(self, invoke: Invoke, rate: str) -> None:
        status, out, _ = invoke("recommend", NEW, "--rate", rate, "--json")
        assert (status, json.loads(out)["data"]["wish"]["rate_per_s"]) == (0, 200_000)

    def test_what_counts_as_equal_can_be_said(self, invoke: Invoke) -> None:
        status, out, _ = invoke("recommend", NEW, "--rate", "10k", "--memory-margin-percent", "30")
        assert status == 0
        status, out, err = invoke("recommend", NEW, "--rate", "10k", "--memory-margin-percent", "much")
        assert (status, out) == (2, "")
        assert "option --memory-margin-percent: a number is wanted" in err

    def test_markdown_and_terminal_say_the_same(self, invoke: Invoke) -> None:
        _, terminal, _ = invoke("recommend", NEW, "--rate", "10k")
        _, markdown, _ = invoke("recommend", NEW, "--rate", "10k", "--markdown")
        assert markdown.splitlines()[0].removeprefix("### ").replace("\\", "") == terminal.splitlines()[0]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--rate", "fast"), "option --rate: 'fast' is not a number, alone or with one of: k, M"),
            (("--rate", "20_00"), "option --rate: '20_00' is not a number"),
            (("--rate", "0"), "option --rate: 0 is out of range; valid is 0.001 or more"),
            (("--rate", "1k", "--event-bytes", "1GB"), "option --event-bytes: '1GB' is not a number"),
            (
                ("--rate", "1k", "--min-fidelity", "101%"),
                "--min-fidelity: 101% is out of range; valid is 0 to 100",
            ),
            (("--rate", "1k", "--prefer", "memery"), "option --prefer: 'memery' is not one of: memory, cpu, overhead"),
            (
                ("--rate", "1k", "--drain", "/nowhere.json"),
                "--drain: /nowhere.json: cannot be read: No such",
            ),
            ((), "--rate"),
        ],
    )
    def test_bad_options_get_one_clear_error(self, invoke: Invoke, options: tuple[str, ...], message: str) -> None:
        status, out, err = invoke("recommend", OLD, *options)
        assert (status, out) == (2, "")
        assert message in " ".join(err.split())

    @pytest.mark.parametrize(
        ("fits", "status"),
        [
            ((Fit.NO, Fit.YES), 0),
            ((Fit.NO, Fit.NO), 1),
            ((Fit.NO, Fit.UNDECIDED), 3),
            ((Fit.UNKNOWN, Fit.NO), 3),
        ],
    )
    def test_a_check_tells_by_its_exit_status(
        self, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, fits: tuple[Fit, ...], status: int
    ) -> None:
        def judged(*given: Any) -> Recommendation:
            found = recommend(*given)
            own = zip(found.candidates, fits, strict=True)
            alike = (replace(one, assessments=tuple(replace(a, fit=fit) for a in one.assessments)) for one, fit in own)
            return replace(found, candidates=tuple(alike))

        monkeypatch.setattr("bpfbench.cli.recommend.judge", judged)
        words = ("recommend", NEW, "--rate", "1k")
        assert invoke(*words)[0] == 0
        assert invoke(*words, "--check", "--strict")[0] == status
        lenient, _, err = invoke(*words, "--check")
        assert lenient == (0 if status == 3 else status)
        assert ("bpfbench: undecided: " in err) == (status == 3)

    def test_a_run_that_cannot_be_read_is_not_one_in_which_none_fits(self, invoke: Invoke, tmp_path: Path) -> None:
        run = shutil.copytree(NEW, tmp_path / "run")
        (run / "run.json").write_text('{"format": 99}')
        words = ("recommend", str(run), "--rate", "1k")
        assert invoke(*words)[0] == 1
        status, out, err = invoke(*words, "--check")
        assert (status, out) == (2, "")
        assert "run.json: has format 99" in err

    def test_strict_goes_with_a_check(self, invoke: Invoke) -> None:
        status, _, err = invoke("recommend", NEW, "--rate", "1k", "--strict")
        assert status == 2
        assert "--strict goes with --check" in err

    @pytest.mark.parametrize("enveloped", [True, False])
    def test_rates_of_bench_drain_are_read_as_they_are_saved_and_were(
        self, invoke: Invoke, tmp_path: Path, enveloped: bool
    ) -> None:
        config = {"attach": "tracepoint", "format": "text", "ringbuf_bytes": 262144, "poll_ms": 100}
        case = {"setup": "libbpf", "event_bytes": 156, "config": config}
        result = {"events": 1_000_000, "seconds": 1.0}
        data = {"machine": {}, "measurements": [{"case": case, "result": result, "reason": None}]}
        path = tmp_path / "drain.json"
        path.write_text(
            json.dumps({"schema": 2, "kind": "bench drain", "run": None, "data": data} if enveloped else data)
        )
        status, out, err = invoke("recommend", OLD, "--rate", "1k", "--drain", str(path))
        assert (status, err) == (0, "")
        assert "Candidates of" in out

    def test_another_json_is_no_bench_drain(self, invoke: Invoke, tmp_path: Path) -> None:
        path = tmp_path / "other.json"
        path.write_text('{"measurements": [{"case": 1}]}')
        status, _, err = invoke("recommend", OLD, "--rate", "1k", "--drain", str(path))
        assert status == 2
        assert "is no JSON of `bpfbench bench drain`" in err

# SPDX-License-Identifier: Apache-2.0
"""compare, on stored runs."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Invoke = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")
RUNS = Path(__file__).parents[2] / "data" / "runs"
OLD, NEW, LONG, QUICK = (str(RUNS / name) for name in ("format-1", "format-2", "format-5", "quick"))


class TestCompare:
    def test_a_run_of_an_older_format_is_compared_with_a_new_one(self, invoke: Invoke) -> None:
        status, out, _ = invoke("compare", OLD, NEW, "--json")
        document = json.loads(out)["data"]
        assert status == 0
        assert (document["before"], document["after"]) == ("format-1", "format-2")
        assert {shift["setup"] for shift in document["shifts"]} == {"vanilla", "libbpf", "bpftrace"}
        assert (document["only_before"], document["only_after"]) == ([], [])

    def test_a_run_is_told_to_be_compared_with_itself(self, invoke: Invoke, tmp_path: Path) -> None:
        copied = shutil.copytree(NEW, tmp_path / "copy")
        for other in (NEW, str(copied)):
            status, out, _ = invoke("compare", NEW, other)
            assert status == 0
            assert out.startswith("format-2 is compared with itself\nWarning: Both are the same run")
            assert "runtime" not in out
        _, out, _ = invoke("compare", NEW, NEW, "--json")
        assert json.loads(out)["data"]["same"]
        status, _, err = invoke("compare", NEW, NEW, "--fail-on", "runtime_s > 5 %")
        assert status == 2
        assert "are the same run: a limit wants two" in err

    def test_what_changed_is_shown_alone_and_the_rest_where_it_is_asked_for(self, invoke: Invoke) -> None:
        _, short, _ = invoke("compare", OLD, NEW)
        _, long, _ = invoke("compare", OLD, NEW, "--all")
        assert short.startswith("What changed\nFrom format-1 to format-2: too few trials to tell")
        assert "runtime over vanilla" not in short
        assert "--all shows all 36." in short
        assert long.index("What changed") < long.index("What cannot be told to have changed")
        assert "tracepoint, text" in long, "the configuration is named"
        assert not [word for word in long.split() if "_percent" in word or word.endswith(("_s", "_us", "_bytes"))]
        assert len(long.splitlines()) > len(short.splitlines()) + 20

    @pytest.mark.parametrize(
        ("limit", "options", "status"),
        [
            ("runtime_s > 5 %", (), 0),
            ("runtime_s > 5 %", ("--strict",), 3),
            ("energy_joules > 5 %", ("--strict",), 3),
            ("runtime_s > 1e9 %", (), 2),
        ],
    )
    def test_what_is_undecided_fails_nothing_and_is_told(
        self, invoke: Invoke, limit: str, options: tuple[str, ...], status: int
    ) -> None:
        found, _, err = invoke("compare", OLD, NEW, "--fail-on", limit, *options)
        assert found == status
        assert (f"bpfbench: undecided: {limit}" in err) == (status != 2)

    def test_runtime_at_a_limited_rate_is_told_to_be_unjudged(self, invoke: Invoke, tmp_path: Path) -> None:
        other = shutil.copytree(QUICK, tmp_path / "other")
        (record, *_) = sorted(other.glob("trials/*-libbpf-*/record.json"))
        record.write_text(json.dumps(json.loads(record.read_text()) | {"status": "failed", "reason": "it crashed"}))
        limit = ("--fail-on", "runtime_s > 1000 %")
        status, out, _ = invoke("compare", QUICK, str(other), *limit)
        assert status == 0
        assert "runtime_s > 1000 % is not judged in 12 cells at a limited rate" in " ".join(out.split())
        _, out, _ = invoke("compare", QUICK, str(other), *limit, "--json")
        data = json.loads(out)["data"]
        assert {own["rate_iops"] for own in data["gate"]} == {None}
        assert {own["rate_iops"] for own in data["unjudged"]} == {25000, 50000}

    def test_a_planted_slowdown_fails_and_says_where(self, invoke: Invoke, tmp_path: Path) -> None:
        slow = shutil.copytree(LONG, tmp_path / "slow")
        for path in slow.glob("trials/*-libbpf-*/record.json"):
            data = json.loads(path.read_text())
            data["driven"]["runtime_s"] *= 3
            path.write_text(json.dumps(data))
        status, out, _ = invoke("compare", LONG, str(slow), "--fail-on", "runtime_s > 20 %", "--strict")
        assert status == 1
        _, alone, _ = invoke("compare", LONG, str(slow))
        told = [line for line in alone.splitlines() if line.startswith("libbpf")]
        assert all("runtime over vanilla" in line for line in told)
        assert 0 < alone.index(told[-1]) < alone.index("What is different")
        (row, *_) = (line for line in out.splitlines() if line.startswith("failed"))
        assert "libbpf" in row
        assert "tracepoint" in row
        assert "failed" not in [line.split()[0] for line in out.splitlines() if " bpftrace " in line]
        status, out, _ = invoke("compare", LONG, str(slow), "--fail-on", "runtime_s > 20 %", "--json")
        assert {own["verdict"] for own in json.loads(out)["data"]["gate"] if own["setup"] == "libbpf"} == {"failed"}

    @pytest.mark.parametrize(("options", "status"), [((), 0), (("--strict",), 3)])
    def test_a_tracer_that_vanished_is_named_and_no_pass(
        self, invoke: Invoke, tmp_path: Path, options: tuple[str, ...], status: int
    ) -> None:
        less = shutil.copytree(LONG, tmp_path / "less")
        for path in less.glob("trials/*-libbpf-*/record.json"):
            path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "failed", "reason": "it crashed"}))
        limit = "runtime_s > 1000 %"
        found, out, err = invoke("compare", LONG, str(less), "--fail-on", limit, *options)
        assert found == status
        assert f"bpfbench: undecided: {limit}: 20261128-022201-mine has no value of libbpf to compare (mine: " in err
        assert f"bpfbench: undecided: {limit}\n" in err
        assert "2 passed, 2 undecided." in out

    @pytest.mark.parametrize("content", ['{"format": 99}', '{"format": 1', ""], ids=["newer", "cut short", "empty"])
    @pytest.mark.parametrize("limit", ["--fail-on=runtime_s > 5 %", "--fail-on"])
    def test_a_baseline_that_cannot_be_read_is_no_regression(
        self, invoke: Invoke, tmp_path: Path, limit: str, content: str
    ) -> None:
        base = shutil.copytree(OLD, tmp_path / "base")
        (base / "run.json").write_text(content)
        assert invoke("compare", str(base), NEW)[0] == 1
        words = (limit,) if "=" in limit else (limit, "runtime_s > 5 %")
        status, out, err = invoke("compare", str(base), NEW, *words)
        assert (status, out) == (2, "")
        assert err.startswith(f"bpfbench: {base}/run.json: ")

    @pytest.mark.parametrize(
        ("error", "said"),
        [(OSError(errno.EIO, "Input/output error", "/x"), "bpfbench: /x: Input/output"), (KeyError(), "KeyError")],
        ids=["the system's", "a defect"],
    )
    def test_no_error_is_a_regression(
        self, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
    ) -> None:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr("bpfbench.cli.compare.compare_runs", fail)
        status, out, err = invoke("compare", OLD, NEW, "--fail-on", "runtime_s > 5 %")
        assert (status, out) == (2, "")
        assert said in err

    def test_strict_goes_with_a_limit(self, invoke: Invoke) -> None:
        status, _, err = invoke("compare", OLD, NEW, "--strict")
        assert status == 2
        assert "--strict goes with --fail-on" in err

    def test_markdown_has_tables(self, invoke: Invoke) -> None:
        status, out, _ = invoke("compare", OLD, NEW, "--markdown", "--all")
        assert status == 0
        assert "| setup | what | before (n) |" in out

    def test_both_forms_at_once_are_refused(self, invoke: Invoke) -> None:
        status, _, err = invoke("compare", OLD, NEW, "--json", "--markdown")
        assert status == 2
        assert "choose one of --json, --markdown" in err

    def test_a_run_that_is_not_there_is_named(self, invoke: Invoke, tmp_path: Path) -> None:
        status, _, err = invoke("compare", OLD, "nowhere", "--runs-dir", str(tmp_path))
        assert status == 1
        assert "'nowhere' is no run" in err

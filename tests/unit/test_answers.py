# SPDX-License-Identifier: Apache-2.0
"""compare and recommend from the command line, on a stored run."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from bpfbench import cli

# The entry point reads sys.argv, as the command does.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")

RUNS = Path(__file__).parent.parent / "data" / "runs"
OLD, NEW, LIMITED = (str(RUNS / name) for name in ("format-1", "format-2", "format-3"))


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *argv: str) -> tuple[int, str, str]:
    """Return the exit status, stdout and stderr of a command line."""
    monkeypatch.setattr("sys.argv", ["bpfbench", *argv])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


@pytest.fixture(name="bpfbench")
def bpfbench_fixture(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda *argv: run(capsys, monkeypatch, *argv)


@pytest.mark.parametrize("verb", cli.LAZY)
def test_a_verb_that_is_imported_late_is_listed_by_its_own_words(verb: str) -> None:
    function = getattr(importlib.import_module(f"bpfbench.cli.{verb}"), verb)
    assert (inspect.getdoc(function) or "").splitlines()[0] == cli.LAZY[verb]


class TestCompare:
    def test_a_run_of_an_older_format_is_compared_with_a_new_one(self, bpfbench: Any) -> None:
        status, out, _ = bpfbench("compare", OLD, NEW, "--json")
        document = json.loads(out)["data"]
        assert status == 0
        assert (document["before"], document["after"]) == ("format-1", "format-2")
        assert {shift["setup"] for shift in document["shifts"]} == {"vanilla", "libbpf", "bpftrace"}
        assert (document["only_before"], document["only_after"]) == ([], [])

    def test_a_run_does_not_differ_from_itself(self, bpfbench: Any) -> None:
        status, out, _ = bpfbench("compare", NEW, NEW)
        assert status == 0
        assert "Nothing that was recorded" in out
        assert "No change can be told from noise." in out

    def test_markdown_has_tables(self, bpfbench: Any) -> None:
        status, out, _ = bpfbench("compare", OLD, NEW, "--markdown")
        assert status == 0
        assert "| setup | metric |" in out

    def test_both_forms_at_once_are_refused(self, bpfbench: Any) -> None:
        status, _, err = bpfbench("compare", OLD, NEW, "--json", "--markdown")
        assert status == 2
        assert "choose one of --json, --markdown" in err

    def test_a_run_that_is_not_there_is_named(self, bpfbench: Any, tmp_path: Path) -> None:
        status, _, err = bpfbench("compare", OLD, "nowhere", "--runs-dir", str(tmp_path))
        assert status == 1
        assert "'nowhere' is no run" in err


class TestRecommend:
    def test_that_none_qualifies_is_an_answer(self, bpfbench: Any) -> None:
        status, out, err = bpfbench("recommend", LIMITED, "--rate", "80k", "--max-memory", "1KiB")
        assert (status, err) == (0, "")
        assert "None qualifies. The nearest is libbpf" in out
        assert "<= 1 KiB wanted" in out

    def test_that_nothing_is_known_is_one_too_with_what_would_tell(self, bpfbench: Any) -> None:
        status, out, _ = bpfbench("recommend", OLD, "--rate", "1k")
        assert status == 0
        assert "This run does not tell: fidelity is undecided" in out
        (command,) = (line for line in out.splitlines() if line.startswith("  bpfbench run quick "))
        assert "--setups bpftrace,libbpf " in command
        assert "--rate-iops 250 " in command

    def test_json_has_every_candidate_with_its_evidence(self, bpfbench: Any) -> None:
        status, out, _ = bpfbench("recommend", NEW, "--rate", "10k", "--prefer", "memory", "--json")
        document = json.loads(out)["data"]
        assert status == 0
        assert {candidate["setup"] for candidate in document["candidates"]} == {"libbpf", "bpftrace"}
        by_setup = {candidate["setup"]: candidate["assessments"] for candidate in document["candidates"]}
        assert [own["verdict"] for own in by_setup["libbpf"]] == ["undecided", "not measured"]
        assert by_setup["libbpf"][0]["evidence"]["validated_by"] == "docs/statistics.md"
        assert document["wish"]["rate_per_s"] == 10_000

    def test_markdown_and_terminal_say_the_same(self, bpfbench: Any) -> None:
        _, terminal, _ = bpfbench("recommend", NEW, "--rate", "10k")
        _, markdown, _ = bpfbench("recommend", NEW, "--rate", "10k", "--markdown")
        assert markdown.splitlines()[0].removeprefix("### ").replace("\\", "") == terminal.splitlines()[0]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--rate", "fast"), "option --rate: 'fast' is not a number, alone or with one of: k, M"),
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
    def test_bad_options_get_one_clear_error(self, bpfbench: Any, options: tuple[str, ...], message: str) -> None:
        status, out, err = bpfbench("recommend", OLD, *options)
        assert (status, out) == (2, "")
        assert message in " ".join(err.split())

    @pytest.mark.parametrize("enveloped", [True, False])
    def test_rates_of_bench_drain_are_read_as_they_are_saved_and_were(
        self, bpfbench: Any, tmp_path: Path, enveloped: bool
    ) -> None:
        config = {"attach": "tracepoint", "format": "text", "ringbuf_bytes": 262144, "poll_ms": 100}
        case = {"setup": "libbpf", "event_bytes": 156, "config": config}
        result = {"events": 1_000_000, "seconds": 1.0}
        data = {"machine": {}, "measurements": [{"case": case, "result": result, "reason": None}]}
        path = tmp_path / "drain.json"
        path.write_text(
            json.dumps({"schema": 2, "kind": "bench drain", "run": None, "data": data} if enveloped else data)
        )
        status, out, err = bpfbench("recommend", OLD, "--rate", "1k", "--drain", str(path))
        assert (status, err) == (0, "")
        assert "Candidates of" in out

    def test_another_json_is_no_bench_drain(self, bpfbench: Any, tmp_path: Path) -> None:
        path = tmp_path / "other.json"
        path.write_text('{"measurements": [{"case": 1}]}')
        status, _, err = bpfbench("recommend", OLD, "--rate", "1k", "--drain", str(path))
        assert status == 2
        assert "is no JSON of `bpfbench bench drain`" in err

# SPDX-License-Identifier: Apache-2.0
"""What was found in an output becomes checks: good content passes all, each flaw fails the one that is about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from builders import READ, make_config, make_trial
from hypothesis import given
from hypothesis import strategies as st

from bpfbench.codec import from_json, to_json
from bpfbench.errors import StepError
from bpfbench.inside.monitors.series import Span
from bpfbench.inside.trial import content
from bpfbench.inside.trial.content import Expectation, TracedOutput
from bpfbench.model import (
    Content,
    Defect,
    Format,
    ProfileContent,
    Settings,
    Silence,
    Tool,
    Trial,
    TrialSpec,
    Variant,
    Workload,
)

GOOD = Content(
    output_bytes=12_000_000,
    records=1086,
    record_bytes=12_000_000,
    notices=0,
    data_reads=1000,
    data_writes=0,
    other_records=86,
    uncopied=0,
    comparable=1000,
    compared=334,
    compare_every=3,
    first_ns=100_010_000_000,
    last_ns=103_980_000_000,
    peak_bytes=None,
    released_bytes=None,
    silences=(Silence(101_000_000_000, 101_200_000_000), Silence(102_000_000_000, 102_100_000_000)),
    defects={},
)
EXPECTED = Expectation(
    ios=1100, lost=100, others_most=100, payload=True, span_s=(100.0, 104.0), silence_most_s=content.SILENCE_MOST_S
)
SUBJECT = TracedOutput(
    output=Path("/output/t.out"),
    format=Format.TEXT,
    payload_bytes=4096,
    data=(Path("/data/fio.0"), Path("/data/fio.1")),
    dev=8 << 20 | 1,
    since_ns=77,
    compared_op="read",
    compare_every=3,
)


PROFILE = ProfileContent(files=40, other=0, slow=7, slow_least=6, slow_most=9)
PROFILE_EXPECTED = replace(EXPECTED, payload=False, silence_most_s=None, slow=7)


def profiled(kind: str = "") -> Content:
    defects = {kind: Defect(3, 17, "offset 5")} if kind else {}
    return replace(GOOD, records=1093, comparable=0, compared=0, compare_every=0, profile=PROFILE, defects=defects)


def spec_of(trial: Trial, data_dir: Path) -> TrialSpec:
    return TrialSpec(trial, Settings(), data_dir=str(data_dir))


def never(_: Span) -> float:
    return 0.0


def failed(found: Content, expected: Expectation = EXPECTED, waited_s: float = 0.0) -> dict[str, str]:
    checks = list(content.checks(found, expected, lambda _: waited_s))
    names = [check.name for check in checks]
    assert len(names) == len(set(names)), "each invariant has a name of its own"
    return {check.name: check.detail for check in checks if not check.ok}


def with_defect(kind: str) -> Content:
    return replace(GOOD, defects={kind: Defect(3, 17, "offset 5")})


class TestChecks:
    def test_good_content_passes_and_says_what_was_looked_at(self) -> None:
        found = {check.name: check for check in content.checks(GOOD, EXPECTED, never)}
        assert all(check.ok for check in found.values())
        assert found["payload is the file's"].detail == "334 of 1000 compared with the files, one in 3"
        assert found["each block at most once"].detail == "1086 records checked"

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            ("torn", "records are whole"),
            ("impossible", "records are whole"),
            ("padding", "records are whole"),
            ("comm", "records are the target's"),
            ("identity", "records are the target's"),
            ("offset", "records are of whole blocks"),
            ("transfer", "records are of whole blocks"),
            ("repeated", "each block at most once"),
            ("payload_length", "payload is as long as asked"),
            ("payload", "payload is the file's"),
            ("backwards", "times are in order"),
            ("clock", "times are in order"),
            ("thread_order", "times are in order"),
        ],
    )
    def test_each_defect_fails_one_check_with_its_numbers(self, kind: str, name: str) -> None:
        found = failed(with_defect(kind))
        assert set(found) == {name}
        assert f"{kind}: 3, the first is record 17: offset 5" in found[name]

    def test_a_thread_out_of_order_is_no_fault_where_that_is_not_promised(self) -> None:
        anyhow = replace(EXPECTED, ordered=False)
        assert not failed(with_defect("thread_order"), anyhow)
        assert set(failed(with_defect("backwards"), anyhow)) == {"times are in order"}

    def test_every_defect_of_the_program_fails_a_check(self) -> None:
        source = Path(content.__file__).parents[2] / "tracers/audit/defects.c"
        kinds = [line.split('"')[1] for line in source.read_text().splitlines() if '] = "' in line]
        assert len(kinds) == 18
        assert all(failed(with_defect(kind)) or failed(profiled(kind)) for kind in kinds)

    def test_records_without_payload_have_none_to_check(self) -> None:
        found = replace(GOOD, comparable=0, compared=0, compare_every=0)
        names = {check.name for check in content.checks(found, replace(EXPECTED, payload=False), never)}
        assert not any("payload" in name for name in names)

    def test_a_sample_of_none_proves_nothing(self) -> None:
        assert set(failed(replace(GOOD, compared=0))) == {"payload is the file's"}

    @pytest.mark.parametrize(
        "changes",
        [
            {"data_reads": 999},  # 100 lost, so one is neither saved nor lost
            {"data_reads": 1101},
            {"data_writes": 101},
            {"other_records": 101},
        ],
    )
    def test_the_targets_records_are_as_many_as_there_can_be(self, changes: dict[str, int]) -> None:
        assert set(failed(replace(GOOD, **changes))) == {"records are the target's"}  # type: ignore[arg-type]

    def test_where_losses_are_unknown_any_may_be_missing(self) -> None:
        assert not failed(replace(GOOD, data_reads=1), replace(EXPECTED, lost=None))


class TestProfile:
    """Of fs-profile: its records are calls, and the slow ones once more."""

    def test_good_content_passes_without_a_look_at_each_call(self) -> None:
        found = {check.name: check for check in content.checks(profiled(), PROFILE_EXPECTED, never)}
        assert all(check.ok for check in found.values())
        assert not {"payload is the file's", "no stall"} & set(found)
        assert (
            found["every slow call told apart"].detail == "7 by the summary, 6 to 9 by the latencies; 7 in the output"
        )

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            ("order", "records are whole"),
            ("slots", "latencies add up"),
            ("duration", "slow calls are slow, and have a stack"),
            ("stack", "slow calls are slow, and have a stack"),
            ("top", "files are used as their latencies say"),
        ],
    )
    def test_each_defect_of_its_own_fails_one_check(self, kind: str, name: str) -> None:
        assert set(failed(profiled(kind), PROFILE_EXPECTED)) == {name}

    @pytest.mark.parametrize("said", [5, 10, None])
    def test_slow_calls_are_those_of_the_latencies(self, said: int | None) -> None:
        expected = replace(PROFILE_EXPECTED, slow=said)
        assert set(failed(profiled(), expected)) == {"every slow call told apart"}

    def test_calls_without_a_place_may_be_those_that_a_file_lacks(self) -> None:
        lacking = replace(profiled(), data_reads=990, other_records=96)
        assert set(failed(lacking, PROFILE_EXPECTED)) == {"records are the target's"}
        profile = replace(PROFILE, other=10)
        assert not failed(replace(lacking, profile=profile), PROFILE_EXPECTED)


class TestStall:
    def test_a_long_silence_is_told_with_when_it_began(self) -> None:
        found = replace(GOOD, silences=(Silence(101_000_000_000, 103_000_000_000),))
        assert failed(found) == {
            "no stall": "nothing recorded for 2.000 s, from 1.000 s after fio's start on; "
            "the tracer could not run for 0.000 s of them; 1 s allowed"
        }

    def test_a_tracer_that_could_not_run_did_not_stall(self) -> None:
        found = replace(GOOD, silences=(Silence(101_000_000_000, 103_000_000_000),))
        assert not failed(found, waited_s=1.0)
        assert failed(found, waited_s=0.9)

    def test_an_explained_silence_hides_no_other(self) -> None:
        found = replace(
            GOOD,
            silences=(Silence(100_100_000_000, 101_900_000_000), Silence(102_000_000_000, 103_500_000_000)),
        )

        def waited_s(span: Span) -> float:
            return 1.5 if span[0] < 102 else 0.0

        (stall,) = (check for check in content.checks(found, EXPECTED, waited_s) if check.name == "no stall")
        assert not stall.ok
        assert stall.detail.startswith("nothing recorded for 1.500 s, from 2.000 s")

    @pytest.mark.parametrize("field", ["first_ns", "last_ns"])
    def test_late_to_begin_or_early_to_end_is_a_stall(self, field: str) -> None:
        assert set(failed(replace(GOOD, **{field: 102_000_000_000}))) == {"no stall"}  # type: ignore[arg-type]

    def test_no_record_at_all_is_one(self) -> None:
        found = replace(GOOD, first_ns=None, last_ns=None, silences=())
        assert set(failed(found)) == {"no stall"}

    def test_a_tracer_kept_from_recording_on_purpose_is_not_judged(self) -> None:
        found = replace(GOOD, first_ns=None, last_ns=None, silences=())
        assert not failed(found, replace(EXPECTED, silence_most_s=None))

    @given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=8))
    def test_silences_lie_within_fios_span(self, spans: list[tuple[int, int]]) -> None:
        ordered = tuple(Silence(min(s) * 10**9, max(s) * 10**9) for s in spans)
        for begin_s, end_s in content.silences(replace(GOOD, silences=ordered), (100.0, 104.0)):
            assert begin_s >= 100.0
            assert begin_s <= end_s
            assert end_s <= 104.0 or begin_s == end_s

    def test_a_limited_rate_leaves_time_between_records(self) -> None:
        assert content.silence_most_s(READ) == 1.0
        assert content.silence_most_s(replace(READ, rate_iops=2)) == 6.0
        # 4000 I/Os at 1000 a second, all in the last 1.2 of 4 s: no pause is a stall.
        bursts = replace(READ, rate_iops=1000, burst_ios=4000, duty_percent=30.0)
        assert content.silence_most_s(bursts) == pytest.approx(1.0 + 0.01 + 2.8)


class TestSubject:
    def test_the_sample_is_a_stated_one(self) -> None:
        assert content.compare_every(9_000, 10_000) == 1
        assert content.compare_every(100_000, 10_000) == 11

    @given(st.integers(0, 10**9), st.integers(1, 10**6))
    def test_no_more_are_compared_than_allowed_and_all_processes_are_met(self, expected: int, most: int) -> None:
        every = content.compare_every(expected, most)
        assert -(-expected // every) <= most
        assert every % 2 == 1

    def test_of_a_mixed_workload_only_writes_can_be_compared_afterwards(self) -> None:
        ops = {name: content.compared_op(Workload(name, 4, 4096)) for name in ("read", "write", "mixed")}
        assert ops == {"read": "read", "write": "write", "mixed": "write"}

    def test_a_trial_is_a_subject(self, tmp_path: Path) -> None:
        workload = Workload("read", 4, 10_000 * 4096)
        trial = make_trial("libbpf", tool=Tool.RW_TRACER_ALL, workload=workload, config=make_config(payload_bytes=4096))
        made = content.subject(spec_of(trial, tmp_path), tmp_path / "out", 5, followed=False)
        assert made is not None
        status = tmp_path.stat()
        assert made.payload_bytes == 4096
        assert made.compare_every == 5
        assert made.data[0] == tmp_path / "fio.0"
        assert len(made.data) == trial.workload.processes
        assert made.dev >> 20 or made.dev & 0xFFFFF
        assert status.st_dev

    def test_without_payload_nothing_is_compared(self, tmp_path: Path) -> None:
        trial = make_trial("libbpf", config=make_config(payload_bytes=None))
        made = content.subject(spec_of(trial, tmp_path), tmp_path / "out", 5, followed=False)
        assert made is not None
        assert made.compare_every == 0

    @pytest.mark.parametrize(
        "trial",
        [
            make_trial(),
            make_trial("libbpf", tool=Tool.SYSCOUNT),
            make_trial("libbpf", config=make_config(variant=Variant.NO_OUTPUT)),
            make_trial("libbpf", config=make_config(variant=Variant.DELAY)),
        ],
        ids=["vanilla", "counts", "no output", "pipe"],
    )
    def test_a_trial_without_records_is_none(self, tmp_path: Path, trial: Trial) -> None:
        assert content.subject(spec_of(trial, tmp_path), tmp_path / "out", 5, followed=False) is None

    def test_the_command_has_each_file_and_the_bound_only_when_followed(self) -> None:
        words = content.argv(SUBJECT)
        assert words[0] == content.AUDIT
        assert [words[i + 1] for i, word in enumerate(words) if word == "--data"] == ["/data/fio.0", "/data/fio.1"]
        assert words[words.index("--dev") + 1] == str(8 << 20 | 1)
        assert not {"--follow", "--disk-bytes", "--notices"} & set(words)
        followed = content.argv(replace(SUBJECT, notices=True), 2**30)
        assert followed[-3:] == ("--follow", "--disk-bytes", str(2**30))
        assert "--notices" in followed


def test_content_is_stored_and_read_again() -> None:
    assert from_json(Content, to_json(with_defect("torn"))) == with_defect("torn")


def test_an_audit_that_cannot_be_started_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "AUDIT", str(tmp_path / "none"))
    with pytest.raises(StepError, match="cannot be started"):
        content.audit(SUBJECT).result()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'audit: no such file' >&2; exit 1", "audit: no such file"),
        ("exit 3", "the audit ended with status 3"),
        ("echo '{}'", "the audit's result cannot be used"),
    ],
)
def test_an_audit_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str) -> None:
    program = tmp_path / "audit"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(content, "AUDIT", str(program))
    with pytest.raises(StepError, match=said):
        content.audit(SUBJECT).result()

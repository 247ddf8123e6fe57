# SPDX-License-Identifier: Apache-2.0
"""What a person reads while trials run."""

from __future__ import annotations

import io
import logging
from dataclasses import replace

import pytest
from builders import make_failure, make_fio, make_record, make_summary, make_trial
from rich.console import Console

from bpfbench.model import Status, Trial
from bpfbench.run.progress import ProgressReporter, describe, name
from bpfbench.units import duration


def numbered(setup: str) -> Trial:
    return replace(make_trial(setup), id=f"0007-read-rw-tracer-{setup}-r1")


class TestDescribe:
    def test_a_vanilla_trial_shows_its_performance(self) -> None:
        record = make_record(numbered("vanilla"), fio=make_fio(throughput_mib_per_s=812.4, latency_us=9.126))
        assert describe(record, 12.34, 7, 40) == "7/40 read-rw-tracer-vanilla-r1: 812 MiB/s, 9.13 us (12.3 s)"

    def test_a_traced_trial_shows_what_it_saved_too(self) -> None:
        trial = numbered("bcc")
        record = make_record(trial, summary=make_summary(trial, saved=2, lost={"ring_full": 1}))
        assert describe(record, 2.0, 8, 40) == "8/40 read-rw-tracer-bcc-r1: 400 MiB/s, 9.00 us, saved 66.7 % (2.0 s)"

    def test_where_nothing_was_intercepted_no_share_is_shown(self) -> None:
        trial = numbered("bcc")
        record = make_record(trial, summary=make_summary(trial, saved=0))
        assert "saved" not in describe(record, 2.0, 8, 40)

    @pytest.mark.parametrize(("status", "word"), [(Status.FAILED, "FAILED"), (Status.INVALID, "INVALID")])
    def test_a_trial_that_does_not_count_shows_the_reason_and_no_number(self, status: Status, word: str) -> None:
        record = make_failure(numbered("bcc"), "tracer died: out of memory", status)
        assert describe(record, 2.0, 8, 40) == f"8/40 read-rw-tracer-bcc-r1: {word}: tracer died: out of memory"


def test_a_trial_is_named_without_its_number() -> None:
    assert name(numbered("libbpf")) == "read-rw-tracer-libbpf-r1"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.6, "60 s"),
        (89, "89 s"),
        (120, "2 min"),
        (660, "11 min"),
        (5340, "89 min"),
        (5400, "1.5 h"),
        (86400, "24.0 h"),
    ],
)
def test_a_duration_is_written_as_people_say_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


class TestChecking:
    def cases(self, console: Console) -> None:
        """What two setups make of two cases, of three."""
        with ProgressReporter(console) as reporter:
            for case, done in (("events", 1), ("events", 1), ("counts", 2), ("counts", 2)):
                reporter.checking(case, done, 3)

    def test_where_there_is_no_terminal_each_case_is_said_once(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "bpfbench")
        self.cases(Console(file=(out := io.StringIO())))
        assert caplog.messages == ["1/3 events", "2/3 counts"]
        assert out.getvalue() == ""

    def test_on_a_terminal_the_bar_says_it(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "bpfbench")
        self.cases(Console(file=(out := io.StringIO()), force_terminal=True, width=80))
        assert "2/3 counts" in out.getvalue()
        assert caplog.messages == []


def test_a_step_of_a_trial_is_shown_with_its_number_also_after_data_files_were_written() -> None:
    trial = numbered("bcc")
    with ProgressReporter(Console(file=(out := io.StringIO()), force_terminal=True, width=120)) as reporter:
        reporter.trial_began(trial, 6, 40, 60.0)
        reporter.laying_out(trial.workload, 4096)
        reporter.trial_event(trial, {"event": "step", "name": "workload"})
    assert "7/40 read-rw-tracer-bcc-r1: workload" in out.getvalue()

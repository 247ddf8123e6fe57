# SPDX-License-Identifier: Apache-2.0
"""A trial is told all it needs, and what a runner leaves or does not leave becomes its record."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from builders import make_image, make_trial

from bpfbench.codec import from_json
from bpfbench.machine import command
from bpfbench.machine.command import Finished
from bpfbench.model import Predecessor, Record, Settings, Status, Tool, TrialSpec, Workload
from bpfbench.testbed.host import Headers, HostTestbed

IMAGE = make_image()


FIRST = TrialSpec(make_trial("libbpf"), Settings())


class TestTrial:
    """A runner that says what a test wants, in place of one in an image."""

    @pytest.fixture
    def testbed(self, tmp_path: Path) -> HostTestbed:
        (tmp_path / "output").mkdir()
        return HostTestbed(IMAGE, Headers("none", ()), tmp_path / "data", tmp_path / "output")

    def run(self, testbed: HostTestbed, folder: Path, spec: TrialSpec = FIRST) -> tuple[TrialSpec, Record]:
        folder.mkdir()
        record = testbed.run(spec, folder, lambda _: None)
        assert from_json(Record, (folder / "record.json").read_bytes()) == record
        return from_json(TrialSpec, (folder / "spec.json").read_bytes()), record

    def ends(self, monkeypatch: pytest.MonkeyPatch, finished: Finished, *lines: str) -> None:
        def run(_: object, *, on_line: Callable[[str], None], **__: object) -> Finished:
            for line in lines:
                on_line(line)
            return finished

        monkeypatch.setattr(command, "run", run)

    def test_it_is_told_session_and_what_was_before_it(
        self, testbed: HostTestbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.ends(monkeypatch, Finished(1, ""))
        warm_up = Predecessor("0001-x-warm-up", "vanilla", Tool.SYSCOUNT, Workload("read", 4, 4096), warm_up=True)
        second = replace(FIRST, predecessor=warm_up, place=3, output_disk_bytes=4096)
        one, first = self.run(testbed, tmp_path / "1", second)[0], self.run(testbed, tmp_path / "2")[0]
        assert (one.predecessor, one.place, one.output_disk_bytes) == (warm_up, 3, 4096)
        assert (first.predecessor, first.place, first.output_disk_bytes) == (None, None, None)
        assert one.session == first.session != ""

    def test_every_testbed_is_a_session_of_its_own_also_in_records_of_trials_that_crashed(
        self, testbed: HostTestbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.ends(monkeypatch, Finished(1, ""))
        time.sleep(0.002)  # sessions are named by the millisecond they begin in
        later = HostTestbed(IMAGE, Headers("none", ()), tmp_path / "data", tmp_path / "output")
        for number, at in enumerate((testbed, later)):
            spec, record = self.run(at, tmp_path / str(number))
            assert record.session == spec.session
        assert self.run(testbed, tmp_path / "3")[1].session != self.run(later, tmp_path / "4")[1].session

    @pytest.mark.parametrize(
        ("finished", "reason"),
        [
            (Finished(-9, "", timed_out=True), "the trial was not done after "),
            (Finished(3, "x\nno python\n"), "trial runner ended with status 3: no python ("),
        ],
    )
    def test_a_runner_that_ends_without_a_record_makes_a_failed_trial_with_the_reason(
        self,
        testbed: HostTestbed,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        finished: Finished,
        reason: str,
    ) -> None:
        self.ends(monkeypatch, finished)
        record = self.run(testbed, tmp_path / "1")[1]
        assert record.status is Status.FAILED
        assert record.reason is not None
        assert record.reason.startswith(reason)

    def test_words_of_a_runner_that_are_no_event_are_passed_over(
        self, testbed: HostTestbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.ends(monkeypatch, Finished(1, ""), "warning: {", '{"event": "failed", "reason": "disk full"}')
        record = self.run(testbed, tmp_path / "1")[1]
        assert record.reason is not None
        assert record.reason.startswith("disk full (")
        assert list((tmp_path / "output").iterdir()) == []

    def test_a_full_file_system_is_no_fault_of_the_trial(
        self, testbed: HostTestbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said = {"event": "failed", "reason": "full", "errno": errno.ENOSPC, "path": "/trial/record.json"}
        self.ends(monkeypatch, Finished(1, ""), json.dumps(said))
        with pytest.raises(OSError, match=r"No space left on device: .*record\.json"):
            self.run(testbed, tmp_path / "1")

# SPDX-License-Identifier: Apache-2.0
"""status: how far a run is, and what is at fault with one in one line, as every verb that reads one says it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from invoked import Invoke, complaint, data_of, make_run, record_trial

# The entry point reads sys.argv, as the command does.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")


class TestRuns:
    @pytest.mark.parametrize("verb", ["status", "summary"])
    @pytest.mark.parametrize("name", ["20260101-000000-quick", "latest"])
    def test_a_run_that_does_not_exist(self, bpfbench: Invoke, verb: str, name: str) -> None:
        message = complaint(bpfbench(verb, name), status=1)
        assert message == (f"bpfbench: {name!r} is no run: neither a run directory nor a run in runs (there: none yet)")

    def test_a_run_whose_file_is_damaged(self, bpfbench: Invoke, tmp_path: Path) -> None:
        (tmp_path / "runs" / "r1").mkdir(parents=True)
        (tmp_path / "runs" / "r1" / "run.json").write_text("{")
        message = complaint(bpfbench("status", "r1"), status=1)
        assert message.startswith("bpfbench: runs/r1/run.json: ")


class TestStatus:
    def test_failed_trials_that_were_run_again_are_told(self, bpfbench: Invoke, tmp_path: Path) -> None:
        trials, run = make_run(tmp_path / "runs" / "r1")
        for trial in trials:
            record_trial(run, trial)
        run.forget(trials[0].id)
        record_trial(run, trials[0])
        found = json.loads(bpfbench("status", "r1", "--json").out)
        assert (found["schema"], found["kind"]) == (1, "status")
        assert (found["run"]["trials_done"], found["run"]["superseded"]) == (2, 1)
        assert (found["data"]["ok"], found["data"]["running"]) == (2, False)
        with run.locked():
            assert data_of(bpfbench("status", "r1", "--json"))["running"] is True

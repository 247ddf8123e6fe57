# SPDX-License-Identifier: Apache-2.0
"""costs, of a run without variants."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoked import Invoke, complaint, make_run, record_trial

# The entry point reads sys.argv, as the command does.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")


class TestCosts:
    def test_a_run_without_variants_has_none_to_show(self, bpfbench: Invoke, tmp_path: Path) -> None:
        trials, run = make_run(tmp_path / "runs" / "r")
        for trial in trials:
            record_trial(run, trial)
        outcome = bpfbench("costs", "r")
        assert complaint(outcome).endswith("has no two variants to compare")
        assert "--variants" in outcome.err

# SPDX-License-Identifier: Apache-2.0
"""system: settings are shown, set and set back."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from invoked import Invoke, complaint, data_of

from bpfbench.cli import system
from bpfbench.machine import tune

# The entry point reads sys.argv, as the command does.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")


class TestSystem:
    """On a machine whose settings are files of the test's own."""

    @pytest.fixture(autouse=True)
    def root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        watchdog = tmp_path / "proc/sys/kernel/nmi_watchdog"
        watchdog.parent.mkdir(parents=True)
        watchdog.write_text("1\n")
        here = {name: partial(getattr(tune, name), tmp_path) for name in ("show", "tune", "restore")}
        monkeypatch.setattr(system, "tune", SimpleNamespace(**here))
        monkeypatch.setattr("os.geteuid", lambda: 0)
        return watchdog

    def test_shown_is_what_is_there_and_what_would_be_better(self, bpfbench: Invoke, root: Path) -> None:
        outcome = bpfbench("system", "show")
        assert outcome.status == 0
        assert "NMI watchdog" in outcome.out
        assert "not on this machine" in outcome.out
        assert root.read_text() == "1\n"

    def test_tuned_is_told_and_restored_is_as_before(self, bpfbench: Invoke, root: Path) -> None:
        assert bpfbench("system", "tune").out == "NMI watchdog (/proc/sys/kernel/nmi_watchdog): 1 -> 0\n"
        (state,) = [s for s in data_of(bpfbench("system", "show", "--json")) if s["current"] is not None]
        assert (state["current"], state["saved"]) == ("0", "1")
        (change,) = data_of(bpfbench("system", "restore", "--json"))
        assert (change["outcome"], change["before"], change["after"]) == ("changed", "0", "1")
        assert root.read_text() == "1\n"
        assert bpfbench("system", "restore").out == "nothing was tuned\n"

    @pytest.mark.parametrize("verb", ["tune", "restore"])
    def test_without_root_nothing_is_set(
        self, bpfbench: Invoke, root: Path, monkeypatch: pytest.MonkeyPatch, verb: str
    ) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        outcome = bpfbench("system", verb)
        assert complaint(outcome, status=1) == "bpfbench: changing the settings of this machine needs root"
        assert root.read_text() == "1\n"

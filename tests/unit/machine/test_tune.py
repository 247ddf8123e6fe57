# SPDX-License-Identifier: Apache-2.0
"""Settings are set as recommended and come back as they were, whatever happens in between; below a root of our own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bpfbench.errors import MachineError
from bpfbench.machine import tune
from bpfbench.machine.tune import STATE, Tuned

GOVERNOR = "sys/devices/system/cpu/cpufreq/policy{}/scaling_governor"
NO_TURBO = "sys/devices/system/cpu/intel_pstate/no_turbo"
HUGE_PAGES = "sys/kernel/mm/transparent_hugepage/enabled"
WATCHDOG = "proc/sys/kernel/nmi_watchdog"
LAPTOP = {
    GOVERNOR.format(0): "powersave",
    GOVERNOR.format(1): "performance",
    NO_TURBO: "0",
    HUGE_PAGES: "[always] madvise never",
    WATCHDOG: "1",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A laptop. A real file of choices would put brackets around the new one; ours keeps the plain word."""
    for name, text in LAPTOP.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    return tmp_path


def settings(root: Path) -> dict[str, str]:
    return {name: (root / name).read_text().strip() for name in LAPTOP}


def outcomes(changes: tuple[tune.Change, ...]) -> dict[str, Tuned]:
    return {change.path: change.outcome for change in changes}


class TestShow:
    def test_every_setting_with_what_it_is_and_should_be(self, root: Path) -> None:
        found = {state.path: (state.current, state.as_recommended) for state in tune.show(root)}
        assert found[GOVERNOR.format(0)] == ("powersave", False)
        assert found[GOVERNOR.format(1)] == ("performance", True)
        assert found[HUGE_PAGES] == ("always", False)

    def test_a_setting_this_machine_has_not_is_said_to_be_absent(self, root: Path) -> None:
        (boost,) = [state for state in tune.show(root) if state.path.endswith("cpufreq/boost")]
        assert boost.current is None
        assert boost.as_recommended

    def test_nothing_is_changed(self, root: Path) -> None:
        before = settings(root)
        tune.show(root)
        assert settings(root) == before
        assert not (root / STATE).exists()


class TestTune:
    def test_what_is_not_as_recommended_is_set_and_its_original_saved(self, root: Path) -> None:
        found = outcomes(tune.tune(root))
        assert settings(root) == {
            GOVERNOR.format(0): "performance",
            GOVERNOR.format(1): "performance",
            NO_TURBO: "1",
            HUGE_PAGES: "madvise",
            WATCHDOG: "0",
        }
        assert found[GOVERNOR.format(0)] is Tuned.CHANGED
        assert found[GOVERNOR.format(1)] is Tuned.KEPT
        assert found["sys/devices/system/cpu/cpufreq/boost"] is Tuned.ABSENT
        assert json.loads((root / STATE).read_text()) == {
            GOVERNOR.format(0): "powersave",
            NO_TURBO: "0",
            HUGE_PAGES: "always",
            WATCHDOG: "1",
        }

    def test_a_second_time_saves_no_other_originals(self, root: Path) -> None:
        tune.tune(root)
        (root / WATCHDOG).write_text("1\n")
        (root / GOVERNOR.format(0)).write_text("schedutil\n")
        tune.tune(root)
        assert json.loads((root / STATE).read_text())[GOVERNOR.format(0)] == "powersave"
        tune.restore(root)
        assert settings(root)[GOVERNOR.format(0)] == "powersave"

    def test_originals_are_saved_before_anything_is_set(self, root: Path) -> None:
        (root / STATE).parent.parent.mkdir(exist_ok=True)
        (root / STATE).parent.write_text("in the way of the directory")
        with pytest.raises(MachineError, match="cannot be"):
            tune.tune(root)
        assert settings(root) == LAPTOP

    def test_one_that_cannot_be_set_is_told_and_the_others_are_set(self, root: Path) -> None:
        (root / NO_TURBO).unlink()
        (root / NO_TURBO).symlink_to("/proc/version")  # can be read, and by nobody be written
        (change,) = [change for change in tune.tune(root) if change.path == NO_TURBO]
        assert change.outcome is Tuned.FAILED
        assert change.reason
        assert (root / WATCHDOG).read_text() == "0\n"


class TestRestore:
    def test_everything_is_as_it_was_and_nothing_stays_saved(self, root: Path) -> None:
        tune.tune(root)
        assert set(outcomes(tune.restore(root)).values()) == {Tuned.CHANGED}
        assert settings(root) == {**LAPTOP, HUGE_PAGES: "always"}
        assert not (root / STATE).exists()

    def test_after_a_crash_in_the_middle_it_is_too(self, root: Path) -> None:
        (root / STATE).parent.mkdir(parents=True)
        (root / STATE).write_text(json.dumps({WATCHDOG: "1", GOVERNOR.format(0): "powersave"}))
        (root / WATCHDOG).write_text("0\n")  # that far it came
        assert outcomes(tune.restore(root)) == {WATCHDOG: Tuned.CHANGED, GOVERNOR.format(0): Tuned.KEPT}
        assert settings(root) == LAPTOP

    def test_what_cannot_be_set_back_is_told_and_stays_saved(self, root: Path) -> None:
        tune.tune(root)
        (root / WATCHDOG).unlink()
        (root / WATCHDOG).symlink_to("/proc/version")
        changes = outcomes(tune.restore(root))
        assert changes[WATCHDOG] is Tuned.FAILED
        assert json.loads((root / STATE).read_text()) == {WATCHDOG: "1"}

    def test_where_nothing_was_tuned_there_is_nothing_to_do(self, root: Path) -> None:
        assert tune.restore(root) == ()

    @pytest.mark.parametrize("text", ["{", "[]", '{"proc/sys/kernel/nmi_watchdog": 1}'])
    def test_a_file_that_was_spoilt_is_refused_and_kept(self, root: Path, text: str) -> None:
        (root / STATE).parent.mkdir(parents=True)
        (root / STATE).write_text(text)
        with pytest.raises(MachineError, match=r"system\.json"):
            tune.restore(root)
        assert (root / STATE).read_text() == text

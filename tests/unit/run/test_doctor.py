# SPDX-License-Identifier: Apache-2.0
"""What makes results noisy is found in files as the kernel writes them, each with what to do about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bpfbench import catalogue
from bpfbench.machine import facts, privileges
from bpfbench.machine.facts import Diagnosis, Fitness, ok
from bpfbench.run import doctor

NOISY = {
    "proc/stat": "cpu  100 0 100 700 0 0 0 100 0 0\n",
    "proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2  partition 2097148 4096 -2\n",
    "proc/loadavg": "3.10 1.00 0.50 2/310 4242\n",
    "proc/sys/kernel/nmi_watchdog": "1\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "powersave\n",
    "sys/devices/system/cpu/smt/active": "1\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n",
    "sys/devices/system/node/online": "0-1\n",
}
QUIET = {
    "proc/stat": "cpu  100 0 100 800 0 0 0 0 0 0\n",
    "proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n",
    "proc/loadavg": "0.10 0.00 0.00 1/310 4242\n",
    "proc/sys/kernel/nmi_watchdog": "0\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "performance\n",
    "sys/devices/system/cpu/smt/active": "0\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
    "sys/devices/system/node/online": "0\n",
}
OURS = {"stolen CPU time", "swap", "load", "NMI watchdog", "frequency governor", "SMT", "clock", "NUMA nodes"}
"""What the files decide; the rest is this machine's own."""


def noise(root: Path, files: dict[str, str]) -> dict[str, Diagnosis]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return {finding.what: finding for finding in doctor.noise(root) if finding.what in OURS}


class TestNoise:
    def test_each_source_is_found_with_what_to_do_and_keeps_nobody_from_measuring(self, tmp_path: Path) -> None:
        found = noise(tmp_path, NOISY)
        assert set(found) == OURS
        assert all(finding.verdict is Fitness.NOTE and finding.advice for finding in found.values())
        assert found["stolen CPU time"].found == "10.0 % of the time since boot"
        assert "bpfbench system tune" in str(found["frequency governor"].advice)

    def test_on_a_quiet_machine_there_is_none(self, tmp_path: Path) -> None:
        assert noise(tmp_path, QUIET) == {}

    def test_what_a_machine_does_not_say_is_no_noise(self, tmp_path: Path) -> None:
        assert noise(tmp_path, {}) == {}

    @pytest.mark.parametrize(
        ("stat", "share"), [("cpu  0 0 0 0 0 0 0 0 0 0", 0.0), ("cpu  1 1 1 1 1 1 1 1 9 9", 0.125)]
    )
    def test_stolen_time_is_a_share_of_all_and_guests_are_not_counted_twice(self, stat: str, share: float) -> None:
        assert doctor.steal_share(stat) == share


class TestAgainstPaper:
    def test_every_line_has_both_sides(self, tmp_path: Path) -> None:
        setup = catalogue.paper()["setup"]
        found = {d.what: d for d in doctor.against_paper(setup, "host", {"data": tmp_path, "run": tmp_path})}
        assert all(d.paper and d.here for d in found.values())
        assert found["kernel"].paper == "6.8.0-58-generic"
        assert not found["disks"].same

    def test_where_nothing_is_kept_yet_the_disk_is_that_of_the_nearest_directory(self, tmp_path: Path) -> None:
        setup = catalogue.paper()["setup"]
        places = (tmp_path, tmp_path / ".cache" / "bpfbench")
        there, new = (
            {d.what: d for d in doctor.against_paper(setup, "host", {"data": place, "run": place})}["data disk"]
            for place in places
        )
        assert new == there
        assert "unknown" not in new.here

    def test_virtual_machines_have_the_papers_hooks(self, tmp_path: Path) -> None:
        setup = catalogue.paper()["setup"]
        found = {d.what: d for d in doctor.against_paper(setup, "vm", {"data": tmp_path, "run": tmp_path})}
        assert found["hooks"].same
        assert "trixie" in found["kernel"].here


def test_what_measuring_takes_is_what_the_doctor_calls_missing(tmp_path: Path) -> None:
    missing = {
        finding.what
        for finding in doctor.examine("host", tmp_path, tmp_path).findings
        if finding.verdict is Fitness.MISSING
    }
    assert missing - {"root"} == {text.partition(":")[0] for text in facts.missing()}


def test_findings_can_be_told_in_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "namespaces", lambda: ok(privileges.NAMESPACES, "not needed"))
    assert json.dumps([finding.verdict for finding in doctor.examine("vm", tmp_path, tmp_path).findings])

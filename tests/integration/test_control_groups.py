# SPDX-License-Identifier: Apache-2.0
"""Control groups on the real hierarchy: who joins is accounted for, and none outlives its trial."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bpfbench.inside.monitors import cgroup
from bpfbench.inside.monitors.cgroup import ControlGroups

BURN = "while True: pass"


@pytest.fixture
def hierarchy() -> Path:
    """Return where cgroup v2 is mounted."""
    found = cgroup.hierarchy()
    if found is None:
        pytest.skip("no cgroup v2 is mounted here")
    if not os.access(found, os.W_OK):
        pytest.skip(f"{found} cannot be written to: making control groups needs root")
    return found


def switched_on(hierarchy: Path) -> set[str]:
    """Return the controllers of what is below the root."""
    return set((hierarchy / "cgroup.subtree_control").read_text().split())


def test_what_a_process_and_its_children_use_is_its_roles(hierarchy: Path) -> None:
    with ControlGroups(hierarchy, "test-use") as groups:
        assert groups.reason is None
        assert groups.usage("tracer") is None
        burn = (
            f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'for _ in range(3000000): pass'])\n{BURN}"
        )
        argv = [sys.executable, "-c", burn]
        with subprocess.Popen(argv, preexec_fn=groups.joiner("workload")) as process:
            while (usage := groups.usage("workload")) is None or (usage.user_s or 0) < 0.2:
                assert process.poll() is None
            assert groups.usage("tracer") is None
            (group,) = hierarchy.glob("bpfbench-test-use*")
            assert (usage.memory_peak_bytes is not None) == (group / "workload/memory.peak").exists()
            process.kill()


def test_nobody_is_slowed_by_accounts_of_stalls_that_nobody_reads(hierarchy: Path) -> None:
    if not (hierarchy / "cgroup.pressure").exists():
        pytest.skip("this kernel cannot do without (cgroup.pressure is since 6.1)")
    with ControlGroups(hierarchy, "test-pressure"):
        (group,) = hierarchy.glob("bpfbench-test-pressure*")
        for own in (group, group / "workload", group / "tracer"):
            assert (own / "cgroup.pressure").read_text().strip() == "0"


def test_on_leaving_the_group_is_gone_and_so_is_who_was_in_it(hierarchy: Path) -> None:
    with ControlGroups(hierarchy, "test-kill") as groups:
        process = subprocess.Popen([sys.executable, "-c", BURN], preexec_fn=groups.joiner("tracer"))
        while groups.usage("tracer") is None:
            assert process.poll() is None
    assert process.wait(10) == -9
    assert "bpfbench-test-kill" not in cgroup.ours(hierarchy)


def test_controllers_are_switched_on_meanwhile_and_off_again(hierarchy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = switched_on(hierarchy)
    off = sorted(set((hierarchy / "cgroup.controllers").read_text().split()) - before - {"cpuset", "cpu"})
    if not off:
        pytest.skip("every controller of this hierarchy is switched on already, or used by version 1")
    monkeypatch.setattr(cgroup, "CONTROLLERS", (off[0],))
    with ControlGroups(hierarchy, "test-switch") as groups:
        assert groups.reason is None
        (name,) = [name for name in cgroup.ours(hierarchy) if "test-switch" in name]
        assert name == f"bpfbench-test-switch+{off[0]}"
        assert switched_on(hierarchy) == before | {off[0]}
        assert list((hierarchy / name / "tracer").glob(f"{off[0]}.*"))
    assert switched_on(hierarchy) == before


def test_what_a_killed_run_left_is_swept_and_what_is_in_use_is_not(hierarchy: Path) -> None:
    left = ControlGroups(hierarchy, "test-left")
    left.__enter__()
    with ControlGroups(hierarchy, "test-used") as groups:
        process = subprocess.Popen([sys.executable, "-c", BURN], preexec_fn=groups.joiner("tracer"))
        while groups.usage("tracer") is None:
            assert process.poll() is None
        cgroup.sweep(hierarchy)
        ours = "".join(cgroup.ours(hierarchy))
        assert "test-left" not in ours
        assert "test-used" in ours
        assert process.poll() is None
    process.wait(10)

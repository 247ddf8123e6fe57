# SPDX-License-Identifier: Apache-2.0
"""Rings are begun with only where there is memory for them: the machine's, a container's, or the guest's."""

from __future__ import annotations

import platform
import resource
from dataclasses import replace
from pathlib import Path

import pytest
from builders import make_config

from bpfbench.declare.study import parse
from bpfbench.errors import MachineError
from bpfbench.machine import facts
from bpfbench.model import Machine
from bpfbench.run.memory import free_bytes, require_rings

MIB = 2**20
STUDY = parse('name = "mine"\n[factors]\nsetups = "libbpf"\nworkloads = "write"\n', "mine.toml")
IN_VM = replace(STUDY, testbed="vm", machine=Machine(memory_bytes=2**31))
CONFIG = replace(make_config(), ringbuf_bytes=2 * MIB)
PER_CPU = replace(CONFIG, rings="cpu")


def plant(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 512 MiB available, in a group whose parent has a limit."""
    monkeypatch.setattr(facts, "ROOT", tmp_path)
    monkeypatch.setattr(platform, "release", lambda: "6.12.1-amd64")
    plant(
        tmp_path,
        {
            "proc/meminfo": f"MemAvailable: {512 * 1024} kB\n",
            "proc/self/mounts": "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n",
            "proc/self/cgroup": "1:name=systemd:/\n0::/of/us\n",
            "sys/fs/cgroup/of/us/memory.max": "max\n",
            "sys/fs/cgroup/of/us/memory.current": f"{100 * MIB}\n",
            "sys/fs/cgroup/of/memory.max": f"{300 * MIB}\n",
            "sys/fs/cgroup/of/memory.current": f"{280 * MIB}\n",
            "sys/fs/cgroup/of/memory.stat": f"anon {20 * MIB}\nactive_file {MIB}\ninactive_file {3 * MIB}\n",
        },
    )
    return tmp_path


@pytest.mark.usefixtures("machine")
def test_what_is_available_is_no_more_than_the_groups_around_us_have_left_with_cached_files_to_be_dropped() -> None:
    assert facts.memory_available_bytes() == 24 * MIB


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sys/fs/cgroup/of/us/memory.max": f"{101 * MIB}\n"}, 1),
        ({"sys/fs/cgroup/of/us/memory.max": "0\n"}, 0),
        ({"sys/fs/cgroup/memory.max": f"{10 * MIB}\n", "sys/fs/cgroup/memory.current": "0\n"}, 10),  # a container's
        ({"sys/fs/cgroup/of/memory.max": "max\n"}, 512),
        ({"proc/self/cgroup": "0::/../elsewhere\n"}, 512),
        ({"proc/self/cgroup": "3:memory:/of/us\n"}, 512),
        ({"proc/self/mounts": "cgroup /sys/fs/cgroup/memory cgroup rw 0 0\n"}, 512),
        ({"proc/meminfo": f"MemAvailable: {5 * 1024} kB\n"}, 5),
    ],
)
def test_each_of_them_may_bind(machine: Path, files: dict[str, str], expected: int) -> None:
    plant(machine, files)
    assert facts.memory_available_bytes() == expected * MIB


@pytest.mark.parametrize(
    ("release", "limit", "expected"),
    [
        ("5.10.0-9-amd64", 8 * MIB, 8 * MIB),
        ("5.10.0-9-amd64", resource.RLIM_INFINITY, 24 * MIB),
        ("5.10.0-9-amd64", 2**40, 24 * MIB),
        ("5.11.0", 8 * MIB, 24 * MIB),
    ],
)
@pytest.mark.usefixtures("machine")
def test_what_may_be_locked_binds_maps_of_kernels_that_charge_it_to_the_user(
    monkeypatch: pytest.MonkeyPatch, release: str, limit: int, expected: int
) -> None:
    monkeypatch.setattr(platform, "release", lambda: release)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert free_bytes(STUDY) == expected
    assert free_bytes(IN_VM) == 2**31


@pytest.mark.usefixtures("machine")
def test_a_limit_of_what_may_be_locked_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "release", lambda: "5.8.0")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (65536, 65536))
    with pytest.raises(MachineError, match=r"rings of 2 MiB, and by `ulimit -l`, .* may take 64 KiB") as refused:
        require_rings(STUDY, [CONFIG], 1, "free memory", what="the tracer")
    assert refused.value.hint == "run it after `ulimit -l unlimited`"


def test_memory_is_the_guests_in_a_virtual_machine_and_some_is_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "memory_available_bytes", lambda: 2**30 + 2 * MIB)
    assert (free_bytes(STUDY, 2**30), free_bytes(IN_VM, 2**30)) == (2 * MIB, 2**30)
    require_rings(STUDY, [CONFIG], 4, "", what="the next block", spared_bytes=2**30)
    require_rings(IN_VM, [CONFIG, PER_CPU], 4, "", what="the next block", spared_bytes=2**30)
    said = r"the next block has rings of 8 MiB, and 2 MiB of memory are free beside the 1 GiB that is spared \(by Mem"
    with pytest.raises(MachineError, match=said):
        require_rings(STUDY, [CONFIG, PER_CPU], 4, "", what="the next block", spared_bytes=2**30)

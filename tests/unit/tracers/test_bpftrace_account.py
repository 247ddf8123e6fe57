# SPDX-License-Identifier: Apache-2.0
"""bpftrace's account: every event under a kind, also those that the kernel did not let the programs see."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bpfbench.catalogue import PACKAGE

FOLDERS = tuple(str(PACKAGE / "tracers" / folder) for folder in ("bpftrace", "python"))
"""Their sources are one folder once built."""
ENTER, EXIT = "tracepoint_syscalls_sys_enter_", "tracepoint_syscalls_sys_exit_"
MISSES = {
    f"{ENTER}read_1": 1,
    f"{ENTER}pread64_2": 2,
    f"{EXIT}read_3": 4,
    f"{ENTER}write_4": 100,
    f"{EXIT}pwrite64_5": 200,
    "BEGIN_6": 0,
}
"""As bpftrace 0.23 names its functions."""
RECORDS = "1\tone\n2\ttwo\n"
FILE_EXISTS = (
    "stdin:11:2-29: WARNING: File exists\nAdditional Info - helper: map_update_elem, retcode: -17\n"
    "\t@syscalls[args.id] = count();\n\t~~~~~~~~~~~~~~~~~~~~~~~~~~~\n"
)
SLOW_CALL = "slow\t1\t1000002\t8\t21\t3\t3\t0\t5\t2\nffffffff81417e9c\nffffffff81000130\n"
MAP_FULL = "stdin:1:1-2: WARNING: Map full; can't update element.\n"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The tracer's module, with those that it imports gone afterwards: other tracers have some of the same names."""
    before = set(sys.modules)
    for folder in FOLDERS:
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr("os.uname", lambda: SimpleNamespace(release="6.12.0"))
    yield importlib.import_module("account")
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(FOLDERS):
            del sys.modules[name]


def objects(totals: Mapping[str, int], misses: Mapping[str, int] | None) -> Any:
    """Stand in for the maps and programs in the kernel."""
    return SimpleNamespace(
        total=lambda name: totals.get(name, 0),
        counts=lambda _: {0: totals["AT_syscalls"]},
        recursion_misses=lambda: misses,
    )


def accounted(
    account: ModuleType, place: Path, tool: str, output: str, misses: Mapping[str, int] | None, **totals: int
) -> Any:
    """What the tracer makes of an output and of what the kernel has."""
    (place / "output").write_text(output)
    options = SimpleNamespace(tool=tool, attach="tracepoint", output=str(place / "output"))
    traced = SimpleNamespace(objects=objects(totals, misses), error=None, unkept_bytes=None)
    return account.account_for(options, traced)


def adds_up(found: Any) -> bool:
    """Tell whether intercepted = saved + lost."""
    lost = (found.ring_full, found.map_full, found.recursion, found.missed, found.output_error)
    return bool(sum(found.intercepted.values()) == found.saved + sum(n or 0 for n in lost))


def test_what_the_kernel_skipped_is_a_read_or_a_write_by_the_program_it_skipped(
    account: ModuleType, tmp_path: Path
) -> None:
    found = accounted(account, tmp_path, "rw-tracer", RECORDS, MISSES, AT_reads=1, AT_writes=1)
    assert found.intercepted == {"read": 8, "write": 301}
    assert (found.saved, found.recursion, found.error) == (2, 307, None)
    assert adds_up(found)


def test_what_the_join_map_refused_is_of_unknown_kind_and_nothing_else_is(account: ModuleType, tmp_path: Path) -> None:
    output = RECORDS + 3 * MAP_FULL
    found = accounted(account, tmp_path, "rw-tracer", output, MISSES, AT_reads=1, AT_writes=1)
    assert found.intercepted == {"read": 8, "write": 301, "unknown": 3}
    assert (found.saved, found.map_full, (tmp_path / "output").read_text()) == (2, 3, RECORDS)
    assert adds_up(found)


def test_of_syscount_all_is_one_kind(account: ModuleType, tmp_path: Path) -> None:
    misses = {"tracepoint_raw_syscalls_sys_enter_1": 5}
    found = accounted(account, tmp_path, "syscount", MAP_FULL, misses, AT_syscalls=7)
    assert found.intercepted == {"syscall": 7 + 5 + 1}
    assert adds_up(found)


def test_a_first_call_that_lost_the_race_for_its_entry_is_lost(account: ModuleType, tmp_path: Path) -> None:
    found = accounted(account, tmp_path, "syscount", FILE_EXISTS, {}, AT_syscalls=7)
    assert (found.intercepted, found.saved, found.map_full) == ({"syscall": 8}, 7, 1)
    assert adds_up(found)


def test_where_the_kernel_does_not_tell_there_is_a_reason(account: ModuleType, tmp_path: Path) -> None:
    found = accounted(account, tmp_path, "rw-tracer", RECORDS, None, AT_reads=1, AT_writes=1)
    assert (found.intercepted, found.recursion) == ({"read": 1, "write": 1}, None)
    assert "recursion" in found.unavailable
    assert adds_up(found)


FILE, OTHER = (8, 21, 0), (0, 0, 1)
SUMS: dict[str, dict[tuple[int, ...], list[tuple[int, ...]]]] = {
    "AT_times": {
        (*FILE, 20): [(1_100_000, 1), (1_400_000, 1)],
        (*FILE, 0): [(0, 1), (0, 0)],
        (*OTHER, 50): [(0, 0), (2 << 50, 1)],
        (*OTHER, 39): [(1 << 39, 1), (0, 0)],
    },
    "AT_bytes": {FILE: [(5, 1), (10, 2)], OTHER: [(0, 0), (0, 2)]},
    "AT_longest": {FILE: [(1_100_000, 1), (1_400_000, 1)], OTHER: [(1 << 39, 1), (2 << 50, 1)]},
    "AT_top": {FILE[:2]: [(5, 1), (10, 2)]},
}
"""What bpftrace keeps of three reads and two writes: by key, on each of two CPUs."""
LATENCIES = "".join(
    f"latency\t{columns}\t{slots}\n"
    for columns, slots in (
        (f"0\t0\t1\t2\t0\t{(1 << 39) + (2 << 50)}\t{2 << 50}\t", " ".join(["0"] * 39 + ["2"])),
        ("8\t21\t0\t3\t15\t2500000\t1400000\tdata", " ".join(["1"] + ["0"] * 19 + ["2"] + ["0"] * 19)),
    )
)
TOP = "top\t8\t21\t3\t15\n"


def profiled(account: ModuleType, place: Path, output: str, slow: int, lost: int = 0) -> Any:
    """As accounted(), of fs-profile: what it makes of those sums, and of an output with slow calls."""
    (place / "output").write_text(output)
    options = SimpleNamespace(tool="fs-profile", attach="tracepoint", output=str(place / "output"))
    per_cpu = {
        name: [(pack(key), [pack(cpu) for cpu in cpus]) for key, cpus in sums.items()] for name, sums in SUMS.items()
    }
    names = {"AT_names": [(pack(FILE), [b"data".ljust(64, b"\0")])]}
    kept = objects({"AT_slow": slow, "event_loss_counter": lost}, {})
    kept.entries = (per_cpu | names).__getitem__
    return account.account_for(options, SimpleNamespace(objects=kept, error=None, unkept_bytes=None))


def pack(numbers: Iterable[int]) -> bytes:
    """As bpftrace lays out numbers that make a key or a value."""
    return b"".join(number.to_bytes(8, sys.byteorder) for number in numbers)


def test_latencies_stand_behind_slow_calls(account: ModuleType, tmp_path: Path) -> None:
    found = profiled(account, tmp_path, SLOW_CALL + "Lost 1 events\n" + SLOW_CALL, slow=3, lost=1)
    output = (tmp_path / "output").read_text()
    assert output == 2 * SLOW_CALL + LATENCIES + TOP
    assert found.intercepted == {"slow": 3, "read": 3, "write": 2}
    assert (found.saved, found.ring_full, found.bytes, found.error) == (7, 1, len(output), None)
    assert adds_up(found)


def test_what_the_join_map_refused_is_in_no_latency(account: ModuleType, tmp_path: Path) -> None:
    found = profiled(account, tmp_path, MAP_FULL + SLOW_CALL, slow=1)
    assert found.intercepted == {"slow": 1, "read": 3, "write": 2, "unknown": 1}
    assert (found.saved, found.map_full) == (6, 1)
    assert adds_up(found)


def test_where_a_slow_call_is_cut_nothing_follows(account: ModuleType, tmp_path: Path) -> None:
    found = profiled(account, tmp_path, SLOW_CALL + SLOW_CALL[:-10], slow=2)
    assert (tmp_path / "output").read_text() == SLOW_CALL
    assert (found.saved, found.output_error, found.bytes) == (1, 1 + 5, len(SLOW_CALL))
    assert "1 events were not written" in found.error
    assert adds_up(found)

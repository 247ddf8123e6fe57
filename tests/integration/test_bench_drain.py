# SPDX-License-Identifier: Apache-2.0
"""The drain rate of real tracers on the real kernel: every event is accounted for, and nothing is left or changed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import processes
import pytest

from bpfbench.inside import leftovers
from bpfbench.inside.kernel import bpf
from bpfbench.machine import facts, turn
from bpfbench.model import Attach, Format, TracerConfig
from bpfbench.model.drain import PAYLOAD_BYTES, TOOL_OF_BYTES, DrainResult, DrainSpec
from bpfbench.testbed.host import IN_FLIGHT, HostTestbed, headers_here
from bpfbench.testbed.image import Image

STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
CASES = [
    ("libbpf", Format.BINARY, 156, 65536),
    ("libbpf", Format.TEXT, 4252, 65536),
    ("bpftrace", Format.TEXT, 156, 262144),
    ("aya-sync", Format.BINARY, 4252, 262144),
    ("ebpf-go", Format.BINARY, 156, 262144),
]


@pytest.fixture(scope="module", autouse=True)
def _two_cpus() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("the drain rate needs 2 CPUs")


def drained(image: Image, output: Path, case: tuple[str, Format, int, int]) -> DrainResult:
    """Measure one case."""
    setup, form, size, ring = case
    payload = PAYLOAD_BYTES if size > 156 else None
    config = TracerConfig(Attach.TRACEPOINT, form, ring, 100, payload)
    testbed = HostTestbed(image, headers_here(image, output), output, output)
    return testbed.drain(DrainSpec(setup, TOOL_OF_BYTES[size], config, (), "", 90.0, 120.0, kernel_events=1000))


@pytest.fixture
def alone() -> Iterator[None]:
    """Measure alone what is measured in this process."""
    with turn.alone(print):
        yield


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}-{case[2]}")
def test_every_event_is_accounted_for(trixie: Image, tmp_path: Path, case: tuple[str, Format, int, int]) -> None:
    setup, _, size, ring = case
    before, stats = leftovers.take(Path("/run")), STATS.read_text()
    found = drained(trixie, tmp_path, case)
    assert found.problems == ()
    # What fits: 8 bytes of header, rounded up to 8; the ring is never filled to its last byte.
    assert found.slot_bytes >= size + 8 + (-size) % 8
    assert found.slots == (ring - 1) // found.slot_bytes
    assert found.bursts > 0
    assert 0 < found.events <= found.cpu_events <= found.events_total
    assert found.events_per_s > 0
    assert found.cpu_ns_per_event > 0
    assert found.kernel is not None
    assert found.kernel.other_ns < found.kernel.busy_ns, "an event costs more than none"
    assert not set(found.cpus["tracer"]) & set(found.cpus["others"])
    assert found.versions
    left = {kind: items for kind, items in leftovers.settled_since(before, Path("/run")).items() if "BPF" in kind}
    assert left == {}
    assert list(tmp_path.glob(f"{IN_FLIGHT}*")) == []
    assert STATS.read_text() == stats
    assert setup in case


def test_a_table_and_its_json(
    trixie: Image, tmp_path: Path, bpfbench: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    assert trixie.setups
    words = ["--setups", "libbpf", "--formats", "binary", "--events", "156", "--ringbuf-bytes", "256KiB"]
    done = bpfbench("bench", "drain", *words, "--repetitions", "2", "--output", tmp_path / "drain.json")
    assert done.returncode == 0, done.stderr
    assert "2 measurements, about" in done.stderr
    assert "libbpf" in done.stdout
    data = json.loads((tmp_path / "drain.json").read_text())["data"]
    (row,) = data["rows"]
    assert (row["setup"], row["event_bytes"], row["ringbuf_bytes"]) == ("libbpf", 156, 262144)
    assert row["events_per_s"]["n"] == 2
    assert row["bytes_per_s"]["median"] == pytest.approx(156 * row["events_per_s"]["median"])
    assert set(row["kernel_ns_per_event"]) == {"waiting", "busy", "full", "other"}
    assert len(data["measurements"]) == 2
    assert data["machine"]["kernel"]
    assert data["image"]["versions"]
    percent = row["share"]["percent"]
    assert percent["n"] == 2
    assert 0 < percent["min"] <= percent["median"] <= percent["max"]
    for own in data["measurements"]:
        assert own["result"]["allowed"]["absent"] == {}


def test_what_the_machine_allows_at_all(
    trixie: Image, tmp_path: Path, bpfbench: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    assert trixie.setups
    before, hooks = leftovers.take(Path("/run")), facts.hooks()
    done = bpfbench("bench", "roofline", "--repetitions", "1", "--output", tmp_path / "roofline.json")
    assert done.returncode == 0, done.stderr
    assert "ceiling" in done.stdout
    data = json.loads((tmp_path / "roofline.json").read_text())["data"]
    found = data["roofline"]
    assert {own["sink"] for own in found["sinks"]} >= {"file, page cache", "/dev/null"}
    assert {own["event_bytes"] for own in found["copies"]} == set(TOOL_OF_BYTES)
    assert {own["hook"] for own in found["hooks"]} == {hook.value for hook in hooks}, "each hook there is, no other"
    assert set(found["absent"]) <= {f"hook: {hook}" for hook in Attach} | {"sink: file, no page cache"}
    assert all(own["producer_ns"] > 0 for own in found["wake_ups"]), "to wake somebody takes time"
    written_to = {own["sink"] for own in found["sinks"]}
    assert {(own["event_bytes"], own["format"], own["sink"]) for own in data["ceilings"]} == set(
        product(TOOL_OF_BYTES, Format, written_to)
    )
    for ceiling in data["ceilings"]:
        assert ceiling["events_per_s"]["median"] > 0
        assert ceiling["walls"][0]["ns"]["median"] > 0
    left = {kind: items for kind, items in leftovers.settled_since(before, Path("/run")).items() if "BPF" in kind}
    assert left == {}


def _runs(program: str) -> bool:
    """Tell whether some process was called with this in its command."""
    return any(program in word for words in processes.command_lines().values() for word in words)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_however_it_ends_nothing_is_left(trixie: Image, tmp_path: Path, sign: signal.Signals) -> None:
    assert trixie.setups
    rings, programs = set(bpf.ring_buffers()), bpf.tracing_programs()
    argv = [sys.executable, "-m", "bpfbench", "bench", "drain", "--setups", "libbpf", "--repetitions", "1"]
    with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        until_s = time.monotonic() + 90
        while not _runs("tracers/libbpf/tracer") and time.monotonic() < until_s:
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(sign)
        _, said = process.communicate(timeout=60)
    assert process.returncode == (130 if sign is signal.SIGINT else -sign)
    assert "Traceback" not in said
    with turn.alone(print):
        until_s = time.monotonic() + 10
        while (new := (set(bpf.ring_buffers()) - rings) | (bpf.tracing_programs() - programs)) and (
            time.monotonic() < until_s
        ):
            time.sleep(0.1)
    assert new == set()
    with contextlib.suppress(FileNotFoundError):
        outputs = Path(os.environ.get("BPFBENCH_CACHE", "/var/cache/bpfbench")) / "output"
        assert [path.name for path in outputs.iterdir() if path.name.startswith(IN_FLIGHT)] == []

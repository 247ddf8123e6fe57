# SPDX-License-Identifier: Apache-2.0
"""What a roofline consists of, and what becomes of a measurement that cannot be taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from bpfbench.inside import roofline
from bpfbench.inside.drain import least
from bpfbench.model.roofline import HookCost, RingSpeed, RooflineSpec, SinkSpeed, WakeUp

PROGRAM = """#!/bin/sh
case $1 in
sink) echo '{"bytes": 1000, "ns": 1000}' ;;
copy) echo '{"records": 10, "ns": 1000}' ;;
ring) echo '{"consumed": 10, "produced": 30, "lost": 20, "ns": 1000}' ;;
wake) echo '{"silent_ns": 100, "waking_ns": 900, "latency_p50_ns": 5, "latency_p99_ns": 7}' ;;
hook) [ "$2" = tracepoint ] || { echo "cannot attach: no such hook" >&2; exit 1; }
      echo '{"bare_ns": 100, "hooked_ns": 170}' ;;
least) echo "cannot load: Operation not permitted" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RooflineSpec:
    program = tmp_path / "roofline-program"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    monkeypatch.setattr(least, "PROGRAM", str(program))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    return RooflineSpec(2, 1, str(tmp_path))


def test_each_is_measured_in_each_repetition(spec: RooflineSpec) -> None:
    found = roofline.run(spec)
    assert found.hooks == (HookCost("tracepoint", 70.0),) * 2
    assert found.wake_ups == (WakeUp(800.0, 5.0, 7.0),) * 2
    assert {own.bytes_per_s for own in found.sinks} == {1e9}
    assert {(own.events_per_s, own.produced_per_s) for own in found.rings} == {(1e7, 3e7)}
    assert {own.producers for own in found.rings} == {0, 1, 2}
    assert all(isinstance(own, SinkSpeed) for own in found.sinks)
    assert all(isinstance(own, RingSpeed) for own in found.rings)


def test_what_cannot_be_measured_is_absent_with_the_reason(spec: RooflineSpec) -> None:
    absent = roofline.run(spec).absent
    assert absent["hook: kprobe"] == "cannot attach: no such hook"
    assert absent["hook: fentry"] == "cannot attach: no such hook"
    assert "cannot load: Operation not permitted" in absent["least: 156 B, binary, file, page cache"]


def test_what_failed_once_is_absent_with_all_that_was_read_before(spec: RooflineSpec) -> None:
    program = Path(least.PROGRAM)
    once = f"copy) [ ! -e {program}.copied ] || {{ echo broken >&2; exit 1; }}; : >{program}.copied;"
    program.write_text(PROGRAM.replace("copy)", once))
    found = roofline.run(spec)
    assert "broken" in found.absent.values()
    assert len({own.event_bytes for own in found.copies}) < 2


def test_with_one_cpu_there_is_no_ring(spec: RooflineSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    found = roofline.run(spec)
    assert found.rings == ()
    assert found.wake_ups == ()
    assert found.sinks
    assert "2 CPUs" in found.absent["ring"]

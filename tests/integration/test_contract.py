# SPDX-License-Identifier: Apache-2.0
"""Each tracer keeps the contract of tracers/README.md: stop protocol, refusals, accounts when output fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bpfbench import catalogue, cli
from bpfbench.testbed import command, sandbox
from bpfbench.testbed.host import HostTestbed, headers_here
from bpfbench.testbed.image import Image
from bpfbench.testbed.sandbox import INSIDE, Bind

SETUPS = tuple(catalogue.SETUPS)
HERE = Path(__file__).parent / "inside"


@pytest.fixture
def case(trixie: Image, tmp_path: Path) -> Any:
    """Return a function that runs one case of inside/contract.py and returns what happened."""

    def run(setup: str, name: str) -> dict[str, Any]:
        testbed = HostTestbed(trixie, headers_here(trixie, cli.cache_dir()), tmp_path, tmp_path)
        inside = testbed.sandbox((Bind(str(HERE), f"{INSIDE}/build"),))
        lines: list[str] = []
        argv = sandbox.argv(inside, ("python3", f"{INSIDE}/build/contract.py", setup, name))
        finished = command.run(argv, on_line=lines.append, timeout_s=300)
        assert finished.status == 0, finished.stderr
        result: dict[str, Any] = json.loads("\n".join(lines))
        return result

    return run


def identity_holds(summary: dict[str, Any]) -> bool:
    """Tell whether every event is accounted for."""
    lost = sum(n for n in summary["lost"].values() if n is not None)
    return bool(sum(summary["intercepted"].values()) == summary["saved"] + lost)


@pytest.mark.parametrize("sign", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("setup", SETUPS)
def test_a_stopped_tracer_has_drained_saved_and_accounted_for_every_event(case: Any, setup: str, sign: str) -> None:
    result = case(setup, sign)
    summary = result["summary"]
    assert result["status"] == 0
    assert result["stderr"] == ""
    assert summary["intercepted"] == {"read": result["reads"], "write": 0}
    assert summary["saved"] == result["output_lines"] == result["reads"]
    assert summary["bytes"] == result["output_bytes"]
    times = summary["times_ns"]
    assert 0 < times["start"] < times["ready"] < times["stop"] < times["drained"]
    assert sorted(result["files"]) == ["output", "summary.json"]


@pytest.mark.parametrize("setup", SETUPS)
def test_a_ring_that_overflows_loses_events_and_none_without_account(case: Any, setup: str) -> None:
    result = case(setup, "tiny ring")
    summary = result["summary"]
    assert summary["intercepted"]["read"] == result["reads"]
    assert summary["lost"]["ring_full"] > 0
    assert summary["saved"] == result["output_lines"]
    assert identity_holds(summary)


@pytest.mark.parametrize("setup", SETUPS)
def test_the_payload_is_cut_to_what_was_asked_for(case: Any, setup: str) -> None:
    result = case(setup, "payload")
    assert result["summary"]["saved"] == result["reads"]
    # 100 bytes as "xx " less the last space, and the columns before them.
    assert 299 < result["output_bytes"] / result["reads"] < 299 + 210


@pytest.mark.parametrize("setup", SETUPS)
def test_syscount_counts_exactly(case: Any, setup: str) -> None:
    result = case(setup, "syscount")
    summary = result["summary"]
    assert max(summary["syscalls"].values()) == result["reads"]
    assert summary["saved"] == sum(summary["syscalls"].values()) == summary["intercepted"]["syscall"]
    assert identity_holds(summary)


@pytest.mark.parametrize("setup", SETUPS)
def test_other_commands_are_not_seen(case: Any, setup: str) -> None:
    result = case(setup, "other comm")
    assert result["status"] == 0
    assert sum(result["summary"]["intercepted"].values()) == 0
    assert result["output_bytes"] == 0


@pytest.mark.parametrize("setup", SETUPS)
def test_a_second_signal_ends_a_tracer_at_once(case: Any, setup: str) -> None:
    assert case(setup, "second signal")["status"] in {128 + 2, 128 + 15}


@pytest.mark.parametrize("setup", SETUPS)
def test_a_signal_before_ready_is_obeyed(case: Any, setup: str) -> None:
    *before, _ = case(setup, "before ready")["results"]
    obeyed = [result for result in before if result["status"] == 0]
    assert obeyed
    for result in obeyed:
        assert result["summary"]["times_ns"]["ready"] is None
        assert identity_holds(result["summary"])
        assert result["files"] == ["output", "summary.json"]
    # While an interpreter or loader starts, a process has no handler yet: the signal ends it, with nothing to clean up.
    for result in before:
        if result not in obeyed:
            assert result["status"] in {-2, 1, 130}
            assert result["files"] == []


@pytest.mark.parametrize("where", ["full device", "full disk"])
@pytest.mark.parametrize("setup", SETUPS)
def test_a_full_output_is_fatal_reported_and_accounted_for(case: Any, setup: str, where: str) -> None:
    result = case(setup, where)
    summary = result["summary"]
    assert result["status"] == 1
    assert len(result["stderr"].splitlines()) == 1
    assert summary["error"]
    assert summary["lost"]["output_error"] > 0
    assert identity_holds(summary)
    if where == "full disk":
        assert summary["saved"] > 0
        assert summary["bytes"] > 0


@pytest.mark.parametrize("setup", SETUPS)
def test_an_output_that_cannot_be_opened_is_reported_in_one_line(case: Any, setup: str) -> None:
    result = case(setup, "unwritable output")
    assert result["status"] == 1
    assert result["stdout"] == ""
    assert len(result["stderr"].splitlines()) == 1
    assert "/nonexistent/output" in result["stderr"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bad tool", ["--tool", "frobnicate", "syscount", "rw-tracer-all"]),
        ("bad ring", ["--ringbuf-bytes", "5000", "power of two"]),
        ("bad comm", ["--target-comm", "15"]),
        ("bad attach", ["--attach", "uprobe", "tracepoint"]),
        ("bad format", ["--format", "xml", "text"]),
        ("unknown option", ["--frobnicate"]),
    ],
)
@pytest.mark.parametrize("setup", SETUPS)
def test_a_bad_option_is_refused_in_one_line(case: Any, setup: str, name: str, said: list[str]) -> None:
    result = case(setup, name)
    assert result["status"] == 2
    assert len(result["stderr"].splitlines()) == 1
    for word in said:
        assert word in result["stderr"]
    assert result["files"] == []

# SPDX-License-Identifier: Apache-2.0
"""What fs-profile writes is told call by call and file by file, with nothing in it that a terminal would obey."""

from __future__ import annotations

import json

import pytest

from bpfbench.report.profile import HEADER, LATENCIES, ProfileJson, ProfileText

SLOTS = " ".join(["0"] * 19 + ["3"] + ["0"] * 20)
SLOW = "slow\t3000000000\t3001500000\t8\t77\t5\t6\t0\t4096\t2"
FRAMES = ["ffffffff81000000", "ffffffff82000001"]
LATENCY = f"latency\t8\t77\t0\t3\t12288\t3000000\t1500000\tda\x1bta\t{SLOTS}"
OTHER = f"latency\t0\t0\t1\t3\t0\t3000000\t1500000\t\t{SLOTS}"


def test_a_slow_call_is_told_with_its_stack_once_that_is_there() -> None:
    lines = ProfileText()
    assert lines.head(1_000_000_000) == HEADER
    assert [lines.record(line) for line in (SLOW, FRAMES[0])] == ["", ""]
    assert lines.record(FRAMES[1]) == (
        " 2.000000       5       6 read     4096     1500.00 8:77\n"
        "          ffffffff81000000\n          ffffffff82000001\n"
    )


def test_latencies_have_a_head_once_and_no_escape_sequences() -> None:
    lines = ProfileText()
    told = lines.record(LATENCY)
    assert told.startswith(LATENCIES)
    assert "\x1b" not in told
    assert lines.record(OTHER) == "write          3     1000.00     1500.00            0 (others)\n"
    assert lines.record("top\t8\t77\t3\t12288") == ""


def test_as_json_a_line_is_an_object_and_a_stack_part_of_its_call() -> None:
    lines = ProfileJson()
    told = "".join(lines.record(line) for line in (SLOW, *FRAMES, LATENCY, "top\t8\t77\t3\t12288"))
    slow, latency, top = map(json.loads, told.splitlines())
    assert slow["slow"]["stack"] == FRAMES
    assert (slow["slow"]["op"], slow["slow"]["ret"]) == ("read", 4096)
    assert (latency["latency"]["count"], latency["latency"]["slots"][19]) == (3, 3)
    assert top == {"top": {"dev": 8, "inode": 77, "calls": 3, "bytes": 12288}}


@pytest.mark.parametrize("line", ["", "slow", "Lost 3 events", "latency\t1", f"{SLOW}\t1", "top\t1\t2\t3\tx"])
def test_what_is_no_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        ProfileText().record(line)

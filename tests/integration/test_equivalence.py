# SPDX-License-Identifier: Apache-2.0
"""All tracers, watching the same calls at the same time, write the same; and it is what was really done."""

from __future__ import annotations

import json
import platform
import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from bpfbench import catalogue, cli
from bpfbench.testbed import command, sandbox
from bpfbench.testbed.host import HostTestbed, headers_here
from bpfbench.testbed.image import Image
from bpfbench.testbed.sandbox import INSIDE, Bind

VARIANTS = tuple(f"{setup.name}:{form}" for setup in catalogue.SETUPS.values() for form in setup.formats)
HERE = Path(__file__).parent / "inside"
PAYLOAD_BYTES = 100
SHOWN = 5

EVENT = struct.Struct("<QQQQqQIIIIII16s64sI")
COUNT = struct.Struct("<QQ")
# fmt: off
COLUMNS = (
    "enter_ns", "exit_ns", "offset", "count", "ret", "inode", "dev", "pid", "tid", "op", "flags", "uid", "comm", "name",
    "payload_len", "payload",
)
# fmt: on
TIMES = ("enter_ns", "exit_ns")
IDS = ("pid", "tid")  # of the initial PID namespace: the load cannot know them
THREADS, PROCESSES = 3, 2
NUMBERS = {
    "x86_64": {"read": 0, "write": 1, "pread64": 17, "pwrite64": 18},
    "aarch64": {"read": 63, "write": 64, "pread64": 67, "pwrite64": 68},
}

Row = dict[str, str]


def traced(image: Image, tmp_path: Path, tool: str) -> Any:
    """Run inside/equivalence.py; every tracer must have seen it all."""
    testbed = HostTestbed(image, headers_here(image, cli.cache_dir()), tmp_path, tmp_path)
    inside = testbed.sandbox((Bind(str(HERE), f"{INSIDE}/build"),))
    lines: list[str] = []
    script = ("python3", f"{INSIDE}/build/equivalence.py", tool, str(PAYLOAD_BYTES), *VARIANTS)
    finished = command.run(sandbox.argv(inside, script), on_line=lines.append, timeout_s=300)
    assert finished.status == 0, finished.stderr
    result = json.loads("\n".join(lines))
    for variant, tracer in result["tracers"].items():
        assert tracer["status"] == 0, (variant, tracer["stderr"])
        assert not any(tracer["summary"]["lost"].values()), (variant, tracer["summary"])
    return result


def text_of(variant: str, output: str, tool: str) -> list[str]:
    """The output as lines of text; a binary one is rendered as the contract says that text looks."""
    if variant.endswith(":text"):
        assert output.endswith("\n")
        return output[:-1].split("\n")
    records = output.encode("latin-1")
    if tool == "syscount":
        return [f"{number}\t{count}" for number, count in COUNT.iter_unpack(records)]
    size = EVENT.size + (PAYLOAD_BYTES if tool == "rw-tracer-all" else 0)
    assert len(records) % size == 0
    return [line_of(records[i : i + size], tool) for i in range(0, len(records), size)]


def line_of(record: bytes, tool: str) -> str:
    *columns, comm, name, length = EVENT.unpack_from(record)
    payload, rest = record[EVENT.size :][:length], record[EVENT.size :][length:]
    assert not any(rest)
    strings = [string.partition(b"\0")[0].decode("latin-1") for string in (comm, name)]
    last = [payload.hex(" ")] if tool == "rw-tracer-all" else []
    return "\t".join([*map(str, columns), *strings, str(length), *last])


def rows_of(lines: Iterable[str], tool: str) -> list[Row]:
    """The lines by column."""
    columns = COLUMNS if tool == "rw-tracer-all" else COLUMNS[:-1]
    return [dict(zip(columns, line.split("\t"), strict=True)) for line in lines]


def without(rows: Iterable[Row], *columns: str) -> list[str]:
    return ["\t".join(value for column, value in row.items() if column not in columns) for row in rows]


def assert_same(left: str, left_lines: list[str], right: str, right_lines: list[str]) -> None:
    """Compare two multisets of lines, and show the first that only one has."""
    ours, theirs = Counter(left_lines), Counter(right_lines)
    differences = [
        f"{len(only)} only in {name}, such as\n" + "\n".join(repr(line) for line in only[:SHOWN])
        for name, only in (
            (left, sorted((ours - theirs).elements())),
            (right, sorted((theirs - ours).elements())),
        )
        if only
    ]
    assert not differences, "\n".join(["", *differences])


@pytest.mark.parametrize("tool", ["rw-tracer", "rw-tracer-all"])
def test_all_tracers_report_the_same_calls_in_the_same_words(trixie: Image, tmp_path: Path, tool: str) -> None:
    result = traced(trixie, tmp_path, tool)
    outputs = {
        variant: rows_of(text_of(variant, tracer["output"], tool), tool)
        for variant, tracer in result["tracers"].items()
    }

    events = [event for load in result["did"] for event in load["events"]]
    if tool == "rw-tracer":
        events = [{**event, "payload_len": 0} for event in events]
    columns = [column for column in COLUMNS if outputs[VARIANTS[0]][0].get(column) is not None]
    done = [{column: str(event[column]) for column in columns if column in event} for event in events]
    for variant, rows in outputs.items():
        assert_same("what was done", without(done), variant, without(rows, *TIMES, *IDS))

    reference = outputs[VARIANTS[0]]
    for variant, rows in outputs.items():
        assert_same(VARIANTS[0], without(reference, *TIMES), variant, without(rows, *TIMES))
        assert all(0 < int(row["enter_ns"]) <= int(row["exit_ns"]) for row in rows), variant
    assert len({(row["pid"], row["tid"]) for row in reference}) == THREADS
    assert len({row["pid"] for row in reference}) == PROCESSES


def test_all_tracers_count_the_same_system_calls(trixie: Image, tmp_path: Path) -> None:
    result = traced(trixie, tmp_path, "syscount")
    outputs = {variant: text_of(variant, tracer["output"], "syscount") for variant, tracer in result["tracers"].items()}
    for variant, lines in outputs.items():
        assert_same(VARIANTS[0], outputs[VARIANTS[0]], variant, lines)
        assert lines == outputs[VARIANTS[0]], f"{variant} is sorted otherwise"
        counts = result["tracers"][variant]["summary"]["syscalls"]
        assert lines == [f"{number}\t{counts[number]}" for number in sorted(counts, key=int)]
        for name, number in NUMBERS[platform.machine()].items():
            assert counts[str(number)] == sum(load["calls"][name] for load in result["did"])

# SPDX-License-Identifier: Apache-2.0
"""What a tracer records, for the eye and as JSON lines, one record at a time; and its account at the end.

The columns are those of tracers/README.md. Whatever a traced process can choose (its name, a file's name, the data it
reads and writes) reaches the terminal only as printable characters.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from bpfbench.model import EVENT_TOOLS, Tool, TracerConfig, TracerSummary
from bpfbench.report.wording import printable, settings
from bpfbench.units import size

OPS = {"0": "read", "1": "write"}
COLUMNS = (
    "enter_ns",
    "exit_ns",
    "offset",
    "count",
    "ret",
    "inode",
    "dev",
    "pid",
    "tid",
    "op",
    "flags",
    "uid",
    "comm",
    "name",
    "payload_len",
    "payload",
)
NAME = COLUMNS.index("name")

OF_THE_KERNEL = {512: "ERESTARTSYS", 513: "ERESTARTNOINTR", 514: "ERESTARTNOHAND", 516: "ERESTART_RESTARTBLOCK"}
"""What a tracer sees of calls that a signal interrupted, and no process does."""
ERRORS = {**errno.errorcode, **OF_THE_KERNEL}

HEADER = "  TIME(s)     PID     TID OP      BYTES   ASKED      OFFSET LATENCY(us) FILE\n"
DUMPED_BYTES = 16
"""Bytes of payload in a line."""
DUMP_INDENT = " " * 10
ASCII = bytes(byte if 32 <= byte < 127 else ord(".") for byte in range(256))
"""Translates bytes to what can be shown of them."""

UNSIGNED = 2**64
CAUSES = {
    "ring_full": "user space did not keep up",
    "map_full": "too many calls under way at once",
    "recursion": "the kernel skipped the program: at most so many, some may be other processes'",
    "missed": "the kernel missed the probe",
    "output_error": "the output could not be written",
}


class TextLines:
    """Records as aligned columns."""

    def __init__(self, tool: Tool) -> None:
        self._tool = tool
        self._origin_ns = 0

    def head(self, ready_ns: int) -> str:
        """Return what stands above the records; their times are from `ready_ns` on."""
        self._origin_ns = ready_ns
        return "" if self._tool is Tool.SYSCOUNT else HEADER

    def record(self, line: str) -> str:
        """Return an event, with its payload below it.

        Raises:
            ValueError: the line is no event.
        """
        event = _split(line, self._tool)
        begin_ns, ret = int(event[0]), int(event[4])
        moved = event[4] if ret >= 0 else ERRORS.get(-ret, event[4])
        name = event[NAME] if event[NAME].isprintable() else printable(event[NAME])
        shown = (
            f"{(begin_ns - self._origin_ns) / 1e9:9.6f} {event[7]:>7} {event[8]:>7} {OPS[event[9]]:5} {moved:>7}"
            f" {event[3]:>7} {event[2]:>11} {(int(event[1]) - begin_ns) / 1e3:11.2f} {name}".rstrip()
        )
        return f"{shown}\n" if self._tool is Tool.RW_TRACER else f"{shown}\n{_dump(event[-1])}"

    def end(self, summary: TracerSummary, names: Mapping[int, str]) -> str:
        """Return what was counted, most first."""
        counts = [(name or f"syscall {number}", number, count) for number, name, count in _counts(summary, names)]
        if not counts:
            return ""
        width = max(len(name) for name, _, _ in counts)
        lines = [f"{'SYSCALL':{width}}  NUMBER       COUNT       %\n"]
        for name, number, count in counts:
            share = 100 * count / summary.saved if summary.saved else 0.0
            lines.append(f"{name:{width}}  {number:6d}  {count:10d}  {share:6.2f}\n")
        return "".join(lines)


class JsonLines:
    """Each record as an object on a line of its own, then the summary."""

    def __init__(self, tool: Tool) -> None:
        self._tool = tool

    def head(self, ready_ns: int) -> str:
        """Nothing stands above them."""
        del ready_ns
        return ""

    def record(self, line: str) -> str:
        """Return an event.

        Raises:
            ValueError: the line is no event.
        """
        event: dict[str, Any] = dict(zip(COLUMNS, _split(line, self._tool), strict=False))
        op = OPS[event["op"]]
        event |= {column: int(event[column]) for column in (*COLUMNS[: NAME - 1], "payload_len")} | {"op": op}
        if "payload" in event:
            event["payload"] = event["payload"].replace(" ", "")
        if event["ret"] < 0:
            event["error"] = ERRORS.get(-event["ret"])
        return json.dumps(event) + "\n"

    def end(self, summary: TracerSummary, names: Mapping[int, str]) -> str:
        """Return what was counted, most first, as one object; the summary comes with the end of all."""
        if summary.syscalls is None:
            return ""
        counts = [{"number": number, "name": name, "count": count} for number, name, count in _counts(summary, names)]
        return json.dumps({"counts": counts}) + "\n"


def summary_json(summary: TracerSummary, **besides: object) -> str:
    """Return the tracer's account, with what is known besides, as the last line of JSON lines."""
    return json.dumps({"summary": {**asdict(summary), **besides}}) + "\n"


def account(summary: TracerSummary, config: TracerConfig, comm: str, shown: int, startup_s: float) -> list[str]:
    """Say in lines what became of every event, and who says so."""
    seen, lost = summary.intercepted_total, summary.lost_total
    what = "call" if seen == 1 else "calls"
    if summary.tool == Tool.FS_PROFILE:
        what += ", slow ones twice,"
    kinds = ", ".join(f"{n} {kind}" for kind, n in summary.intercepted.items() if n)
    split = f" ({kinds})" if summary.syscalls is None and seen else ""
    kept = f"{shown} shown" if summary.tool in EVENT_TOOLS else f"{summary.saved} counted"
    gone = f"{lost} lost ({_percent(lost, seen)})" if lost else "none lost"
    lines = [f"{printable(comm)}: {seen} {what} intercepted{split}, {kept}, {gone}"]
    for cause, count in summary.lost.items():
        if count:
            lines.append(f"  {cause} {count} ({_percent(count, seen)}): {_explain(cause, config)}")
        elif count is None:
            lines.append(f"  {cause} cannot be counted: {printable(summary.unavailable.get(cause, 'no reason given'))}")
    versions = ", ".join(f"{name} {version}" for name, version in summary.versions.items() if version)
    told = settings(replace(config, format=None))
    lines.append(f"by {summary.setup}: {told}; ready after {startup_s:.2f} s")
    if versions:
        lines.append(f"  {versions}")
    return lines


def _explain(cause: str, config: TracerConfig) -> str:
    text = CAUSES.get(cause, "by the tracer's account")
    if cause == "ring_full" and config.ringbuf_bytes is not None:
        return f"{text}; the ring has {size(config.ringbuf_bytes)}, --ringbuf-bytes sets it"
    return text


def _split(line: str, tool: Tool) -> list[str]:
    """Return the columns of an event. A tab can only be in its name: comm has none in practice."""
    columns = len(COLUMNS) - (tool is Tool.RW_TRACER)
    first = line.split("\t", NAME)
    last = first.pop().rsplit("\t", columns - NAME - 1) if len(first) == NAME + 1 else []
    if len(last) != columns - NAME or first[9] not in OPS:
        raise ValueError(f"no event: {line!r}")
    return first + last


def _dump(payload: str) -> str:
    """Show a payload as hexdump -C does. `payload`: two digits a byte, with blanks between."""
    lines = []
    for begin in range(0, len(payload), 3 * DUMPED_BYTES):
        digits = payload[begin : begin + 3 * DUMPED_BYTES - 1]
        text = bytes.fromhex(digits).translate(ASCII).decode("ascii")
        lines.append(f"{DUMP_INDENT}{digits:{3 * DUMPED_BYTES - 1}}  |{text}|\n")
    return "".join(lines)


def _counts(summary: TracerSummary, names: Mapping[int, str]) -> list[tuple[int, str | None, int]]:
    """Number, name and count of each system call, most first; a number that is negative is signed again."""
    found = ((int(number), count) for number, count in (summary.syscalls or {}).items())
    ranked = sorted(found, key=lambda item: (-item[1], item[0]))
    return [(n if n < UNSIGNED // 2 else n - UNSIGNED, names.get(n), count) for n, count in ranked]


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "of none"

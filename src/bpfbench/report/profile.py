# SPDX-License-Identifier: Apache-2.0
"""What fs-profile records, for the eye and as JSON lines: slow calls with their stacks, then latencies of each file.

The lines are those of tracers/README.md. A slow call and its frames are several, and told together. Names reach the
terminal only as printable characters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bpfbench.model import TracerSummary
from bpfbench.report.trace import OPS
from bpfbench.report.wording import printable

SLOW = ("enter_ns", "exit_ns", "dev", "inode", "pid", "tid", "op", "ret", "frames")
LATENCY = ("dev", "inode", "op", "count", "bytes", "total_ns", "max_ns", "name", "slots")
TOP = ("dev", "inode", "calls", "bytes")
COLUMNS = {"slow": SLOW, "latency": LATENCY, "top": TOP}

HEADER = "  TIME(s)     PID     TID OP      BYTES LATENCY(us) DEVICE:INODE\n"
LATENCIES = "OP         CALLS    MEAN(us)     MAX(us)        BYTES FILE\n"


class Lines:
    """Lines put together to what they tell."""

    def __init__(self) -> None:
        self._slow: dict[str, Any] = {}
        self._due = 0

    def told(self, line: str) -> tuple[str, dict[str, Any]] | None:
        """Return the kind of a line and its columns; None where more lines of the same call are to come.

        Raises:
            ValueError: it is no line of the contract's.
        """
        if self._due:
            self._slow["stack"].append(f"{int(line, 16):x}")
            self._due -= 1
            return None if self._due else ("slow", self._slow)
        kind, *values = line.split("\t")
        if kind == "latency":  # a tab can only be in the name
            values = [*values[:7], "\t".join(values[7:-1]), values[-1]]
        if kind not in COLUMNS:
            raise ValueError(f"no line of fs-profile: {line!r}")
        named = dict(zip(COLUMNS[kind], values, strict=True))
        numbers = (column for column in named if column not in ("name", "slots"))
        told: dict[str, Any] = {column: int(named[column]) for column in numbers}
        if "op" in told:
            told |= {"op": OPS[named["op"]]}
        if kind == "latency":
            told |= {"name": named["name"], "slots": [int(count) for count in named["slots"].split(" ")]}
        if kind != "slow" or not told["frames"]:
            return kind, told
        self._due, self._slow = told.pop("frames"), told | {"stack": []}
        return None


class ProfileText:
    """What is told as aligned columns. The most used files are among the latencies."""

    def __init__(self) -> None:
        self._lines = Lines()
        self._origin_ns = 0
        self._above = LATENCIES

    def head(self, ready_ns: int) -> str:
        """Return what stands above; times are from `ready_ns` on."""
        self._origin_ns = ready_ns
        return HEADER

    def record(self, line: str) -> str:
        """Return what a line tells, or completes.

        Raises:
            ValueError: it is no line of the contract's.
        """
        told = self._lines.told(line)
        if told is None or told[0] == "top":
            return ""
        kind, own = told
        if kind == "slow":
            shown = (
                f"{(own['enter_ns'] - self._origin_ns) / 1e9:9.6f} {own['pid']:7} {own['tid']:7} {own['op']:5}"
                f" {own['ret']:7} {(own['exit_ns'] - own['enter_ns']) / 1e3:11.2f} {own['dev']}:{own['inode']}\n"
            )
            return shown + "".join(f"{'':10}{address}\n" for address in own["stack"])
        above, self._above = self._above, ""
        name = printable(own["name"]) if own["inode"] or own["name"] else "(others)"
        return (
            f"{above}{own['op']:5} {own['count']:10} {own['total_ns'] / max(1, own['count']) / 1e3:11.2f}"
            f" {own['max_ns'] / 1e3:11.2f} {own['bytes']:12} {name}".rstrip()
            + "\n"
        )

    def end(self, summary: TracerSummary, names: Mapping[int, str]) -> str:
        """Nothing comes after the lines."""
        del summary, names
        return ""


class ProfileJson:
    """What is told as an object a line, below its kind."""

    def __init__(self) -> None:
        self._lines = Lines()

    def head(self, ready_ns: int) -> str:
        """Nothing stands above."""
        del ready_ns
        return ""

    def record(self, line: str) -> str:
        """Return what a line tells, or completes.

        Raises:
            ValueError: it is no line of the contract's.
        """
        told = self._lines.told(line)
        return "" if told is None else json.dumps({told[0]: told[1]}) + "\n"

    def end(self, summary: TracerSummary, names: Mapping[int, str]) -> str:
        """Nothing comes after the lines but the summary."""
        del summary, names
        return ""

# SPDX-License-Identifier: Apache-2.0
"""What a tracer records, for the eye and as JSON lines."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from builders import make_summary, make_trial

from bpfbench.model import Attach, Format, Tool, TracerConfig, TracerSummary
from bpfbench.report.trace import HEADER, JsonLines, TextLines, account, summary_json

CONFIG = TracerConfig(Attach.TRACEPOINT, Format.TEXT, 262144, 100)


EVENT = "5000001500\t5000004000\t64\t4096\t832\t9\t266338304\t1324\t1325\t0\t32768\t0\tdd\tlibc.so.6\t0"


def event(**columns: object) -> str:
    """An event as a tracer writes it, with these columns (op, ret, name) in place of the usual."""
    places = {"ret": 4, "op": 9, "name": 13, "payload_len": 14}
    words = EVENT.split("\t")
    for name, value in columns.items():
        words[places[name]] = str(value)
    return "\t".join(words)


class TestTable:
    def table(self, tool: Tool = Tool.RW_TRACER) -> TextLines:
        table = TextLines(tool)
        table.head(5_000_000_000)
        return table

    def test_an_event_stands_below_its_header(self) -> None:
        assert self.table().record(EVENT) == (
            " 0.000002    1324    1325 read      832    4096          64        2.50 libc.so.6\n"
        )

    def test_header_and_events_line_up(self) -> None:
        row = self.table().record(EVENT)
        for title, value in (("PID", "1324"), ("TID", "1325"), ("ASKED", "4096"), ("LATENCY(us)", "2.50")):
            assert HEADER.index(title) + len(title) == row.index(value) + len(value)
        assert HEADER.index("OP") == row.index("read")
        assert HEADER.index("FILE") == row.index("libc")

    @pytest.mark.parametrize(("ret", "shown"), [(-9, "EBADF"), (-512, "ERESTARTSYS"), (-4000, "-4000"), (0, "0")])
    def test_an_error_goes_by_its_name(self, ret: int, shown: str) -> None:
        assert self.table().record(event(ret=ret)).split()[4] == shown

    @pytest.mark.parametrize(
        ("name", "shown"), [("a\tb", "a b"), ("a b", "a b"), ("", ""), ("\x1b[2Jx", "\N{REPLACEMENT CHARACTER}[2Jx")]
    )
    def test_a_name_cannot_reach_into_the_terminal(self, name: str, shown: str) -> None:
        assert self.table().record(event(name=name)).rstrip("\n").partition("2.50")[2].strip() == shown

    @pytest.mark.parametrize("line", ["", "1", "abc", EVENT.rsplit("\t", 1)[0], event(op=7), EVENT.replace("832", "x")])
    def test_what_is_no_event_is_refused(self, line: str) -> None:
        with pytest.raises(ValueError, match=r".*"):
            self.table().record(line)

    def test_a_payload_is_dumped_below_its_event(self) -> None:
        payload = " ".join(f"{byte:02x}" for byte in b"\x7fELF\x00 text of 19 b")
        shown = self.table(Tool.RW_TRACER_ALL).record(f"{event(payload_len=19)}\t{payload}")
        assert shown.splitlines()[1:] == [
            "          7f 45 4c 46 00 20 74 65 78 74 20 6f 66 20 31 39  |.ELF. text of 19|",
            "          20 62                                            | b|",
        ]

    def test_without_payload_there_is_no_dump(self) -> None:
        assert self.table(Tool.RW_TRACER_ALL).record(f"{EVENT}\t").count("\n") == 1

    def test_counts_come_most_first_and_by_name(self) -> None:
        summary = counted({"0": 1, "17": 6, "999": 2, str(2**64 - 1): 1})
        table = TextLines(Tool.SYSCOUNT)
        assert table.head(0) == ""
        assert [line.split() for line in table.end(summary, {0: "read", 17: "pread64"}).splitlines()] == [
            ["SYSCALL", "NUMBER", "COUNT", "%"],
            ["pread64", "17", "6", "60.00"],
            ["syscall", "999", "999", "2", "20.00"],
            ["read", "0", "1", "10.00"],
            ["syscall", "-1", "-1", "1", "10.00"],
        ]

    def test_nothing_counted_is_no_table(self) -> None:
        assert TextLines(Tool.SYSCOUNT).end(counted({}), {}) == ""


def counted(syscalls: dict[str, int]) -> TracerSummary:
    """The account of syscount."""
    total = sum(syscalls.values())
    made = make_summary(make_trial("libbpf", tool=Tool.SYSCOUNT), saved=total)
    return replace(made, syscalls=syscalls, intercepted={"syscall": total})


class TestJsonLines:
    def test_an_event_has_the_columns_of_the_contract(self) -> None:
        assert json.loads(JsonLines(Tool.RW_TRACER).record(EVENT)) == {
            "enter_ns": 5000001500,
            "exit_ns": 5000004000,
            "offset": 64,
            "count": 4096,
            "ret": 832,
            "inode": 9,
            "dev": 266338304,
            "pid": 1324,
            "tid": 1325,
            "op": "read",
            "flags": 32768,
            "uid": 0,
            "comm": "dd",
            "name": "libc.so.6",
            "payload_len": 0,
        }

    def test_an_error_is_named_and_a_payload_is_hexadecimal(self) -> None:
        got = json.loads(JsonLines(Tool.RW_TRACER_ALL).record(f"{event(ret=-9, payload_len=2, op=1)}\t7f 45"))
        assert (got["ret"], got["error"], got["op"], got["payload"]) == (-9, "EBADF", "write", "7f45")

    def test_counts_are_one_object(self) -> None:
        got = json.loads(JsonLines(Tool.SYSCOUNT).end(counted({"0": 1, "17": 6}), {17: "pread64"}))
        assert got["counts"] == [
            {"number": 17, "name": "pread64", "count": 6},
            {"number": 0, "name": None, "count": 1},
        ]

    def test_the_summary_is_one_object(self) -> None:
        summary = make_summary(make_trial("libbpf"))
        assert json.loads(summary_json(summary, shown=3))["summary"] == {**asdict(summary), "shown": 3}


class TestAccount:
    def lines(self, **lost: int | None) -> list[str]:
        summary = make_summary(make_trial("libbpf"), saved=900, lost=lost, unavailable={"missed": "no means"})
        return account(replace(summary, versions={"libbpf": "1.5"}), CONFIG, "dd", 900, 0.125)

    def test_without_losses(self) -> None:
        assert self.lines() == [
            "dd: 900 calls intercepted (900 read), 900 shown, none lost",
            "by libbpf: tracepoint, ring 256 KiB, poll 100 ms; ready after 0.12 s",
            "  libbpf 1.5",
        ]

    def test_losses_go_by_cause_with_what_could_be_done(self) -> None:
        assert self.lines(ring_full=90, map_full=10)[:3] == [
            "dd: 1000 calls intercepted (1000 read), 900 shown, 100 lost (10.00 %)",
            "  ring_full 90 (9.00 %): user space did not keep up; the ring has 256 KiB, --ringbuf-bytes sets it",
            "  map_full 10 (1.00 %): too many calls under way at once",
        ]

    def test_what_cannot_be_counted_is_said(self) -> None:
        assert "  missed cannot be counted: no means" in self.lines(missed=None)

# SPDX-License-Identifier: Apache-2.0
"""What the conformance suite reads in an output is what the tracer wrote; what breaks the contract is refused."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfbench.inside.conformance import output
from bpfbench.inside.conformance.output import Event, MalformedError, counts, events
from bpfbench.model import EVENT_BYTES, Format, Tool

COLUMNS = [column.name for column in dataclasses.fields(Event)]
PAYLOAD_BYTES = 8
EVENT = Event(
    enter_ns=1000,
    exit_ns=2000,
    offset=4096,
    count=512,
    ret=3,
    inode=77,
    dev=8 << 20 | 1,
    pid=100,
    tid=101,
    op=0,
    flags=0o100002,
    uid=0,
    comm="fio",
    name="fio.0",
    payload_len=3,
    payload="61 62 ff",
)
BARE = dataclasses.replace(EVENT, payload_len=0, payload="")
"""As rw-tracer has it."""


def line(values: Mapping[str, object] | Event, tool: Tool = Tool.RW_TRACER_ALL) -> bytes:
    """Write an event as the contract spells it."""
    columns = dataclasses.asdict(values) if isinstance(values, Event) else values
    wanted = COLUMNS if tool is Tool.RW_TRACER_ALL else COLUMNS[:-1]
    return ("\t".join(str(columns[name]) for name in wanted) + "\n").encode("latin-1")


def record(event: Event, tool: Tool = Tool.RW_TRACER_ALL) -> bytes:
    """Pack an event as rw_event.h lays it out."""
    *integers, comm, name, length, payload = dataclasses.astuple(event)
    strings = (comm.encode("latin-1"), name.encode("latin-1"))
    packed = struct.pack("<QQQQqQIIIIII16s64sI", *integers, *strings, length)
    return packed + (bytes.fromhex(payload).ljust(PAYLOAD_BYTES, b"\0") if tool is Tool.RW_TRACER_ALL else b"")


def decoded(data: bytes, tool: Tool = Tool.RW_TRACER_ALL, form: Format = Format.TEXT) -> list[Event]:
    return events(data, tool, form, PAYLOAD_BYTES)


U64, U32 = st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1)
ANY_BYTE_BUT_THOSE_THAT_SEPARATE = st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\t\n")


@st.composite
def any_events(draw: st.DrawFn, tool: Tool) -> Event:
    payload = draw(st.binary(max_size=PAYLOAD_BYTES)) if tool is Tool.RW_TRACER_ALL else b""
    unsigned = {name: draw(U64) for name in ("enter_ns", "exit_ns", "offset", "count", "inode")}
    short = {name: draw(U32) for name in ("dev", "pid", "tid", "op", "flags", "uid")}
    return Event(
        **unsigned,
        **short,
        ret=draw(st.integers(-(2**63), 2**63 - 1)),
        comm=draw(st.text(ANY_BYTE_BUT_THOSE_THAT_SEPARATE, max_size=15)),
        name=draw(st.text(ANY_BYTE_BUT_THOSE_THAT_SEPARATE, max_size=63)),
        payload_len=len(payload),
        payload=payload.hex(" "),
    )


RW_TOOLS = st.sampled_from([Tool.RW_TRACER, Tool.RW_TRACER_ALL])


class TestEvents:
    @given(st.data(), RW_TOOLS)
    def test_every_event_is_read_as_it_was_written_in_text_and_in_binary(self, data: st.DataObject, tool: Tool) -> None:
        written = data.draw(st.lists(any_events(tool), max_size=4))
        assert decoded(b"".join(line(event, tool) for event in written), tool) == written
        assert decoded(b"".join(record(event, tool) for event in written), tool, Format.BINARY) == written

    @pytest.mark.parametrize("form", Format)
    def test_an_empty_output_has_no_events(self, form: Format) -> None:
        assert decoded(b"", form=form) == []

    def test_a_record_of_the_tests_is_as_long_as_the_models(self) -> None:
        assert len(record(BARE, Tool.RW_TRACER)) == EVENT_BYTES

    def test_a_comm_that_fills_its_field_needs_no_zero(self) -> None:
        full = dataclasses.replace(EVENT, comm="x" * 16, name="y" * 64)
        assert decoded(record(full), form=Format.BINARY) == [full]


def refusal(data: bytes, tool: Tool = Tool.RW_TRACER_ALL, form: Format = Format.TEXT) -> str:
    with pytest.raises(MalformedError) as caught:
        decoded(data, tool, form)
    return str(caught.value)


class TestMalformedText:
    def test_a_last_line_that_is_not_ended_is_shown(self) -> None:
        assert refusal(line(EVENT) + line(EVENT)[:-1]).startswith("the output ends in the middle of a line: ")

    @pytest.mark.parametrize("tool", [Tool.RW_TRACER, Tool.RW_TRACER_ALL])
    @pytest.mark.parametrize("change", [-1, 1])
    def test_a_column_too_few_or_too_many_is_told_with_the_line(self, tool: Tool, change: int) -> None:
        good = line(EVENT, tool)
        n = len(good.split(b"\t"))
        bad = good.replace(b"\t", b"", 1) if change < 0 else good.replace(b"\t", b"\t\t", 1)
        assert refusal(good + bad, tool).startswith(f"line 2 has {n + change} columns, not {n}: ")

    def test_the_output_of_the_other_tool_has_the_wrong_columns(self) -> None:
        assert refusal(line(EVENT), Tool.RW_TRACER).startswith("line 1 has 16 columns, not 15: ")
        assert refusal(line(EVENT, Tool.RW_TRACER)).startswith("line 1 has 15 columns, not 16: ")

    def test_an_empty_line_is_no_event(self) -> None:
        assert refusal(line(EVENT) + b"\n").startswith("line 2 has 1 columns")

    @pytest.mark.parametrize("column", [*COLUMNS[:12], "payload_len"])
    @pytest.mark.parametrize(
        "word", ["", "x", "1.0", "0x10", "+1", "01", "-0", " 1", "1 ", "1\r", "1_0", "²", "9" * 5000]
    )
    def test_an_integer_is_spelt_plainly_in_every_column(self, column: str, word: str) -> None:
        message = refusal(line(EVENT) + line({**dataclasses.asdict(EVENT), column: word}))
        assert message.startswith("line 2: ")
        assert " wanted in [" in message


class TestMalformedBinary:
    @pytest.mark.parametrize("tool", [Tool.RW_TRACER, Tool.RW_TRACER_ALL])
    @pytest.mark.parametrize("cut", [1, EVENT_BYTES - 1])
    def test_a_record_that_is_cut_short_is_told_with_the_sizes(self, tool: Tool, cut: int) -> None:
        event = BARE if tool is Tool.RW_TRACER else EVENT
        size = len(record(event, tool))
        message = refusal(2 * record(event, tool)[:size] + record(event, tool)[:cut], tool, Format.BINARY)
        assert message == f"the output of {2 * size + cut} bytes is no whole number of {size}-byte records"

    @pytest.mark.parametrize("place", [EVENT_BYTES - 4 - 64 - 1, EVENT_BYTES - 4 - 1, EVENT_BYTES + PAYLOAD_BYTES - 1])
    def test_what_follows_a_string_or_a_payload_is_zero(self, place: int) -> None:
        bad = bytearray(record(EVENT))
        bad[place] = 1
        message = refusal(record(EVENT) + bytes(bad), form=Format.BINARY)
        assert message.startswith("record 2 is not padded with zeros: ")

    def test_a_payload_without_a_length_is_stale_memory(self) -> None:
        stale = record(dataclasses.replace(EVENT, payload_len=0))
        assert refusal(stale, form=Format.BINARY).startswith("record 1 is not padded with zeros: ")

    def test_rw_tracer_has_no_payload(self) -> None:
        bad = record(EVENT, Tool.RW_TRACER)
        message = refusal(bad, Tool.RW_TRACER, Format.BINARY)
        assert message == "record 1 has payload_len 3, and 0 bytes of payload"

    def test_a_payload_longer_than_the_record_has_room_for_is_refused(self) -> None:
        bad = record(dataclasses.replace(EVENT, payload_len=PAYLOAD_BYTES + 1, payload="61 " * PAYLOAD_BYTES))
        message = refusal(bad, form=Format.BINARY)
        assert message == f"record 1 has payload_len {PAYLOAD_BYTES + 1}, and {PAYLOAD_BYTES} bytes of payload"


def count_output(pairs: Sequence[tuple[int, int]], form: Format) -> bytes:
    if form is Format.TEXT:
        return "".join(f"{number}\t{count}\n" for number, count in pairs).encode()
    return b"".join(struct.pack("<QQ", *pair) for pair in pairs)


class TestCounts:
    @given(st.dictionaries(U64, U64, max_size=5), st.sampled_from(Format))
    def test_counts_are_read_as_they_were_written(self, written: dict[int, int], form: Format) -> None:
        assert counts(count_output(sorted(written.items()), form), form) == written

    @pytest.mark.parametrize("form", Format)
    @pytest.mark.parametrize("pairs", [[(1, 5), (0, 5)], [(1, 5), (1, 5)], [(1, 5), (1, 6)]])
    def test_a_number_out_of_order_or_twice_is_refused(self, form: Format, pairs: list[tuple[int, int]]) -> None:
        with pytest.raises(MalformedError, match=r"^system call numbers are not in order, each once$"):
            counts(count_output(pairs, form), form)

    @pytest.mark.parametrize("bad", [b"1", b"1\t2\t3", b"", b"1 2", b"1\tx", b"1\t 2", b"read\t2", b"01\t2"])
    def test_a_line_that_is_no_number_and_count_is_told(self, bad: bytes) -> None:
        with pytest.raises(MalformedError, match=r"^line 2: "):
            counts(b"0\t7\n" + bad + b"\n", Format.TEXT)

    def test_an_output_that_is_cut_short_is_told(self) -> None:
        with pytest.raises(MalformedError, match="in the middle of a line"):
            counts(b"0\t7\n1\t", Format.TEXT)
        with pytest.raises(MalformedError, match=r"^the output of 17 bytes is no whole number of 16-byte records$"):
            counts(b"\0" * 17, Format.BINARY)


SLOTS = ["0"] * 19 + ["3"] + ["0"] * 20
SLOW_LINE = "slow\t3000000000\t3001500000\t8\t77\t5\t6\t0\t-11\t2\nffffffff81000000\nffffffff82000001\n"
LATENCY_LINE = f"latency\t8\t77\t0\t3\t12288\t3000000\t1010000\tdata\t{' '.join(SLOTS)}\n"
TOP_LINES = "top\t8\t77\t3\t12288\ntop\t8\t78\t3\t1\n"
PROFILE = SLOW_LINE + LATENCY_LINE + TOP_LINES


class TestProfile:
    def test_lines_become_what_they_tell(self) -> None:
        found = output.profile(PROFILE.encode())
        assert (found.slow[0].ret, found.slow[0].stack) == (-11, (0xFFFFFFFF81000000, 0xFFFFFFFF82000001))
        assert (found.latencies[0].name, found.latencies[0].slots[19]) == ("data", 3)
        assert found.top == ((8, 77, 3, 12288), (8, 78, 3, 1))
        assert output.profile(b"") == output.Profile((), (), ())

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("ffffffff82000001\n", ""),
            ("ffffffff82000001", "0"),
            ("-11\t2\nffffffff81000000\nffffffff82000001", "-11\t0"),
            ("3001500000", "3000999999"),
            ("\t3\t12288\t3000000", "\t4\t12288\t3000000"),
            ("1010000", "2010000"),
            ("3000000\t1010000", "3030001\t1010000"),
            ("3000000\t1010000", "1572863\t1010000"),
            (LATENCY_LINE, LATENCY_LINE * 2),
            (LATENCY_LINE + TOP_LINES, TOP_LINES + LATENCY_LINE),
            ("top\t8\t78", "top\t8\t76"),
            ("top\t8\t78\t3", "top\t8\t78\t4"),
            ("top", "Lost 3 events"),
            (" 0\n", "\n"),
        ],
    )
    def test_what_cannot_be_is_refused(self, old: str, new: str) -> None:
        assert old in PROFILE
        with pytest.raises(MalformedError):
            output.profile(PROFILE.replace(old, new, 1).encode())

# SPDX-License-Identifier: Apache-2.0
"""How a tracer is called, and what is made of the files it leaves."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import make_summary, make_trial

from bpfbench.codec import to_json
from bpfbench.errors import StepError
from bpfbench.inside.child import Launch
from bpfbench.inside.tracer import TracerProcess, arguments, count_events, read_summary
from bpfbench.model import Attach, Format, Slots, Tool, TracerConfig

TEXT = TracerConfig(Attach.TRACEPOINT, Format.TEXT, 4096, 50)
BINARY = TracerConfig(Attach.TRACEPOINT, Format.BINARY, 4096, 50)
PAYLOAD = TracerConfig(Attach.TRACEPOINT, Format.BINARY, 4096, 50, 16)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "x.out"


def count(output: Path, content: bytes, config: TracerConfig, tool: Tool = Tool.RW_TRACER) -> int:
    output.write_bytes(content)
    return count_events(output, tool, config)


class TestArguments:
    def test_every_option_of_the_contract_is_given(self) -> None:
        words = arguments(Tool.RW_TRACER_ALL, PAYLOAD, Path("/o/x.out"), Path("/r/summary.json"))
        assert dict(zip(words[::2], words[1::2], strict=True)) == {
            "--tool": "rw-tracer-all",
            "--attach": "tracepoint",
            "--target-comm": "fio",
            "--ringbuf-bytes": "4096",
            "--poll-ms": "50",
            "--payload-bytes": "16",
            "--format": "binary",
            "--output": "/o/x.out",
            "--summary": "/r/summary.json",
        }

    def test_of_version_2_only_what_is_not_the_default_is_given_in_its_order(self) -> None:
        config = replace(PAYLOAD, records=Slots.VARIABLE, wakeup="watermark:512", rings="cpu")
        usual, changed = (arguments(Tool.RW_TRACER_ALL, own, Path("/o"), Path("/s")) for own in (PAYLOAD, config))
        assert changed == (*usual, "--wakeup", "watermark:512", "--rings", "cpu", "--records", "variable")
        assert arguments(Tool.RW_TRACER, replace(BINARY, output_buffer_bytes=4096), Path("/o"), Path("/s"))[-2:] == (
            "--output-bytes",
            "4096",
        )

    def test_what_its_tool_does_not_use_gets_the_usual_value(self) -> None:
        words = arguments(Tool.SYSCOUNT, TracerConfig(Attach.TRACEPOINT, Format.TEXT), Path("/o"), Path("/s"))
        options = dict(zip(words[::2], words[1::2], strict=True))
        assert (options["--ringbuf-bytes"], options["--poll-ms"], options["--payload-bytes"]) == (
            "262144",
            "100",
            "4096",
        )


WRITER = """\
import sys
print("READY", flush=True)
with open(sys.argv[1], "wb", buffering=0) as file:
    try:
        while file.tell() < 8192:
            file.write(bytes(1024))
    except OSError as error:
        sys.exit(error.strerror)
"""
"""A tracer that writes 8 KiB."""


class TestOutputLimit:
    def written(self, output: Path, limit_bytes: int | None) -> tuple[int, int, str]:
        """Size of the output, exit status and last words."""
        command = (sys.executable, "-c", WRITER, str(output))
        launch = Launch(command, os.sched_getaffinity(0), output.with_name("stderr"))
        with TracerProcess(launch, limit_bytes) as writer:
            writer.wait_ready(30)
            status = os.waitstatus_to_exitcode(os.waitpid(writer.pid, 0)[1])
            return output.stat().st_size, status, writer.last_message()

    def test_a_write_beyond_it_fails_and_does_not_kill_the_tracer(self, output: Path) -> None:
        assert self.written(output, 4096) == (4096, 1, "File too large")

    @pytest.mark.parametrize("limit_bytes", [None, 8192])
    def test_up_to_it_everything_is_written(self, output: Path, limit_bytes: int | None) -> None:
        assert self.written(output, limit_bytes) == (8192, 0, "no message")


class TestStop:
    def test_sigint_ends_it_though_we_ignore_that_ourselves(self, tmp_path: Path) -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            command = ("sh", "-c", "echo READY; exec sleep 60")
            with TracerProcess(Launch(command, os.sched_getaffinity(0), tmp_path / "stderr")) as tracer:
                tracer.wait_ready(30)
                assert tracer.stop(30) == -signal.SIGINT
        finally:
            signal.signal(signal.SIGINT, before)


class TestCountEvents:
    @pytest.mark.parametrize("lines", [0, 1, 3])
    def test_a_text_event_is_a_line(self, output: Path, lines: int) -> None:
        assert count(output, b"1\t2\t3\n" * lines, TEXT) == lines

    def test_lines_are_counted_across_the_blocks_they_are_read_in(self, output: Path) -> None:
        assert count(output, b"0123456789abcdef\n" * 200_000, TEXT) == 200_000

    def test_an_output_that_ends_within_a_line_is_refused(self, output: Path) -> None:
        with pytest.raises(StepError, match="ends in the middle of a line"):
            count(output, b"1\t2\n1\t", TEXT)

    def test_a_binary_event_is_156_bytes_whatever_they_are(self, output: Path) -> None:
        assert count(output, b"\n" * 156 * 7, BINARY) == 7

    def test_a_binary_event_with_payload_is_longer_by_it(self, output: Path) -> None:
        assert count(output, bytes(172 * 3), PAYLOAD, Tool.RW_TRACER_ALL) == 3

    def test_an_output_that_ends_within_a_record_is_refused_with_the_sizes(self, output: Path) -> None:
        with pytest.raises(StepError, match="of 300 bytes is no whole number of 156-byte records"):
            count(output, bytes(300), BINARY)

    def test_syscounts_events_are_the_sum_of_its_counts(self, output: Path) -> None:
        assert count(output, b"0\t140\n17\t4000\n257\t3\n", TEXT, Tool.SYSCOUNT) == 4143

    def test_also_in_binary(self, output: Path) -> None:
        pairs = ((0, 140), (17, 4000), (257, 2**40))
        content = b"".join(n.to_bytes(8, "little") for pair in pairs for n in pair)
        assert count(output, content, BINARY, Tool.SYSCOUNT) == 140 + 4000 + 2**40

    @pytest.mark.parametrize("config", [TEXT, BINARY])
    def test_no_system_calls_are_no_events(self, output: Path, config: TracerConfig) -> None:
        assert count(output, b"", config, Tool.SYSCOUNT) == 0


class TestSummary:
    def test_it_is_read_as_the_contract_has_it(self, tmp_path: Path) -> None:
        written = make_summary(make_trial("libbpf"), lost={"recursion": None}, unavailable={"recursion": "no means"})
        path = tmp_path / "summary.json"
        path.write_text(to_json(written))
        assert read_summary(path) == written

    def test_where_there_is_none_it_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(StepError, match=r"^tracer left no summary: No such file or directory$"):
            read_summary(tmp_path / "summary.json")

    @pytest.mark.parametrize(
        ("change", "fault"),
        [
            ({"saved": "many"}, "TracerSummary.saved: expected int, got str"),
            ({"times_ns": {"start": 1}}, "TracerSummary.times_ns: field 'ready' is missing"),
            ({"lost": {"ring_full": "1"}}, "TracerSummary.lost.ring_full: expected int, got str"),
            ({"mood": "good"}, "TracerSummary: unknown field 'mood'"),
        ],
    )
    def test_one_that_breaks_the_contract_is_refused_with_the_field(
        self, tmp_path: Path, change: dict[str, Any], fault: str
    ) -> None:
        path = tmp_path / "summary.json"
        path.write_text(json.dumps({**json.loads(to_json(make_summary(make_trial("bcc")))), **change}))
        with pytest.raises(StepError) as caught:
            read_summary(path)
        assert caught.value.message == f"tracer's summary is not as the contract says: {fault}"


CONFIG = TracerConfig(Attach.TRACEPOINT, Format.TEXT, 262144, 100)


def test_whom_a_tracer_traces_is_fio_unless_told() -> None:
    told = arguments(Tool.RW_TRACER, CONFIG, Path("/o"), Path("/s"), "dd")
    usual = arguments(Tool.RW_TRACER, CONFIG, Path("/o"), Path("/s"))
    assert [words[words.index("--target-comm") + 1] for words in (told, usual)] == ["dd", "fio"]


def test_of_fs_profile_each_call_counts_and_each_slow_one_once_more(output: Path) -> None:
    slots = b" ".join([b"0"] * 40)
    lines = b"slow\t1\t2\t3\t4\t5\t6\t0\t7\t2\nffffffff81000000\nffffffff81000001\n"
    lines += b"latency\t3\t4\t0\t70\t8\t9\t9\tname\twith a tab\t" + slots + b"\ntop\t3\t4\t70\t8\n"
    assert count(output, lines, TEXT, Tool.FS_PROFILE) == 71

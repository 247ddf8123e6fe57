# SPDX-License-Identifier: Apache-2.0
"""A trace: how records are shown, what ends it, and which command lines are refused."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import pytest
from builders import make_summary, make_trial

from bpfbench import cli
from bpfbench.cli.app import stderr
from bpfbench.cli.trace import TraceOptions, _config, _study, _target
from bpfbench.errors import StepError, UsageError
from bpfbench.machine.command import Hold
from bpfbench.model import Attach, Deadlines, Format, Tool, TracerConfig, TracerSummary, TraceSpec
from bpfbench.run.trace import MOST_HELD, Trace
from bpfbench.testbed.host import HostTestbed

CONFIG = TracerConfig(Attach.TRACEPOINT, Format.TEXT, 262144, 100)
SPEC = TraceSpec(Tool.RW_TRACER, CONFIG, "dd", 2**30, Deadlines())


class FakeTestbed:
    """Says these lines, with `do` between the first (READY) and the others."""

    def __init__(self, lines: Sequence[str], do: Callable[[], object] = lambda: None) -> None:
        self.lines, self.do, self.let_go = lines, do, False

    def trace(self, _spec: TraceSpec, _setup: str, on_line: Callable[[str], None], hold: Hold) -> None:
        first, *rest = self.lines
        on_line(first)
        self.do()
        for line in rest:
            on_line(line)
        self.let_go = hold._over


class FakeLines:
    """Writes records as they are."""

    names: dict[int, str]

    def head(self, ready_ns: int) -> str:
        assert ready_ns == 7
        return "head\n"

    def record(self, line: str) -> str:
        return f"{int(line)}\n"

    def end(self, summary: TracerSummary, names: dict[int, str]) -> str:
        assert summary.setup == "libbpf"
        self.names = names
        return "counts\n"


class Written(io.StringIO):
    """Keeps what is written together."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def write(self, text: str) -> int:
        self.texts.append(text)
        return len(text)


READY = json.dumps({"event": "ready", "monotonic_ns": 7, "startup_s": 0.5})
BATCH = json.dumps({"event": "batch"})


def ended(reason: str | None = None) -> str:
    """The last event of a trace."""
    summary = asdict(make_summary(make_trial("libbpf")))
    return json.dumps({"event": "summary", "summary": summary, "reason": reason, "names": {"0": "read"}})


def session(testbed: FakeTestbed, *words: str, lines: FakeLines | None = None, out: Written | None = None) -> Trace:
    return Trace(cast("HostTestbed", testbed), lines or FakeLines(), out or Written(), words)


class TestTrace:
    def test_records_are_shown_together_and_all_of_them(self) -> None:
        lines, out = FakeLines(), Written()
        testbed = FakeTestbed([READY, "1", "2", BATCH, BATCH, "3", ended()])
        traced = session(testbed, lines=lines, out=out).run(SPEC, "libbpf")
        assert out.texts == ["head\n", "1\n2\n", "3\n", "counts\n"]
        assert lines.names == {0: "read"}
        assert (traced.shown, traced.startup_s, traced.reason, traced.status) == (3, 0.5, None, None)

    def test_what_cannot_be_read_is_left_out_and_not_counted(self) -> None:
        out = Written()
        traced = session(FakeTestbed([READY, "1", "no number", "2", ended()]), out=out).run(SPEC, "libbpf")
        assert out.texts[1] == "1\n2\n"
        assert traced.shown == 2

    def test_of_many_some_are_shown_early(self) -> None:
        out = Written()
        session(FakeTestbed([READY, *["1"] * (MOST_HELD + 1), ended()]), out=out).run(SPEC, "libbpf")
        assert [text.count("\n") for text in out.texts[1:-1]] == [MOST_HELD, 1]

    def test_the_user_is_told_when_it_is_ready(self) -> None:
        told: list[str] = []
        testbed = cast("HostTestbed", FakeTestbed([READY, ended()]))
        Trace(testbed, FakeLines(), Written(), (), lambda: told.append("ready")).run(SPEC, "libbpf")
        assert told == ["ready"]

    def test_no_account_is_an_error(self) -> None:
        with pytest.raises(StepError, match="without an account"):
            session(FakeTestbed([READY])).run(SPEC, "libbpf")

    @pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_the_trace(self, sign: signal.Signals) -> None:
        before = signal.getsignal(sign)
        testbed = FakeTestbed([READY, "1", ended()], lambda: signal.raise_signal(sign))
        assert session(testbed).run(SPEC, "libbpf").shown == 1
        assert testbed.let_go
        assert signal.getsignal(sign) is before

    def test_a_second_ends_it_at_once(self) -> None:
        def twice() -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            session(FakeTestbed([READY, ended()], twice)).run(SPEC, "libbpf")

    def test_one_before_the_tracer_is_ready_ends_it_at_once(self) -> None:
        said = json.dumps({"event": "command", "argv": ["tracer"]})
        testbed = FakeTestbed([said, READY, ended()], lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            session(testbed).run(SPEC, "libbpf")


@pytest.fixture
def bpfbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Call `bpfbench trace` with these words, as far as usage is judged, and return its one complaint."""
    monkeypatch.setenv("BPFBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def reached(*_: Any) -> None:
        raise UsageError("nothing to complain about")

    monkeypatch.setattr("bpfbench.testbed.host.require", reached)
    handler = signal.getsignal(signal.SIGTERM)

    def invoke(*words: str) -> str:
        said = io.StringIO()
        monkeypatch.setattr("sys.argv", ["bpfbench", "trace", *words])
        monkeypatch.setattr(stderr, "_file", said)
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert left.value.code == 2
        return said.getvalue().splitlines()[0].removeprefix("bpfbench: ")

    yield invoke
    signal.signal(signal.SIGTERM, handler)


LIBBPF = ("--setup", "libbpf", "--tool", "rw-tracer")


@pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")
class TestUsage:
    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (LIBBPF, "nothing to complain about"),
            ((*LIBBPF, "--", "true", "--help"), "nothing to complain about"),
            ((*LIBBPF, "--ringbuf-bytes", "4KiB", "--poll-ms", "5"), "nothing to complain about"),
            (("--setup", "libpbf", "--tool", "syscount"), "(did you mean 'libbpf'?)"),
            (("--setup", "vanilla", "--tool", "syscount"), "option --setup: 'vanilla' is not one of: bpftrace, bcc,"),
            (("--setup", "bcc", "--tool", "syscuont"), "option --tool: 'syscuont' is not one of: syscount, rw-tracer,"),
            ((*LIBBPF, "--ringbuf-bytes", "5000"), "option --ringbuf-bytes: a BPF ring buffer is a power of two"),
            ((*LIBBPF, "--ringbuf-bytes", "lots"), "option --ringbuf-bytes: 'lots' is no size"),
            ((*LIBBPF, "--poll-ms", "0"), "option --poll-ms: 0 is out of range"),
            ((*LIBBPF, "--payload-bytes", "1MiB"), "option --payload-bytes: 1048576 is out of range"),
            ((*LIBBPF, "--output-limit-bytes", "0"), "option --output-limit-bytes: 0 is out of range"),
            ((*LIBBPF, "--attach", "uprobe"), "option --attach: 'uprobe' is not one of: tracepoint,"),
            ((*LIBBPF, "--image", "woody"), "option --image: 'woody' is not one of: trixie"),
            (("--setup", "bpftrace", "--tool", "rw-tracer", "--poll-ms", "5"), "bpftrace cannot poll every 5 ms"),
            ((*LIBBPF, "--comm", ""), "option --comm: the name of a process is wanted"),
            ((*LIBBPF, "--", "no-such-command", "x"), "command 'no-such-command' is not found"),
            ((*LIBBPF, "--", "/etc/passwd"), "command '/etc/passwd' is not executable"),
            ((*LIBBPF, "--study", "mine.toml"), "study file 'mine.toml' does not exist"),
            ((*LIBBPF, "--bogus", "true"), "--bogus"),
        ],
    )
    def test_is_judged_before_anything_is_done(
        self, bpfbench: Callable[..., str], words: tuple[str, ...], complaint: str
    ) -> None:
        assert complaint in bpfbench(*words)

    def test_a_study_brings_setups(self, bpfbench: Callable[..., str], tmp_path: Path) -> None:
        (tmp_path / "mine.toml").write_text(
            'name = "mine"\n[factors]\nsetups = ["mine"]\nworkloads = ["read"]\n[setups.mine]\ncommand = ["./tracer"]\n'
        )
        (tmp_path / "tracer").touch(mode=0o755)
        assert bpfbench("--study", "mine.toml", "--setup", "mine", "--tool", "rw-tracer") == "nothing to complain about"
        assert "(did you mean 'mine'?)" in bpfbench("--study", "mine.toml", "--setup", "mien", "--tool", "rw-tracer")

    @pytest.mark.parametrize(
        ("comm", "words", "traced"),
        [
            (None, (), "fio"),
            (None, ("/usr/bin/dd", "x"), "dd"),
            (None, ("./a-name-of-20-bytes.x",), "a-name-of-20-by"),
            ("other", ("dd",), "other"),
            ("\u00e4" * 8, (), os.fsdecode(b"\xc3\xa4" * 7 + b"\xc3")),
        ],
    )
    def test_who_is_traced(self, comm: str | None, words: tuple[str, ...], traced: str) -> None:
        assert _target(comm, words) == traced


def test_a_study_that_says_how_a_setup_is_tuned_has_it_traced_like_that_as_text(tmp_path: Path) -> None:
    (tmp_path / "tuned.toml").write_text(
        "name = 'tuned'\n[factors]\nsetups = 'libbpf'\nworkloads = 'write'\n"
        "[tuned.libbpf]\nringbuf_bytes = '1MiB'\nformat = 'binary'\npoll_ms = 30\n"
    )
    options: Any = TraceOptions()

    def traced(setup: str) -> TracerConfig:
        return _config(_study(str(tmp_path / "tuned.toml"), setup, "rw-tracer", options))

    tuned, other = traced("libbpf"), traced("bcc")
    assert (tuned.ringbuf_bytes, tuned.poll_ms, tuned.format) == (2**20, 30, Format.TEXT)
    assert (other.ringbuf_bytes, other.poll_ms) == (2**18, 1)

# SPDX-License-Identifier: Apache-2.0
"""A target and tracers are read as they were typed, and what is wrong with them is said in one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bpfbench.declare import commands
from bpfbench.errors import UsageError
from bpfbench.model import Better, TargetMetric
from bpfbench.model.command import CommandTracer, Tally
from bpfbench.model.target import CPU, TIME


class TestCommand:
    @pytest.mark.parametrize(
        ("called", "words"),
        [
            ("ls -l '/a b'", ("ls", "-l", "/a b")),
            ("ls 'a; b' \"c | d\" e\\;f", ("ls", "a; b", "c | d", "e;f")),
            ("cat -e 'kprobe:f { @[comm] = count(); }'", ("cat", "-e", "kprobe:f { @[comm] = count(); }")),
            ("cat -p {pid}", ("cat", "-p", "{pid}")),
        ],
    )
    def test_simple_ones_need_no_shell(self, called: str, words: tuple[str, ...]) -> None:
        assert commands.command(called, "tracer") == words

    @pytest.mark.parametrize(
        "called", ["ls | wc", "cd /x && make", "ls > /dev/null", "ls $HOME", 'ls "$HOME"', "A=1 ls", "ls *.c", "ls; ls"]
    )
    def test_what_only_a_shell_understands_is_left_to_one(self, called: str) -> None:
        assert commands.command(called, "tracer") == ("sh", "-c", called)

    def test_one_that_is_not_there_is_told_with_what_may_be_meant(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "opensnoop-bpfcc").touch(mode=0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(UsageError, match=r"^tracer 'opensnoop -n x': no command 'opensnoop' is found$") as error:
            commands.command("opensnoop -n x", "tracer")
        assert error.value.hint == "did you mean opensnoop-bpfcc?"

    @pytest.mark.parametrize(("called", "said"), [("ls 'a", "no closing quotation"), ("", "it is empty")])
    def test_no_command_at_all(self, called: str, said: str) -> None:
        with pytest.raises(UsageError, match=said):
            commands.command(called, "option --target")


class TestImage:
    @pytest.mark.parametrize(
        ("called", "words"),
        [
            ("image:bpftrace -q 'a b.bt'", ("image:", "bpftrace", "-q", "a b.bt")),
            ("image:bpftrace x.bt | wc", ("image:", "sh", "-c", "bpftrace x.bt | wc")),
            ("libbpf:rw-tracer", ("image:", "libbpf:rw-tracer")),
            ("ebpf-go@0.22:syscount:my server", ("image:", "ebpf-go@0.22:syscount:my server")),
        ],
    )
    def test_a_tracer_may_be_the_images(self, called: str, words: tuple[str, ...]) -> None:
        assert commands.tracers([called], (), "INT")[0].command == words

    @pytest.mark.parametrize(
        ("called", "said"),
        [
            ("image:", "no command follows"),
            ("image:ls 'a", "no closing quotation"),
            ("libbpf:rwtracer", r"tool 'rwtracer' is not one of: .*rw-tracer"),
            ("libpbf:rw-tracer", r"setup 'libpbf' is not one of: .*libbpf"),
            ("./libbpf:rw-tracer", "no command './libbpf:rw-tracer' is found"),
        ],
    )
    def test_one_that_it_has_not_is_told(self, called: str, said: str) -> None:
        with pytest.raises(UsageError, match=said):
            commands.tracers([called], (), "INT")

    def test_a_command_that_the_system_lacks_is_said_to_be_in_the_image(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.which", lambda *_, **__: None)
        with pytest.raises(UsageError) as error:
            commands.tracers(["bpftrace -q x.bt"], (), "INT")
        assert error.value.hint == "install it, or have the image's: 'image:bpftrace -q x.bt'"


class TestTally:
    def test_one_is_for_all_or_there_is_one_for_each(self) -> None:
        both = commands.tracers(["ls", "cat"], (), "INT", lost=["/Lost ([0-9]+)/"])
        assert [own.lost for own in both] == [Tally("Lost ([0-9]+)")] * 2
        one, other = commands.tracers(["ls", "cat"], (), "INT", received=["none", "/^read/"])
        assert (one.received, other.received, other.lost) == (None, Tally("^read"), None)

    @pytest.mark.parametrize(
        ("lost", "said"),
        [
            (["Lost"], "option --lost: 'Lost' is no /REGULAR EXPRESSION/"),
            (["/(/"], "is no regular expression"),
            (["/(.)(.)/"], "has 2 groups; the number is one group"),
            (["/a/", "/b/", "/c/"], "option --lost: 3 for 2 tracers; give one for all, or one for each"),
        ],
    )
    def test_what_is_wrong_with_one_is_told(self, lost: list[str], said: str) -> None:
        with pytest.raises(UsageError, match=re.escape(said)):
            commands.tracers(["ls", "cat"], (), "INT", lost=lost)


class TestMetric:
    @pytest.mark.parametrize(
        ("given", "name", "unit", "better", "pattern"),
        [
            ("tps=/tps = ([0-9.]+)/", "tps", "", Better.MORE, "tps = ([0-9.]+)"),
            ("p99:ms:less=/p99 (.*) ms/", "p99", "ms", Better.LESS, "p99 (.*) ms"),
            ("rate:ops/s=/: (.*) ops/s/", "rate", "ops/s", Better.MORE, ": (.*) ops/s"),
            ("lat::less=/a=(.*)/", "lat", "", Better.LESS, "a=(.*)"),
        ],
    )
    def test_name_unit_and_direction(self, given: str, name: str, unit: str, better: Better, pattern: str) -> None:
        assert commands.metric(given) == TargetMetric(name, unit, better, pattern)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ("tps", r"'tps' is not NAME\[:UNIT"),
            ("tps=tps = (.*)", "is not NAME"),
            ("tps:x:most=/(.*)/", "--metric tps: 'most' is not one of: less, more"),
            ("tps=/tps/", "has 0 groups; the number is one group"),
            ("tps=/(a)(b)/", "has 2 groups"),
            ("tps=/(a/", "is no regular expression"),
        ],
    )
    def test_what_is_none(self, given: str, said: str) -> None:
        with pytest.raises(UsageError, match=said):
            commands.metric(given)

    @pytest.mark.parametrize("twice", [["a=/(.)/", "a=/(..)/"], ["time=/(.)/"], ["CPU=/(.)/"]])
    def test_a_name_stands_for_one_number(self, twice: list[str]) -> None:
        with pytest.raises(UsageError, match="is there twice; always there: time, CPU"):
            commands.target("true", None, twice)


class TestTarget:
    def test_time_is_what_counts_unless_it_has_numbers_of_its_own(self) -> None:
        assert commands.target("true", None, []).decisive == (TIME,)
        own = commands.target("true", "true", ["tps=/(.*)/"])
        assert [metric.name for metric in own.decisive] == ["tps"]
        assert own.compared == (*own.metrics, TIME, CPU)


class TestTracers:
    @pytest.mark.parametrize("called", ["none", "", " "])
    def test_none_is_no_tracer(self, called: str) -> None:
        assert commands.tracers([called], [], "INT") == (CommandTracer("none", ()),)

    def test_readiness_is_of_all_or_of_each(self) -> None:
        lines = commands.tracers(["true", "false"], ["/Tracing/"], "INT")
        assert [tracer.ready_line for tracer in lines] == ["Tracing", "Tracing"]
        line, file, attached = commands.tracers(["true", "true", "true"], ["/x/", "ready", "auto"], "SIGTERM")
        assert line.ready_line == "x"
        assert file.ready_file == str(Path.cwd() / "ready")
        assert (attached.ready_line, attached.ready_file, attached.stop_signal) == (None, None, "SIGTERM")

    @pytest.mark.parametrize(
        ("given", "ready", "stop", "said"),
        [
            ([], [], "INT", "no tracer is given"),
            (["true"] * 3, ["a", "b"], "INT", "--ready: 2 for 3 tracers"),
            (["true"], ["/(/"], "INT", "--ready: /\\(/ is no regular expression"),
            (["true"], [], "INTR", "--stop-signal: 'INTR' is not one of: INT, TERM"),
        ],
    )
    def test_what_is_wrong_is_said(self, given: list[str], ready: list[str], stop: str, said: str) -> None:
        with pytest.raises(UsageError, match=said):
            commands.tracers(given, ready, stop)

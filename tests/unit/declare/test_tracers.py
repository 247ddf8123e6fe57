# SPDX-License-Identifier: Apache-2.0
"""A study brings commands as setups: what is said of them is read, written back, planned, and refused where wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from bpfbench.declare import plan, study
from bpfbench.errors import StudyError
from bpfbench.model import Attach, Study, Tool, TracerConfig, Variant
from bpfbench.model.command import Calls, Tally

HEAD = 'name = "x"\n[factors]\nworkloads = "read"\nscale = 0.001\n'
OPENS = HEAD + (
    'setups = ["opens"]\n[setups.opens]\nkind = "command"\ncommand = "opensnoop-bpfcc -n {comm}"\n'
    'packages = ["bpfcc-tools"]\nneeds = ["kprobe"]\nready = "/^PID/"\nstop_signal = "SIGTERM"\n'
    'received = { pattern = "^[0-9]+ ", unit = "opens" }\nlost = { pattern = "lost ([0-9]+)", last = true }\n'
)
TWINS = HEAD + (
    'setups = ["one", "two", "libbpf"]\nvariants = ["full", "no-output", "run-time"]\n'
    '[setups.one]\nkind = "command"\npackages = ["aa"]\n'
    'tools.opens = { command = "a", needs = "kprobe" }\ntools.execs = { command = ["b", "{pid}"] }\n'
    '[setups.two]\nkind = "command"\ncommand = "./{files}/c"\ntool = "opens"\n'
)


def read(text: str) -> Study:
    return study.parse(text, "/tmp/x.toml")


class TestReading:
    def test_all_that_is_said_of_a_command_is_read(self) -> None:
        (setup,) = read(OPENS).setups
        command = setup.commands["command"]
        assert (setup.tools, setup.packages, setup.is_command) == (("command",), ("bpfcc-tools",), True)
        assert command.command == ("opensnoop-bpfcc", "-n", "{comm}")
        assert (command.ready_line, command.ready_file, command.stop_signal) == ("^PID", None, "SIGTERM")
        assert command.needs == (Attach.KPROBE,)
        assert command.received == Tally("^[0-9]+ ", unit="opens")
        assert command.lost == Tally("lost ([0-9]+)", last=True)

    def test_several_tools_have_a_command_each_and_what_is_said_of_all(self) -> None:
        one, two = read(TWINS).setups
        assert one.commands["opens"].needs == (Attach.KPROBE,)
        assert not one.commands["execs"].needs
        assert one.commands["execs"].wants_target
        assert not one.commands["opens"].wants_target
        assert (two.tools, two.files) == (("opens",), "/tmp")

    def test_a_study_of_commands_alone_needs_no_tools_and_has_theirs(self) -> None:
        assert read(OPENS).factors.tools == ("command",)
        assert read(TWINS).factors.tools == (*Tool, "opens", "execs")

    def test_what_an_image_lacks_for_them_is_asked_of_it(self) -> None:
        assert read(OPENS).wants == (("opens",), (), (("bpfcc-tools",),))
        assert read(TWINS).packages == (("aa",),)

    @pytest.mark.parametrize("text", [OPENS, TWINS])
    def test_it_comes_back_as_it_was_written(self, text: str) -> None:
        found = read(text)
        assert study.parse(study.to_toml(found), "/elsewhere/y.toml") == found

    def test_counts_that_the_kernel_knows_are_named(self) -> None:
        text = OPENS.replace('unit = "opens"', 'calls = "reads+writes"')
        received = read(text).setups[0].commands["command"].received
        assert received is not None
        assert received.calls is Calls.BOTH
        assert received.calls.among(3, 4) == 7

    @pytest.mark.parametrize(
        ("old", "new", "fault"),
        [
            ('command = "opensnoop-bpfcc -n {comm}"\n', "", "give either command, or for each of several tools"),
            ("{comm}", "{uid}", "command: there is no {uid}; what is replaced is: {pid}, {comm}, {files}, {out}"),
            ("{comm}", "{fils}", "command: there is no {fils}; what is replaced is: {pid}, {comm}, {files}, {out}"),
            ('"/^PID/"', '"soon"', "ready: 'soon' is no way to be ready"),
            ('"/^PID/"', '"/(/"', "is no regular expression"),
            ('"SIGTERM"', '"SIGKILL"', "'SIGKILL' is not one of: SIGINT, SIGTERM"),
            ('"kprobe"', '"uprobe"', "'uprobe' is not one of: tracepoint, kprobe, fentry"),
            ('"bpfcc-tools"', '"--yes"', "'--yes' is no name of a Debian package"),
            ('"^[0-9]+ "', '"(a)(b)"', "/(a)(b)/ has 2 groups; a number is one group in ( )"),
            ('unit = "opens"', "last = true", "has 0 groups"),
            ('unit = "opens"', 'calls = "opens"', "'opens' is not one of: reads, writes, reads+writes"),
            ('kind = "command"', 'kind = "tracer"', "'tracer' is not one of: contract, command"),
            ('ready = "/^PID/"', 'formats = "text"', "formats: unknown key"),
        ],
    )
    def test_what_is_wrong_is_told_in_a_sentence(self, old: str, new: str, fault: str) -> None:
        with pytest.raises(StudyError) as caught:
            read(OPENS.replace(old, new))
        assert fault in caught.value.message


class TestPlan:
    def test_commands_share_the_blocks_of_their_tool_with_vanilla(self) -> None:
        trials = plan.unroll(read(TWINS)).trials
        blocks = {(t.block, t.tool) for t in trials}
        assert len({block for block, _ in blocks}) == len(blocks)
        opens = {t.setup for t in trials if t.tool == "opens"}
        assert opens == {"vanilla", "one", "two"}
        assert {t.setup for t in trials if t.tool == "rw-tracer"} == {"vanilla", "libbpf"}

    def test_of_variants_they_have_those_that_want_no_contract(self) -> None:
        configs = {t.config for t in plan.unroll(read(TWINS)).trials if t.setup == "one"}
        assert configs == {TracerConfig(None, None, variant=own) for own in (Variant.FULL, Variant.RUN_TIME)}

    def test_where_the_kernel_lacks_a_hook_their_trials_are_left_out_with_the_reason(self) -> None:
        here = plan.resolve(read(TWINS), frozenset({Attach.TRACEPOINT}))
        found = plan.unroll(here)
        assert found.left_out[-1] == "opens: one needs kprobe, which the kernel lacks"
        assert {t.setup for t in found.trials if t.tool == "opens"} == {"vanilla", "two"}

    def test_a_tool_of_which_nothing_can_run_has_no_block(self) -> None:
        nothing = plan.unroll(plan.resolve(read(OPENS), frozenset({Attach.TRACEPOINT})))
        assert nothing.trials == ()
        with pytest.raises(StudyError, match="needs kprobe, which the kernel lacks"):
            plan.require_tracers(read(OPENS), nothing)

    def test_they_keep_no_contract(self) -> None:
        (setup,) = read(OPENS).setups
        assert setup.refusal("command", TracerConfig(None, None)) is None
        beside = read(OPENS.replace('kind = "command"', 'kind = "command"\ntool = "rw-tracer"')).setups[0]
        refusal = beside.refusal("rw-tracer", TracerConfig(Attach.KPROBE, None))
        assert refusal == "opens is a command, which keeps no contract"


def test_the_document_explains_every_key() -> None:
    text = (Path(__file__).parents[3] / "docs" / "command-tracers.md").read_text()
    for key in ("command", "tool", "packages", "needs", "ready", "stop_signal", "received", "files", "tools"):
        assert f"`{key}`" in text.partition("## What it says itself")[0]

# SPDX-License-Identifier: Apache-2.0
"""Tracers that are commands, on the real kernel: what is known of a good one, and what goes wrong with others."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from loader import LOADER
from rich.console import Console

from bpfbench import cli
from bpfbench.declare import plan, study
from bpfbench.inside.kernel import bpf
from bpfbench.model import Deadlines, Paths, Record, Sources, Status
from bpfbench.model.command import CommandAccount
from bpfbench.run import campaign
from bpfbench.run.progress import ProgressReporter
from bpfbench.run.stage import Means, Stage, foreseen
from bpfbench.store import Run

HEAD = """
name = "commands"
repetitions = 1
[settings]
rest_s = 0
[factors]
workloads = "read"
processes = 1
scale = 0.002
"""

GOOD = (
    HEAD
    + r"""
setups = ["libbpf", "reads", "waits"]
tools = "rw-tracer"
variants = ["full", "run-time"]
attach = "tracepoint"

[setups.reads]
kind = "command"
tool = "rw-tracer"
command = ["bpftrace", "-q", "{files}/reads.bt", "{comm}"]
received = { pattern = '^reads (\d+)', unit = "reads", calls = "reads" }
lost = { pattern = 'Lost (\d+) events' }

[setups.waits]
kind = "command"
tool = "rw-tracer"
command = ["sh", "-c", "echo watching {pid} >{out}; exec sleep 60"]
ready = "{out}"
stop_signal = "SIGTERM"
"""
)
READS = """
tracepoint:syscalls:sys_enter_read, tracepoint:syscalls:sys_enter_pread64 /comm == str($1)/ { @reads = count(); }
END { printf("reads %d\\n", (int64)@reads); clear(@reads); }
"""

BAD = {
    "absent": ('"no-such-tool"', "the tracer cannot be started: No such file or directory"),
    "cannot-load": ('["bpftrace", "-e", "tracepoint:no:such { exit(); }"]', "the tracer ended before it was ready"),
    "dies": ('["sh", "-c", "echo working; sleep 1.2; echo enough; exit 3"]', "(exit status 3): enough"),
    "ends-badly": ('["sh", "-c", "trap \'echo oops; exit 7\' INT; sleep 60 & wait"]', "exit status 7"),
    "leaves-one": ('["sh", "-c", "setsid sleep 60 & exec sleep 60"]', "left running by the tracer, and ended: sleep"),
    "attaches-late": (
        '["sh", "-c", "sleep 1.8; exec bpftrace -q -e \'tracepoint:syscalls:sys_enter_sync { @ = 1 }\'"]',
        "the tracer attached something",
    ),
}

SLOW = {
    "never-says-so": (
        """["bpftrace", "-e", "tracepoint:syscalls:sys_enter_sync { @ = 1 }"]\nready = '/^tracing/'""",
        "the tracer was not ready after 5 s: Attaching",
    ),
    "never-attaches": (
        '["sh", "-c", "echo looking; while :; do :; done"]',
        "the tracer was not ready after 5 s: looking",
    ),
    "deaf": (
        """["sh", "-c", "trap '' INT TERM; env; echo deaf; while :; do sleep 1; done"]""",
        "the tracer was still running 2 s after SIGINT, sent twice: deaf",
    ),
    "pins": (
        '["python3", "{files}/loader.py", "0", "/sys/fs/bpf/own", "/sys/fs/bpf"]',
        "pinned, and they were removed: /sys/fs/bpf/own; it printed: .*; mounts left: 1",
    ),
}
"""Those that a trial waits for, and what it leaves in the end."""

TWICE = """["python3", "-c", "from signal import *; signal(2, lambda *_: signal(2, SIG_DFL)); pause(); pause()"]"""
"""Heeds the second signal, as a tool that was printing when the first one came. It rests, and so counts as ready."""


def account(records: tuple[Record, ...], setup: str) -> CommandAccount:
    found = next(record.command for record in records if record.trial.setup == setup)
    assert found is not None
    return found


@pytest.mark.usefixtures("trixie")
def test_a_command_is_measured_beside_a_tracer_by_the_contract(
    bpfbench: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "reads.bt").write_text(READS)
    (tmp_path / "study.toml").write_text(GOOD)
    done = bpfbench("run", tmp_path / "study.toml", "--run-dir", tmp_path / "run", "--data-dir", tmp_path)
    records = Run(tmp_path / "run").records()
    assert not [(record.trial.id, record.reason) for record in records if record.status is not Status.OK]
    assert done.returncode == 0, done.stderr
    assert len({record.trial.block for record in records}) == 1
    for record in records:
        assert (record.command is not None) == (record.trial.setup in ("reads", "waits"))
    reads, waits = account(records, "reads"), account(records, "waits")
    calls = next(record.calls for record in records if record.command == reads)
    assert calls is not None
    assert reads.received == calls.reads > 0
    assert reads.lost == 0
    assert reads.bpf is not None
    assert "tracepoint" in {program.kind for program in reads.bpf.programs}  # END is another
    assert any(own.name.endswith("reads") and own.memory_bytes for own in reads.bpf.maps)
    assert (waits.ready_by, waits.received) == ("its file", None)
    times = next(r.programs for r in records if r.trial.setup == "reads" and r.programs)
    assert sum(program.runs for program in times) >= calls.reads
    hooks = next(r.hooks for r in records if r.command == reads)
    assert {hook.target for hook in hooks} == {"sys_enter_read", "sys_enter_pread64"}
    printed = (tmp_path / "run" / "trials").glob("*reads*/tracer.printed")
    assert any(f"reads {reads.received}" in path.read_text() for path in printed)
    page = bpfbench("report", tmp_path / "run", "--output", tmp_path / "page")
    assert page.returncode == 0, page.stderr
    assert "by its own word" in (tmp_path / "page" / "index.html").read_text()


@pytest.mark.usefixtures("trixie")
def test_what_goes_wrong_is_said_with_what_was_printed_and_leaves_nothing(
    bpfbench: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    tables = "".join(f'[setups.{name}]\nkind = "command"\ncommand = {words}\n' for name, (words, _) in BAD.items())
    head = f'name = "bad"\nrepetitions = 1\n[factors]\nsetups = {list(BAD)}\ntargets = "nap"\n'
    (tmp_path / "study.toml").write_text(f'{head}[targets.nap]\ndrive = ["sleep", "1.5"]\n{tables}')
    done = bpfbench("run", tmp_path / "study.toml", "--run-dir", tmp_path / "run", "--data-dir", tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for record in Run(tmp_path / "run").records():
        if not record.trial.is_vanilla:
            assert record.status is Status.FAILED, record.trial.setup
            assert BAD[record.trial.setup][1] in (record.reason or ""), record.reason
            assert "left:" not in (record.reason or ""), record.reason


@pytest.mark.usefixtures("trixie")
def test_who_is_waited_for_in_vain_is_ended_and_what_it_had_is_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECRET", "xyzzy-42")
    tried = {"twice": TWICE} | {name: words for name, (words, _) in SLOW.items()}
    tables = "".join(f'[setups.{name}]\nkind = "command"\ncommand = {words}\n' for name, words in tried.items())
    head = f'name = "slow"\nrepetitions = 1\n[factors]\nsetups = {list(tried)}\ntargets = "nap"\n'
    (tmp_path / "study.toml").write_text(f'{head}[targets.nap]\ndrive = ["sleep", "1"]\n{tables}')
    (tmp_path / "loader.py").write_text(LOADER)
    chosen = foreseen(study.load(tmp_path / "study.toml"))
    settings = replace(chosen.settings, deadlines=Deadlines(ready_s=5, stop_s=2))
    chosen = replace(chosen, settings=settings, paths=Paths(str(tmp_path), str(tmp_path)))
    unrolled, before = plan.unroll(chosen), (bpf.tracing_programs(), Path("/proc/self/mounts").read_text())
    means = Means(cli.cache_dir(), Sources(), Console(file=io.StringIO()), lambda _: None)
    with Stage(chosen, means, campaign.disks(chosen, unrolled)) as stage, ProgressReporter(means.console) as reporter:
        run = campaign.start(stage.study, unrolled, stage.testbed, tmp_path / "run")
        campaign.execute(run, stage.testbed, reporter)
    for record in run.records():
        assert (record.status is Status.OK) == (record.trial.setup not in SLOW), record.reason
        if record.trial.setup in SLOW:
            assert re.search(SLOW[record.trial.setup][1], record.reason or ""), record.reason
    assert (bpf.tracing_programs(), Path("/proc/self/mounts").read_text()) == before
    printed = [path.read_text() for path in (tmp_path / "run" / "trials").glob("*deaf*/tracer.printed")]
    assert "PATH=" in printed[0]  # of the image's environment it was told, of ours nothing
    kept = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert not any(b"xyzzy-42" in path.read_bytes() for path in kept)


@pytest.mark.usefixtures("trixie")
def test_in_the_guest_tools_have_the_hooks_that_they_want(
    bpfbench: Callable[..., subprocess.CompletedProcess[str]], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if not request.config.getoption("--all"):
        pytest.skip("with --all")
    text = 'setups = ["opens"]\n[setups.opens]\nkind = "command"\ncommand = "opensnoop-bpfcc"\n'
    (tmp_path / "study.toml").write_text(f'{HEAD}{text}packages = "bpfcc-tools"\nneeds = "kprobe"\n')
    words = ("--testbed", "vm", "--run-dir", tmp_path / "run", "--data-dir", tmp_path)
    done = bpfbench("run", tmp_path / "study.toml", *words)
    assert done.returncode == 0, done.stderr
    opens = account(Run(tmp_path / "run").records(), "opens")
    assert opens.bpf is not None
    assert opens.bpf.programs

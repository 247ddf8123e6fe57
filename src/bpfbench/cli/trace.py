# SPDX-License-Identifier: Apache-2.0
"""trace: one tracer in front of the user, the quickest way to see what a setup does."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import App, Group, Parameter

from bpfbench import catalogue
from bpfbench.cli.app import Brought, Verbose, Wait, stderr
from bpfbench.cli.means import SourceOptions, means
from bpfbench.cli.options import Options, options_for
from bpfbench.declare import plan, study
from bpfbench.declare.study import Override
from bpfbench.errors import UsageError
from bpfbench.factors import KEYS
from bpfbench.model import EVENT_TOOLS, TARGET_COMM, Deadlines, Study, Tool, TracerConfig, TraceSpec, comm_of
from bpfbench.report import profile
from bpfbench.report import trace as report
from bpfbench.run import memory
from bpfbench.run.progress import set_up_logging
from bpfbench.run.stage import Stage
from bpfbench.run.trace import Trace, Traced, TraceLines
from bpfbench.values import choice_message

POLL_MS = 1
"""A tracer writes when a wait for the ring times out, or 64 KiB are full: with the studies' 100 ms, events that come
every 50 ms would be seen after half a minute."""

TRACER_BUFFER_BYTES = 2**17
"""What a tracer may hold back and not write any more where its output ends; the contract says half as much."""


@options_for(
    {
        KEYS["factors.attach"]: "tracepoint",
        KEYS["factors.ringbuf_bytes"]: "256KiB",
        replace(KEYS["factors.poll_ms"], help="poll time-out (default: 1, or what the setup can)"): None,
        KEYS["factors.payload_bytes"]: "32",
        replace(KEYS["output_limit_bytes"], help="the most the tracer may write to disk; it ends there"): "1GiB",
        replace(KEYS["image"], help="which image (default: the study's, else trixie)"): None,
    },
    Group("How it traces"),
)
class TraceOptions(Options):
    """How the one tracer is run."""

    several = False


trace_app = App(
    name="trace",
    usage="Usage: bpfbench trace --setup SETUP --tool TOOL [OPTIONS] [-- COMMAND…]",
    help_format="plaintext",
)


@trace_app.default
def trace(
    *command: str,
    setup: Annotated[str, Parameter(help="Which library: bpftrace, bcc, libbpf, …")],
    tool: Annotated[str, Parameter(help="What to observe: syscount, rw-tracer, rw-tracer-all, fs-profile.")],
    comm: Annotated[
        str | None, Parameter(help="Trace processes of this name (default: COMMAND's; without COMMAND, fio).")
    ] = None,
    brought: Brought = None,
    options: TraceOptions = TraceOptions(),
    source_options: SourceOptions = SourceOptions(),
    wait: Wait = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="", help="Print JSON, one object per line.")] = False,
    verbose: Verbose = False,
) -> int:
    """Run one tracer; show its events as they come, and what it lost.

    Events go to stdout as they come, and counts at the end. All else goes to
    stderr, including what COMMAND prints.

    With COMMAND, the trace begins before it and ends with it. Ctrl-C is then for
    COMMAND, and the exit status is COMMAND's, or 1 if the tracer failed. However
    bpfbench ends, COMMAND does not go on without it. Without COMMAND, the trace
    ends by Ctrl-C; a second one ends it at once.

    Parameters
    ----------
    command
        A command to trace, after `--`. It runs on this machine, not in the image.
    """
    set_up_logging(stderr, verbose=verbose)
    chosen = _study(brought, setup, tool, options)
    if chosen.testbed != "host":
        raise UsageError("trace runs on this machine alone: the command it traces does not run in a virtual machine")
    config = _config(chosen)
    target = _target(comm, command)
    _require_found(command)
    with Stage(chosen, means(source_options, wait=wait)) as stage:
        stage.testbed.require_room(chosen.output_limit_bytes or 0, "--output-limit-bytes sets how much")
        smaller = "choose a smaller --ringbuf-bytes, or free memory"
        memory.require_rings(chosen, [config], stage.testbed.cpus, smaller, what="the tracer")
        spec = TraceSpec(Tool(tool), config, target, chosen.output_limit_bytes or 0, Deadlines())
        lines = _lines(spec.tool, as_json=as_json)
        hint = f"tracing {spec.comm} with {setup}; Ctrl-C ends it"
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a name may have what the terminal cannot show
        try:
            one = Trace(stage.testbed, lines, sys.stdout, command, lambda: None if command else _say(hint))
            traced = one.run(spec, setup)
        except KeyboardInterrupt:
            stderr.print("bpfbench: interrupted", highlight=False)
            return 130
    _conclude(spec, traced, as_json=as_json)
    if traced.reason:
        return 1
    if traced.status:
        _say(f"{command[0]} ended with status {traced.status}")
    return traced.status or 0


def _study(file: str | None, setup: str, tool: str, options: TraceOptions) -> Study:
    """Return a study of one tracer, its options judged as those of any study."""
    valid = catalogue.SETUPS | {brought.name: brought for brought in study.brought_by(file)}
    if setup not in valid:
        raise UsageError(f"option --setup: {choice_message(setup, tuple(valid))}")
    if valid[setup].is_command:
        raise UsageError(f"{setup} is a command, whose output only itself knows", "run it by itself, or bpfbench run")
    overrides = {
        "factors.setups": Override("--setup", setup),
        "factors.tools": Override("--tool", tool),
        "factors.format": Override("--format", "text"),
        "factors.poll_ms": Override("--poll-ms", min(valid[setup].poll_ms or (POLL_MS,))),
        "repetitions": Override("--repetitions", 1),
    }
    found = study.around("trace", overrides | options.overrides(), file)
    return replace(found, tuned=tuple(replace(own, format=None) for own in found.tuned))  # text is what can be shown


def _lines(tool: Tool, *, as_json: bool) -> TraceLines:
    if tool is Tool.FS_PROFILE:
        return profile.ProfileJson() if as_json else profile.ProfileText()
    return report.JsonLines(tool) if as_json else report.TextLines(tool)


def _config(chosen: Study) -> TracerConfig:
    """Return how the study's one tracer is run: as it is tuned, where the study says how."""
    left_out: list[str] = []
    configs = [config for _, config in plan.members(chosen, chosen.factors.tools[0], left_out)]
    if not configs:
        raise UsageError("; ".join(dict.fromkeys(left_out)))
    return configs[-1]


def _target(comm: str | None, command: Sequence[str]) -> str:
    """Return the name of the processes to trace, as the kernel keeps it."""
    name = comm if comm is not None else Path(command[0]).name if command else TARGET_COMM
    if not name:
        raise UsageError("option --comm: the name of a process is wanted")
    return comm_of(name)


def _require_found(command: Sequence[str]) -> None:
    if command and shutil.which(command[0]) is None:
        fault = "is not executable" if Path(command[0]).is_file() and "/" in command[0] else "is not found"
        raise UsageError(f"command {command[0]!r} {fault}")


def _conclude(spec: TraceSpec, traced: Traced, *, as_json: bool) -> None:
    """Say what became of the events."""
    summary = traced.summary
    if as_json:
        besides = {"shown": traced.shown, "startup_s": traced.startup_s, "command_status": traced.status}
        sys.stdout.write(report.summary_json(summary, **besides))
        sys.stdout.flush()
    if sys.stdout.isatty() and sys.stderr.isatty():
        _say("")
    for line in report.account(summary, spec.config, spec.comm, traced.shown, traced.startup_s):
        _say(line)
    if not summary.intercepted_total:
        _say(f"No process called {spec.comm} did what {spec.tool} observes; --comm NAME traces another.")
    if spec.tool in EVENT_TOOLS and traced.shown < summary.saved:
        _say(f"{summary.saved - traced.shown} events are not shown: they cannot be read.")
    if traced.reason:
        _say(f"bpfbench: {traced.reason}")
        if summary.bytes > spec.output_limit_bytes - TRACER_BUFFER_BYTES:
            _say("  --output-limit-bytes sets how much it may write")


def _say(text: str) -> None:
    stderr.print(text, highlight=False, markup=False, soft_wrap=True)

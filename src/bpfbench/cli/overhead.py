# SPDX-License-Identifier: Apache-2.0
"""overhead: what tracers cost a command of the user's own, both as they are, on this system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bpfbench.analysis.questions.overhead import overhead as work_out
from bpfbench.cli import place
from bpfbench.cli.app import DEFAULT_RUNS, RunsDir, Verbose, Wait, cache_dir, on_wait, stderr
from bpfbench.cli.means import SourceOptions
from bpfbench.cli.show import Form, show
from bpfbench.declare import commands
from bpfbench.errors import UsageError
from bpfbench.machine.turn import alone
from bpfbench.model.target import OverheadDeadlines, OverheadStudy
from bpfbench.report.documents import overhead as report
from bpfbench.report.write import json, markdown
from bpfbench.run import overhead as running
from bpfbench.run.progress import ProgressReporter, logged_to, set_up_logging
from bpfbench.run.stage import Means
from bpfbench.values import seconds

KIND = "overhead"
EXPORTS = (".json", ".md")


def overhead(
    *tracers: Annotated[
        str,
        Parameter(
            help="Command lines. {pid} is the target's process ID, {server} the server's. image:COMMAND runs in"
            " bpfbench's image; SETUP:TOOL, such as libbpf:rw-tracer, is one of ours."
        ),
    ],
    target: Annotated[str, Parameter(help="The command to trace; it must end by itself.")],
    serve: Annotated[
        str | None,
        Parameter(help="A server for the target to talk to, started for each trial; its CPU time is what is decided."),
    ] = None,
    server: Annotated[
        str | None,
        Parameter(help="The same for a server that is running already: its process ID, or its name as `ps` shows it."),
    ] = None,
    prepare: Annotated[str | None, Parameter(help="Run this before each trial, for example 'make clean'.")] = None,
    metric: Annotated[
        tuple[str, ...],
        Parameter(
            help="A number the target prints, decided instead of its time: NAME[:UNIT[:more|less]]=/REGEX/. More is"
            " better unless you say less.",
            negative="",
        ),
    ] = (),
    ready: Annotated[
        tuple[str, ...],
        Parameter(
            help="How to tell that a tracer is ready: a line it prints, as /REGEX/, or a file it creates (default:"
            " auto, by what it has attached). Once for all tracers, or once for each.",
            negative="",
        ),
    ] = (),
    received: Annotated[
        tuple[str, ...],
        Parameter(
            help="How a tracer's output tells what it received: /REGEX/ counts the lines that match, or adds up the"
            " numbers its group matches. Once for all tracers, or once for each (`none` for none).",
            negative="",
        ),
    ] = (),
    lost: Annotated[
        tuple[str, ...],
        Parameter(help="The same for events it lost, for example '/Lost ([0-9]+) events/'.", negative=""),
    ] = (),
    together: Annotated[
        bool,
        Parameter(help="Also run the tracers at the same time, in pairs and all: do their costs add up?", negative=""),
    ] = False,
    stop_signal: Annotated[str, Parameter(help="The signal that stops a tracer: INT, TERM, HUP, …")] = "INT",
    time: Annotated[
        str | None,
        Parameter(
            "--for",
            help="Time for everything. There are always 3 rounds, and no more once all is decided (default: 1min, and"
            " up to 3min if that can decide it).",
        ),
    ] = None,
    rounds: Annotated[int | None, Parameter(help="Run exactly this many rounds instead.")] = None,
    margin: Annotated[float, Parameter(help="Changes of up to this many per cent do not matter.")] = 5.0,
    timeout: Annotated[str, Parameter(help="The longest that one run of the target may take.")] = "1h",
    seed: Annotated[int, Parameter(help="Seeds the random order of each round.")] = 1,
    export: Annotated[Path | None, Parameter(help="Also save the result to this file, .json or .md.")] = None,
    runs_dir: RunsDir = DEFAULT_RUNS,
    wait: Wait = False,
    verbose: Verbose = False,
    source_options: SourceOptions = SourceOptions(),
    form: Form = Form(),
) -> int:
    """Measure what each tracer costs a command: its time or its own numbers, and what the tracer uses.

    Everything runs on this system, as it is, in rounds: the target twice
    without a tracer and once with each, in random order, until every cost is
    decided or time is up. Root is needed only where a tracer needs it.
    docs/overhead.md explains how it is measured.
    """
    set_up_logging(stderr, verbose=verbose)
    if not 0 < margin < 100:
        raise UsageError(f"option --margin: {margin:g} is out of range; valid is more than 0, and less than 100")
    if rounds is not None and rounds < 1:
        raise UsageError(f"option --rounds: {rounds} is out of range; valid is 1 or more")
    place.require_file(export, "--export", kinds=EXPORTS)
    asked = commands.server(server, serve)
    chosen = commands.tracers(tracers, ready, stop_signal, served=asked is not None, received=received, lost=lost)
    if together:
        commands.together(chosen)
    limits = {} if time is None else dict.fromkeys(("seconds", "seconds_at_most"), _seconds("--for", time))
    study = OverheadStudy(
        target=commands.target(target, prepare, metric, asked),
        tracers=chosen,
        rounds=rounds,
        margin_percent=margin,
        seed=seed,
        deadlines=OverheadDeadlines(target_s=_seconds("--timeout", timeout)),
        together=together,
        **limits,
    )
    study = running.prepared(study, Means(cache_dir(), source_options.sources(), stderr))
    interrupted = False
    with alone(on_wait(wait=wait)):
        log = running.start(study, runs_dir)
        with logged_to(log.log_file), ProgressReporter(stderr) as reporter:
            measured = running.Rounds(study, log, reporter)
            try:
                measured.measure()
            except KeyboardInterrupt:
                interrupted = True
    found = work_out(study, measured.records)
    if interrupted:
        stderr.print(f"bpfbench: interrupted after {found.rounds} rounds", highlight=False)
    if found.rounds:
        document, data = report.document(found, log.machine), report.data(found, log.machine)
        if export is not None:
            saved = json.text(KIND, report.SCHEMA, None, data) if export.suffix == ".json" else markdown.text(document)
            place.write(export, saved, "--export")
        show(form, KIND, document, data, schema=report.SCHEMA)
    stderr.print(f"Results: {log.path}", highlight=False, soft_wrap=True)
    return 130 if interrupted else 1 if any(row.failed for row in found.rows) else 0


def _seconds(option: str, given: str) -> float:
    try:
        return seconds(given)
    except ValueError as error:
        raise UsageError(f"option {option}: {error}") from None

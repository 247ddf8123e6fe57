# SPDX-License-Identifier: Apache-2.0
"""status: how far a run is."""

from __future__ import annotations

import io
import threading
import time
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.live import Live
from rich.text import Text

from bpfbench import store
from bpfbench.cli import runs
from bpfbench.cli.app import DEFAULT_RUNS, RunName, RunsDir, stdout
from bpfbench.cli.show import Form, show
from bpfbench.errors import UsageError
from bpfbench.model import EMULATED_REMARK, Status
from bpfbench.report.document import Block, Bullets, Code, Document, Heading, Paragraph
from bpfbench.report.documents import live as documents
from bpfbench.report.write import terminal

EVERY_S = 2.0
"""How often it is said anew."""


def status(
    name: RunName = "latest",
    /,
    *,
    follow_: Annotated[
        bool, Parameter(name="--follow", negative="", help="Keep updating until the run ends, or Ctrl-C.")
    ] = False,
    runs_dir: RunsDir = DEFAULT_RUNS,
    form: Form = Form(),
) -> int:
    """Show how far a run has got; on a cluster, also what each host is doing."""
    if follow_:
        return _follow(store.find(runs_dir, name), form)
    run, results, about, _ = runs.opened(runs_dir, name)
    records = results.records
    counts = {status.value: sum(record.status is status for record in records) for status in Status}
    running = run.is_locked()
    data = {"path": run.path, "testbed": run.info.study.testbed, **counts, "running": running}
    state = "running" if running else "complete" if about.trials_done == about.trials_planned else "interrupted"
    detail = ", ".join(f"{count} {what}" for what, count in counts.items())
    blocks: list[Block] = [
        Heading(f"{run.path}: study {about.study}, {state}"),
        *([Paragraph(EMULATED_REMARK)] if about.emulated else []),
        Paragraph(f"{about.trials_done} of {about.trials_planned} trials done: {detail}"),
        Bullets(tuple(f"{r.trial.id}: {r.status}: {r.reason}" for r in records if r.status is not Status.OK)),
        Bullets(tuple(f"{name}: is of no trial in the plan, and is not read" for name in run.strays())),
    ]
    if not running and not run.tunes and len(records) > counts[Status.OK]:
        blocks += [Paragraph("Run those again with:"), Code((runs.going_on(run, "--retry-failed"),))]
    if state == "interrupted":
        blocks += [Paragraph("Finish it with:"), Code((runs.going_on(run),))]
    if (live := run.live()) is not None:
        blocks += documents.document(live, time.time())
        data["live"] = live
    show(form, "status", tuple(blocks), data, about)
    return 0


def _follow(run: store.Run, form: Form) -> int:
    """Say how it is going, over and over, until nobody attends to it."""
    if form != Form():
        raise UsageError("option --follow is for the eye: it goes with no other form")
    said = ""
    with Live(console=stdout, auto_refresh=False) as screen:
        while True:
            running = run.is_locked()
            document = _now(run, running=running)
            if stdout.is_terminal:
                screen.update(Text.from_ansi(_rendered(document)), refresh=True)
            elif (head := _rendered(document[:2])) != said:
                stdout.print(head, end="", soft_wrap=True, highlight=False, markup=False)
                said = head
            if not running:
                return 0
            threading.Event().wait(EVERY_S)


def _now(run: store.Run, *, running: bool) -> Document:
    live = run.live()
    if live is not None and (running or live.ended):
        return documents.document(live, time.time())
    done, planned = len(run.done()), len(run.plan())
    state = "It is running." if running else "It is not running."
    return (Heading(f"{run.info.id}: {done} of {planned} trials done"), Paragraph(state))


def _rendered(document: Document) -> str:
    """Return what a terminal as wide as ours would be given."""
    text = io.StringIO()
    terminal.write(document, Console(file=text, width=stdout.width, force_terminal=stdout.is_terminal))
    return text.getvalue()

# SPDX-License-Identifier: Apache-2.0
"""history: many runs of a folder as one page of trends, with the steps that can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bpfbench import __version__, store
from bpfbench.analysis.questions import history as question
from bpfbench.analysis.questions.history import History, LeftOut, PastRun
from bpfbench.cli import extras, place, runs
from bpfbench.cli.app import stderr, stdout
from bpfbench.cli.show import Form, show
from bpfbench.errors import StoreError, UsageError
from bpfbench.model import EMULATED
from bpfbench.report.about import hardware
from bpfbench.report.documents import history as documents
from bpfbench.report.figures.palette import looks
from bpfbench.report.wording import printable
from bpfbench.report.write import html
from bpfbench.units import plural

TELLING = ("run.json", "plan.json", "trials")
"""What of a run may be left where it is damaged."""


def history(
    folder: Annotated[Path, Parameter(name="dir")],
    /,
    *,
    output: Annotated[Path | None, Parameter(help="Where to write the page (default: DIR/history.html).")] = None,
    any_host: Annotated[
        bool,
        Parameter(
            negative="",
            help="Treat machines with the same CPUs as one, whatever their names: a hosted CI gives each a new one.",
        ),
    ] = False,
    form: Form = Form(),
) -> int:
    """Show many runs of a folder as trends, and where a number stepped: a page that works offline, and a table.

    Runs of different studies, machines and kernels are kept apart. A step is
    shown if the data can tell it, which takes 3 runs on either side, along with
    what else changed then (docs/comparing.md).

    Parameters
    ----------
    folder
        A folder that holds run directories.
    """
    extras.require("history", "history")
    from bpfbench.analysis.changepoints import cut  # with ruptures, which is an extra

    places = _places(folder)
    page = output or folder / "history.html"
    _refuse(page)
    stderr.print(f"reading {plural(len(places), 'run')} …", highlight=False)
    read = [_read(own, any_host=any_host) for own in places]
    past = [own for own in read if isinstance(own, PastRun)]
    found = question.history(past, [own for own in read if isinstance(own, LeftOut)], cut)
    if not found.courses:
        first = found.left_out[0]
        raise StoreError(f"{folder}: none of {len(places)} runs can be shown: {first.name}: {first.reason}")
    _write(page, found, str(folder))
    show(form, "history", documents.document(found, str(folder)), documents.data(found), schema=documents.SCHEMA)
    if not (form.json or form.markdown):
        stdout.print(f"page     {page}", highlight=False, markup=False, soft_wrap=True)
    return 0


def _places(folder: Path) -> list[Path]:
    """Return what in a folder is a run, or what is left of one.

    Raises:
        UsageError: it is a run itself.
        StoreError: there is none.
    """
    if (folder / "run.json").is_file():
        raise UsageError(
            f"{folder} is one run", f"history takes the folder that holds runs: {folder.absolute().parent}"
        )
    try:
        found = sorted(own for own in folder.iterdir() if not own.name.startswith("."))
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}") from error
    places = [own for own in found if own.is_dir() and any((own / name).exists() for name in TELLING)]
    if not places:
        raise StoreError(f"{folder} holds no run", "`bpfbench run STUDY --run-dir DIR/NAME` makes one in it")
    return places


def _read(folder: Path, *, any_host: bool) -> PastRun | LeftOut:
    """Read a run, of which no more is kept than its history takes; or say why it cannot be."""
    name = printable(folder.name)
    try:
        opened = runs.read(store.Run(folder))
    except StoreError as error:
        return LeftOut(name, error.message)
    if opened.results.emulated and opened.results.records:
        return LeftOut(name, EMULATED)
    info = opened.run.info
    machine = hardware(info.study, info.machine) if any_host else opened.about.host
    return question.past(name, machine or "unknown machine", info, opened.results)


def _refuse(page: Path) -> None:
    """Refuse a place that a page cannot be written to, before anything is read.

    Raises:
        StoreError: others could have a link followed.
        UsageError: something else is there.
    """
    place.require_unlinked(page, page.parent)
    if page.exists() and not place.is_ours(page, "history"):
        raise UsageError(f"{page} exists and is no page of bpfbench's", "choose another --output")


def _write(page: Path, found: History, folder: str) -> None:
    """Write the page whole, or not at all.

    Raises:
        StoreError: it cannot be written.
    """
    setups = {trend.cell.setup for course in found.courses for trend in course.trends}
    document = documents.page(found, folder, __version__)
    text = html.text(document, f"bpfbench history: {printable(folder)}", f"bpfbench {__version__}", looks(setups))
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        store.write_whole(page, text)
    except OSError as error:
        raise StoreError(f"{page}: cannot be written: {error.strerror}", "choose another --output") from error

# SPDX-License-Identifier: Apache-2.0
"""The command line: verbs only. stdout is data, stderr is messages.

Exit status: 0 done, 1 a trial or check failed, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import platformdirs
from cyclopts import App, CycloptsError, Group, Parameter, UnusedCliTokensError
from rich.console import Console
from rich.table import Table

from bpfbench import __version__, campaign, catalogue, plan, store, study
from bpfbench.analysis.summary import summarise
from bpfbench.console import ProgressReporter, duration, logged_to, set_up_logging
from bpfbench.errors import BpfbenchError, MachineError, UsageError
from bpfbench.model import Status, Study
from bpfbench.report import export, terminal
from bpfbench.report import markdown as markdown_report
from bpfbench.report.run_info import RunInfo
from bpfbench.study import Override
from bpfbench.testbed import image, machine
from bpfbench.testbed.host import HostTestbed, headers_here, require
from bpfbench.testbed.image import Image, Sources

app = App(
    name="bpfbench",
    help="Measures eBPF libraries side by side.",
    version=__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)
image_app = App(name="image", help="Images: build, list, remove, enter.", help_format="plaintext")
data_app = App(name="data", help="fio's data files, kept between runs: list, remove.", help_format="plaintext")
app.command(image_app)
app.command(data_app)

# Tables are wide: where nobody says how wide the output is, as in a pipe, they get room.
stdout = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140)
stderr = Console(stderr=True)

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]
Verbose = Annotated[bool, Parameter(name=["--verbose", "-v"], negative="", help="Show the commands that are run.")]
RunsDir = Annotated[Path, Parameter(name="--runs-dir", help="Where run directories are.")]
DEFAULT_RUNS = Path("runs")

FACTORS = Group("Factors", help="In place of the study's; several values, separated by commas, are crossed.")
HOW = Group("How trials are run", help="In place of the study's.")


def _factor(key: str, text: str) -> Any:
    return Parameter(group=FACTORS, help=text, name=f"--{key.replace('_', '-')}")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """What the command line sets in place of the study file."""

    setups: Annotated[str | None, _factor("setups", "bpftrace, bcc, libbpf")] = None
    tools: Annotated[str | None, _factor("tools", "syscount, rw-tracer, rw-tracer-all")] = None
    workloads: Annotated[str | None, _factor("workloads", "read, write, mixed")] = None
    processes: Annotated[str | None, _factor("processes", "fio processes")] = None
    scale: Annotated[str | None, _factor("scale", "size of the workload; 1 is 32 GiB per process")] = None
    attach: Annotated[str | None, _factor("attach", "the hook")] = None
    format: Annotated[str | None, _factor("format", "text, binary")] = None
    ringbuf_bytes: Annotated[str | None, _factor("ringbuf_bytes", "size of the ring buffer, e.g. 256KiB")] = None
    poll_ms: Annotated[str | None, _factor("poll_ms", "poll time-out")] = None
    payload_bytes: Annotated[str | None, _factor("payload_bytes", "payload kept per event by rw-tracer-all")] = None
    repetitions: Annotated[str | None, Parameter(group=HOW, help="Blocks of each kind.")] = None
    seed: Annotated[str | None, Parameter(group=HOW, help="Decides the order of trials.")] = None
    placement: Annotated[str | None, Parameter(group=HOW, help="CPUs: paper, shared, auto.")] = None
    keep_output: Annotated[bool | None, Parameter(group=HOW, help="Keep what tracers write.", negative="")] = None
    data_dir: Annotated[str | None, Parameter(group=HOW, help="Where fio's data files are.")] = None
    output_dir: Annotated[str | None, Parameter(group=HOW, help="Where tracers write.")] = None
    image: Annotated[str | None, Parameter(group=HOW, help="Which image.")] = None

    def overrides(self) -> dict[str, Override]:
        """Return what was given, by key of the study."""
        tables = {"keep_output": "settings", "placement": "settings", "data_dir": "paths", "output_dir": "paths"}
        keys = {"data_dir": "data", "output_dir": "output"}
        found: dict[str, Override] = {}
        for field, value in vars(self).items():
            if value is None:
                continue
            top = field in ("repetitions", "seed", "image")
            table = "" if top else tables.get(field, "factors") + "."
            if table == "factors.":
                value = _split(value)
            elif field in ("repetitions", "seed"):
                value = _number(value)
            found[f"{table}{keys.get(field, field)}"] = Override(f"--{field.replace('_', '-')}", value)
        return found


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Where an image's packages come from."""

    mirror: Annotated[str | None, Parameter(env_var="BPFBENCH_MIRROR", help="Debian mirror (default: apt's own).")] = (
        None
    )
    suite: Annotated[str | None, Parameter(env_var="BPFBENCH_SUITE", help="Debian suite (default: the image's).")] = (
        None
    )
    ca_bundle: Annotated[
        str | None, Parameter(env_var="BPFBENCH_CA_BUNDLE", help="CA certificates for https (default: the host's).")
    ] = None

    def sources(self) -> Sources:
        """Return them as the image builder wants them."""
        if self.ca_bundle and not Path(self.ca_bundle).is_file():
            raise UsageError(f"option --ca-bundle: {self.ca_bundle!r} is not a file")
        return Sources(self.mirror, self.suite, self.ca_bundle)


@app.command
def doctor(*, as_json: Json = False) -> int:
    """Say what this machine can measure, what it lacks, and how to get it. Changes nothing."""
    findings = tuple(machine.examine())
    images = image.built(cache_dir())
    usable = all(finding.verdict is not machine.Verdict.MISSING for finding in findings)
    places = {"cache": cache_dir()}
    if as_json:
        data = {
            "usable": usable,
            "findings": [asdict(finding) for finding in findings],
            "machine": machine.facts(),
            "storage": machine.storage_facts(places),
            "images": [asdict(item) for item in images],
        }
        _print_json(data)
        return 0 if usable else 1
    table = Table("", "what", "found", "what to do", box=None, pad_edge=False)
    marks = {machine.Verdict.OK: "ok", machine.Verdict.NOTE: "note", machine.Verdict.MISSING: "MISSING"}
    for finding in findings:
        table.add_row(marks[finding.verdict], finding.what, finding.found, finding.advice or "")
    disk = machine.storage(cache_dir())
    table.add_row("ok", "disk", f"{campaign.gib(disk.free_bytes)} free on {disk.device} ({disk.filesystem})", "")
    names = f"{len(images)} built, newest {images[0].name} {images[0].key}" if images else "none built"
    table.add_row("ok" if images else "note", "images", names, "" if images else "bpfbench image build trixie")
    stdout.print(table)
    stdout.print(
        f"\n{'This machine can measure.' if usable else 'Nothing can be measured before what is MISSING is mended.'}"
    )
    return 0 if usable else 1


@app.command(name="list")
def list_(*, as_json: Json = False) -> int:
    """List studies, setups, tools, workloads and images, one line each."""
    studies = {path.stem: study.load(path).description for path in catalogue.study_files()}
    sections: dict[str, dict[str, str]] = {
        "studies": studies,
        "setups": {
            "vanilla": "no tracer; part of every block",
            **{s.name: s.description for s in catalogue.SETUPS.values()},
        },
        "tools": {tool.value: text for tool, text in catalogue.TOOLS.items()},
        "workloads": catalogue.WORKLOADS,
        "images": {recipe.name: recipe.description for recipe in image.RECIPES.values()},
    }
    if as_json:
        _print_json(sections)
        return 0
    width = max(len(name) for section in sections.values() for name in section)
    for title, section in sections.items():
        stdout.print(f"[bold]{title}[/bold]", highlight=False)
        for name, text in section.items():
            stdout.print(f"  {name:<{width}}  {text}", highlight=False, soft_wrap=True)
    return 0


@app.command(name="plan")
def plan_(
    name: Annotated[str, Parameter(name="study")], /, *, options: StudyOptions = StudyOptions(), as_json: Json = False
) -> int:
    """Show the trials of a study in their order, and what they take. Runs nothing.

    Parameters
    ----------
    name
        A shipped study, or the path of a study file.
    """
    chosen = study.load(study.find(name), options.overrides())
    unrolled = plan.unroll(chosen)
    plan.require_tracers(chosen, unrolled)
    needs = plan.needs(unrolled, chosen)
    if as_json:
        _print_json({"study": asdict(chosen), "needs": asdict(needs), **asdict(unrolled)})
        return 0
    for trial in unrolled.trials:
        stdout.print(f"block {trial.block + 1:3d}  {trial.id}", highlight=False, soft_wrap=True)
    for reason in unrolled.left_out:
        stdout.print(f"left out: {reason}", highlight=False)
    stdout.print(_needs_text(unrolled, needs), highlight=False)
    return 0


@app.command
def run(
    name: Annotated[str | None, Parameter(name="study")] = None,
    /,
    *,
    resume: Annotated[str | None, Parameter(help="Finish this run instead of starting one.")] = None,
    retry_failed: Annotated[
        bool, Parameter(help="With --resume: run failed and invalid trials again.", negative="")
    ] = False,
    runs_dir: RunsDir = DEFAULT_RUNS,
    run_dir: Annotated[
        Path | None, Parameter(help="The new run's directory (default: by date, in --runs-dir).")
    ] = None,
    options: StudyOptions = StudyOptions(),
    source_options: SourceOptions = SourceOptions(),
    verbose: Verbose = False,
) -> int:
    """Run a study, or finish a run that was interrupted, and print its summary.

    Parameters
    ----------
    name
        A shipped study, or the path of a study file.
    """
    set_up_logging(stderr, verbose=verbose)
    if (name is None) == (resume is None):
        raise UsageError("give either a study, or --resume and a run", "`bpfbench list` shows the studies")
    if resume is not None and options.overrides():
        raise UsageError("--resume goes on with the study as it was; it takes no study options")
    if retry_failed and resume is None:
        raise UsageError("--retry-failed goes with --resume")
    require(os.geteuid(), machine.missing())
    with ProgressReporter(stderr) as reporter:
        if resume is not None:
            opened = store.find(runs_dir, resume)
            ready = campaign.same_image(opened, cache_dir())
        else:
            chosen = study.load(study.find(str(name)), options.overrides())
            plan.require_tracers(chosen, plan.unroll(chosen))  # to be said before minutes go into an image
            ready = image.build(cache_dir(), chosen.image, source_options.sources(), reporter.building)
            path = run_dir or runs_dir / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{chosen.name}"
            opened = campaign.start(chosen, ready, headers_here(ready, cache_dir()), path, *_places(chosen))
        with logged_to(opened.log_file):
            testbed = HostTestbed(ready, headers_here(ready, cache_dir()), *_places(opened.info.study))
            campaign.execute(opened, testbed, reporter, cache_dir(), retry_failed=retry_failed)
    _show_summary(opened)
    stderr.print(f"Results: {opened.path}", highlight=False, soft_wrap=True)
    return 0 if all(record.status is Status.OK for record in opened.records()) else 1


@app.command
def status(
    name: Annotated[str, Parameter(name="run")] = "latest",
    /,
    *,
    runs_dir: RunsDir = DEFAULT_RUNS,
    as_json: Json = False,
) -> int:
    """Say how far a run is.

    Parameters
    ----------
    name
        A run directory, the id of a run, or `latest`.
    """
    opened = store.find(runs_dir, name)
    records = opened.records()
    counts = {status.value: sum(record.status is status for record in records) for status in Status}
    data: dict[str, object] = {
        "run": str(opened.path),
        "study": opened.info.study.name,
        "planned": opened.info.trials_planned,
        "done": len(records),
        **counts,
        "superseded": opened.superseded(),
        "running": opened.is_locked(),
    }
    if as_json:
        _print_json(data)
        return 0
    state = (
        "running" if data["running"] else "complete" if len(records) == opened.info.trials_planned else "interrupted"
    )
    stdout.print(f"{opened.path}: study {opened.info.study.name}, {state}", highlight=False, soft_wrap=True)
    detail = ", ".join(f"{count} {what}" for what, count in counts.items())
    stdout.print(f"{len(records)} of {opened.info.trials_planned} trials done: {detail}", highlight=False)
    for record in records:
        if record.status is not Status.OK:
            stdout.print(f"  {record.trial.id}: {record.status}: {record.reason}", highlight=False, soft_wrap=True)
    if state == "interrupted":
        stdout.print(f"finish it with: bpfbench run --resume {opened.path}", highlight=False, soft_wrap=True)
    return 0


@app.command
def summary(
    name: Annotated[str, Parameter(name="run")] = "latest",
    /,
    *,
    runs_dir: RunsDir = DEFAULT_RUNS,
    as_json: Json = False,
    csv: Annotated[bool, Parameter(negative="", help="Print CSV.")] = False,
    markdown: Annotated[bool, Parameter(negative="", help="Print Markdown.")] = False,
) -> int:
    """Print what a run found: a table per workload and tool.

    Parameters
    ----------
    name
        A run directory, the id of a run, or `latest`.
    """
    if as_json + csv + markdown > 1:
        raise UsageError("choose one of --json, --csv, --markdown")
    _show_summary(store.find(runs_dir, name), "json" if as_json else "csv" if csv else "markdown" if markdown else None)
    return 0


@image_app.command(name="build")
def image_build(
    name: str = "trixie",
    /,
    *,
    source_options: SourceOptions = SourceOptions(),
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Build an image, unless it is built."""
    set_up_logging(stderr, verbose=verbose)
    _require_root("building an image")
    image.recipe_of(name)
    with ProgressReporter(stderr) as reporter:
        ready = image.build(cache_dir(), name, source_options.sources(), reporter.building)
    _show_images((ready,), as_json)
    return 0


@image_app.command(name="list")
def image_list(*, as_json: Json = False) -> int:
    """List the images that are built, with the versions in them beside the paper's."""
    _show_images(image.built(cache_dir()), as_json)
    return 0


@image_app.command(name="remove")
def image_remove(name: str, /, *, verbose: Verbose = False) -> int:
    """Delete the images of that name, or the one with that key.

    Parameters
    ----------
    name
        A name (every build of it) or the beginning of a key, as `image list` shows them.
    """
    set_up_logging(stderr, verbose=verbose)
    _require_root("removing an image")
    known = image.built(cache_dir())
    chosen = [item for item in known if item.name == name or item.key.startswith(name)]
    if not chosen:
        names = ", ".join(f"{item.name} {item.key}" for item in known) or "none"
        raise UsageError(f"no image {name!r} is built (there are: {names})")
    for item in chosen:
        with campaign.alone(cache_dir()):
            image.remove(cache_dir(), item)
        stdout.print(f"removed {item.name} {item.key}", highlight=False)
    return 0


@image_app.command(name="enter")
def image_enter(name: str = "trixie", *words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> NoReturn:
    """Open a shell in an image as a trial sees it, or run a command there.

    Parameters
    ----------
    name
        Which image.
    words
        A command, after `--`.
    """
    require(os.geteuid(), machine.missing())
    ready = image.find(cache_dir(), name, Sources())
    if ready is None:
        raise UsageError(f"image {name!r} is not built", f"bpfbench image build {name}")
    argv = HostTestbed(ready, headers_here(ready, cache_dir()), cache_dir(), cache_dir()).shell(words)
    os.execvp(argv[0], argv)  # noqa: S606 - replaces bpfbench by the shell


@data_app.command(name="list")
def data_list(*, as_json: Json = False) -> int:
    """List fio's data files in the cache."""
    sets = {path.name: sum(f.stat().st_blocks * 512 for f in path.iterdir()) for path in sorted(_data_sets())}
    if as_json:
        _print_json(sets)
        return 0
    for name, taken in sets.items():
        stdout.print(f"{name}  {campaign.gib(taken)}", highlight=False)
    if not sets:
        stderr.print("no data files are laid out", highlight=False)
    return 0


@data_app.command(name="remove")
def data_remove() -> int:
    """Delete fio's data files in the cache; the next run writes them again."""
    for path in _data_sets():
        with campaign.alone(cache_dir()):
            shutil.rmtree(path)
        stdout.print(f"removed {path}", highlight=False, soft_wrap=True)
    return 0


def cache_dir() -> Path:
    """Return where images and data files are kept: $BPFBENCH_CACHE, or where the system keeps caches."""
    if given := os.environ.get("BPFBENCH_CACHE"):
        return Path(given).absolute()
    root = os.geteuid() == 0
    return platformdirs.site_cache_path("bpfbench") if root else platformdirs.user_cache_path("bpfbench")


def _places(chosen: Study) -> tuple[Path, Path]:
    """Return where data files and tracer output go."""
    return Path(chosen.paths.data or cache_dir() / "data"), Path(chosen.paths.output or cache_dir() / "output")


def _data_sets() -> list[Path]:
    return [path for path in (cache_dir() / "data").glob("*x*") if path.is_dir()]


def _require_root(what: str) -> None:
    if os.geteuid() != 0:
        raise UsageError(f"{what} needs root", "run the same command with sudo")


def _split(text: str) -> list[object]:
    """Read the values of a list option: numbers where they are numbers."""
    return [_number(word.strip()) for word in text.split(",") if word.strip()]


def _number(word: str) -> object:
    """Read a number as TOML would; anything else stays text, for the study to judge."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(word)
    return word


def _needs_text(unrolled: plan.Plan, needs: plan.Needs) -> str:
    blocks = unrolled.trials[-1].block + 1
    return (
        f"{len(unrolled.trials)} trials in {blocks} blocks, about {duration(needs.seconds)}; data files "
        f"{campaign.gib(needs.data_bytes)}, tracer output at most {campaign.gib(needs.output_bytes)} at a time"
    )


def _show_images(images: Sequence[Image], as_json: bool) -> None:
    if as_json:
        _print_json([asdict(item) for item in images])
        return
    paper = catalogue.paper()["setup"]["versions"]
    for item in images:
        stdout.print(f"{item.name} {item.key}, {item.suite}, built {item.built_at}", highlight=False)
        for component, version in item.versions.items():
            note = f"  (paper: {paper[component]})" if component in paper else ""
            stdout.print(f"  {component:<9} {version}{note}", highlight=False)
        stdout.print(f"  {'headers':<9} {item.kernel_headers}", highlight=False)
    if not images:
        stderr.print("no image is built; bpfbench image build trixie", highlight=False)


def _show_summary(opened: store.Run, form: str | None = None) -> None:
    """Print a run's summary as a table, or as the document asked for."""
    records = opened.records()
    found = summarise(records, tuple(catalogue.SETUPS), tuple(catalogue.WORKLOADS))
    facts, image_facts = opened.info.machine, opened.info.image
    about = RunInfo(
        study=opened.info.study.name,
        run_id=opened.info.id,
        trials_done=len(records),
        trials_planned=opened.info.trials_planned,
        host=f"{facts['host']} ({facts['cpus']} CPUs, {facts['cpu_model']})",
        kernel=facts["kernel"],
        image=f"{image_facts['name']} {image_facts['key'][:8]}",
        seed=opened.info.study.seed,
        started_at=opened.info.created_at,
        superseded=opened.superseded(),
    )
    match form:
        case "json":
            sys.stdout.write(export.to_json(found, about))
        case "csv":
            sys.stdout.write(export.to_csv(found))
        case "markdown":
            sys.stdout.write(markdown_report.to_markdown(found, about))
        case _:
            terminal.render(found, about, stdout)


def _print_json(data: object) -> None:
    sys.stdout.write(json.dumps(data, indent=1, default=str) + "\n")


def main() -> NoReturn:
    """Run bpfbench and exit: the entry point of the command."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        result = app(exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        _complain(UsageError(_in_our_words(error), "see bpfbench --help"))
    except BpfbenchError as error:
        _complain(error)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        _complain(MachineError(f"{error.filename or 'the system'}: {error.strerror or error}"))
    except (KeyboardInterrupt, Terminated) as error:
        stderr.print("bpfbench: interrupted; `bpfbench run --resume RUN` goes on", highlight=False)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 143)
    sys.exit(result if isinstance(result, int) else 0)


class Terminated(BaseException):
    """SIGTERM came. Like KeyboardInterrupt, no handler of mere errors is to catch it."""


def _terminated(*_: object) -> NoReturn:
    raise Terminated


def _in_our_words(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        return f"not understood: {' '.join(error.unused_tokens or ())}"
    return " ".join(str(error).split())


def _complain(error: BpfbenchError) -> NoReturn:
    stderr.print(f"bpfbench: {error.message}", highlight=False, markup=False, soft_wrap=True)
    if error.hint:
        stderr.print(f"  {error.hint}", highlight=False, markup=False, soft_wrap=True)
    sys.exit(error.exit_status)

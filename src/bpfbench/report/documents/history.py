# SPDX-License-Identifier: Apache-2.0
"""The history of a folder of runs: in short for the terminal, as a page, and for programs.

Data:

    courses[]   study, machine, kernel, runs[], series[]: nothing is compared across courses
    runs[]      run, began, trials (that count), bpfbench, image, changed[] {what, before, after}: since the run before
    series[]    the cell, metric, unit, versus_vanilla, is_ratio, runs_lacking (until a step could be told), values[],
                scatter (SD of runs about their levels, of logarithms where is_ratio; null of too few), steps[]
    values[]    run, value, interval {low, high} or null, n
    steps[]     last_before, first_after (runs), before, after, change, interval {low, high}, p, changed[]
    left_out[]  run, reason

Of what is versus_vanilla, values are changes over vanilla in per cent; changes are in per cent where is_ratio, else in
the unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bpfbench.analysis.questions.compare import ChangedFact
from bpfbench.analysis.questions.history import (
    LEVEL,
    RUNS_A_SIDE,
    RUNS_LEAST,
    Course,
    History,
    PastRun,
    Trend,
    TrendStep,
)
from bpfbench.model import VANILLA, Workload
from bpfbench.report import wording
from bpfbench.report.document import (
    ABSENT,
    Block,
    Bullets,
    Chapter,
    Column,
    Document,
    Field,
    Figure,
    Heading,
    Paragraph,
    Table,
    table,
    texts,
)
from bpfbench.report.figures import history as figures
from bpfbench.units import plural

SCHEMA = 1
"""Version of the data. History: 1 (first)."""

MACHINE = "Drawn as above. No tracer runs here: where vanilla steps, the machine did, or its image."
OPEN_CASES = 2
"""Of a course without a step that begin with their figures; the others are to be asked for."""

RULE = (
    "A run counts as one value: the mean of its blocks, of what vanilla has too over vanilla of the same block. A step"
    f" is told where a change-point search puts one with {RUNS_A_SIDE} runs or more on either side, the 95 % interval"
    " of the difference between the sides (Welch) does not hold 0, and p of Student's t between them, times the places"
    f" looked at and the series of the metric, is at most {LEVEL:g}. That no step is told is no proof that there is"
    " none."
)
COINCIDENCE = "What changed at the same time is named, as a coincidence: that makes it no cause."


def document(found: History, folder: str) -> Document:
    """Say in short what became of the runs of a folder."""
    return tuple(_brief(found, folder))


def _brief(found: History, folder: str) -> Iterator[Block]:
    yield Heading(f"History of {wording.printable(folder)}: {_extent(found)}", 1)
    for course in found.courses:
        yield Heading(_where(course))
        yield Bullets((_lasted(course), *_verdicts(course)))
        if course.steps:
            yield _steps(course)
    if any(course.steps for course in found.courses):
        yield Paragraph(COINCIDENCE, "fine")
    if found.left_out:
        yield Heading("Runs left out")
        yield _not_shown(found)


def page(found: History, folder: str, version: str) -> Document:
    """Write the page of a folder."""
    return tuple(_page(found, folder, version))


def _page(found: History, folder: str, version: str) -> Iterator[Block]:
    yield Heading(f"History of {wording.printable(folder)}", 1)
    yield Paragraph(f"{_extent(found)}. Nothing is compared across studies, machines or kernels.", "lead")
    yield Chapter("Steps", tuple(_overview(found)), "steps")
    for number, course in enumerate(found.courses, 1):
        # Short, as it stands in the contents, too.
        title = f"{number}. {wording.printable(course.study)}"
        yield Chapter(title, tuple(_course(course, number)), f"course-{number}")
    if found.left_out:
        yield Chapter(f"Runs left out ({len(found.left_out)})", (_not_shown(found),), "left-out")
    yield Chapter("How to read this", (Paragraph(RULE), Paragraph(COINCIDENCE)), "method")
    yield Paragraph(f"bpfbench {version}. This page needs no network.")


def _extent(found: History) -> str:
    shown = len({run.name for course in found.courses for run in course.runs})
    left = f"; {len(found.left_out)} left out" if found.left_out else ""
    studies = len({course.study for course in found.courses})
    machines = len({(course.machine, course.kernel) for course in found.courses})
    of = f"{studies} {'study' if studies == 1 else 'studies'}"
    where = "1 machine and kernel" if machines == 1 else f"{machines} machines and kernels"
    return f"{plural(shown, 'run')} of {of} on {where}{left}"


def _where(course: Course) -> str:
    return wording.printable(f"{course.study} on {course.machine}, Linux {course.kernel}")


def _lasted(course: Course) -> str:
    first, last = (wording.printable(run.began[:10]) for run in (course.runs[0], course.runs[-1]))
    return f"{plural(len(course.runs), 'run')}, {first if first == last else f'{first} to {last}'}."


def _verdicts(course: Course) -> Iterator[str]:
    """Say how many steps are told, and of what none can be."""
    enough = [trend for trend in course.trends if not trend.runs_lacking]
    few = [trend for trend in course.trends if trend.runs_lacking]
    if course.steps:
        stepped = sum(bool(trend.steps) for trend in course.trends)
        yield f"{plural(len(course.steps), 'step')} told, in {stepped} of {len(enough)} series."
    elif enough:
        yield f"No step is told in any of {len(enough)} series of {RUNS_LEAST} runs or more."
    if few:
        have = sorted({len(trend.values) for trend in few})
        there = plural(have[0], "run") if len(have) == 1 else f"{have[0]} to {have[-1]} runs"
        who = f"{len(few)} series have" if len(few) > 1 else "1 series has"
        yield f"Too few runs to tell: {who} {there}, and a step takes {RUNS_LEAST}, {RUNS_A_SIDE} on either side."


def _overview(found: History) -> Iterator[Block]:
    for number, course in enumerate(found.courses, 1):
        yield Paragraph(_where(course) + ": " + " ".join((_lasted(course), *_verdicts(course))))
        if course.steps:
            yield _steps(course, str(number))
    if any(course.steps for course in found.courses):
        yield Paragraph(COINCIDENCE, "fine")


def _steps(course: Course, key: str = "") -> Table:
    """List steps, the earliest first."""
    columns = (
        *texts("from run", "case", "setup", "what"),
        Column("before", is_text=True, importance=5),
        Column("after", is_text=True, importance=5),
        *texts("change", "that is", "changed at the same time"),
    )
    rows = tuple(_step(course, trend, step) for trend, step in course.steps)
    return Table(columns, rows, key, "Steps that are told")


def _step(course: Course, trend: Trend, step: TrendStep) -> tuple[Field, ...]:
    _, after = course.around(trend, step)
    title, unit = figures.axis(trend)
    named = figures.facts(course.coincident(trend, step))
    change, _, interval = figures.change(trend, step).partition(" [")
    return (
        Field(wording.printable(after.name), wording.printable(after.began[:10])),
        Field(wording.case_title(trend.cell.workload, trend.cell.tool, None)),
        Field(trend.cell.setup, wording.settings(trend.cell.config)),
        Field(f"{title}, {unit}"),
        Field(_number(trend, step.before)),
        Field(_number(trend, step.after)),
        Field(change, f"[{interval}"),
        _judged(trend, step),
        Field("\n".join(named[:1]) or "nothing that was recorded", "\n".join(named[1:])),
    )


def _judged(trend: Trend, step: TrendStep) -> Field:
    """Whether a step is for the better; vanilla's is the machine's."""
    if trend.cell.is_vanilla:
        return Field("the machine's")
    less = step.difference < 0
    return Field("better", weight="good") if less is trend.less_is_better else Field("worse", weight="bad")


def _number(trend: Trend, value: float) -> str:
    found = figures.shown(trend, value)
    if trend.is_compared:
        return f"{found:+.1f}"
    own = figures.quantity(trend.metric)
    return own.number(found * own.scale)


def _course(course: Course, number: int) -> Iterator[Block]:
    yield Paragraph(_where(course), "lead")
    yield Bullets((_lasted(course), *_verdicts(course)))
    for shown, ((workload, tool), trends) in enumerate(_cases(course).items()):
        title = wording.case_title(workload, tool, None)
        stepped = any(trend.steps for trend in trends)
        blocks = tuple(_figures(course, trends, f"history-{number}-{shown}", title))
        folded = not stepped and shown >= OPEN_CASES
        each = Chapter("Series by series", (_values(trends, title),), folded=True)
        yield Chapter(title, (*blocks, each), f"course-{number}-case-{shown}", folded=folded)
    yield Chapter("The runs, and what changed from one to the next", (_runs(course),), folded=True)


def _cases(course: Course) -> dict[tuple[Workload, str], list[Trend]]:
    found: dict[tuple[Workload, str], list[Trend]] = {}
    for trend in course.trends:
        found.setdefault((trend.cell.workload, trend.cell.tool), []).append(trend)
    return found


def _figures(course: Course, trends: Sequence[Trend], key: str, title: str) -> Iterator[Block]:
    """The tracers' numbers, then vanilla's, which are the machine's."""
    tracers = [trend for trend in trends if not trend.cell.is_vanilla]
    vanilla = [trend for trend in trends if trend.cell.is_vanilla]
    if tracers:
        yield Figure(figures.chart(course, tracers, key, "Run by run"), title)
    if vanilla:
        own = figures.chart(course, vanilla, f"{key}-{VANILLA}", "The machine itself, by vanilla", MACHINE)
        yield Figure(own, title)


def _values(trends: Sequence[Trend], title: str) -> Table:
    """The first and the latest value of each series, how runs scatter, and its steps."""
    columns = (
        *texts("setup", "what"),
        Column("runs"),
        Column("first"),
        Column("latest"),
        Column("run to run, SD"),
        *texts("steps"),
    )
    rows = tuple(
        (
            Field(trend.cell.setup, wording.settings(trend.cell.config)),
            Field(", ".join(filter(None, figures.axis(trend)))),
            Field(str(len(trend.values))),
            Field(_number(trend, trend.values[0].value)),
            Field(_number(trend, trend.values[-1].value)),
            Field(_scatter(trend)),
            Field(_told(trend)),
        )
        for trend in trends
    )
    return Table(columns, rows, title=f"{title}, series by series")


def _scatter(trend: Trend) -> str:
    if trend.scatter is None:
        return ABSENT
    return f"{trend.change(trend.scatter):.2f} {'points' if trend.by_difference else '%'}"


def _told(trend: Trend) -> str:
    if trend.steps:
        return plural(len(trend.steps), "step")
    if len(trend.values) == 1:
        return "one run alone"
    return f"too few runs to tell: {RUNS_LEAST} are wanted" if trend.runs_lacking else "none told"


def _runs(course: Course) -> Table:
    header = ("run", "began", "trials", "bpfbench", "image", "changed since the run before")
    rows = map(_run, course.runs, course.changes)
    return table(header, rows, texts=6, title="Runs")


def _run(run: PastRun, since: Sequence[ChangedFact]) -> tuple[str, ...]:
    facts = figures.facts(since)
    began, key = run.began[:16].replace("T", " "), str(run.info.image.get("key", ABSENT))[:8]
    known = (run.name, began, str(run.counted), run.info.bpfbench_version, key, "; ".join(facts) or ABSENT)
    return tuple(map(wording.printable, known))


def _not_shown(found: History) -> Bullets:
    return Bullets(tuple(f"{wording.printable(own.name)}: {wording.printable(own.reason)}" for own in found.left_out))


def data(found: History) -> dict[str, Any]:
    """Return a history for programs."""
    return {"courses": [_course_data(course) for course in found.courses], "left_out": _left_out_data(found)}


def _left_out_data(found: History) -> list[dict[str, str]]:
    return [{"run": own.name, "reason": own.reason} for own in found.left_out]


def _course_data(course: Course) -> dict[str, Any]:
    return {
        "study": course.study,
        "machine": course.machine,
        "kernel": course.kernel,
        "runs": [
            {
                "run": run.name,
                "began": run.began,
                "trials": run.counted,
                "bpfbench": run.info.bpfbench_version,
                "image": run.info.image.get("key"),
                "changed": list(since),
            }
            for run, since in zip(course.runs, course.changes, strict=True)
        ],
        "series": [_series_data(course, trend) for trend in course.trends],
    }


def _series_data(course: Course, trend: Trend) -> dict[str, Any]:
    return trend.cell.columns | {
        "kernel": course.kernel,
        "metric": trend.metric.key,
        "unit": trend.metric.unit,
        "versus_vanilla": trend.is_compared,
        "is_ratio": not trend.by_difference,
        "runs_lacking": trend.runs_lacking,
        "scatter": trend.scatter,
        "values": [
            {
                "run": course.runs[at].name,
                "value": trend.shown(own.value),
                "interval": own.interval and _ends(trend.shown(own.interval.low), trend.shown(own.interval.high)),
                "n": own.n,
            }
            for at, own in zip(trend.at, trend.values, strict=True)
        ],
        "steps": [_step_data(course, trend, step) for step in trend.steps],
    }


def _step_data(course: Course, trend: Trend, step: TrendStep) -> dict[str, Any]:
    before, after = course.around(trend, step)
    return {
        "last_before": before.name,
        "first_after": after.name,
        "before": trend.shown(step.before),
        "after": trend.shown(step.after),
        "change": trend.change(step.difference),
        "interval": _ends(trend.change(step.interval.low), trend.change(step.interval.high)),
        "p": step.p,
        "changed": list(course.coincident(trend, step)),
    }


def _ends(low: float, high: float) -> dict[str, float]:
    return {"low": low, "high": high}

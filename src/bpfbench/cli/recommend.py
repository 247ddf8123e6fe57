# SPDX-License-Identifier: Apache-2.0
"""recommend: which setup and configuration of a run fit what a tracer has to do."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bpfbench.analysis.questions.candidates import Fit, Wish
from bpfbench.analysis.questions.evidence import Quality
from bpfbench.analysis.questions.recommend import recommend as judge
from bpfbench.cli.app import DEFAULT_RUNS, RunName, RunsDir, Strict, undecided
from bpfbench.cli.options import DECIMAL, PERCENT, SIZES, CriteriaOptions, quantity
from bpfbench.cli.runs import DrainFile, benched, opened
from bpfbench.cli.show import Form, show
from bpfbench.errors import UsageError
from bpfbench.report.documents import recommend as report
from bpfbench.values import choice_message


def recommend(
    name: RunName = "latest",
    /,
    *,
    rate: Annotated[str, Parameter(help="Events per second to keep up with, e.g. 200k.")],
    event_bytes: Annotated[str, Parameter(help="Size of an event in bytes, payload included, e.g. 512.")] = "156",
    min_fidelity: Annotated[str, Parameter(help="Least share of events that must be saved, in per cent.")] = "99",
    max_overhead: Annotated[str, Parameter(help="Most of the target's time that tracing may take, in per cent.")] = "2",
    max_cpu: Annotated[str | None, Parameter(help="Most CPU time the tracer may take, in per cent of one CPU.")] = None,
    max_memory: Annotated[str | None, Parameter(help="Most memory (PSS) the tracer may take, e.g. 20MiB.")] = None,
    prefer: Annotated[
        str,
        Parameter(
            help="What to choose by, of those that fit: memory, cpu, overhead, fidelity, latency, energy, startup."
        ),
    ] = "overhead",
    drain: DrainFile = None,
    check: Annotated[
        bool, Parameter(negative="", help="Exit with 0 if a setup fits, with 1 if surely none does.")
    ] = False,
    strict: Strict = False,
    runs_dir: RunsDir = DEFAULT_RUNS,
    criteria: CriteriaOptions = CriteriaOptions(),
    form: Form = Form(),
) -> int:
    """Recommend a setup and configuration for your needs, from what a run measured.

    Each requirement is met, not met, undecided or not measured, by a
    measurement near the rate or a prediction with its error. That none fits
    is an answer, too: the nearest is shown, and why it does not; and what is
    not known comes with the command that measures it.

    Exit status with --check: 0, a setup fits, or it cannot be told;
    1, surely none fits; 2, there is no verdict, for example because the run
    cannot be read; 3, with --strict, in place of 0 where it cannot be told.
    """
    if strict and not check:
        raise UsageError("--strict goes with --check")
    if prefer not in tuple(Quality):
        raise UsageError(f"option --prefer: {choice_message(prefer, tuple(Quality))}")
    wish = Wish(
        rate_per_s=quantity("--rate", rate, DECIMAL, least=1e-3),
        event_bytes=round(quantity("--event-bytes", event_bytes, SIZES, least=1)),
        min_fidelity_percent=quantity("--min-fidelity", min_fidelity, PERCENT, most=100),
        max_overhead_percent=quantity("--max-overhead", max_overhead, PERCENT),
        max_cpu_percent=None if max_cpu is None else quantity("--max-cpu", max_cpu, PERCENT),
        max_memory_bytes=None if max_memory is None else quantity("--max-memory", max_memory, SIZES, least=1),
        prefer=Quality(prefer),
    )
    bench = benched(drain) if drain is not None else ()
    _, results, run, counted = opened(runs_dir, name, criteria.over)
    found = judge(results, wish, bench, counted)
    show(form, "recommend", report.document(found, run), report.data(found), run, schema=report.SCHEMA)
    if not check or found.qualified:
        return 0
    if any(own.fit is not Fit.NO for own in found.candidates):
        return undecided("no setup fits for sure, but some may", strict=strict)
    return 1

# SPDX-License-Identifier: Apache-2.0
"""compare: what changed between two runs, by how much, and how sure that is; and a gate on that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from bpfbench.analysis.questions.compare import compare_runs
from bpfbench.analysis.questions.gate import Gated, GateVerdict, Limit, gated, limit, unjudged
from bpfbench.analysis.results import Results
from bpfbench.cli.app import DEFAULT_RUNS, RunsDir, Strict, undecided
from bpfbench.cli.runs import opened
from bpfbench.cli.show import Form, show
from bpfbench.errors import UsageError
from bpfbench.model import EMULATED, EMULATED_BECAUSE
from bpfbench.report.documents import compare as comparison
from bpfbench.report.documents import order


def compare(
    before: Annotated[str, Parameter(name="run-a")],
    after: Annotated[str, Parameter(name="run-b")],
    /,
    *,
    all_: Annotated[bool, Parameter(name="--all", negative="", help="Show what did not change, too.")] = False,
    fail_on: Annotated[
        tuple[str, ...],
        Parameter(
            name="--fail-on",
            negative="",
            help="Exit with 1 if a tracer's change is surely beyond this: 'runtime_s > 5 %', 'saved_percent < -2 pp'. "
            "Can be given more than once.",
        ),
    ] = (),
    strict: Strict = False,
    runs_dir: RunsDir = DEFAULT_RUNS,
    form: Form = Form(),
) -> int:
    """Compare two runs, for example of two machines, kernels or library versions.

    Says what changed in each cell that both have (the ratio to vanilla if
    vanilla has the metric, else the value), then how the runs differ.

    Exit status with --fail-on: 0, no change is surely beyond a limit; 1, a
    change is; 2, there is no verdict, for example because a run cannot be read;
    3, with --strict, in place of 0 where it cannot be told. Nothing can be told
    of a tracer that RUN-A has and RUN-B has not. Runtime is not judged where the
    rate is limited.

    Parameters
    ----------
    before
        A run directory, the id of a run, or `latest`.
    after
        The run to compare with it, named in the same way.
    """
    if strict and not fail_on:
        raise UsageError("--strict goes with --fail-on")
    first, second = opened(runs_dir, before), opened(runs_dir, after)
    names = first.about.run_id, second.about.run_id
    limits = [_limit(text, first.results, second.results) for text in fail_on]
    same = first.results.records == second.results.records
    if same and limits:
        raise UsageError(f"{before} and {after} are the same run: a limit wants two")
    found = compare_runs(first.results, second.results)
    if emulated := [own.about.run_id for own in (first, second) if own.results.emulated]:
        raise UsageError(f"{' and '.join(emulated)} cannot be compared: {EMULATED}", EMULATED_BECAUSE)
    if not found.shifts:
        raise UsageError(
            f"{names[0]} and {names[1]} have nothing in common that could be compared: no setup, configuration, tool "
            "and workload of the same size has an ok trial in both",
            "`bpfbench summary` shows what a run has",
        )
    said = order.said(first.results), order.said(second.results)
    gate = gated(first.results, second.results, limits)
    aside = unjudged(first.results, limits)
    whole = comparison.document(found, *names, said, gate, aside, whole=all_)
    document = comparison.of_itself(names[0]) if same and not all_ else whole
    data = comparison.data(found, *names, said, gate, aside, same=same)
    show(form, "compare", document, data, schema=comparison.SCHEMA)
    return _status(limits, gate, names[1], strict=strict)


def _limit(text: str, *runs: Results) -> Limit:
    try:
        return limit(text, dict.fromkeys(metric for run in runs for metric in run.metrics))
    except ValueError as error:
        raise UsageError(f"option --fail-on: {error}") from None


def _status(limits: Sequence[Limit], gate: Sequence[Gated], after: str, *, strict: bool) -> int:
    for own in gate:
        if own.change is None:
            undecided(comparison.absent(own, after), strict=strict)
    if any(own.verdict is GateVerdict.FAILED for own in gate):
        return 1
    open_ = [own for own in limits if {one.verdict for one in gate if one.limit is own} != {GateVerdict.PASSED}]
    return undecided(", ".join(own.text for own in open_), strict=strict) if open_ else 0

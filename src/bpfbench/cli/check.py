# SPDX-License-Identifier: Apache-2.0
"""check: whether each tracer is what the contract says."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from cyclopts import Parameter

from bpfbench import catalogue
from bpfbench.cli.app import Brought, Verbose, Wait, stderr
from bpfbench.cli.means import SourceOptions, means
from bpfbench.cli.options import TestbedOptions, chosen, split
from bpfbench.cli.show import Form, show
from bpfbench.declare import study
from bpfbench.declare.study import Override
from bpfbench.errors import UsageError
from bpfbench.model.check import CaseVerdict, CheckSpec, Ended
from bpfbench.report.documents import check as report
from bpfbench.run.check import CASE_NAMES, subjects
from bpfbench.run.progress import ProgressReporter, set_up_logging
from bpfbench.run.stage import Stage


def check(
    *,
    setups: Annotated[
        str | None, Parameter(help="Which setups, separated by commas (default: all but the alternatives to others).")
    ] = None,
    attach: Annotated[
        str | None, Parameter(help="By which hooks: kprobe, fentry, tracepoint (default: one that each can attach by).")
    ] = None,
    cases: Annotated[str | None, Parameter(help="Which cases (default: all).")] = None,
    study_file: Brought = None,
    testbed_options: TestbedOptions = TestbedOptions(),
    source_options: SourceOptions = SourceOptions(),
    wait: Wait = False,
    verbose: Verbose = False,
    form: Form = Form(),
) -> int:
    """Run the conformance suite: does each tracer keep the contract and report exactly what happened?

    Exit status: 0, no check failed; 1, one did, or could not be run.
    """
    set_up_logging(stderr, verbose=verbose)
    brought = study.brought_by(study_file)
    known = catalogue.SETUPS | {setup.name: setup for setup in brought}
    names = catalogue.usual(known) if setups is None else chosen("--setups", setups, tuple(known))
    names = tuple(name for name in names if setups is not None or not known[name].is_command)
    if commands := [name for name in names if known[name].is_command]:
        raise UsageError(
            f"{', '.join(commands)}: a command keeps no contract, so there is nothing to check",
            "bpfbench run measures it",
        )
    chosen_cases = CASE_NAMES if cases is None else chosen("--cases", cases, CASE_NAMES)
    overrides = {
        "factors.setups": Override("--setups", list(catalogue.SETUPS)),
        "factors.attach": Override("--attach", split("auto" if attach is None else attach)),
        **testbed_options.overrides(),
    }
    around = study.around("check", overrides)
    around = replace(around, setups=brought, factors=replace(around.factors, setups=names))
    found: list[CaseVerdict] = []
    with Stage(around, means(source_options, wait=wait)) as stage, ProgressReporter(stderr) as reporter:
        hooks = stage.study.factors.attach
        trying = subjects([known[name] for name in names], hooks, all_of_them=attach is not None)
        spec = CheckSpec(trying, chosen_cases)

        def on_verdict(verdict: CaseVerdict) -> None:
            found.append(verdict)
            reporter.checking(verdict.case, len({item.case for item in found}), len(spec.cases))

        stage.testbed.check(spec, on_verdict)
    data = {"image": stage.testbed.image.key, "machine": stage.testbed.facts, "verdicts": found}
    show(form, "check", report.document(found), data)
    return 1 if any(verdict.outcome is Ended.FAILED for verdict in found) else 0

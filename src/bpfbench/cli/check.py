# SPDX-License-Identifier: Apache-2.0
"""check: is each tracer what the contract says?"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from bpfbench import campaign, catalogue, study
from bpfbench.cli.app import Json, Verbose, app, cache_dir, print_json, stderr, stdout
from bpfbench.cli.options import SourceOptions
from bpfbench.conformance.cases import CASES
from bpfbench.conformance.model import CheckSpec, Outcome, Subject, Verdict
from bpfbench.console import ProgressReporter, set_up_logging
from bpfbench.errors import UsageError
from bpfbench.model import Attach, Setup
from bpfbench.report import verdicts as report
from bpfbench.study import choice_message
from bpfbench.testbed import image, machine
from bpfbench.testbed.host import HostTestbed, headers_here, require


@app.command
def check(
    *,
    setups: Annotated[str | None, Parameter(help="Which, separated by commas (default: all).")] = None,
    cases: Annotated[str | None, Parameter(help="Which cases (default: all).")] = None,
    study_file: Annotated[str | None, Parameter(name="--study", help="A study that brings setups of its own.")] = None,
    image_name: Annotated[str, Parameter(name="--image", help="Which image.")] = "trixie",
    source_options: SourceOptions = SourceOptions(),
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Run the conformance suite: does each tracer keep the contract, and report what really happened, to the event?"""
    set_up_logging(stderr, verbose=verbose)
    brought = study.load(study.find(study_file)).setups if study_file else ()
    known = catalogue.SETUPS | {setup.name: setup for setup in brought}
    subjects = tuple(_subject(known[name]) for name in _chosen("--setups", setups, tuple(known)))
    spec = CheckSpec(subjects, _chosen("--cases", cases, tuple(CASES)))
    image.recipe_of(image_name)
    require(os.geteuid(), machine.missing())
    found: list[Verdict] = []
    with ProgressReporter(stderr) as reporter, campaign.alone(cache_dir()):
        ready = image.build(cache_dir(), image_name, source_options.sources(), reporter.building)
        testbed = HostTestbed(ready, headers_here(ready, cache_dir()), cache_dir(), cache_dir(), brought)

        def on_verdict(verdict: Verdict) -> None:
            found.append(verdict)
            reporter.checking(verdict.case, len({item.case for item in found}), len(spec.cases))

        testbed.check(spec, on_verdict)
    if as_json:
        print_json({"image": ready.key, "machine": machine.facts(), "verdicts": [asdict(item) for item in found]})
    else:
        report.render(found, stdout)
    return 1 if any(verdict.outcome is Outcome.FAILED for verdict in found) else 0


def _chosen(option: str, given: str | None, valid: tuple[str, ...]) -> tuple[str, ...]:
    """Return what was chosen, in the order of what there is.

    Raises:
        UsageError: something is not there.
    """
    if given is None:
        return valid
    names = [name.strip() for name in given.split(",") if name.strip()]
    for name in names:
        if name not in valid:
            raise UsageError(f"option {option}: {choice_message(name, valid)}")
    if not names:
        raise UsageError(f"option {option}: give at least one of: {', '.join(valid)}")
    return tuple(name for name in valid if name in names)


def _subject(setup: Setup) -> Subject:
    attach = Attach.TRACEPOINT if Attach.TRACEPOINT in setup.attaches else setup.attaches[0]
    return Subject(setup.name, (), attach, setup.tools, setup.formats)

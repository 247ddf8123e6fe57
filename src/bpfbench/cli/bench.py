# SPDX-License-Identifier: Apache-2.0
"""bench: what bounds a setup, measured apart from any workload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Group, Parameter

from bpfbench import catalogue
from bpfbench.cli import place
from bpfbench.cli.app import Brought, Verbose, Wait, stderr
from bpfbench.cli.means import SourceOptions, means
from bpfbench.cli.options import Options, TestbedOptions, chosen, options_for, split
from bpfbench.cli.show import Form, show
from bpfbench.declare import study
from bpfbench.declare.study import Override
from bpfbench.errors import UsageError
from bpfbench.factors import KEYS
from bpfbench.model import VANILLA, Attach, Study
from bpfbench.model.drain import TOOL_OF_BYTES, Case, Measured
from bpfbench.report.documents import drain as report
from bpfbench.report.documents import roofline as roofline_report
from bpfbench.report.write import json
from bpfbench.run import campaign, drain
from bpfbench.run.progress import ProgressReporter, set_up_logging
from bpfbench.run.stage import Stage
from bpfbench.units import duration

bench_app = App(name="bench", help="Measure what limits a setup, whatever the workload.", help_format="plaintext")

DRAIN, ROOFLINE = "bench drain", "bench roofline"


@options_for(
    {
        KEYS["factors.attach"]: "auto",
        replace(KEYS["factors.format"], option="--formats"): "text,binary",
        KEYS["factors.ringbuf_bytes"]: "64KiB,256KiB,4MiB,64MiB",
        replace(KEYS["repetitions"], help="how often everything is measured"): "3",
        KEYS["seed"]: "1",
    },
    Group("What is measured", help="Several values, separated by commas, are crossed."),
)
class DrainOptions(Options):
    """What of a study the drain rate is measured by."""


@bench_app.command(name="drain")
def drain_(
    *,
    setups: Annotated[
        str | None, Parameter(help="Which setups, separated by commas (default: all but the alternatives to others).")
    ] = None,
    events: Annotated[str, Parameter(help="Sizes of events in bytes: 156, 4252.")] = "156,4252",
    brought: Brought = None,
    options: DrainOptions = DrainOptions(),
    testbed_options: TestbedOptions = TestbedOptions(),
    source_options: SourceOptions = SourceOptions(),
    wait: Wait = False,
    form: Form = Form(),
    output: Annotated[Path | None, Parameter(help="Save the JSON in this file, too.")] = None,
    verbose: Verbose = False,
) -> int:
    """Measure how fast each setup can empty its ring, and what an event costs.

    A tracer is stopped, and its ring filled with reads of a cached file. Then it
    is let go on, and timed until the ring is empty. Events that come faster than
    that are lost: fidelity = min(1, drain rate / event rate). The kernel's BPF
    run-time counters give the kernel side's time per event. Each rate is also
    given as a share of what this machine allows, measured right before and right
    after. docs/limits.md has the method.

    Exit status: 0, all was measured; 1, something could not be.
    """
    set_up_logging(stderr, verbose=verbose)
    around = _study(setups, events, brought, options.overrides() | testbed_options.overrides())
    place.require_file(output)
    planned: tuple[Case, ...] = ()
    about: dict[str, Any] = {}
    measured: list[Measured] = []
    try:
        with Stage(around, means(source_options, wait=wait), drain.DISKS) as stage:
            planned = drain.planned(stage.study, stage.testbed)
            about = drain.circumstances(stage.testbed)
            about |= {"executables": campaign.digests(stage.study), "wanted": drain.wanted(stage.study)}
            about_s = sum(map(drain.seconds_of, planned))
            stderr.print(f"{len(planned)} measurements, about {duration(about_s)}", highlight=False)
            with ProgressReporter(stderr) as reporter:
                for item in drain.measure(planned, stage.testbed, reporter):
                    measured.append(item)
    except KeyboardInterrupt:
        stderr.print(f"bpfbench: interrupted; {len(measured)} of {len(planned)} were measured", highlight=False)
    finally:  # nothing that was measured is lost
        if output is not None and measured:
            place.write(output, json.text(DRAIN, report.SCHEMA, None, report.data(measured, about)))
    if measured:
        show(form, DRAIN, report.document(measured, about), report.data(measured, about), schema=report.SCHEMA)
    if len(measured) < len(planned) or not planned:
        return 130
    return 0 if all(item.reason is None for item in measured) else 1


@options_for(
    {
        replace(KEYS["repetitions"], help="how often everything is measured"): "5",
        KEYS["seed"]: "1",
    },
    Group("How often"),
)
class RooflineOptions(Options):
    """What of a study a roofline is measured by."""


@bench_app.command(name="roofline")
def roofline_(
    *,
    options: RooflineOptions = RooflineOptions(),
    testbed_options: TestbedOptions = TestbedOptions(),
    source_options: SourceOptions = SourceOptions(),
    wait: Wait = False,
    form: Form = Form(),
    output: Annotated[Path | None, Parameter(help="Save the JSON in this file, too.")] = None,
    verbose: Verbose = False,
) -> int:
    """Measure what this machine allows at all, whatever the setup.

    The ceiling is the rate of the least that a tracer of one thread can do, which
    copies each event once and writes it. Besides: how fast can bytes be written
    where output goes, events copied, and a ring emptied while it is filled? What
    do a wake-up and an empty hook take? docs/limits.md has the method.

    Exit status: 0, it was measured; 1, it could not be.
    """
    set_up_logging(stderr, verbose=verbose)
    nobody = {"factors.setups": Override("roofline", [VANILLA])}
    around = study.around("roofline", {**nobody, **options.overrides(), **testbed_options.overrides()})
    place.require_file(output)
    with Stage(around, means(source_options, wait=wait), drain.DISKS) as stage:
        stderr.print(f"about {duration(around.repetitions * drain.ROOFLINE_S)}", highlight=False)
        wanted = {"repetitions": around.repetitions, "seed": around.seed}
        about = {**drain.circumstances(stage.testbed), "wanted": wanted}
        found = drain.roofline(stage.testbed, around.repetitions, around.seed)
    said = roofline_report.data(found, about)
    if output is not None:
        place.write(output, json.text(ROOFLINE, roofline_report.SCHEMA, None, said))
    show(form, ROOFLINE, roofline_report.document(found, about), said, schema=roofline_report.SCHEMA)
    return 0 if found.sinks else 1


def _study(setups: str | None, events: str, file: str | None, overrides: Mapping[str, Override]) -> Study:
    """Return what is to be measured. A file gives its own setups, its image, where it runs, and nothing else."""
    sizes = chosen("--events", events, tuple(map(str, TOOL_OF_BYTES)))
    own = {
        "factors.setups": Override("--setups", list(catalogue.MAIN_SETUPS) if setups is None else split(setups)),
        "factors.tools": Override("--events", [TOOL_OF_BYTES[int(size)] for size in sizes]),
    }
    found = study.around("drain", {**own, **overrides}, file)
    known = catalogue.setups(found)
    names = catalogue.usual(known) if setups is None else found.factors.setups
    if not names:
        raise UsageError("option --setups: vanilla has no ring to drain", f"choose from: {', '.join(known)}")
    found = replace(found, factors=replace(found.factors, setups=names))
    told = {case.setup for case in drain.tuned_cases(found)}
    for tuned in found.tuned:
        if tuned.setup not in told and tuned.setup in names:
            stderr.print(f"bpfbench: {tuned.setup} as it is tuned is left out: one ring is what can be drained here")
    if not drain.cases(replace(found, factors=replace(found.factors, attach=(Attach.AUTO,)))):
        raise UsageError("none of these setups writes such a format")
    return found

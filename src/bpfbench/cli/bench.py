# SPDX-License-Identifier: Apache-2.0
"""bench: what bounds a setup, measured apart from any workload."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from bpfbench import catalogue
from bpfbench.cli.app import Verbose, Wait, app, stderr
from bpfbench.cli.options import SourceOptions, TestbedOptions, chosen, means, number, split
from bpfbench.cli.show import Form, show
from bpfbench.declare import study
from bpfbench.declare.study import Override
from bpfbench.errors import UsageError
from bpfbench.model import Attach, Study
from bpfbench.model.drain import TOOLS, Case, Measured, Wanted
from bpfbench.report.documents import drain as report
from bpfbench.report.write import json
from bpfbench.run import campaign, drain
from bpfbench.run.progress import ProgressReporter, set_up_logging
from bpfbench.run.stage import Stage
from bpfbench.units import duration

bench_app = App(name="bench", help="What bounds a setup, whatever the workload.", help_format="plaintext")
app.command(bench_app)

KIND = "bench drain"


@bench_app.command(name="drain")
def drain_(
    *,
    setups: Annotated[
        str | None, Parameter(help="Which, separated by commas (default: all but the alternatives to others).")
    ] = None,
    attach: Annotated[str, Parameter(help="By which hooks: kprobe, fentry, tracepoint, auto.")] = "auto",
    formats: Annotated[str, Parameter(help="text, binary; bpftrace has text only.")] = "text,binary",
    events: Annotated[str, Parameter(help="Sizes of events in bytes: 156, 4252.")] = "156,4252",
    ringbuf_bytes: Annotated[str, Parameter(help="Sizes of the ring buffer.")] = "64KiB,256KiB,4MiB,64MiB",
    repetitions: Annotated[str, Parameter(help="How often everything is measured.")] = "3",
    seed: Annotated[str, Parameter(help="Decides the order.")] = "1",
    study_name: Annotated[
        str | None, Parameter(name="--study", help="A study file that brings setups of its own.")
    ] = None,
    testbed_options: TestbedOptions = TestbedOptions(),
    source_options: SourceOptions = SourceOptions(),
    wait: Wait = False,
    form: Form = Form(),
    output: Annotated[Path | None, Parameter(help="Save the JSON in this file, too.")] = None,
    verbose: Verbose = False,
) -> int:
    """Measure how fast each setup can empty its ring, and what an event costs.

    A tracer is stopped, its ring filled with reads of a cached file, and the
    time taken from when it is let go on until the ring is empty. Where events
    come faster than that, they are lost: fidelity = min(1, drain rate / event
    rate). The kernel side's time per event is by the kernel's BPF run-time
    counters. docs/measurement.md has the method.
    """
    set_up_logging(stderr, verbose=verbose)
    overrides = {
        "factors.format": Override("--formats", split(formats)),
        "factors.ringbuf_bytes": Override("--ringbuf-bytes", split(ringbuf_bytes)),
        "factors.setups": Override("--setups", list(catalogue.MAIN_SETUPS) if setups is None else split(setups)),
        "factors.attach": Override("--attach", split(attach)),
        "repetitions": Override("--repetitions", number(repetitions)),
        "seed": Override("--seed", number(seed)),
        **testbed_options.overrides(),
    }  # a file gives its own setups, its image, where it runs, and nothing else
    around = study.around("drain", overrides, study_name)
    sizes = chosen("--events", events, tuple(map(str, TOOLS)))
    wanted = _wanted(around, tuple(map(int, sizes)), everything=setups is None)
    if not drain.cases(replace(wanted, attaches=tuple(Attach))):
        raise UsageError("none of these setups writes such a format")
    _require_place(output)
    bench = _Bench()
    try:
        with Stage(around, means(source_options, wait=wait), drain.DISKS) as stage:
            _measure(stage, wanted, bench)
    except KeyboardInterrupt:
        done = f"{len(bench.measured)} of {len(bench.planned)} were measured"
        stderr.print(f"bpfbench: interrupted; {done}", highlight=False)
    finally:  # nothing that was measured is lost
        if output is not None and bench.measured:
            data = report.data(bench.measured, bench.about)
            output.write_text(json.text(KIND, report.SCHEMA, None, data))
    if bench.measured:
        answer = report.document(bench.measured, bench.about), report.data(bench.measured, bench.about)
        show(form, KIND, *answer, schema=report.SCHEMA)
    if len(bench.measured) < len(bench.planned) or not bench.planned:
        return 130
    return 0 if all(item.reason is None for item in bench.measured) else 1


@dataclass
class _Bench:
    """What is to be measured, under which circumstances, and what was found so far."""

    planned: tuple[Case, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)
    measured: list[Measured] = field(default_factory=list)


def _measure(stage: Stage, wanted: Wanted, bench: _Bench) -> None:
    """Measure, filling in the bench as it goes."""
    around, testbed = stage.study, stage.testbed
    wanted = replace(wanted, attaches=around.factors.attach)
    drain.require_fit(testbed)
    bench.planned = drain.cases(wanted)
    if not bench.planned:
        raise UsageError(f"option --attach: none of these setups can attach by {', '.join(wanted.attaches)}")
    bench.about |= drain.circumstances(testbed, wanted, campaign.digests(around))
    about_s = sum(map(drain.seconds_of, bench.planned))
    stderr.print(f"{len(bench.planned)} measurements, about {duration(about_s)}", highlight=False)
    with ProgressReporter(stderr) as reporter:
        for item in drain.measure(bench.planned, testbed, reporter):
            bench.measured.append(item)


def _wanted(around: Study, sizes: tuple[int, ...], *, everything: bool) -> Wanted:
    known = catalogue.setups(around)
    names = catalogue.usual(known) if everything else around.factors.setups
    if not names:
        raise UsageError("option --setups: vanilla has no ring to drain", f"choose from: {', '.join(known)}")
    return Wanted(
        setups=tuple(known[name] for name in names),
        event_bytes=sizes,
        formats=around.factors.format,
        ringbuf_bytes=around.factors.ringbuf_bytes,
        repetitions=around.repetitions,
        seed=around.seed,
    )


def _require_place(output: Path | None) -> None:
    """Refuse, before minutes of measuring, a file that could not be written after them."""
    if output is not None and (output.is_dir() or not output.absolute().parent.is_dir()):
        raise UsageError(f"option --output: {str(output)!r} is not a file in an existing directory")

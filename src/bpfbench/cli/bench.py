# SPDX-License-Identifier: Apache-2.0
"""bench: what bounds a setup, measured apart from any workload."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from bpfbench import catalogue
from bpfbench.cli.app import Json, Verbose, Wait, app, stderr, stdout
from bpfbench.cli.options import SourceOptions, TestbedOptions, means, number, split
from bpfbench.declare import study
from bpfbench.declare.study import Override
from bpfbench.errors import UsageError
from bpfbench.model import Attach, Study
from bpfbench.model.drain import TOOLS, Case, Measured, Wanted
from bpfbench.report import drain as report
from bpfbench.run import campaign, drain
from bpfbench.run.progress import ProgressReporter, duration, set_up_logging
from bpfbench.run.stage import Stage
from bpfbench.testbed.base import Sizes
from bpfbench.values import choice_message

bench_app = App(name="bench", help="What bounds a setup, whatever the workload.", help_format="plaintext")
app.command(bench_app)


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
    image_name: Annotated[
        str | None, Parameter(name="--image", help="Which image (default: the study's, else trixie).")
    ] = None,
    testbed_options: TestbedOptions = TestbedOptions(),
    source_options: SourceOptions = SourceOptions(),
    wait: Wait = False,
    as_json: Json = False,
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
    given = {"format": formats, "ringbuf_bytes": ringbuf_bytes, "setups": setups, "attach": attach}
    chosen = _study(study_name, given, number(repetitions), number(seed), image_name, testbed_options.overrides())
    wanted = _wanted(chosen, everything=setups is None, sizes=_sizes(events))
    if not drain.cases(replace(wanted, attaches=tuple(Attach))):
        raise UsageError("none of these setups writes such a format")
    _require_place(output)
    session = _Session()
    try:
        with Stage(chosen, means(source_options, wait=wait), Sizes(output=drain.OUTPUT_BYTES)) as stage:
            _measure(stage, wanted, session)
    except KeyboardInterrupt:
        done = f"{len(session.measured)} of {len(session.planned)} were measured"
        stderr.print(f"bpfbench: interrupted; {done}", highlight=False)
    finally:  # nothing that was measured is lost
        if output is not None and session.measured:
            output.write_text(report.to_json(session.measured, session.about))
    if session.measured and as_json:
        sys.stdout.write(report.to_json(session.measured, session.about))
    elif session.measured:
        report.render(session.measured, session.about, stdout)
    if len(session.measured) < len(session.planned) or not session.planned:
        return 130
    return 0 if all(item.reason is None for item in session.measured) else 1


@dataclass
class _Session:
    """What is to be measured, under which circumstances, and what was found so far."""

    planned: tuple[Case, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)
    measured: list[Measured] = field(default_factory=list)


def _measure(stage: Stage, wanted: Wanted, session: _Session) -> None:
    """Measure, filling in the session as it goes."""
    chosen, testbed = stage.study, stage.testbed
    wanted = replace(wanted, attaches=chosen.factors.attach)
    cpus = chosen.machine.cpus if testbed.accelerator else len(os.sched_getaffinity(0))
    drain.require_fit(cpus, testbed.output_dir)
    session.planned = drain.cases(wanted)
    if not session.planned:
        raise UsageError(f"option --attach: none of these setups can attach by {', '.join(wanted.attaches)}")
    session.about |= drain.circumstances(testbed, wanted, campaign.digests(chosen))
    about_s = drain.seconds(session.planned)
    stderr.print(f"{len(session.planned)} measurements, about {duration(about_s)}", highlight=False)
    with ProgressReporter(stderr) as reporter:
        for item in drain.measure(session.planned, testbed, reporter):
            session.measured.append(item)


def _study(
    name: str | None,
    given: dict[str, str | None],
    repetitions: object,
    seed: object,
    image_name: str | None,
    overrides: dict[str, Override],
) -> Study:
    """Return a study of what was asked for; a file gives its own setups, its image, where it runs, and nothing else."""
    options = {"format": "--formats", "ringbuf_bytes": "--ringbuf-bytes", "setups": "--setups", "attach": "--attach"}
    overrides = overrides | {
        f"factors.{key}": Override(options[key], split(value)) for key, value in given.items() if value is not None
    }
    overrides |= {"repetitions": Override("--repetitions", repetitions), "seed": Override("--seed", seed)}
    if "factors.setups" not in overrides:
        overrides["factors.setups"] = Override("--setups", list(catalogue.MAIN_SETUPS))
    if image_name is not None:
        overrides["image"] = Override("--image", image_name)
    return study.load(study.find(name), overrides) if name else study.around("drain", overrides)


def _wanted(chosen: Study, *, everything: bool, sizes: tuple[int, ...]) -> Wanted:
    known = catalogue.setups(chosen)
    usual = tuple(name for name, setup in known.items() if setup.alternative_to is None)
    names = usual if everything else chosen.factors.setups
    if not names:
        raise UsageError("option --setups: vanilla has no ring to drain", f"choose from: {', '.join(known)}")
    return Wanted(
        setups=tuple(known[name] for name in names),
        event_bytes=sizes,
        formats=chosen.factors.format,
        ringbuf_bytes=chosen.factors.ringbuf_bytes,
        repetitions=chosen.repetitions,
        seed=chosen.seed,
    )


def _sizes(text: str) -> tuple[int, ...]:
    choices = tuple(map(str, TOOLS))
    words = [str(word) for word in split(text)]
    if not words:
        raise UsageError("option --events: the list is empty; give at least one value")
    for word in words:
        if word not in choices:
            raise UsageError(f"option --events: {choice_message(word, choices)}")
    return tuple(size for size in TOOLS if str(size) in words)


def _require_place(output: Path | None) -> None:
    """Refuse, before minutes of measuring, a file that could not be written after them."""
    if output is not None and (output.is_dir() or not output.absolute().parent.is_dir()):
        raise UsageError(f"option --output: {str(output)!r} is not a file in an existing directory")

# SPDX-License-Identifier: Apache-2.0
"""Opening a run: what every verb that reads one begins with."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

from cyclopts import Parameter

from bpfbench import soundness, store
from bpfbench.analysis import results
from bpfbench.analysis.questions import capacity
from bpfbench.analysis.results import Results
from bpfbench.cli.app import DEFAULT_RUNS
from bpfbench.codec import decode
from bpfbench.errors import UsageError
from bpfbench.model import EMULATED, EMULATED_BECAUSE, Criteria
from bpfbench.model.roofline import Roofline
from bpfbench.report.about import About, describe

DrainFile = Annotated[Path | None, Parameter(help="JSON from `bench drain`, for a tracer with a CPU to itself.")]


ALIKE = ("host", "kernel", "cpus", "cpu_model", "accelerator")
"""Facts that a machine and its roofline have in common."""


class Opened(NamedTuple):
    """A run that was read."""

    run: store.Run
    results: Results
    about: About
    criteria: Criteria
    """What counts in answers."""


def _as_it_is(criteria: Criteria) -> Criteria:
    return criteria


def opened(runs_dir: Path, name: str, counted: Callable[[Criteria], Criteria] = _as_it_is) -> Opened:
    """Find a run and read it, by path, by id, or `latest`.

    Args:
        runs_dir: where it is looked for.
        name: of it.
        counted: makes of the study's criteria what is to count.

    Raises:
        StoreError: there is no such run, or one of its files cannot be read.
    """
    return read(store.find(runs_dir, name), counted)


def read(run: store.Run, counted: Callable[[Criteria], Criteria] = _as_it_is) -> Opened:
    """Read a run that was found, or made.

    Raises:
        StoreError: one of its files cannot be read.
    """
    # None of thousands of records is garbage, which the collector would look for in them again and again.
    gc.disable()
    try:
        found = results.load(run)
        gc.freeze()
    finally:
        gc.enable()
    return Opened(run, found, describe(run, found.records), counted(run.info.study.criteria))


def called(run: store.Run, runs_dir: Path, alias: str = "") -> str:
    """Return what a run is called on a command line: its id, or `alias`, where runs are looked for, else its path."""
    there = run.path.parent.resolve() == DEFAULT_RUNS.resolve() == runs_dir.resolve()
    return (alias or run.path.name) if there else str(run.path)


def benched(path: Path) -> tuple[capacity.Observation, ...]:
    """Read the drain rates of `bench drain`.

    Raises:
        UsageError: it is no such file, or one of an emulated machine.
    """
    try:
        document = json.loads(path.read_bytes())
        document = document.get("data", document)  # what was saved before there was an envelope has none
        if document["machine"].get("emulated"):
            raise UsageError(f"option --drain: {path} is {EMULATED}", EMULATED_BECAUSE)
        return capacity.from_bench(document)
    except OSError as error:
        raise UsageError(f"option --drain: {path}: cannot be read: {error.strerror}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"option --drain: {path} is no JSON of `bpfbench bench drain`") from error


def _sound(found: Roofline) -> Roofline:
    """Refuse rates that cannot be; times, which are differences, may be less than nothing."""
    rates = [own.bytes_per_s for own in found.sinks]
    rates += [own.events_per_s for own in found.least]
    rates += [own.events_per_s for own in found.copies] + [own.events_per_s for own in found.rings]
    if not all(0 < rate < soundness.MOST for rate in rates):
        raise ValueError("a rate in it is impossible")
    return found


def roofed(run: store.Run, path: Path | None) -> Roofline | str:
    """Read what `bench roofline` measured on the machine of a run; why it is not known, where that is so.

    Args:
        run: whose machine is meant.
        path: of the file; None: roofline.json in the run, where there is one.

    Raises:
        UsageError: the file that was named is none of `bench roofline`'s.
    """
    place = path or run.path / "roofline.json"
    try:
        document = soundness.parsed(soundness.content(place), None)["data"]
        machine, found = document["machine"], _sound(decode(Roofline, document["roofline"], "roofline"))
        there, here = ([str(own.get(fact)) for fact in ALIKE] for own in (machine, run.info.machine))
    except OSError as error:
        if path is None:
            return "measure it by `bpfbench bench roofline --output RUN/roofline.json`, RUN being this run's directory"
        raise UsageError(f"option --roofline: {path}: cannot be read: {error.strerror}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if path is None:
            return "the run's roofline.json is no JSON of `bpfbench bench roofline`"
        raise UsageError(f"option --roofline: {path} is no JSON of `bpfbench bench roofline`") from error
    if there != here:
        return f"the roofline is of another machine ({', '.join(there)}, where the run is of {', '.join(here)})"
    if not found.least:
        return f"{place.name} has no ceiling: measure it by this version of `bpfbench bench roofline`"
    return found


def going_on(run: store.Run, *options: str) -> str:
    """Return the command by which a run goes on with these options."""
    return _resuming("tune" if run.tunes else "run", run.path, options)


def _resuming(verb: str, path: Path, options: Sequence[str]) -> str:
    return command(verb, "--resume", str(path), *options)


def command(*words: str) -> str:
    """Return a command of ours as it is to be typed next: by sudo if this one was, since what root made is root's."""
    by_sudo = os.geteuid() == 0 and "SUDO_USER" in os.environ
    return shlex.join((*(("sudo",) if by_sudo else ()), "bpfbench", *words))


@contextlib.contextmanager
def resumable(path: Path, verb: str, *options: str) -> Iterator[None]:
    """Have whoever interrupts a run that has begun be told by which verb it goes on, with these options."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and (path / "run.json").is_file():
            error.add_note(f"go on with: {_resuming(verb, path, options)}")
        raise

# SPDX-License-Identifier: Apache-2.0
"""What a variant changes while fio runs, so that the costs of hook, ring and user space can be told apart."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside.kernel import bpf
from bpfbench.inside.kernel.tasks import stopped
from bpfbench.inside.trial.sampler import Traced
from bpfbench.model import ProgramTime, TracerConfig, Variant

INSTEAD = {Variant.NO_OUTPUT: Path("/dev/null"), Variant.DELAY: Path("/tmp/output")}  # noqa: S108 - as TEMPORARY
"""What a tracer of these variants is told to write to: nothing, and a pipe."""


def writes(config: TracerConfig) -> bool:
    """Tell whether the tracer leaves its events in a file."""
    return config.variant not in INSTEAD


@contextlib.contextmanager
def applied(config: TracerConfig | None, traced: Traced | None) -> Iterator[list[ProgramTime]]:
    """Have a tracer that is READY, if there is one, do as much as its variant wants meanwhile.

    Yields:
        A list that holds, after the block, how long each of the tracer's programs has run, if that is counted.

    Raises:
        StepError: the tracer cannot be stopped, or its programs not be counted.
    """
    times: list[ProgramTime] = []
    if config is None or traced is None:
        yield times
    elif config.variant is Variant.NO_CONSUMER:
        with stopped(traced.pid_tracing):
            yield times
    elif config.variant is Variant.RUN_TIME:
        with contextlib.ExitStack() as counting:
            with _told():
                counting.enter_context(bpf.run_time_counted())
                before = bpf.run_times(sorted(traced.programs()))
            yield times
            with _told():
                grown = bpf.run_times(before, since=before)
                times += [ProgramTime(bpf.program_name(number), ns, runs) for number, (ns, runs) in grown.items()]
    else:
        yield times


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StepError(f"the run time of BPF programs cannot be counted: {error.strerror}") from error

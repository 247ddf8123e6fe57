# SPDX-License-Identifier: Apache-2.0
"""The delay of delivery: what a tracer of the variant delay writes goes into a pipe, and its arrival is timed.

The reader, tracers/delivery, runs where the monitors do, beside the tracer's control group: it is no part of what the
tracer uses. It is the same for all setups, which write to the pipe as they do to a file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from bpfbench.errors import StepError
from bpfbench.inside.trial.behind import Behind
from bpfbench.inside.trial.content import WITH_NOTICES
from bpfbench.model import Check, Delivery, Format, TracerConfig

READER = "/bpfbench/tracers/delivery/delivery"
"""The program, inside an image."""

PIPE_BYTES = 2**20
"""What the pipe holds, so that a tracer seldom waits for the reader: the most that anybody may ask for by default
(/proc/sys/fs/pipe-max-size), and 16 times what tracers write at a time."""


@contextlib.contextmanager
def timed(config: TracerConfig, pipe: Path, since_ns: int) -> Iterator[Behind[Delivery]]:
    """Make the pipe that a tracer is to write to, with who reads it; on leaving, both are gone.

    Args:
        config: of the tracer.
        pipe: where.
        since_ns: when it is started, or before; CLOCK_MONOTONIC.

    Raises:
        StepError: it cannot be made, or not be read.
    """
    with contextlib.ExitStack() as made:
        try:
            os.mkfifo(pipe, 0o600)
            made.callback(pipe.unlink)
            # For writing, too: it has no end then, however often the tracer opens and closes it.
            end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise StepError(f"the pipe for the tracer's output cannot be made: {error.strerror}") from error
        try:
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            reader = made.enter_context(Behind("the reader of the pipe", argv(config, end, since_ns), Delivery, (end,)))
        except OSError as error:
            raise StepError(f"the pipe for the tracer's output cannot hold {PIPE_BYTES} bytes: {error}") from error
        finally:
            os.close(end)  # so that nobody else reads: a tracer whose reader has gone is told, and does not wait
        yield reader


def argv(config: TracerConfig, pipe: int, since_ns: int) -> tuple[str, ...]:
    """Return the command that times what comes out of a pipe, whose descriptor it inherits."""
    record_bytes = config.event_bytes if config.format is Format.BINARY else 0
    return (READER, str(pipe), str(record_bytes), str(since_ns))


def check(delivery: Delivery, setup: str) -> Check:
    """Judge what was found: every record has a delay that can be."""
    notices = 0 if setup.startswith(WITH_NOTICES) else delivery.notices
    wrong = {"torn": delivery.torn, "impossible": delivery.impossible, "no records": notices}
    said = ", ".join(f"{count} {what}" for what, count in wrong.items() if count)
    return Check("every delay was taken", not said, said or f"{delivery.records} records timed")

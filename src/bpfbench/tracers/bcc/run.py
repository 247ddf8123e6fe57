# SPDX-License-Identifier: Apache-2.0
"""One run of a tool from its options to its summary."""

import os
import time

from choice import SETUP
from fs_profile import FsProfile
from kernel import step_aside
from load import CapturedStderr, reason, versions
from options import Options
from output import Output
from rw import RwTracer
from stop import Stop
from summary import SummaryFile
from syscount import Syscount
from tool import Tool

TOOLS = {"syscount": Syscount, "rw-tracer": RwTracer, "rw-tracer-all": RwTracer, "fs-profile": FsProfile}


class RunError(Exception):
    """What went wrong, for stderr."""


def run(start_ns: int, options: Options, stop: Stop) -> None:
    """Raises RunError, after writing the summary if anything was loaded."""
    step_aside(options.target_comm)
    try:
        output = Output(options.output, options.output_bytes, on_error=stop.request)
        summary = SummaryFile(options.summary)
    except OSError as error:
        raise RunError(f"cannot create {error.filename}: {error.strerror}") from error
    stop.doomed = summary.temporary
    tool = TOOLS[options.tool](options, output, stop)
    with summary:
        captured = CapturedStderr()
        try:
            with captured:
                tool.attach()
        except Exception as error:  # BCC raises nothing more specific
            raise RunError(f"cannot attach: {reason(error, captured.text)}") from error
        times_ns: dict[str, int | None] = {"start": start_ns, "ready": None}
        failure = trace(tool, times_ns)
        account = tool.account()
        account.error = failure
        account.explain_unknown("BCC")
        loaded = versions()
        tool.bpf.cleanup()
        try:
            summary.write(SETUP, options, account, loaded, times_ns)
        except OSError as error:
            failure = failure or f"cannot write {options.summary}: {error.strerror}"
    if failure:
        raise RunError(failure)


def trace(tool: Tool, times_ns: dict[str, int | None]) -> str | None:
    """From READY until all is in the output file; returns what went wrong."""
    failure = None
    try:
        times_ns["ready"] = announce_ready(tool.stop)
        tool.follow()
    except OSError as error:
        failure = f"cannot print READY: {error.strerror}"
    tool.stop.request()
    times_ns["stop"] = tool.stop.ns
    try:
        tool.detach()
    except OSError as error:
        failure = failure or f"cannot wait for running programs: {error.strerror}"
    tool.drain()
    tool.output.flush()
    tool.output.close()
    times_ns["drained"] = time.monotonic_ns()
    if tool.output.error:
        failure = failure or f"cannot write {tool.options.output}: {tool.output.error.strerror}"
    return failure


def announce_ready(stop: Stop) -> int | None:
    if stop.requested:
        return None
    now = time.monotonic_ns()
    os.write(1, b"READY\n")
    return now

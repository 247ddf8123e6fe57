# SPDX-License-Identifier: Apache-2.0
"""The command line: verbs only. stdout is data, stderr is messages.

Exit status: 0 done, 1 a trial or check failed, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from cyclopts import CycloptsError, UnusedCliTokensError

from bpfbench.cli import about, bench, cache, check, costs, studies, system, trace
from bpfbench.cli.app import app, cache_dir, stderr
from bpfbench.errors import BpfbenchError, MachineError, UsageError

__all__ = ["LAZY", "about", "bench", "cache", "cache_dir", "check", "costs", "main", "studies", "system", "trace"]

LAZY = {
    "claims": "Judge the paper's findings by a run: reproduced, not reproduced here, inconclusive, or not testable.",
    "compare": "Compare two runs: two machines, kernels, library versions.",
    "export": "Write a run in a format of others; docs/claims.md describes them.",
    "recommend": "Say which setup and configuration fit a need, by what a run measured.",
    "report": "Write a run's report: an HTML page that works offline, tables, and figures for print where asked for.",
    "tradeoffs": "Say what setups trade for what: Pareto fronts, correlations of what they cost and save.",
}
"""Verbs that are imported when they are called, with what the list of verbs says of them: numpy, scipy and polars take
three times as long to import as all the rest. Module and function have the verb's name."""

for _name, _help in LAZY.items():
    app.command(f"bpfbench.cli.{_name}:{_name}", help=_help)


def main() -> NoReturn:
    """Run bpfbench and exit: the entry point of the command."""
    _obey_signals()
    try:
        result = app(exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        _complain(UsageError(_in_our_words(error), "see bpfbench --help"))
    except BpfbenchError as error:
        _complain(error)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        _complain(MachineError(f"{error.filename or 'the system'}: {error.strerror or error}"))
    except (KeyboardInterrupt, Terminated) as error:
        stderr.print("bpfbench: interrupted; a run goes on with `bpfbench run --resume RUN`", highlight=False)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 143)
    sys.exit(result if isinstance(result, int) else 0)


def _obey_signals() -> None:
    """Have SIGINT and SIGTERM end us, and what we start, whatever we inherited.

    A shell lets what it starts with & ignore SIGINT. A signal with a handler has its default action again in programs
    that are executed.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminated)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))


class Terminated(BaseException):
    """SIGTERM came. Like KeyboardInterrupt, no handler of mere errors is to catch it."""


def _terminated(*_: object) -> NoReturn:
    raise Terminated


def _in_our_words(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        return f"not understood: {' '.join(error.unused_tokens or ())}"
    return " ".join(str(error).split())


def _complain(error: BpfbenchError) -> NoReturn:
    stderr.print(f"bpfbench: {error.message}", highlight=False, markup=False, soft_wrap=True)
    if error.hint:
        stderr.print(f"  {error.hint}", highlight=False, markup=False, soft_wrap=True)
    sys.exit(error.exit_status)

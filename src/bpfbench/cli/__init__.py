# SPDX-License-Identifier: Apache-2.0
"""The command line: verbs only. stdout is data, stderr is messages.

Exit status: 0 done, 1 it could not be done, or a trial or check failed, 2 usage, 130 interrupted, 143 terminated. Of a
gate, 1 is a verdict, and 2 says that there is none.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import NoReturn

from cyclopts import App, CycloptsError, MissingArgumentError, UnusedCliTokensError

from bpfbench import __version__
from bpfbench.cli.app import cache_dir, stderr
from bpfbench.errors import BpfbenchError, MachineError, UsageError

__all__ = ["VERBS", "cache_dir", "main"]

VERBS = {
    "bench": ("bench:bench_app", "Measure what limits a setup, whatever the workload."),
    "capacity": (
        "capacity:capacity",
        "Show how many events each setup saves at a given rate or in bursts, predicted and measured.",
    ),
    "check": (
        "check:check",
        "Run the conformance suite: does each tracer keep the contract and report exactly what happened?",
    ),
    "claims": (
        "claims:claims",
        "Judge the paper's findings by a run: reproduced, not reproduced here, inconclusive, or not testable.",
    ),
    "cluster": ("cluster:cluster_app", "Measure on many hosts as one: up, status, down (docs/cluster.md)."),
    "compare": ("compare:compare", "Compare two runs, for example of two machines, kernels or library versions."),
    "costs": ("costs:costs", "Break down the cost of a run with variants: hook and ring, consumer, output."),
    "data": ("cache:data_app", "Data files of targets, kept between runs: list, remove."),
    "doctor": (
        "about:doctor",
        "Check what this machine can measure, what is missing, and how to get it. Changes nothing.",
    ),
    "docs": ("docs:docs", "Print a page of the documentation, or list all pages."),
    "export": ("export:export", "Export a run to another format (docs/claims.md)."),
    "history": (
        "history:history",
        "Show many runs of a folder as trends, and where a number stepped: a page that works offline, and a table.",
    ),
    "image": ("cache:image_app", "Images: build, list, export, import, remove, enter, check."),
    "knee": (
        "knee:knee",
        "Find where a knob stops paying: its smallest value whose cost is within the margin of the best.",
    ),
    "list": ("about:list_", "List studies, setups, tools, workloads, targets, images and kernels, one line each."),
    "overhead": (
        "overhead:overhead",
        "Measure what each tracer costs a command: its time or its own numbers, and what the tracer uses.",
    ),
    "plan": ("plan:plan_", "Show what a study takes and which trials it has. Runs nothing."),
    "recommend": (
        "recommend:recommend",
        "Recommend a setup and configuration for your needs, from what a run measured.",
    ),
    "report": (
        "report:report",
        "Write a run's report: an HTML page that works offline, tables, and optional figures for print.",
    ),
    "run": ("run:run", "Run a study, or resume a run, and print its summary."),
    "status": ("status:status", "Show how far a run has got; on a cluster, also what each host is doing."),
    "summary": ("summary:summary", "Print what a run found: a table per workload and tool, and the answer."),
    "system": ("system:system_app", "Settings of this machine that make results noisy: show, tune, restore."),
    "trace": ("trace:trace_app", "Run one tracer; show its events as they come, and what it lost."),
    "tradeoffs": (
        "tradeoffs:tradeoffs",
        "Show what each setup trades for what: Pareto fronts and correlations.",
    ),
    "tune": (
        "tune:tune",
        "Find the configuration of a setup that loses nothing at the least cost, and say what of that is sure.",
    ),
}
"""Every verb: where it is, in this package, and what the list of verbs says of it.

A verb's module is imported when it is called, and imports at its top whatever it needs: so none waits for what another
needs, such as numpy and scipy.
"""


HELP = """\
`bpfbench help VERB` says more about a verb, `bpfbench docs PAGE` what
docs/PAGE.md says.

Exit status: 0 done, 1 it could not be done, or a trial or check failed, 2
usage, 130 interrupted, 143 terminated. Of `compare --fail-on` and `recommend
--check`: 0 passed, 1 failed, 2 no verdict because of an error, 3 undecided
(with --strict)."""

CHECKS = ("run", "check", "doctor")
"""Verbs whose exit status says whether all is well."""
GATES = {"compare": "--fail-on", "recommend": "--check"}
"""Verbs whose exit status is a verdict where there is this option: no error is to be taken for one."""
NO_VERDICT = 2
"""The exit status of a gate that could not judge."""


def main() -> NoReturn:
    """Run bpfbench and exit: the entry point of the command."""
    _obey_signals()
    words = sys.argv[1:]
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    is_gate = any(word.partition("=")[0] == GATES.get(words[0]) for word in words)
    try:
        with _in_one_thread():
            verb, given, _ = command_line(words[0] if words else None).parse_args(
                words, exit_on_error=False, print_error=False
            )
        result = verb(*given.args, **given.kwargs)
        sys.stdout.flush()
    except CycloptsError as error:
        _complain(
            UsageError(
                _in_our_words(error, words), f"see {' '.join(['bpfbench', *(error.command_chain or ())])} --help"
            )
        )
    except BpfbenchError as error:
        _complain(error, is_gate=is_gate)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            # Who reads has seen enough, as `head` has; of a verdict that is not all.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(NO_VERDICT if is_gate else 1 if words[:1] and words[0] in CHECKS else 0)
        _complain(MachineError(f"{error.filename or 'the system'}: {error.strerror or error}"), is_gate=is_gate)
    except Exception:
        if not is_gate:
            raise
        traceback.print_exc()  # as Python does, which then exits with 1
        sys.exit(NO_VERDICT)
    except (KeyboardInterrupt, Terminated) as error:
        said = "; ".join(["interrupted", *getattr(error, "__notes__", ())])
        stderr.print(f"bpfbench: {said}", highlight=False, markup=False, soft_wrap=True)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 143)
    sys.exit(result if isinstance(result, int) else 0)


def command_line(called: str | None) -> App:
    """Return the command line. The one that is called speaks for itself, at more length than in the list."""
    app = App(
        name="bpfbench",
        help="Measures eBPF libraries side by side.",
        version=__version__,
        version_flags=("--version", "-V"),
        help_format="plaintext",
        help_epilogue=HELP,
        suppress_keyboard_interrupt=False,
    )
    app.register_install_completion_command(help="Install completion for your shell: bash, zsh or fish.")
    for verb, (where, words) in VERBS.items():
        app.command(f"bpfbench.cli.{where}", name=verb, help=None if verb == called else words)
    return app


@contextlib.contextmanager
def _in_one_thread() -> Iterator[None]:
    """Have OpenBLAS, which numpy loads, start no thread for each CPU: that takes longer than all we multiply.

    It looks when it is loaded, which is when a verb's module is imported. What verbs start is not to see it.
    """
    if (name := "OPENBLAS_NUM_THREADS") in os.environ:
        yield
        return
    os.environ[name] = "1"
    try:
        yield
    finally:
        del os.environ[name]


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


def _in_our_words(error: CycloptsError, words: Sequence[str]) -> str:
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        name = error.keyword or error.argument.name
        verb = " ".join(error.command_chain or ("bpfbench",))
        return (
            f"option {name}: a value is wanted"
            if name in words
            else f"{verb}: {name.upper() if name[0] != '-' else name} is wanted"
        )
    if isinstance(error, UnusedCliTokensError):
        return f"not understood: {' '.join(error.unused_tokens or ())}"
    return " ".join(str(error).split())


def _complain(error: BpfbenchError, *, is_gate: bool = False) -> NoReturn:
    stderr.print(f"bpfbench: {error.message}", highlight=False, markup=False, soft_wrap=True)
    if error.hint:
        stderr.print(f"  {error.hint}", highlight=False, markup=False, soft_wrap=True)
    sys.exit(NO_VERDICT if is_gate else error.exit_status)

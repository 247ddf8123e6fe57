# SPDX-License-Identifier: Apache-2.0
"""A target and tracers as a user types them: command lines, patterns, and what is wrong with them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace

from bpfbench.catalogue import SETUPS
from bpfbench.errors import UsageError
from bpfbench.model import Better, TargetMetric, Tool
from bpfbench.model.command import SERVER, CommandTracer, Tally
from bpfbench.model.target import CommandTarget, Server
from bpfbench.values import choice_message

NONE = "none"
"""The tracer that is none: the target runs bare, as something to compare nothing with."""

NOTHING = "none"
"""In the place of a pattern, where others have one."""

IMAGE = "image:"
"""What a tracer begins with that is a command of the image, not of the system."""
SHIPPED = re.compile(r"(?P<setup>[\w@.-]+):(?P<tool>[\w-]+)(?::(?P<comm>.{1,15}))?")
"""A tracer that comes with bpfbench, of what is called so; else of the server's, or the target's, name."""

IN_IMAGE = ("bpftrace", "bpftool")
"""Tracers that the image has, whatever the system has."""

QUOTED = re.compile(r"""'[^']*'|"[^"$`\\]*"|\\.""")
"""What a shell takes as it is."""
FOR_A_SHELL = re.compile(r"[|&;<>()$`*?\[\]~\n]|^\s*\w+=")
"""What only a shell makes something of."""

SIGNALS = ("INT", "TERM", "HUP", "QUIT", "USR1", "USR2")

METRIC = re.compile(r"(?P<name>[A-Za-z][\w.-]*)(?::(?P<unit>[^:=]*))?(?::(?P<better>[^:=]*))?=/(?P<pattern>.+)/")
METRIC_FORM = "NAME[:UNIT[:more|less]]=/REGULAR EXPRESSION/, as in 'tps=/tps = ([0-9.]+)/' or 'p99:ms:less=/p99 (.*)/'"


TOGETHER_MOST = 4
"""So many tracers make 6 pairs: a round of more would take its time."""


def target(called: str, prepare: str | None, metrics: Sequence[str], server: Server | None = None) -> CommandTarget:
    """Read a target.

    Raises:
        UsageError: its command, or one that prepares, is not found; a metric is not as it should be.
    """
    prepared = () if prepare is None else command(prepare, "option --prepare")
    found = CommandTarget(called, command(called, "option --target"), prepared, tuple(map(metric, metrics)), server)
    names = [own.name for own in found.compared]
    if twice := [name for name in names if names.count(name) > 1]:
        always = ", ".join(own.name for own in found.compared[len(metrics) :])
        raise UsageError(f"option --metric: {twice[0]!r} is there twice; always there: {always}")
    return found


def server(runs: str | None, serve: str | None) -> Server | None:
    """Read a server: one that runs already, or a command that starts it; None where neither is given.

    Raises:
        UsageError: both are, or the command is not found.
    """
    if runs is not None and serve is not None:
        raise UsageError("choose one of --server (it runs already), --serve (it is started for each trial)")
    if serve is not None:
        return Server(serve, command(serve, "option --serve"))
    if runs is not None and not runs.strip():
        raise UsageError("option --server: it is empty; give a process id, or what processes are called")
    return None if runs is None else Server(runs.strip())


def together(found: Sequence[CommandTracer]) -> None:
    """Make sure that tracers can be run at once, two by two, and all.

    Raises:
        UsageError: there is one, or there are too many; or one is none.
    """
    if not 2 <= len(found) <= TOGETHER_MOST:
        raise UsageError(
            f"option --together: {len(found)} tracers; it takes 2 to {TOGETHER_MOST}, each two of them run"
        )
    if any(not own.command for own in found):
        raise UsageError(f"option --together: {NONE!r} is no company for a tracer; leave it out")


def tracers(
    given: Sequence[str],
    ready: Sequence[str],
    stop_signal: str,
    *,
    served: bool = False,
    received: Sequence[str] = (),
    lost: Sequence[str] = (),
) -> tuple[CommandTracer, ...]:
    """Read tracers.

    Args:
        given: command lines; NONE or nothing is no tracer.
        ready: how each is known to be ready: of all the same, or one for each; `auto`: by what it attaches.
        stop_signal: what ends them.
        received: patterns of events that each counts, by its own word, likewise; NOTHING: it does not.
        lost: the same of those it lost.
        served: whether there is a server that SERVER can stand for.

    Raises:
        UsageError: a command is not found; there are more or fewer of `ready`; there is no such signal, or no server.
    """
    if not served and (asking := [own for own in given if SERVER in own]):
        raise UsageError(f"tracer {asking[0]!r}: there is no server that {SERVER} could be; give --server or --serve")
    if not given:
        raise UsageError("no tracer is given", "bpfbench overhead 'TRACER' … --target 'COMMAND'")
    if stop_signal.removeprefix("SIG") not in SIGNALS:
        raise UsageError(f"option --stop-signal: {choice_message(stop_signal, SIGNALS)}")
    each = _each("--ready", ready, "auto", len(given))
    counts = [
        [_tally(option, own) for own in _each(option, patterns, NOTHING, len(given))]
        for option, patterns in (("--received", received), ("--lost", lost))
    ]
    number = signal.Signals[f"SIG{stop_signal.removeprefix('SIG')}"]
    return tuple(
        replace(_tracer(called, how, number.name), received=of_received, lost=of_lost)
        for called, how, of_received, of_lost in zip(given, each, *counts, strict=True)
    )


def _each(option: str, given: Sequence[str], usual: str, tracers: int) -> Sequence[str]:
    """Return what is said of each tracer, by an option that is given once for all, or once for each."""
    if len(given) not in (0, 1, tracers):
        raise UsageError(f"option {option}: {len(given)} for {tracers} tracers; give one for all, or one for each")
    return given if len(given) == tracers else [*given, usual][:1] * tracers


def _tally(option: str, given: str) -> Tally | None:
    if given == NOTHING:
        return None
    if len(given) < 3 or not given.startswith("/") or not given.endswith("/"):
        raise UsageError(f"option {option}: {given!r} is no /REGULAR EXPRESSION/, as in '/Lost ([0-9]+) events/'")
    if (groups := _compiled(given[1:-1], f"option {option}").groups) > 1:
        raise UsageError(f"option {option}: {given} has {groups} groups; the number is one group in ( )")
    return Tally(given[1:-1])


def _tracer(called: str, ready: str, stop_signal: str) -> CommandTracer:
    if called.strip() in ("", NONE):
        return CommandTracer(NONE, ())
    words = _in_image(called) or command(called, "tracer")
    if ready == "auto":
        return CommandTracer(called, words, stop_signal=stop_signal)
    if len(ready) > 2 and ready[0] == ready[-1] == "/":
        _compiled(ready[1:-1], "option --ready")
        return CommandTracer(called, words, ready_line=ready[1:-1], stop_signal=stop_signal)
    return CommandTracer(called, words, ready_file=os.path.abspath(ready), stop_signal=stop_signal)  # noqa: PTH100 - not resolved


def _in_image(called: str) -> tuple[str, ...]:
    """Return the words of a tracer that runs in the image, IMAGE first; none of one that does not."""
    shipped = SHIPPED.fullmatch(called.strip())
    if shipped and (shipped["setup"] in SETUPS or shipped["tool"] in tuple(Tool)):
        for part, valid in (("setup", tuple(SETUPS)), ("tool", tuple(tool.value for tool in Tool))):
            if shipped[part] not in valid:
                raise UsageError(f"tracer {called!r}: {part} {choice_message(shipped[part], valid)}")
        return (IMAGE, called.strip())
    if not called.startswith(IMAGE):
        return ()
    rest = called.removeprefix(IMAGE).strip()
    if not rest:
        raise UsageError(f"tracer {called!r}: no command follows; as in '{IMAGE}bpftrace -q files.bt'")
    return (IMAGE, *(("sh", "-c", rest) if FOR_A_SHELL.search(QUOTED.sub("", rest)) else _words(rest, "tracer")))


def _words(called: str, where: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(called))
    except ValueError as error:
        raise UsageError(f"{where} {called!r}: {str(error).lower()}") from None


def command(called: str, where: str) -> tuple[str, ...]:
    """Split a command line into words; where it takes a shell to understand, that is what runs it.

    Raises:
        UsageError: there is no such command.
    """
    words = _words(called, where)
    if not words:
        raise UsageError(f"{where}: it is empty")
    if FOR_A_SHELL.search(QUOTED.sub("", called)):
        return ("sh", "-c", called)
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    if shutil.which(words[0], path=path) is None:
        others = (f"{words[0]}-bpfcc", f"{words[0]}.bt", f"/usr/share/bcc/tools/{words[0]}")
        meant = next((other for other in others if shutil.which(other, path=path)), None)
        hint = f"did you mean {meant}?" if meant else "install it, or give its path"
        if where == "tracer" and words[0] in IN_IMAGE:
            hint = f"install it, or have the image's: '{IMAGE}{called}'"
        raise UsageError(f"{where} {called!r}: no command {words[0]!r} is found", hint)
    return words


def metric(given: str) -> TargetMetric:
    """Read a metric that a target prints.

    Raises:
        UsageError: it is not of the form METRIC_FORM.
    """
    found = METRIC.fullmatch(given)
    if found is None:
        raise UsageError(f"option --metric: {given!r} is not {METRIC_FORM}")
    better = found["better"] or Better.MORE.value
    if better not in tuple(Better):
        raise UsageError(f"option --metric {found['name']}: {choice_message(better, [own.value for own in Better])}")
    groups = _compiled(found["pattern"], f"option --metric {found['name']}").groups
    if groups != 1:
        raise UsageError(
            f"option --metric {found['name']}: /{found['pattern']}/ has {groups} groups; the number is one group in ( )"
        )
    return TargetMetric(found["name"], found["unit"] or "", Better(better), found["pattern"])


def _compiled(pattern: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.MULTILINE)
    except re.error as error:
        raise UsageError(f"{where}: /{pattern}/ is no regular expression: {error}") from None

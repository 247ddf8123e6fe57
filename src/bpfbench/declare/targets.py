# SPDX-License-Identifier: Apache-2.0
"""A target besides fio, as TOML declares it: a table [targets.NAME] of a study, or target.toml of a shipped one.

Both have the same keys; docs/targets.md describes them.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from bpfbench import catalogue
from bpfbench.factors import REQUIRED, Key
from bpfbench.model import COMM_BYTES, OPERATIONS, RATE, WELL_KNOWN, Better, DrivenTarget, TargetMetric, comm_of
from bpfbench.model.driven import PLACEHOLDERS
from bpfbench.values import (
    choice_message,
    existing_directory,
    file_name,
    flag,
    number,
    one_of,
    shown,
    size,
    text,
    whole,
)

SIGNALS = tuple(f"SIG{name}" for name in ("INT", "TERM", "HUP", "QUIT", "USR1", "USR2"))
METRIC_KEYS = ("unit", "better", "pattern", "pointer", "scale")
KINDS = ("read", "write")
MISSPELT = 0.85
"""How much like a placeholder a word in braces is (difflib's ratio) that is taken for one with a slip of the finger."""


def own_name(name: str) -> str:
    """Check the name of a target that a study brings."""
    if name in (*catalogue.WORKLOADS, *catalogue.TARGETS):
        raise ValueError(f"{name!r} is a workload of bpfbench's; choose another name")
    return file_name(name)


def keys(folder: Path) -> tuple[Key, ...]:
    """Return the keys of a target that is declared in a file in this folder."""
    return (
        Key("description", text(), "brought by the study"),
        Key("comm", text(_comm), None),
        Key("files", text(lambda value: existing_directory(str(folder / value))), None),
        *(Key(name, _words, ()) for name in ("lay_out", "start", "ready")),
        Key("drive", _words),
        Key("drive_at", _words, ()),
        Key("from_sending", flag, default=False),
        Key("report", _words, ()),
        Key("stop_signal", one_of(SIGNALS), "SIGTERM"),
        Key("ready_s", number(0.1, 3600), 60.0),
        Key("user", one_of(("nobody", "root")), "nobody"),
        Key("keep_cache", flag, default=False),
        Key("seconds", number(0.01, 86_400), None),
        Key("operations_at", whole(1, 10**9), None),
        Key("data_bytes", size(1), 2**30),
        Key("unhooked_percent", table(_percent, KINDS), {}),
        Key("metrics", _metrics, ()),
        Key("versions", table(_words), {}),
    )


def made(name: str, values: Mapping[str, Any], folder: Path) -> DrivenTarget:
    """Make a target of the values of its keys.

    Raises:
        ValueError: they do not go together.
    """
    found = DrivenTarget(name, **{**values, "comm": values["comm"] or _called(values["start"] or values["drive"])})
    if bool(found.start) != bool(found.ready):
        lacks = "ready, a command that ends with 0 once it can be driven" if found.start else "start, a server"
        raise ValueError(f"{'start' if found.start else 'ready'} goes with {lacks}")
    rated = any(RATE in word for word in found.drive_at)
    if found.drive_at and not rated:
        raise ValueError(f"drive_at: {RATE} is not in it, the operations a second that it offers")
    if found.drive_at and not any(metric.name == OPERATIONS for metric in found.metrics):
        raise ValueError(f"drive_at goes with metrics.{OPERATIONS}: the rate offered is held against what was done")
    if replace(found, drive_at=()).uses(RATE):
        raise ValueError(f"{RATE} is known in drive_at only, which is run where a study names rates")
    if found.files is None and found.uses("{files}"):
        return replace(found, files=str(folder.resolve()), shares_files=True)
    return replace(found, shares_files=found.files is not None and folder.resolve().is_relative_to(found.files))


def shipped(name: str) -> DrivenTarget:
    """Read one of those that come with bpfbench."""
    folder = catalogue.PACKAGE / "targets" / name
    raw = tomllib.loads((folder / "target.toml").read_text())
    values = {key.name: key.read(raw[key.name]) if key.name in raw else key.default for key in keys(folder)}
    return replace(made(name, values, folder), shipped=True, files=str(folder), shares_files=False)


def written(target: DrivenTarget) -> dict[str, Any]:
    """Return what a study file says of a target that it brings, by key, but for what goes without saying.

    So does a comm that ends within a character, which no text can be: its command says it.
    """
    found = {}
    for key in keys(Path("/")):
        value: Any = getattr(target, key.name)
        if key.name == "metrics":
            value = {own.name: _said(own) for own in target.metrics}
        is_text = key.name != "comm" or os.fsencode(value).decode(errors="replace") == value
        if is_text and (key.default is REQUIRED or value not in (key.default, {})):
            found[key.name] = value
    return found


def _said(metric: TargetMetric) -> dict[str, Any]:
    usual = TargetMetric(metric.name)
    return {key: getattr(metric, key) for key in METRIC_KEYS if getattr(metric, key) != getattr(usual, key)}


def _called(command: tuple[str, ...]) -> str:
    """Say what the kernel calls a process that executes this."""
    return comm_of(PurePath(command[0]).name)


def _comm(value: str) -> str:
    if not 1 <= len(value.encode()) <= COMM_BYTES:
        raise ValueError(
            f"{value!r}: the kernel keeps 1 to {COMM_BYTES} bytes of a process's name, as in /proc/PID/comm"
        )
    return value


def words(value: object) -> tuple[str, ...]:
    """Accept a command: a list of words, or a text that is split as a shell would; no shell runs it."""
    try:
        words = tuple(shlex.split(value)) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"{shown(value)}: {str(error).lower()}") from None
    if not isinstance(words, list | tuple) or not words or not all(isinstance(word, str) and word for word in words):
        raise ValueError(f'a command is wanted, as in ["sqlite3", "-batch", "{{data}}/a.db"], not {shown(value)}')
    return tuple(words)


def _words(value: object) -> tuple[str, ...]:
    """Accept a command of a target: none of its placeholders is misspelt."""
    found = words(value)
    for name in re.findall(r"\{([a-z]+)\}", " ".join(found)):
        meant = difflib.get_close_matches(f"{{{name}}}", PLACEHOLDERS, 1, MISSPELT)
        if meant and f"{{{name}}}" not in PLACEHOLDERS:
            raise ValueError(f"{{{name}}} is not one of: {', '.join(PLACEHOLDERS)} (did you mean {meant[0]}?)")
    return found


def _percent(value: object) -> Any:
    return number(0, 100)(value)


def table(each: Callable[[object], Any], names: tuple[str, ...] = ()) -> Callable[[Any], Any]:
    """Accept a table of such values; `names` are those that it may have, if not any."""

    def read(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError(f"a table is wanted, not {shown(value)}")
        found = {}
        for name, own in value.items():
            if names and name not in names:
                raise ValueError(choice_message(name, names))
            try:
                found[name] = each(own)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return found

    return read


def _metrics(value: object) -> tuple[TargetMetric, ...]:
    """Accept a table of metrics."""
    return tuple(_metric(name, own) for name, own in table(table(lambda own: own, METRIC_KEYS))(value).items())


def _metric(name: str, said: Mapping[str, Any]) -> TargetMetric:
    try:
        if not re.fullmatch(r"[A-Za-z][\w.-]{0,63}", name):
            raise ValueError("a name is wanted: a letter, then up to 63 letters, digits, '_', '.' and '-'")
        if name in WELL_KNOWN and {"unit", "better"} & said.keys():
            unit = "us" if name.endswith("_us") else "none"
            raise ValueError(f"its unit is {unit}, and which way it is better is known; `scale` brings a number there")
        found = TargetMetric(
            name,
            unit=text()(said.get("unit", "")),
            better=one_of(tuple(Better))(said.get("better", Better.MORE)),
            pattern=text(_expression)(said["pattern"]) if "pattern" in said else None,
            pointer=text(_pointer)(said["pointer"]) if "pointer" in said else None,
            scale=number(1e-12, 1e12)(said.get("scale", 1.0)),
        )
        if (found.pattern is None) == (found.pointer is None):
            raise ValueError("give either pattern, a regular expression with one group, or pointer, as in /jobs/0/rate")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return found


def _expression(value: str) -> str:
    try:
        groups = re.compile(value, re.MULTILINE).groups
    except re.error as error:
        raise ValueError(f"/{value}/ is no regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"/{value}/ has {groups} groups; the number is one group in ( )")
    return value


def _pointer(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError(f"{value!r} is no JSON pointer; write it as in /jobs/0/rate")
    return value

# SPDX-License-Identifier: Apache-2.0
"""A setup that a study brings, as TOML declares it: a tracer that keeps the contract, or commands that keep none.

docs/adding-a-tracer.md describes the keys of the one, docs/command-tracers.md those of the other.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bpfbench import catalogue
from bpfbench.declare.targets import SIGNALS, table, words
from bpfbench.factors import Key
from bpfbench.model import OPTIONS, PAPER_TOOLS, VANILLA, Attach, Format, Setup, Tool
from bpfbench.model.command import COMMAND, PLACEHOLDERS, Calls, CommandTracer, Tally
from bpfbench.values import (
    DEBIAN_PACKAGE,
    executable,
    existing_directory,
    file_name,
    flag,
    one_of,
    several,
    shown,
    text,
    whole,
)

KINDS = ("contract", "command")
AUTO = "auto"
TALLY_KEYS = ("pattern", "last", "unit", "meaning", "calls")


def own_name(name: str) -> str:
    """Check the name of a setup that a study brings."""
    if name in (*catalogue.SETUPS, VANILLA):
        raise ValueError(f"{name!r} is a setup of bpfbench's; choose another name")
    return file_name(name)


def keys(folder: Path, given: Any) -> tuple[Key, ...]:
    """Return the keys of [setups.NAME], of a study file in this folder, as far as `given` says what kind it is."""
    kind, description = Key("kind", one_of(KINDS), KINDS[0]), Key("description", text(), "brought by the study")
    if isinstance(given, dict) and given.get("kind", KINDS[0]) != KINDS[0]:
        return (
            kind,
            description,
            Key("packages", several(text(_package)), ()),
            Key("files", text(lambda value: existing_directory(str(folder / value))), None),
            Key("tool", text(file_name), COMMAND),
            Key("tools", table(table(lambda own: own, tuple(COMMAND_KEYS))), {}),
            *(Key(name, read, None) for name, read in COMMAND_KEYS.items()),
        )
    has_options = isinstance(given, dict) and given.get("contract") == 2
    return (
        Key("command", executable(folder)),
        description,
        Key("formats", several(one_of(tuple(Format))), tuple(Format)),
        Key("attaches", several(one_of(catalogue.FLAVOURS)), (Attach.TRACEPOINT,)),
        Key("tools", several(one_of(tuple(Tool))), PAPER_TOOLS),
        kind,
        Key("contract", whole(1, 2), 1),
        *(Key(option, several(_kind(kinds)) if has_options else _too_new, ()) for option, kinds in OPTIONS.items()),
    )


def made(name: str, values: Mapping[str, Any], folder: Path) -> Setup:
    """Make a setup of the values of its keys.

    Raises:
        ValueError: they do not go together.
    """
    values = dict(values)
    if values.pop("kind") != "command":
        options = {option: kinds for option in OPTIONS if (kinds := values.pop(option))}
        del values["contract"]
        return Setup(name, **values, options=options)
    own = {key: values[key] for key in COMMAND_KEYS if values[key] is not None}
    if bool(values["tools"]) == ("command" in own):
        raise ValueError("give either command, or for each of several tools a table tools.TOOL with its own")
    said = values["tools"] or {values["tool"]: {}}
    commands = {file_name(tool): _command(tool, {**own, **_read(tool, more)}) for tool, more in said.items()}
    files = values["files"]
    if files is None and any("{files}" in word for one in commands.values() for word in one.command):
        files = str(folder.resolve())
    return Setup(
        name,
        values["description"],
        formats=(),
        attaches=(),
        tools=tuple(commands),
        commands=commands,
        packages=values["packages"],
        files=files,
    )


def written(setup: Setup) -> dict[str, Any]:
    """Return what a study file says of a setup that it brings, by key."""
    if not setup.is_command:
        names = (key.name for key in keys(Path(), None) if key.name not in ("kind", "contract", *OPTIONS))
        second = {"contract": 2, **setup.options} if setup.options else {}
        return {**{name: getattr(setup, name) for name in names}, **second}
    shared = {"kind": "command", "description": setup.description, "packages": setup.packages, "files": setup.files}
    return {**shared, "tools": {tool: _said(own) for tool, own in setup.commands.items()}}


def _kind(kinds: Sequence[str]) -> Callable[[Any], Any]:
    """Accept a kind of value; a number is one, too."""
    return lambda value: one_of(kinds)(str(value) if isinstance(value, int) else value)


def _too_new(_: object) -> Any:
    raise ValueError("version 1 of the contract has no such option; a tracer that keeps version 2 says contract = 2")


def _read(tool: str, given: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for key, value in given.items():
        try:
            found[key] = COMMAND_KEYS[key](value)
        except ValueError as error:
            raise ValueError(f"tools.{tool}.{key}: {error}") from None
    return found


def _command(tool: str, said: Mapping[str, Any]) -> CommandTracer:
    if "command" not in said:
        raise ValueError(f"tools.{tool}: it has no command")
    ready = said.get("ready", AUTO)
    line = ready[1:-1] if _is_pattern(ready) else None
    return CommandTracer(
        called=shlex.join(said["command"]),
        command=said["command"],
        ready_line=line,
        ready_file=None if line or ready == AUTO else ready,
        stop_signal=said.get("stop_signal", "SIGINT"),
        needs=said.get("needs", ()),
        received=said.get("received"),
        lost=said.get("lost"),
    )


def _said(own: CommandTracer) -> dict[str, Any]:
    ready = own.ready_file or (f"/{own.ready_line}/" if own.ready_line else AUTO)
    found: dict[str, Any] = {"command": own.command, "ready": ready, "stop_signal": own.stop_signal, "needs": own.needs}
    for name in ("received", "lost"):
        tally = getattr(own, name)
        if tally is not None:
            found[name] = {key: value for key in TALLY_KEYS if (value := getattr(tally, key)) not in (None, "", False)}
    return found


def _is_pattern(value: str) -> bool:
    return len(value) > 2 and value[0] == value[-1] == "/"


def _command_words(value: object) -> Any:
    found = words(value)
    for name in re.findall(r"\{[a-z]+\}", " ".join(found)):
        if name not in PLACEHOLDERS:
            raise ValueError(f"there is no {name}; what is replaced is: {', '.join(PLACEHOLDERS)}")
    return found


def _ready(value: str) -> str:
    if _is_pattern(value):
        _expression(value[1:-1])
    elif value != AUTO and not value.startswith(("/", "{out}")):
        raise ValueError(
            f"{value!r} is no way to be ready: auto (what it has attached), /REGULAR EXPRESSION/ of a line that it"
            " prints, or a file that it makes, from / on, or {out}"
        )
    return value


def _expression(value: str) -> re.Pattern[str]:
    try:
        return re.compile(value)
    except re.error as error:
        raise ValueError(f"/{value}/ is no regular expression: {error}") from None


def _tally(value: object) -> Tally:
    said = table(lambda own: own, TALLY_KEYS)(value)
    if "pattern" not in said:
        raise ValueError("pattern is required, a regular expression: lines with it are counted, or its group is added")
    pattern, last = text()(said["pattern"]), flag(said.get("last", False))
    groups = _expression(pattern).groups
    if groups > 1 or (last and not groups):
        raise ValueError(f"/{pattern}/ has {groups} groups; a number is one group in ( )")
    return Tally(
        pattern,
        last,
        text()(said.get("unit", "events")),
        text()(said.get("meaning", "")),
        one_of(tuple(Calls))(said["calls"]) if "calls" in said else None,
    )


def _package(value: str) -> str:
    if not DEBIAN_PACKAGE.fullmatch(value):
        raise ValueError(f"{shown(value)} is no name of a Debian package")
    return value


COMMAND_KEYS: dict[str, Callable[[Any], Any]] = {
    "command": _command_words,
    "ready": text(_ready),
    "stop_signal": one_of(SIGNALS),
    "needs": several(one_of(catalogue.FLAVOURS)),
    "received": _tally,
    "lost": _tally,
}
"""What is said of a command, each by itself, or of all of a setup's at once."""

# SPDX-License-Identifier: Apache-2.0
"""Pages that are made from the code: the command line, the keys of a study, and what tracers do for each knob."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bpfbench import catalogue, units
from bpfbench.cli import VERBS, command_line
from bpfbench.factors import KNOBS, REQUIRED, STUDY, Key
from bpfbench.report import snippets

CLI = """\
# Command line

> After this page you know every verb and every option. It is made from the code that reads them;
> `bpfbench help VERB` says the same.

"""
KEYS = """\
# Keys of a study

> After this page you know every key that a study file may have, its default, and the option that
> replaces it. It is made from the rows of `factors.py` that read them.

A study is a TOML file. `[factors]` is what it varies: each key has one value or a list, and lists
are crossed. [A complete example](../source/examples/ring-sizes.toml.md) has every key, with
remarks. Two more tables bring what bpfbench does not ship: [`[setups.NAME]`](../adding-a-tracer.md)
and [`[targets.NAME]`](../targets.md).

"""
SNIPPETS = """\
# Knobs in a tracer of your own

> After this page you know which calls of each library do what a knob says. It is made from the
> sources of our tracers, which the image is built of and `bpfbench check` runs.

[Tuning](../tune.md) ends with those of what it chose. [What each knob
changes](../tracer-settings.md), and who wins by it, is another matter.
Values come from the tracers' command line: `options`, `wakeup_bytes`, `ring_count` and the like.

"""
LANGUAGES = {".c": "c", ".h": "c", ".go": "go", ".py": "python", ".rs": "rust"}
OTHERS = {
    "name": "part of the names of its runs",
    "description": "for people",
    "output_limit_bytes": "the most that one trial's tracer output may take on disk; default: room for every event",
    "settings.idle_s": "length of the idle baseline, before the target starts",
    "settings.rest_s": "how long the disk has rested, at least, when a target starts that reads from it",
    "settings.sample_interval_s": "how often CPU, memory and power are sampled",
}
"""What the keys are that have no option, whose help would say it."""
TITLES = {
    "": "At the top",
    "factors": "`[factors]`: what is varied",
    "settings": "`[settings]`: how trials are run",
    "criteria": "`[criteria]`: what counts in an answer",
    "paths": "`[paths]`: where files are",
    "machine": "`[machine]`: virtual machines",
}


def pages() -> dict[str, str]:
    """Return the pages by their place in the site."""
    return {
        "reference/cli.md": cli(),
        "reference/study-keys.md": KEYS + "\n".join(_keys()),
        "reference/knobs.md": SNIPPETS + "\n".join(_snippets()),
    }


def cli() -> str:
    """Return the page of all verbs, whose help is as the command line has it."""
    # Where help names a page, there it is.
    return CLI + re.sub(r"docs/([\w-]+)\.md", r"[\1](../\1.md)", verbs()) + "\n"


def verbs() -> str:
    """Return what the command line says of every verb, as Markdown: a section for each, those of a verb within it."""
    app = command_line(None)
    for verb in VERBS:
        if app[verb].default_command is not None:
            app[verb].help = None  # what it says of itself, and not in the list
    text = app.generate_docs()
    text = text[text.index("\n## bpfbench bench") + 1 :]
    text = re.sub(r' \*\[default: (False|\(\)|"")\]\*', "", text)
    # Of a usage in our own words, which begins with bpfbench, cyclopts says the verb twice.
    text = re.sub(r"^(bpfbench (\w+)) \2\b", r"\1", text, flags=re.MULTILINE)
    return text.replace("**Parameters**", "**Options**")


def _keys() -> Iterator[str]:
    for table, title in TITLES.items():
        yield f"## {title}\n"
        yield "| key | option | default | what |"
        yield "| --- | --- | --- | --- |"
        for key in STUDY:
            if key.table == table:
                option = f"`{key.flag}`" if key.help else ""
                yield f"| `{key.name}` | {option} | {_default(key)} | {_what(key)} |"
        yield ""


def _snippets() -> Iterator[str]:
    for setup in catalogue.MAIN_SETUPS.values():
        if "@" in setup.name:
            continue  # a version, of the same source
        yield f"## {setup.name}\n"
        for knob in KNOBS:
            files = snippets.of(setup.name, knob)
            why = setup.lacks.get(knob)
            if files or why:
                yield f"### `{knob}` of {setup.name}\n"
            if not files and why:
                yield f"It has none: {why}.\n"
            for file, lines in files.items():
                yield f"`{file}`:\n"
                yield "\n".join((f"```{LANGUAGES[Path(file).suffix]}", *lines, "```\n"))


def _what(key: Key) -> str:
    words = (key.help or OTHERS[key.dotted]).rstrip(".").replace("|", "\\|")
    return words[0].lower() + words[1:] if not words.startswith(("CPU",)) else words


def _default(key: Key) -> str:
    return "required" if key.default is REQUIRED else _value(key.name, key.default)


def _value(name: str, value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_value(name, one) for one in value)
    if value is None:
        return "`unlimited`" if name == "rate_iops" else ""
    if name.endswith("_bytes"):
        return f"`{units.size(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`" if value != "" else ""

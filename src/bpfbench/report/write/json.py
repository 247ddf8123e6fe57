# SPDX-License-Identifier: Apache-2.0
"""Data as JSON for programs: one envelope for whatever is said.

    schema   counts incompatible changes of this kind's data; new keys may come without one
    kind     what the data is: the verb that says it
    run      the run it is of: About, key by key; null where it is of none, or of more than one
    data     the answer; the module that makes it describes its keys

What is absent is null, never 0.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from bpfbench.report.about import About

UNSEEN = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def text(kind: str, schema: int, run: About | None, data: object) -> str:
    """Write an answer. Its data may hold dataclasses and paths.

    Raises:
        ValueError: a number is not finite.
        TypeError: something is none that JSON has.
    """
    return written({"schema": schema, "kind": kind, "run": run, "data": data})


def written(data: object) -> str:
    """Write data without the envelope, for formats of others.

    Raises:
        ValueError: a number is not finite.
        TypeError: something is none that JSON has.
    """
    return _unseen(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False, default=_plain)) + "\n"


def rows(found: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """Write a long list line by line; a number that is not finite is null.

    Raises:
        TypeError: something is none that JSON has.
    """
    before = "["
    for own in found:
        try:
            line = _line(own)
        except ValueError:
            line = _line({key: _finite(value) for key, value in own.items()})
        yield before + line
        before = ",\n"
    yield "]\n" if before != "[" else "[]\n"


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _line(row: Mapping[str, object]) -> str:
    return _unseen(json.dumps(row, ensure_ascii=False, allow_nan=False, default=_plain))


def _unseen(text: str) -> str:
    """Escape what is not seen and yet obeyed, by a terminal or an editor; JSON itself leaves no other such in texts."""
    return UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(value: Any) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"{value!r} is nothing that JSON has")

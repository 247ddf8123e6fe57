# SPDX-License-Identifier: Apache-2.0
"""The numbers that a target has printed, or left in a JSON document, and what a tracer says it counted. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from bpfbench.errors import StepError
from bpfbench.model import TargetMetric
from bpfbench.model.command import Tally


def read_metrics(metrics: Iterable[TargetMetric], printed: str, document: str | None = None) -> dict[str, float]:
    """Return the numbers that a target has left, by name.

    Args:
        metrics: those that are wanted.
        printed: what it has printed, which patterns are looked for in.
        document: the JSON that pointers point into; None: what it has printed is that.

    Raises:
        StepError: one is not there, or no number above 0.
    """
    return {metric.name: _number(metric, printed, printed if document is None else document) for metric in metrics}


def _number(metric: TargetMetric, printed: str, document: str) -> float:
    found = _pointed(metric.name, metric.pointer, document) if metric.pointer else _matched(metric, printed)
    try:
        number = float(found) * metric.scale
    except (TypeError, ValueError):
        raise StepError(f"the target printed {found!r} where {metric.name} was due, a number") from None
    if not 0 < number < float("inf"):
        raise StepError(f"the target printed {metric.name} {found}, which cannot be compared by ratio")
    return number


def _matched(metric: TargetMetric, printed: str) -> Any:
    matches = re.findall(metric.pattern or "", printed, re.MULTILINE)
    if not matches:
        raise StepError(f"the target printed nothing that /{metric.pattern}/ matches ({metric.name})")
    return matches[-1]


def _pointed(name: str, pointer: str, document: str) -> Any:
    """Follow a JSON pointer (RFC 6901)."""
    try:
        found: Any = json.loads(document)
    except ValueError as error:
        raise StepError(f"the target left no JSON document for {name} at {pointer}: {error}") from None
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(key)] if isinstance(found, list) else found[key]
        except (KeyError, IndexError, TypeError, ValueError):
            raise StepError(f"the target's JSON document has nothing at {pointer} ({name})") from None
    return found


def count(tally: Tally, lines: Iterable[str]) -> int:
    """Return what a tracer says that it counted, by the lines that it printed.

    Raises:
        StepError: where a number is due there is none.
    """
    pattern, total = re.compile(tally.pattern), 0
    for line in lines:
        match = pattern.search(line)
        if match is None:
            continue
        if not pattern.groups:
            total += 1
            continue
        said = (match[1] or "").replace(",", "")
        if not said.isdecimal():
            raise StepError(f"the tracer printed {said!r} where /{tally.pattern}/ has a number")
        total = int(said) if tally.last else total + int(said)
    return total

# SPDX-License-Identifier: Apache-2.0
"""The numbers that a target has printed, or left in a JSON document. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from bpfbench.errors import StepError
from bpfbench.model import TargetMetric


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

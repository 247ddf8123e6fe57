# SPDX-License-Identifier: Apache-2.0
"""What the paper prints of single setups, to be drawn beside a run's own numbers. Nothing is read off its plots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Paper = Mapping[str, Any]
"""The paper's numbers, as data/paper.toml has them; empty where nothing of it is wanted."""


def printed(paper: Paper, *keys: str) -> dict[str, float]:
    """Return what the paper prints under these keys, by setup. Bounds are left out: only a number can be drawn."""
    found = paper
    for key in keys:
        found = found.get(key, {})
    numbers = {name: value for name, value in found.items() if isinstance(value, int | float)}
    return {name: float(value) for name, value in numbers.items() if not name.startswith("others_")}

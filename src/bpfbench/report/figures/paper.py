# SPDX-License-Identifier: Apache-2.0
"""What the paper prints of single setups, to be drawn beside a run's own numbers. Nothing is read off its plots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bpfbench.analysis.metrics import Metric
from bpfbench.model import Tool


@dataclass(frozen=True, slots=True)
class Printed:
    """The paper's numbers, as data/paper.toml has them. Bounds are left out: only a number can be drawn."""

    data: Mapping[str, Any]
    """Empty where nothing of it is wanted."""

    def saved_percent(self, workload: str, tool: Tool) -> dict[str, float]:
        """Saved events in per cent of those intercepted, by setup."""
        return _numbers(self._of(workload, "saved_percent").get(tool, {}))

    def ratios(self, workload: str, tool: Tool, metric: Metric) -> dict[str, float]:
        """Ratios to vanilla, by setup."""
        return _numbers(self._of(workload, "factor_over_vanilla").get(tool, {}).get(metric.key, {}))

    def _of(self, workload: str, table: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.data.get(workload, {}).get(table, {})
        return found


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    named = {name: value for name, value in values.items() if not name.startswith("others_")}
    return {name: float(value) for name, value in named.items() if isinstance(value, int | float)}

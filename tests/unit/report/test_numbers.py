# SPDX-License-Identifier: Apache-2.0
"""Numbers have no more figures than mean something."""

from __future__ import annotations

import pytest

from bpfbench.report.numbers import share


class TestNumbers:
    @pytest.mark.parametrize(
        ("percent", "text"),
        [(0.0, "0.00"), (0.001, "<0.01"), (0.03, "0.03"), (99.98, "99.98"), (99.999, ">99.99"), (100.0, "100.00")],
    )
    def test_a_share_is_only_nothing_or_all_if_it_is(self, percent: float, text: str) -> None:
        assert share(percent) == text

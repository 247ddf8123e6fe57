# SPDX-License-Identifier: Apache-2.0
"""Sizes in words: the largest unit that they are a whole number of."""

from __future__ import annotations

import pytest

from bpfbench.units import exactly, size


class TestUnits:
    @pytest.mark.parametrize(
        ("count", "text"),
        [
            (0, "0 B"),
            (1000, "1000 B"),
            (1024, "1 KiB"),
            (262144, "256 KiB"),
            (34359738368, "32 GiB"),
            (1572864, "1536 KiB"),
            (500_000_000, "476.8 MiB"),
        ],
    )
    def test_sizes(self, count: int, text: str) -> None:
        assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(10.0, "10 s"), (90.0, "90 s"), (100.0, "100 s"), (120.0, "2 min"), (150.5, "150.5 s")]
)
def test_a_time_that_is_compared_is_not_rounded(seconds: float, text: str) -> None:
    assert exactly(seconds) == text

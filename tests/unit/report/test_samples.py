# SPDX-License-Identifier: Apache-2.0
"""samples.csv as series: rates between samples, of this format and older ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bpfbench.analysis import metrics
from bpfbench.errors import StoreError
from bpfbench.report.samples import MOST_POINTS, read

HEADER = "monotonic_s,what,busy_ticks,total_ticks,user_s,system_s,memory_bytes,joules\n"


def written(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    path = tmp_path / "samples.csv"
    path.write_text(header + "".join(f"{row}\n" for row in rows))
    return path


def seconds(points: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    return tuple(at for at, _ in points)


def values(points: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    return tuple(value for _, value in points)


def test_cpu_is_what_was_busy_between_samples(tmp_path: Path) -> None:
    found = read(
        written(tmp_path, "5.0,system,100,1000,,,10,", "6.0,system,150,1200,,,20,", "7.0,system,350,1400,,,30,")
    )
    assert seconds(found[metrics.CPU]) == pytest.approx((0.5, 1.5))
    assert values(found[metrics.CPU]) == pytest.approx((25.0, 100.0))
    assert values(found[metrics.MEMORY]) == (10, 20, 30)


def test_power_that_was_not_sampled_is_absent(tmp_path: Path) -> None:
    found = read(written(tmp_path, "5.0,system,1,10,,,1,", "6.0,system,2,20,,,1,"))
    assert metrics.POWER not in found


def test_power_is_that_of_all_packages_together(tmp_path: Path) -> None:
    packages = [
        f"{at}.0,package-{number},,,,,,{joules}" for at, joules in ((5, 0), (6, 8), (7, 20)) for number in (0, 1)
    ]
    found = read(written(tmp_path, "5.0,system,1,10,,,1,", "7.0,system,2,20,,,1,", "6.0,dram-0,,,,,,99", *packages))
    assert values(found[metrics.POWER]) == pytest.approx((16.0, 24.0))


def test_samples_without_energy_are_read_as_they_are(tmp_path: Path) -> None:
    header = "monotonic_s,what,busy_ticks,total_ticks,user_s,system_s,memory_bytes\n"
    found = read(written(tmp_path, "5.0,system,1,10,,,1", "6.0,system,2,20,,,1", "7.0,system,3,30,,,1", header=header))
    assert metrics.CPU in found


def test_long_trials_are_thinned_to_what_can_be_seen(tmp_path: Path) -> None:
    found = read(written(tmp_path, *(f"{at}.0,system,{at},{10 * at},,,1," for at in range(1, 5000))))
    assert MOST_POINTS <= len(found[metrics.MEMORY]) <= 2 * MOST_POINTS


def test_a_trial_that_left_none_has_none(tmp_path: Path) -> None:
    assert read(tmp_path / "samples.csv") == {}


@pytest.mark.parametrize("row", ["5.0,system,x,1000,,,10,", "5.0,system"])
def test_what_is_no_sample_is_said_with_its_file(tmp_path: Path, row: str) -> None:
    path = written(tmp_path, row, "6.0,system,2,20,,,1,")
    with pytest.raises(StoreError, match=r"samples\.csv: not samples of a trial"):
        read(path)

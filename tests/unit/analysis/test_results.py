# SPDX-License-Identifier: Apache-2.0
"""Results: which trials repeat each other, which are paired, and how values are described."""

from __future__ import annotations

import dataclasses
import math

import pytest
from builders import make_config, make_fio, make_record, make_trial

from bpfbench.analysis import metrics
from bpfbench.analysis.results import CELL, Cell, Sample, describe, of
from bpfbench.model import Tool, Workload


class TestDescription:
    def test_mean_and_sample_sd(self) -> None:
        # Mean (2 + 4 + 9) / 3 = 5; squares of 3, 1, 4 are 9 + 1 + 16 = 26; SD is the root of 26 / (3 - 1) = 13.
        found = describe([2.0, 4.0, 9.0])
        assert found is not None
        assert (found.mean, found.n) == (5.0, 3)
        assert found.sd == pytest.approx(13**0.5)

    def test_a_single_value_has_no_sd(self) -> None:
        found = describe([3.0])
        assert found is not None
        assert (found.mean, found.sd, found.n) == (3.0, None, 1)

    def test_nothing_is_estimated_from_nothing(self) -> None:
        assert describe([]) is None
        assert describe([None, float("nan"), float("inf")]) is None

    def test_absent_values_are_no_zeros(self) -> None:
        found = describe([None, 4.0, None, 6.0])
        assert found is not None
        assert (found.mean, found.n) == (5.0, 2)
        assert found.sd == pytest.approx(2**0.5)


def test_the_cells_of_a_tracer_are_compared_with_the_vanilla_of_their_tool() -> None:
    cell = Cell("6.12", False, Workload("read", 4, 4096, 9000), Tool.RW_TRACER, "libbpf", make_config())
    assert cell.vanilla == Cell("6.12", False, Workload("read", 4, 4096, 9000), Tool.RW_TRACER, "vanilla")
    assert cell.vanilla.is_vanilla
    assert cell.vanilla.vanilla == cell.vanilla


def test_a_cell_has_the_columns_of_exports_whatever_its_workload_and_configuration_are_made_of() -> None:
    cell = Cell("6.12", False, Workload("read", 4, 4096, 9000), Tool.RW_TRACER, "libbpf", make_config())
    assert tuple(cell.columns) == tuple(cell.vanilla.columns) == CELL
    assert (cell.columns["workload"], cell.columns["rate_iops"], cell.columns["attach"]) == ("read", 9000, "kprobe")
    assert cell.vanilla.columns["attach"] is None


def runtimes(seconds: float, setup: str, *, block: int = 0, session: str = "1") -> tuple[Sample, ...]:
    trial = dataclasses.replace(make_trial(setup, block), id=f"{setup}-{block}-{session}")
    found = of([make_record(trial, fio=make_fio(runtime_s=seconds), session=session)])
    return tuple(sample for sample in found.measured if sample.metric is metrics.RUNTIME)


class TestOver:
    def test_is_the_logarithm_of_the_ratio_within_host_session_and_block(self) -> None:
        (own,), (base,) = runtimes(12.0, "libbpf"), runtimes(10.0, "vanilla")
        assert own.over(base) == {"libbpf-0-1": pytest.approx(math.log(1.2))}

    @pytest.mark.parametrize("elsewhere", [{"block": 1}, {"session": "2"}])
    def test_what_shares_no_block_makes_no_pair(self, elsewhere: dict[str, str]) -> None:
        (own,), (base,) = runtimes(12.0, "libbpf"), runtimes(10.0, "vanilla", **elsewhere)  # type: ignore[arg-type]
        assert own.over(base) == {}

    def test_what_has_no_logarithm_makes_no_pair(self) -> None:
        (own,), (base,) = runtimes(12.0, "libbpf"), runtimes(0.0, "vanilla")
        assert own.over(base) == base.over(own) == {}

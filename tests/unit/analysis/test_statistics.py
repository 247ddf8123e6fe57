# SPDX-License-Identifier: Apache-2.0
"""The statistics: numbers worked out by hand or by scipy, and what becomes of simulated studies with known truth."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest
from builders import MIB, make_failure, make_fio, make_load, make_record, make_trial
from scipy import stats

from bpfbench.analysis import metrics
from bpfbench.analysis.inference import (
    Finding,
    Paired,
    holm,
)
from bpfbench.analysis.results import PaperRule, of
from bpfbench.analysis.statistics import Statistic, analyse, control
from bpfbench.analysis.summary import summarise
from bpfbench.model import Record, Tool
from bpfbench.report.documents import statistics as written
from bpfbench.report.quantities import BY_METRIC
from bpfbench.report.write import csv as csv_writer


def runtimes(setup: str, *seconds: float | None, host: str = "local", tool: Tool = Tool.RW_TRACER) -> list[Record]:
    """One trial per block with these runtimes; None is a failed trial."""
    trials = [
        dataclasses.replace(trial, host=host, id=f"{trial.id}-{host}")
        for trial in (make_trial(setup, block, tool=tool) for block in range(len(seconds)))
    ]
    return [
        make_failure(trial, "fio died") if value is None else make_record(trial, fio=make_fio(runtime_s=value))
        for trial, value in zip(trials, seconds, strict=True)
    ]


def runtime_of(records: Sequence[Record], setup: str) -> Statistic:
    (found,) = analyse(of(records)).find("runtime_s", setup=setup)
    return found


def paired_of(records: Sequence[Record], setup: str) -> Paired:
    found = runtime_of(records, setup).paired
    assert found is not None
    return found


class TestOfACell:
    def test_spread_is_over_ok_trials(self) -> None:
        spread = runtime_of(runtimes("libbpf", 2, 4, None, 9), "libbpf").spread
        assert (spread.n, spread.mean, spread.median, spread.min, spread.max) == (3, 5.0, 4.0, 2.0, 9.0)
        assert spread.sd == pytest.approx(13**0.5)

    def test_ratio_and_interval_are_those_of_the_paired_t_test_on_logarithms(self) -> None:
        vanilla, libbpf = (10.0, 11.0, 12.0, 9.0), (11.0, 12.1, 14.4, 9.5)
        paired = paired_of(runtimes("vanilla", *vanilla) + runtimes("libbpf", *libbpf), "libbpf")
        logs = np.log(np.divide(libbpf, vanilla))
        expected = stats.ttest_1samp(logs, 0.0)
        interval = expected.confidence_interval(0.95)
        assert paired.ratio == pytest.approx(math.exp(logs.mean()))
        assert paired.p == pytest.approx(expected.pvalue)
        assert paired.interval is not None
        assert (paired.interval.low, paired.interval.high) == pytest.approx(tuple(np.exp(interval)))
        # Hedges' correction for 4 pairs is 1 - 3 / (4 * 3 - 1), which is 8 / 11.
        assert paired.effect == pytest.approx(8 / 11 * logs.mean() / logs.std(ddof=1))

    def test_drift_between_blocks_does_not_count(self) -> None:
        paired = paired_of(runtimes("vanilla", 10, 20, 40) + runtimes("libbpf", 11, 22.1, 43.9), "libbpf")
        assert paired.ratio == pytest.approx(1.1, rel=0.01)
        assert paired.finding is Finding.HIGHER

    def test_trials_are_paired_within_a_host(self) -> None:
        # On either host libbpf costs 10 %; across hosts it would be -45 % and +120 %.
        records = [
            *runtimes("vanilla", 10, 10.1, host="a"),
            *runtimes("vanilla", 20, 20.1, host="b"),
            *runtimes("libbpf", 11, 11.1, host="a"),
            *runtimes("libbpf", 22, 22.2, host="b"),
        ]
        paired = paired_of(records, "libbpf")
        assert (paired.n, round(paired.ratio, 2)) == (4, 1.1)

    def test_the_papers_rule_stands_beside(self) -> None:
        records = runtimes("vanilla", 10, 11, 12) + runtimes("libbpf", 11, 12, 13)
        assert runtime_of(records, "libbpf").rule is PaperRule.INCONCLUSIVE
        assert runtime_of(records, "vanilla").rule is None

    def test_it_says_the_same_as_the_summary(self) -> None:
        records = runtimes("vanilla", 10, 11, None, 12) + runtimes("libbpf", 12, 14, 13, 11)
        row = summarise(of(records)).groups[0].rows[1]
        statistic = runtime_of(records, "libbpf")
        own = row.samples[metrics.RUNTIME]
        assert own.change is not None
        assert statistic.paired is not None
        assert own.change.mean == pytest.approx(100 * (statistic.paired.ratio - 1))
        assert (own.change.n, own.rule, own.spread) == (3, statistic.rule, statistic.spread)

    @pytest.mark.parametrize("seconds", [(11.0,), (11.0, 11.0, 11.0)])
    def test_without_spread_nothing_is_tested(self, seconds: tuple[float, ...]) -> None:
        paired = paired_of(runtimes("vanilla", *[10.0] * len(seconds)) + runtimes("libbpf", *seconds), "libbpf")
        assert paired.ratio == pytest.approx(1.1)
        assert (paired.interval, paired.p, paired.finding) == (None, None, Finding.TOO_FEW)

    def test_metrics_that_vanilla_lacks_have_no_ratio(self) -> None:
        (saved,) = analyse(of(runtimes("vanilla", 10, 11) + runtimes("libbpf", 10, 11))).find("saved_percent")
        assert (saved.paired, saved.rule, saved.unit) == (None, None, "%")

    def test_few_pairs_are_warned_of_with_what_they_cannot_show(self) -> None:
        records = runtimes("vanilla", 10, 11, 12) + runtimes("libbpf", 11, 12, 13)
        (warning,) = analyse(of(records)).warnings
        assert "With 3 pairs the permutation test cannot go below p = 0.25" in warning
        assert paired_of(records, "libbpf").p_sign_flip == 0.25


class TestOfManyCells:
    def test_correction_is_over_what_is_compared_with_the_same_vanilla(self) -> None:
        records = [
            *runtimes("vanilla", 10, 11, 12, 10),
            *runtimes("libbpf", 11, 12, 13, 11.2),
            *runtimes("bcc", 12, 13.5, 14, 12),
            *runtimes("vanilla", 10, 11, 12, 10, tool=Tool.SYSCOUNT),
            *runtimes("libbpf", 10.1, 11, 12.2, 10, tool=Tool.SYSCOUNT),
        ]
        found = {(s.cell.tool, s.cell.setup): s.paired for s in analyse(of(records)).find("runtime_s")}
        libbpf, bcc = found[Tool.RW_TRACER, "libbpf"], found[Tool.RW_TRACER, "bcc"]
        alone = found[Tool.SYSCOUNT, "libbpf"]
        assert libbpf is not None
        assert bcc is not None
        assert alone is not None
        assert [libbpf.p_corrected, bcc.p_corrected] == pytest.approx(holm([libbpf.p or 0, bcc.p or 0]))
        assert alone.p_corrected == alone.p

    def test_vanilla_comes_first_then_setups_as_they_are_listed(self) -> None:
        records = [record for setup in ("own", "libbpf", "bpftrace", "vanilla") for record in runtimes(setup, 10, 11)]
        found = analyse(of(records)).find("runtime_s")
        assert [statistic.cell.setup for statistic in found] == ["vanilla", "bpftrace", "libbpf", "own"]

    def test_hosts_are_compared_by_vanilla_before_anything_else(self) -> None:
        records = [
            *runtimes("vanilla", 10, 10.1, 9.9, host="a"),
            *runtimes("vanilla", 20, 20.3, 19.8, host="b"),
            *runtimes("libbpf", 30, 31, 29, host="a"),
        ]
        (found,) = (difference for difference in analyse(of(records)).hosts if difference.metric == "runtime_s")
        assert found.ratios["b"] / found.ratios["a"] == pytest.approx(2.0, rel=0.01)
        assert found.n == {"a": 3, "b": 3}
        assert found.p is not None
        assert found.p < 0.001

    def test_two_vanillas_of_a_block_are_no_two_repetitions_of_a_host(self) -> None:
        one = runtimes("vanilla", 10, 11, 12, host="a") + runtimes("vanilla", 20, 21, 25, host="b")
        twice = [*one, *(dataclasses.replace(r, trial=dataclasses.replace(r.trial, id=f"{r.trial.id}-2")) for r in one)]
        found = {len(records): analyse(of(records)).hosts[0] for records in (one, twice)}
        assert found[6].n == found[12].n == {"a": 3, "b": 3}
        assert found[6].p == pytest.approx(found[12].p)

    def test_one_host_is_not_compared(self) -> None:
        assert analyse(of(runtimes("vanilla", 10, 11, 12))).hosts == ()

    def test_nothing_is_found_in_nothing(self) -> None:
        assert analyse(of([])).statistics == ()


class TestControl:
    def test_vanilla_of_neighbouring_blocks_is_compared_with_itself(self) -> None:
        # Four blocks of one workload under two tools, in the order 0 to 3: pairs (0, 1) and (2, 3), sides by turns.
        trials = [make_trial("vanilla", block, tool=list(Tool)[block % 2]) for block in range(4)]
        records = [
            make_record(trial, fio=make_fio(runtime_s=s)) for trial, s in zip(trials, (10, 12, 20, 22), strict=True)
        ]
        (found,) = analyse(control(of(records))).find("runtime_s", setup="control")
        assert found.paired is not None
        assert found.paired.n == 2
        assert found.paired.ratio == pytest.approx((12 / 10 * 20 / 22) ** 0.5)

    def test_the_two_vanillas_of_a_block_are_compared_where_there_are_two(self) -> None:
        # Blocks 1 and 3 have one only, which is left out; sides by turns.
        seconds = ((0, 10.0), (0, 12.0), (1, 99.0), (2, 20.0), (2, 22.0), (3, 1.0))
        records = [
            make_record(
                dataclasses.replace(make_trial("vanilla", block), index=i, id=str(i)), fio=make_fio(runtime_s=s)
            )
            for i, (block, s) in enumerate(seconds)
        ]
        pairs = control(of(records))
        assert {record.trial.id for record in pairs.records} == {"0", "1", "3", "4"}
        (found,) = analyse(pairs).find("runtime_s", setup="control")
        assert found.paired is not None
        assert found.paired.n == 2
        assert found.paired.ratio == pytest.approx((12 / 10 * 20 / 22) ** 0.5)

    def test_a_vanilla_without_a_partner_and_tracers_are_left_out(self) -> None:
        pairs = control(of(runtimes("vanilla", 10, 11, 12) + runtimes("libbpf", 10, 11, 12)))
        assert len(pairs.records) == 2


def grown(setup: str, *growth_mib: float) -> list[Record]:
    """One trial per block in which memory in use grew by so much from the idle baseline."""
    found = []
    for block, growth in enumerate(growth_mib):
        record = make_record(make_trial(setup, block), load=make_load(memory_mib=500 + growth))
        found.append(dataclasses.replace(record, idle=make_load(memory_mib=500)))
    return found


class TestMemoryGrowth:
    VANILLA = (-30.0, 10.0, -50.0, 0.0)
    LIBBPF = (-10.0, 40.0, -25.0, 20.0)

    def _found(self, records: Sequence[Record], setup: str = "libbpf") -> Statistic:
        (found,) = analyse(of(records)).find("memory_growth_bytes", setup=setup)
        return found

    def test_is_compared_by_the_difference_within_blocks_since_it_may_be_0_or_less(self) -> None:
        found = self._found([*grown("vanilla", *self.VANILLA), *grown("libbpf", *self.LIBBPF)])
        assert found.paired is None
        assert found.difference is not None
        expected = stats.ttest_rel(self.LIBBPF, self.VANILLA)
        ends = expected.confidence_interval()
        assert found.difference.mean / MIB == pytest.approx(23.75)
        assert found.difference.p == found.difference.p_corrected == pytest.approx(expected.pvalue)
        assert found.difference.interval is not None
        assert found.difference.interval.low / MIB == pytest.approx(ends.low)
        assert found.difference.interval.high / MIB == pytest.approx(ends.high)
        assert found.difference.finding is Finding.HIGHER

    def test_two_vanillas_of_a_block_are_compared_with_by_their_mean(self) -> None:
        twins = [
            dataclasses.replace(r, trial=dataclasses.replace(r.trial, id=f"{r.trial.id}-2"))
            for r in grown("vanilla", *(growth + 20 for growth in self.VANILLA))
        ]
        found = self._found([*grown("vanilla", *self.VANILLA), *twins, *grown("libbpf", *self.LIBBPF)])
        assert found.difference is not None
        assert found.difference.n == 4
        assert found.difference.mean / MIB == pytest.approx(13.75)

    def test_without_a_pair_or_without_scatter_nothing_is_tested(self) -> None:
        assert self._found(grown("libbpf", *self.LIBBPF)).difference is None
        alike = self._found([*grown("vanilla", 1, 1), *grown("libbpf", 3, 3)]).difference
        assert alike is not None
        assert (alike.mean / MIB, alike.interval, alike.finding) == (2.0, None, Finding.TOO_FEW)

    def test_vanilla_itself_is_compared_with_nothing(self) -> None:
        assert self._found(grown("vanilla", *self.VANILLA), "vanilla").difference is None

    def test_tables_have_the_difference_with_its_sign(self) -> None:
        found = self._found([*grown("vanilla", *self.VANILLA), *grown("libbpf", *self.LIBBPF)])
        assert found.difference is not None
        assert written.against(found.difference, BY_METRIC[metrics.MEMORY_GROWTH]) == "+24\n[+16, +31]\np = 0.002"
        analysis = analyse(of([*grown("vanilla", *self.VANILLA), *grown("libbpf", *self.LIBBPF)]))
        rows = list(csv.DictReader(csv_writer.data(written.FLAT, written.flat(analysis))))
        (row,) = (r for r in rows if (r["metric"], r["setup"]) == ("memory_growth_bytes", "libbpf"))
        assert (row["ratio"], row["pairs"], row["finding"]) == ("", "4", "higher")
        assert float(row["difference"]) / MIB == pytest.approx(23.75)

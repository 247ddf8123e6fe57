# SPDX-License-Identifier: Apache-2.0
"""The metrics: what is read out of a record, and that nothing is made up of what is not there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from builders import make_delivery, make_failure, make_record, make_summary, make_trial

from bpfbench.analysis import commanded, metrics
from bpfbench.analysis.metrics import METRICS, Metric
from bpfbench.model import Energy, EnergyDomain, GroupUsage, ProgramTime, Record

DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"


def whole() -> Record:
    """A record of a trial of which everything was measured."""
    trial = make_trial("libbpf")
    record = make_record(trial, summary=make_summary(trial, saved=1000))
    assert record.fio is not None
    percentiles = {"50.000000": 8.0, "99.000000": 20.0, "99.900000": 30.0}
    domains = (
        EnergyDomain("package-0", 30.0, 3.0, 1.0),
        EnergyDomain("package-1", 10.0, 1.0, 1.0),
        EnergyDomain("dram-0", 5, 1, 1),
        EnergyDomain("psys", 60, 6, 4),
    )
    return dataclasses.replace(
        record,
        fio=dataclasses.replace(record.fio, latency_percentiles_us=percentiles),
        energy=Energy("perf", 10.0, domains),
        groups={"workload": GroupUsage(1, 2, 3, 4, 5, 6), "tracer": GroupUsage(7, 8, 9, 10, 11, 12)},
        delivery=make_delivery(p99_ms=4.0),
        programs=(ProgramTime("enter", 200_000, 1000), ProgramTime("exit", 100_000, 1000)),
    )


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.key)
def test_each_is_read_where_it_is_and_absent_where_nothing_is(metric: Metric) -> None:
    assert metric.read(whole()) is not None
    nothing = dataclasses.replace(make_failure(make_trial("libbpf"), "no READY"), fio=None, summary=None, usage=None)
    assert metric.read(dataclasses.replace(nothing, idle=None, load=None)) is None


def test_each_reads_what_it_is_called() -> None:
    record = whole()
    found = {metric: metric.read(record) for metric in METRICS}
    assert (found[metrics.LATENCY_P50], found[metrics.LATENCY_P99], found[metrics.LATENCY_P999]) == (8, 20, 30)
    assert (found[metrics.FIO_USER], found[metrics.FIO_SYSTEM], found[metrics.FIO_PEAK]) == (1, 2, 3)
    assert (found[metrics.FIO_READ], found[metrics.FIO_WRITTEN]) == (5, 6)
    assert (found[metrics.GROUP_PEAK], found[metrics.GROUP_CACHE], found[metrics.GROUP_WRITTEN]) == (9, 10, 12)
    assert (found[metrics.IDLE_POWER], found[metrics.MEMORY_ENERGY], found[metrics.PLATFORM_ENERGY]) == (2, 5, 60)


def test_energy_and_run_times_of_programs_are_read_where_there_are_any() -> None:
    assert metrics.ENERGY.read(whole()) == 40.0
    assert metrics.POWER.read(whole()) == 4.0
    assert metrics.BPF_TIME.read(whole()) == 300.0


def test_delays_are_in_milliseconds() -> None:
    delays = (metrics.DELAY_P50, metrics.DELAY_P99, metrics.DELAY_P999, metrics.DELAY_MAX)
    assert [own.read(whole()) for own in delays] == [2.0, 4.0, 8.0, 12.0]
    assert {own.unit for own in delays} == {"ms"}


def test_every_metric_has_a_unit_and_no_key_is_there_twice() -> None:
    assert all(metric.unit for metric in METRICS)
    assert len(metrics.BY_KEY) == len(METRICS)
    assert (metrics.RUNTIME.unit, metrics.THROUGHPUT.unit, metrics.LATENCY.unit) == ("s", "bytes/s", "us")
    assert (metrics.OFFERED.unit, metrics.PSS_PEAK.unit, metrics.LOST_PERCENT.unit) == ("events/s", "bytes", "%")


def test_every_metric_is_in_the_documentation_with_its_unit_and_meaning() -> None:
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    compared = {
        metric: "difference" if metric.by_difference else "ratio" if metric.versus_vanilla else "–"
        for metric in (*METRICS, *metrics.DRIVEN, *commanded.METRICS)
    }
    assert rows == [f"| `{own.key}` | {own.unit} | {how} | {own.explained('fio')} |" for own, how in compared.items()]

# SPDX-License-Identifier: Apache-2.0
"""Energy counters as sysfs shows them, wrapping, missing, unreadable; and this machine's own, where it has any."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from builders import make_record, make_trial
from hypothesis import given
from hypothesis import strategies as st

from bpfbench.analysis import metrics
from bpfbench.inside.monitors import energy
from bpfbench.inside.monitors.energy import Counter, EnergySample, Meter
from bpfbench.model import Energy, EnergyDomain

RANGE_UJ = 262_143_328_850
"""max_energy_range_uj of a package of the Core i5-9500's family: 2^32 - 1 steps of 61 uJ."""

TWO_SOCKETS = {
    "class/powercap/intel-rapl:0/name": "package-0",
    "class/powercap/intel-rapl:0/energy_uj": "1000000",
    "class/powercap/intel-rapl:0/max_energy_range_uj": str(RANGE_UJ),
    "class/powercap/intel-rapl:0:0/name": "core",
    "class/powercap/intel-rapl:0:0/energy_uj": "300000",
    "class/powercap/intel-rapl:0:0/max_energy_range_uj": str(RANGE_UJ),
    "class/powercap/intel-rapl:0:1/name": "dram",
    "class/powercap/intel-rapl:0:1/energy_uj": "200000",
    "class/powercap/intel-rapl:0:1/max_energy_range_uj": "65712999613",
    "class/powercap/intel-rapl:1/name": "package-1",
    "class/powercap/intel-rapl:1/energy_uj": "3000000",
    "class/powercap/intel-rapl:1/max_energy_range_uj": str(RANGE_UJ),
    "class/powercap/intel-rapl:1:0/name": "dram",
    "class/powercap/intel-rapl:1:0/energy_uj": "400000",
    "class/powercap/intel-rapl:1:0/max_energy_range_uj": "65712999613",
    "class/powercap/intel-rapl:2/name": "psys",
    "class/powercap/intel-rapl:2/energy_uj": "9000000",
    "class/powercap/intel-rapl:2/max_energy_range_uj": str(RANGE_UJ),
    "class/powercap/intel-rapl-mmio:0/name": "package-0",
    "class/powercap/intel-rapl-mmio:0/energy_uj": "1000000",
}
PERF_PMU = {
    "bus/event_source/devices/power/type": "23",
    "bus/event_source/devices/power/cpumask": "0,18",
    "bus/event_source/devices/power/events/energy-cores": "event=0x01",
    "bus/event_source/devices/power/events/energy-pkg": "event=0x02",
    "bus/event_source/devices/power/events/energy-pkg.scale": "2.3283064365386962890625e-10",
    "bus/event_source/devices/power/events/energy-pkg.unit": "Joules",
    "bus/event_source/devices/power/events/energy-ram": "event=0x03",
    "bus/event_source/devices/power/events/energy-ram.scale": "2.3283064365386962890625e-10",
    "bus/event_source/devices/power/events/energy-ram.unit": "Joules",
    "bus/event_source/devices/power/events/energy-psys": "event=0x05",
    "bus/event_source/devices/power/events/energy-psys.scale": "2.3283064365386962890625e-10",
    "bus/event_source/devices/power/events/energy-psys.unit": "Joules",
    "devices/system/cpu/cpu0/topology/physical_package_id": "0",
    "devices/system/cpu/cpu18/topology/physical_package_id": "1",
}
IDLE, LOAD = (0.0, 1.0), (2.0, 4.0)


def plant(sysfs: Path, files: Mapping[str, str]) -> Path:
    """Lay out a tree as sysfs has it."""
    for name, text in files.items():
        path = sysfs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return sysfs


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def refuse(*_: object) -> int:
    raise PermissionError(13, "Permission denied", "perf_event_open(2)")


class FakePerf:
    """Opens files with 8 bytes in place of events."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[tuple[int, int, int]] = []

    def __call__(self, kind: int, cpu: int, config: int) -> int:
        self.opened.append((kind, cpu, config))
        path = self.folder / f"event-{cpu}-{config}"
        path.write_bytes((2**32 * (cpu + config)).to_bytes(8, "little"))
        return os.open(path, os.O_RDONLY)


def readings(*values: tuple[float, int | None]) -> list[EnergySample]:
    return [EnergySample(time_s, (value,)) for time_s, value in values]


def take(meter: Meter) -> EnergySample:
    meter.take()
    return meter.samples[-1]


def summed(
    meter: Meter, samples: list[EnergySample], load: tuple[float, float] = LOAD
) -> tuple[Energy | None, str | None]:
    """What a meter makes of samples."""
    meter.samples = samples
    return meter.sum_up(IDLE, load)


def counter(wraps_after: int | None = None) -> Counter:
    return Counter("package-0", 1e-6, lambda: 0, wraps_after)


def joules(samples: list[EnergySample], of: Counter) -> float:
    return energy.consumed(samples, 0, of)[-1].joules


class TestPowercap:
    def test_two_sockets_with_memory_and_the_platform(self, tmp_path: Path) -> None:
        with Meter(plant(tmp_path, TWO_SOCKETS)) as meter:
            assert meter.source == "powercap"
            found = dict(zip([c.domain for c in meter.counters], take(meter).values, strict=True))
        assert found == {
            "package-0": 1_000_000,
            "dram-0": 200_000,
            "package-1": 3_000_000,
            "dram-1": 400_000,
            "psys": 9_000_000,
        }
        assert {c.domain: c.wraps_after for c in meter.counters}["dram-1"] == 65_712_999_613
        assert meter.reasons == []

    @pytest.mark.parametrize("text", [None, "", "0", "unlimited"])
    def test_without_a_usable_range_a_counter_is_read_all_the_same(self, tmp_path: Path, text: str | None) -> None:
        path = "class/powercap/intel-rapl:0/max_energy_range_uj"
        files = {**TWO_SOCKETS, path: text or ""}
        plant(tmp_path, files)
        if text is None:
            (tmp_path / path).unlink()
        with Meter(tmp_path) as meter:
            assert meter.counters[0].domain == "package-0"
            assert meter.counters[0].wraps_after is None

    def test_a_domain_that_cannot_be_read_is_left_out_with_the_reason(self, tmp_path: Path) -> None:
        plant(tmp_path, TWO_SOCKETS)
        (tmp_path / "class/powercap/intel-rapl:1/energy_uj").unlink()
        with Meter(tmp_path) as meter:
            assert [c.domain for c in meter.counters] == ["package-0", "dram-0", "dram-1", "psys"]
            (reason,) = meter.reasons
        assert reason.startswith("intel-rapl:1: ")
        assert reason.endswith("No such file or directory")

    def test_one_that_says_something_else_than_a_number_is_too(self, tmp_path: Path) -> None:
        plant(tmp_path, {**TWO_SOCKETS, "class/powercap/intel-rapl:2/energy_uj": "n/a"})
        with Meter(tmp_path) as meter:
            assert "psys" not in [c.domain for c in meter.counters]
            assert "n/a" in meter.reasons[0]

    def test_one_that_vanishes_in_the_middle_reads_as_none(self, tmp_path: Path) -> None:
        with Meter(plant(tmp_path, TWO_SOCKETS)) as meter:
            (tmp_path / "class/powercap/intel-rapl:0/energy_uj").unlink()
            assert take(meter).values[:2] == (None, 200_000)


class TestPerf:
    def test_an_event_for_each_package_and_one_for_the_platform(self, tmp_path: Path) -> None:
        perf = FakePerf(tmp_path)
        with Meter(plant(tmp_path, PERF_PMU), perf) as meter:
            assert meter.source == "perf"
            assert perf.opened == [(23, 0, 2), (23, 18, 2), (23, 0, 3), (23, 18, 3), (23, 0, 5)]
            assert [c.domain for c in meter.counters] == ["package-0", "package-1", "dram-0", "dram-1", "psys"]
            steps = [value * c.unit_j for c, value in zip(meter.counters, take(meter).values, strict=True) if value]
        assert steps == pytest.approx([2.0, 20.0, 3.0, 21.0, 5.0])

    def test_on_leaving_every_event_is_closed(self, tmp_path: Path) -> None:
        before = descriptors()
        with Meter(plant(tmp_path, PERF_PMU), FakePerf(tmp_path)):
            assert len(descriptors()) == len(before) + 5
        assert descriptors() == before

    def test_dies_of_one_package_are_told_apart(self, tmp_path: Path) -> None:
        topology = "devices/system/cpu/cpu{}/topology/{}"
        dies = {topology.format(18, "physical_package_id"): "0"}
        dies |= {topology.format(0, "die_id"): "0", topology.format(18, "die_id"): "1"}
        with Meter(plant(tmp_path, {**PERF_PMU, **dies}), FakePerf(tmp_path)) as meter:
            assert [c.domain for c in meter.counters][:2] == ["package-0-die-0", "package-0-die-1"]

    @pytest.mark.parametrize(
        ("path", "text", "said"),
        [("energy-pkg", "event=0x02,umask=1", "event=0x02,umask=1"), ("energy-pkg.unit", "Watts", "Watts")],
    )
    def test_an_event_in_another_language_is_not_guessed_at(
        self, tmp_path: Path, path: str, text: str, said: str
    ) -> None:
        files = {**PERF_PMU, f"bus/event_source/devices/power/events/{path}": text}
        with Meter(plant(tmp_path, files), FakePerf(tmp_path)) as meter:
            assert [c.domain for c in meter.counters] == ["dram-0", "dram-1", "psys"]
            assert said in meter.reasons[0]

    def test_where_perf_is_refused_powercap_is_read(self, tmp_path: Path) -> None:
        with Meter(plant(tmp_path, {**PERF_PMU, **TWO_SOCKETS}), refuse) as meter:
            assert meter.source == "powercap"
            assert meter.reasons == []


class TestNone:
    def test_a_machine_without_says_so(self, tmp_path: Path) -> None:
        with Meter(tmp_path) as meter:
            assert summed(meter, [take(meter)]) == (None, "no RAPL on this machine")

    def test_one_that_must_not_be_read_says_what_it_takes(self, tmp_path: Path) -> None:
        with Meter(plant(tmp_path, PERF_PMU), refuse) as meter:
            found, reason = summed(meter, [take(meter)])
        assert found is None
        assert reason is not None
        assert "Permission denied (only root may read energy" in reason


class TestConsumed:
    def test_a_counter_that_grows(self) -> None:
        assert joules(readings((0, 5), (1, 1_000_005), (2, 3_000_005)), counter()) == 3.0

    def test_a_counter_that_wraps(self) -> None:
        # 999 is the last value, then comes 0
        assert joules(readings((0, 990), (1e-9, 10)), counter(999)) == pytest.approx(20e-6)

    def test_one_that_went_back_without_a_known_range_tells_nothing(self) -> None:
        with pytest.raises(ValueError, match="at what value it wraps is not known"):
            joules(readings((0, 5), (1, 4)), counter())

    def test_one_that_was_not_looked_at_for_long_may_have_wrapped_more_than_once(self) -> None:
        # 262 kJ at 2 kW take 131 s
        assert joules(readings((0, 0), (131, 10)), counter(RANGE_UJ)) == pytest.approx(10e-6)
        with pytest.raises(ValueError, match="132 s passed between two samples"):
            joules(readings((0, 0), (132, 10)), counter(RANGE_UJ))

    def test_one_with_a_gap_tells_nothing(self) -> None:
        with pytest.raises(ValueError, match="could not be read"):
            joules(readings((0, 5), (1, None), (2, 9)), counter())

    @given(
        start=st.integers(0, 10**6),
        steps=st.lists(st.integers(0, 10**6), min_size=1),
        wraps_after=st.integers(10**6, 10**9),
    )
    def test_a_wrapped_series_gives_the_joules_of_the_unwrapped(
        self, start: int, steps: list[int], wraps_after: int
    ) -> None:
        totals = [start + sum(steps[:n]) for n in range(len(steps) + 1)]
        wrapped = readings(*((n * 1e-6, total % (wraps_after + 1)) for n, total in enumerate(totals)))
        assert joules(wrapped, counter(wraps_after)) == pytest.approx(sum(steps) * 1e-6)


class TestSumUp:
    SAMPLES = ((0.0, 0), (1.0, 2_000_000), (2.0, 4_000_000), (3.0, 24_000_000), (5.0, 64_000_000))

    def meter(self, tmp_path: Path, files: Mapping[str, str]) -> Meter:
        return Meter(plant(tmp_path, files))

    def one_domain(self, tmp_path: Path) -> Meter:
        return self.meter(tmp_path, {k: v for k, v in TWO_SOCKETS.items() if "intel-rapl:0/" in k})

    def test_joules_and_power_are_of_fios_span_and_idle_power_of_the_time_before(self, tmp_path: Path) -> None:
        with self.one_domain(tmp_path) as meter:
            found, reason = summed(meter, readings(*self.SAMPLES))
        assert reason is None
        assert found is not None
        assert (found.source, found.seconds) == ("powercap", 2.0)
        # at 4.0, halfway from 24 to 64 J: 44 J, less the 4 J at 2.0
        assert found.domains == (EnergyDomain("package-0", joules=40.0, mean_w=20.0, idle_w=2.0),)

    def test_a_run_between_two_samples_has_none(self, tmp_path: Path) -> None:
        with self.one_domain(tmp_path) as meter:
            assert summed(meter, readings(*self.SAMPLES), (3.1, 3.2)) == (None, energy.SHORT)

    def test_of_two_domains_the_one_that_is_known_is_kept(self, tmp_path: Path) -> None:
        files = {k: v for k, v in TWO_SOCKETS.items() if "intel-rapl:0/" in k or "intel-rapl:2/" in k}
        del files["class/powercap/intel-rapl:2/max_energy_range_uj"]
        samples = [EnergySample(t, (value, 10 - int(t))) for t, value in self.SAMPLES]
        with self.meter(tmp_path, files) as meter:
            found, reason = summed(meter, samples)
        assert found is not None
        assert [domain.name for domain in found.domains] == ["package-0"]
        assert reason == "psys: the counter went back, and at what value it wraps is not known"

    def test_power_of_all_packages_is_their_sum(self, tmp_path: Path) -> None:
        with self.meter(tmp_path, TWO_SOCKETS) as meter:
            samples = [EnergySample(t, (value, value, 2 * value, value, value)) for t, value in self.SAMPLES]
            found, _ = summed(meter, samples)
        assert found is not None
        record = dataclasses.replace(make_record(make_trial("libbpf")), energy=found)
        assert (metrics.ENERGY.read(record), metrics.POWER.read(record)) == (120.0, 60.0)


def test_the_counters_of_this_machine_count() -> None:
    pmu, zones = Path("/sys/bus/event_source/devices/power"), Path("/sys/class/powercap").glob("intel-rapl:*")
    there = pmu.exists() or any(zones)
    if not there:
        pytest.skip("this machine has no RAPL: neither perf's power PMU nor powercap")
    if os.geteuid() != 0:
        pytest.skip("only root may read energy")
    with Meter() as meter:
        assert meter.source, meter.reasons
        before = take(meter)
        while (after := take(meter)).values == before.values:
            assert after.monotonic_s < before.monotonic_s + 5, "no counter moved in 5 s"
        spent = [energy.consumed([before, after], n, c)[-1].joules for n, c in enumerate(meter.counters)]
    assert any(spent)
    assert all(joule >= 0 for joule in spent)

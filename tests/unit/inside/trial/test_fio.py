# SPDX-License-Identifier: Apache-2.0
"""Outputs in data/fio are recorded from the shipped job files: 2 processes x 16 MiB, fio 3.39 (disk-full: 3.33)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bpfbench import catalogue
from bpfbench.inside.trial import fio
from bpfbench.model import RateProcess, Workload

DATA = Path(__file__).parents[3] / "data" / "fio"
WORKLOAD = Workload("read", processes=2, bytes_per_process=16 * 2**20)


def job_file(name: str) -> Path:
    return catalogue.PACKAGE / "workloads" / f"{name}.fio"


def recorded(name: str) -> str:
    return (DATA / name).read_text()


def changed(name: str, **values: Any) -> str:
    """A recorded output, with these values of its job changed."""
    data = json.loads(recorded(name))
    data["jobs"][0].update(values)
    return json.dumps(data, indent=2)


class TestParse:
    def test_a_reading_job(self) -> None:
        found = fio.parse(recorded("read.json"))
        assert found.version == "fio-3.39"
        assert (found.read_ios, found.write_ios, found.ios) == (8192, 0, 8192)
        assert found.bytes == 2 * 16 * 2**20
        assert found.runtime_s == 0.046
        assert found.throughput_bytes_per_s == pytest.approx(33_554_432 / 0.046)
        assert found.iops == pytest.approx(8192 / 0.046)
        assert found.latency_mean_us == pytest.approx(9.71885437)
        assert found.latency_sd_us == pytest.approx(160.881536838)
        assert found.user_cpu_percent == pytest.approx(7.228916)
        assert found.system_cpu_percent == pytest.approx(32.53012)

    @pytest.mark.parametrize(
        ("name", "seconds"),
        [("read.json", 1795406875.592), ("write.json", 1795406876.197), ("mixed.json", 1795406876.756)],
    )
    def test_a_job_started_when_its_processes_did_in_seconds_since_the_epoch(self, name: str, seconds: float) -> None:
        found = fio.parse(recorded(name))
        assert found.started_at_s == pytest.approx(seconds, abs=1e-6)
        assert found.started_at_s <= json.loads(recorded(name))["timestamp_ms"] / 1000 - found.runtime_s

    def test_a_writing_job(self) -> None:
        found = fio.parse(recorded("write.json"))
        assert (found.read_ios, found.write_ios) == (0, 8192)
        assert found.bytes == 33_554_432
        assert found.runtime_s == 0.107
        assert found.latency_mean_us == pytest.approx(23.03526062)
        assert found.system_cpu_percent == pytest.approx(22.680412)

    def test_a_mixed_job_is_both_directions_together(self) -> None:
        found = fio.parse(recorded("mixed.json"))
        assert (found.read_ios, found.write_ios) == (3990, 4202)
        assert found.bytes == 16_343_040 + 17_211_392
        assert found.runtime_s == 0.025
        assert found.throughput_bytes_per_s == pytest.approx(33_554_432 / 0.025)
        assert found.iops == pytest.approx(8192 / 0.025)

    def test_the_latency_of_a_mixed_job_is_that_of_all_its_ios(self) -> None:
        found = fio.parse(recorded("mixed.json"))
        mean_us = (3990 * 3.668255138 + 4202 * 3.376713946) / 8192
        assert found.latency_mean_us == pytest.approx(mean_us)
        assert found.latency_percentiles_us["50.000000"] == pytest.approx(1.944)

    def test_percentiles_keep_fios_names_and_come_in_microseconds(self) -> None:
        percentiles = fio.parse(recorded("read.json")).latency_percentiles_us
        assert percentiles["50.000000"] == pytest.approx(3.664)
        assert percentiles["99.000000"] == pytest.approx(5.856)
        assert list(percentiles.values()) == sorted(percentiles.values())

    @pytest.mark.parametrize("name", ["read.json", "write.json", "mixed.json"])
    def test_what_is_read_agrees_with_fios_own_totals(self, name: str) -> None:
        (job,) = json.loads(recorded(name))["jobs"]
        directions = [job["read"], job["write"]]
        found = fio.parse(recorded(name))
        assert found.iops == pytest.approx(sum(direction["iops"] for direction in directions))
        assert found.throughput_bytes_per_s == pytest.approx(sum(d["bw_bytes"] for d in directions), rel=1e-6)
        assert found.bytes == found.ios * 4096

    @pytest.mark.parametrize("name", ["read.json", "write.json", "mixed.json"])
    def test_a_recorded_job_obeys_littles_law(self, name: str) -> None:
        found = fio.parse(recorded(name))
        assert 0.2 < found.iops * found.latency_mean_us / 1e6 / WORKLOAD.processes < 1.05

    def test_a_warning_before_the_json_is_passed_over(self) -> None:
        text = recorded("warning.json")
        assert text.startswith("fio: time_based requires a runtime/timeout setting\n{")
        found = fio.parse(text)
        assert (found.read_ios, found.bytes) == (512, 2**21)

    def test_a_warning_that_has_braces_of_its_own_is_passed_over(self) -> None:
        text = "fio: directory=${BPFBENCH_DATA} is slow {really}\n" + recorded("read.json")
        assert fio.parse(text) == fio.parse(recorded("read.json"))


class TestFailures:
    def test_a_job_that_ended_with_an_error_is_refused_with_its_meaning(self) -> None:
        with pytest.raises(ValueError, match=r"^fio job 'layout' ended with error 28: No space left on device$"):
            fio.parse(recorded("disk-full.json"))

    def test_where_fio_wrote_no_json_its_words_are_kept(self) -> None:
        with pytest.raises(ValueError, match=r"no JSON in it: fio: /nowhere is not a directory"):
            fio.parse(recorded("no-directory.txt"))

    def test_an_empty_output_is_called_empty(self) -> None:
        with pytest.raises(ValueError, match=r"^no JSON in it: it is empty$"):
            fio.parse("")

    def test_an_output_that_was_cut_off_is_refused(self) -> None:
        text = recorded("read.json")
        with pytest.raises(ValueError):  # noqa: PT011 - json's own words
            fio.parse(text[: len(text) // 2])

    def test_a_job_that_did_no_io_is_refused(self) -> None:
        nothing = json.loads(recorded("read.json"))["jobs"][0]["write"]
        with pytest.raises(ValueError, match=r"^fio did no I/O$"):
            fio.parse(changed("read.json", read=nothing))

    def test_a_job_too_short_to_be_timed_is_refused(self) -> None:
        read = json.loads(recorded("read.json"))["jobs"][0]["read"]
        with pytest.raises(ValueError, match="less than a millisecond"):
            fio.parse(changed("read.json", read={**read, "runtime": 0}))

    @pytest.mark.parametrize("number", [0, 2])
    def test_an_output_of_more_or_fewer_jobs_than_one_is_refused(self, number: int) -> None:
        data = json.loads(recorded("read.json"))
        data["jobs"] *= number
        with pytest.raises(ValueError, match=f"^{number} fio jobs where one was due"):
            fio.parse(json.dumps(data, indent=2))


class TestCall:
    def test_fio_runs_the_job_file_and_keeps_all_it_measured(self) -> None:
        assert fio.call(WORKLOAD, "/x/read.fio", "/y/fio.json", "/data")[0] == (
            "fio",
            "--eta=never",
            "--output-format=json+",
            "--output=/y/fio.json",
            "--ioengine=psync",
            "/x/read.fio",
        )

    def test_job_files_get_size_and_place_from_the_environment(self) -> None:
        assert fio.call(WORKLOAD, "/x/read.fio", "/y/fio.json", "/data")[1] == {
            "BPFBENCH_DATA": "/data",
            "BPFBENCH_PROCESSES": "2",
            "BPFBENCH_BYTES": "16777216",
            "BPFBENCH_RATE_IOPS": "0",
            "BPFBENCH_HALF_RATE_IOPS": "0",
        }

    def test_bursts_come_at_a_rate_that_with_the_pauses_between_them_gives_the_mean(self) -> None:
        # 4096 I/Os at 10,000 a second take 0.4096 s: a tenth of it to do them, the rest to pause.
        bursts = replace(WORKLOAD, rate_iops=10_000, burst_ios=4096, duty_percent=10.0)
        argv, found = fio.call(bursts, "/x/read.fio", "/y/fio.json", "/data")
        assert argv[5:-1] == (
            "--thinktime=368640us",
            "--thinktime_blocks=4096",
            "--thinktime_blocks_type=issue",
            "--rate_ignore_thinktime=1",
        )
        assert found["BPFBENCH_RATE_IOPS"] == "100000"

    def test_a_process_that_is_not_linear_is_asked_for(self) -> None:
        random = replace(WORKLOAD, rate_iops=10_000, rate_process=RateProcess.POISSON)
        argv, found = fio.call(random, "/x/read.fio", "/y/fio.json", "/data")
        assert argv[5:-1] == ("--rate_process=poisson",)
        assert found["BPFBENCH_RATE_IOPS"] == "10000"

    def test_a_limited_rate_is_that_of_both_directions_together(self) -> None:
        _, found = fio.call(replace(WORKLOAD, rate_iops=5001), "/x/read.fio", "/y/fio.json", "/data")
        assert (found["BPFBENCH_RATE_IOPS"], found["BPFBENCH_HALF_RATE_IOPS"]) == ("5001", "2500")
        assert "rate_iops=${BPFBENCH_RATE_IOPS}" in job_file("read").read_text().splitlines()
        assert "rate_iops=${BPFBENCH_RATE_IOPS}" in job_file("write").read_text().splitlines()
        assert "rate_iops=${BPFBENCH_HALF_RATE_IOPS}" in job_file("mixed").read_text().splitlines()

    @pytest.mark.parametrize("name", [*catalogue.WORKLOADS, "layout"])
    def test_every_job_file_uses_that_environment(self, name: str) -> None:
        text = job_file(name).read_text()
        for variable in ("BPFBENCH_DATA", "BPFBENCH_PROCESSES", "BPFBENCH_BYTES"):
            assert f"${{{variable}}}" in text
        assert "group_reporting=1" in text

    @pytest.mark.parametrize("name", catalogue.WORKLOADS)
    def test_fio_does_not_read_sys_while_it_runs_which_tracers_would_see(self, name: str) -> None:
        assert "disk_util=0" in job_file(name).read_text().splitlines()

    @pytest.mark.parametrize("name", catalogue.WORKLOADS)
    def test_workloads_use_the_files_that_the_layout_writes_in_the_papers_block_size(self, name: str) -> None:
        text = job_file(name).read_text()
        assert "filename_format=fio.$jobnum" in text
        assert "filename_format=fio.$jobnum" in job_file("layout").read_text()
        assert "bs=4k" in text
        assert fio.data_files(WORKLOAD) == ("fio.0", "fio.1")

# SPDX-License-Identifier: Apache-2.0
"""The paper's circumstances beside a run's."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
from builders import make_config
from judged import make_run_info, some_run, tracer

from bpfbench import catalogue
from bpfbench.analysis.questions.claims.circumstances import Circumstance, circumstances, upstream
from bpfbench.analysis.questions.claims.run import run_witness
from bpfbench.model import Attach, Environment, Record


class TestCircumstances:
    def _beside(self, records: Sequence[Record], **machine: Any) -> dict[str, Circumstance]:
        stored = make_run_info(machine=machine)
        return {own.what: own for own in circumstances(catalogue.paper(), stored, run_witness(records).records)}

    def test_the_papers_own_are_the_same(self) -> None:
        placed: dict[str, tuple[int, ...]] = {"monitor": (0,), "workload": (1, 2, 3, 4, 5), "tracer": (1, 2, 3, 4, 5)}
        records = [
            dataclasses.replace(record, cpus=placed, environment=Environment("6.8.0-58-generic", "boot"))
            for record in some_run()
        ]
        beside = self._beside(
            records,
            cpu_model="Intel Core i5-9500",
            cpus=6,
            memory_bytes=16 * 2**30,
            virtual_machine=False,
            distribution="Ubuntu 24.04.2 LTS",
        )
        same = {what for what, own in beside.items() if own.same}
        assert {"kernel", "system", "CPU", "memory, GiB", "placement", "processes", "hook", "ring, bytes"} <= same
        assert {"GiB per process", "limit of the rate", "poll time-out, ms", "repetitions", "libbpf"} <= same
        assert beside["placement"].here == "monitors on 0, the rest on 1-5"

    def test_what_differs_is_set_side_by_side(self) -> None:
        config = make_config(attach=Attach.TRACEPOINT)
        shared: dict[str, tuple[int, ...]] = {"monitor": (0, 1), "workload": (0, 1)}
        records = [dataclasses.replace(tracer("bcc", n, config=config), cpus=shared) for n in range(5)]
        beside = self._beside(records)
        differs = {what: (own.paper, own.here) for what, own in beside.items() if own.same is False}
        assert differs["bcc"] == ("0.33", "0.31.0+ds-7")
        assert differs["hook"] == ("kprobe", "tracepoint")
        assert differs["placement"] == ("monitors on 0, the rest on 1-5", "everything on CPUs 0-1")
        assert differs["repetitions"] == ("3", "5")
        assert differs["CPU"][1] == "virtual, AMD EPYC, 2 CPUs"
        assert differs["disks"][1] == "data and output on /dev/vda (ext4); records on /dev/sda (xfs)"
        assert beside["libbpf"].same is None

    def test_what_was_not_recorded_is_said(self) -> None:
        stored = dataclasses.replace(make_run_info(), image={"name": "trixie", "key": "0"})
        for records in (some_run(), []):
            taken = run_witness([dataclasses.replace(record, cpus={}) for record in records]).records
            beside = {own.what: own for own in circumstances(catalogue.paper(), stored, taken)}
            assert (beside["placement"].here, beside["placement"].same) == ("not recorded", None)
            assert (beside["disks"].here, beside["disks"].same) == (
                "data and output on /dev/vda (ext4); records on /dev/sda (xfs)",
                False,
            )
            assert beside["libbpf"].same is None

    @pytest.mark.parametrize(
        ("package", "version"),
        [("1:1.5.0-3", "1.5.0"), ("0.31.0+ds-7", "0.31.0"), ("0.17.3", "0.17.3"), ("0.23.2-1", "0.23.2")],
    )
    def test_a_package_has_its_upstreams_version(self, package: str, version: str) -> None:
        assert upstream(package) == version

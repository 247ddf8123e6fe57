# SPDX-License-Identifier: Apache-2.0
"""Remarks on the paper: what can be said of its statements without any run.

They are no claims and are counted in no verdict: whatever a run measured, they would come out the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Remark:
    """One statement of the paper's, and what there is to say of it."""

    id: str
    section: str
    statement: str
    """What the paper says."""
    remark: str


def remarks(paper: Mapping[str, Any]) -> tuple[Remark, ...]:
    """Return all of them; `paper` is data/paper.toml."""
    return _latency_unit(paper), _events(paper["fio"])


def busy(paper: Mapping[str, Any], workload: str) -> float:
    """Return the seconds a process of vanilla's would spend in I/O calls per second, by Little's law.

    The mean latency printed is taken for microseconds. No process can spend more than 1 s of each second.
    """
    fio, vanilla = paper["fio"], paper["vanilla"][workload]
    iops = vanilla["throughput_mib_s"]["mean"] * MIB / fio["block_bytes"]
    return float(vanilla["latency_printed_ms"]["mean"] / 1e6 * iops / fio["processes"])


def _latency_unit(paper: Mapping[str, Any]) -> Remark:
    read, write = (paper["vanilla"][workload]["latency_printed_ms"]["mean"] for workload in ("read", "write"))
    spent = [busy(paper, workload) for workload in ("read", "write")]
    return Remark(
        "latency-unit",
        "3.1, 3.2",
        f"vanilla's mean latency is {read} ms when reading, {write} ms when writing",
        f"These must be microseconds. With the throughput printed, each of {paper['fio']['processes']} processes would"
        f" spend {1000 * spent[0]:.0f} and {1000 * spent[1]:.0f} s of every second in I/O calls were they milliseconds"
        f" (Little's law); as microseconds it is {spent[0]:.2f} and {spent[1]:.2f} s. bpfbench takes them for"
        " microseconds, and checks every trial by the same law.",
    )


def _events(fio: Mapping[str, Any]) -> Remark:
    count = fio["processes"] * fio["size_per_process_gib"] * 2**30 // fio["block_bytes"]
    return Remark(
        "events-fixed",
        "3.1",
        f"the benchmark generates a fixed amount of about {fio['events_printed'] / 1e6:.0f}M events",
        f"{fio['processes']} x {fio['size_per_process_gib']} GiB / {fio['block_bytes']} bytes are {count:,}. That fio"
        " makes all of them, and that a tracer sees each, is checked in every trial here; one of which it is not true"
        " is invalid and counts nowhere.",
    )

# SPDX-License-Identifier: Apache-2.0
"""The metrics of tracers that are commands: what they loaded, by the kernel's word, and received, by their own."""

from __future__ import annotations

from collections.abc import Callable

from bpfbench.analysis.metrics import RUNTIME, Metric, Reading, at, bpf_ns
from bpfbench.model import Record
from bpfbench.model.command import BpfUse


def _told_percent(record: Record) -> float | None:
    """Return what a command received of what it says there was, or of what the kernel counts, if that is the same."""
    account = record.command
    if account is None or account.received is None:
        return None
    if account.calls is not None:
        truth = account.calls.among(record.calls.reads, record.calls.writes) if record.calls else 0
    elif account.lost is not None:
        truth = account.received + account.lost
    else:
        return None
    return 100 * account.received / truth if truth else None


def _of_bpf(read: Callable[[BpfUse], float]) -> Reading:
    return lambda record: read(record.command.bpf) if record.command and record.command.bpf else None


def _bpf_share(record: Record) -> float | None:
    ns, target_s = bpf_ns(record), RUNTIME.read(record)
    return ns / 1e7 / target_s if record.command and ns is not None and target_s else None


METRICS = (
    RECEIVED := Metric(
        "received_events", "what a tracer that is a command received, by its own word", at("command.received")
    ),
    TOLD_LOST := Metric(
        "told_lost_events", "what a tracer that is a command lost, by its own word", at("command.lost")
    ),
    TOLD_PERCENT := Metric(
        "told_percent",
        "received_events in per cent of those and told_lost_events, by the tracer's own word; of one whose count is of"
        " calls that the kernel counts, in per cent of the kernel's count",
        _told_percent,
    ),
    LOADED := Metric(
        "loaded_programs",
        "BPF programs that a tracer which is a command had loaded",
        _of_bpf(lambda use: len(use.programs)),
    ),
    MAPS := Metric(
        "maps_bytes",
        "what the kernel charges for the maps of a tracer that is a command",
        _of_bpf(lambda use: sum(one.memory_bytes or 0 for one in use.maps)),
    ),
    BPF_SHARE := Metric(
        "bpf_percent",
        "run time of the BPF programs of a tracer that is a command, of any task, in per cent of one CPU over"
        " {target}'s runtime; in trials of the variant run-time only",
        _bpf_share,
    ),
    PRINTED := Metric(
        "printed_bytes", "what a tracer that is a command printed and wrote", at("command.printed_bytes")
    ),
)
"""All of them, in the order of the documents."""

CORRECTNESS = (RECEIVED, LOADED)
"""What is known of them on an emulated machine."""

# SPDX-License-Identifier: Apache-2.0
"""What each alternative to a setup changes: the tables of docs/fairness.md, of runs of the study fairness and more.

    python benchmarks/alternatives.py [--run RUN...] [--drain JSON...]

RUN is a run directory with setups and their alternatives, JSON what `bench drain --output` saved of them. Prints
Markdown: what the alternative has for 1 of the setup's, geometric mean over pairs (of a block; of a repetition of one
configuration) with its 95 % t interval over the logarithms, and the means. An interval that holds 1 is marked `~`.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bpfbench import catalogue, store
from bpfbench.analysis.inference import ratios
from bpfbench.analysis.metrics import BPF_TIME, PSS_PEAK, RUNTIME, SAVED_PERCENT, STARTUP, Reading
from bpfbench.analysis.results import pairing
from bpfbench.model import Record, Status, Variant

Pairs = dict[str, tuple[list[float], list[float], list[float]]]
"""What was measured -> log ratios, the alternative's values, the setup's values."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, nargs="*", default=[])
    parser.add_argument("--drain", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    print("| setup | measured | alternative | setup in its own right | ratio | pairs |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for name, setup in catalogue.SETUPS.items():
        if setup.alternative_to is None:
            continue
        for path in given.run:
            show(name, of_run(store.Run(path).records(), name, setup.alternative_to))
        for path in given.drain:
            show(name, of_drain(json.loads(path.read_text())["data"]["measurements"], name, setup.alternative_to))


def show(name: str, pairs: Pairs) -> None:
    """Print a line for each measurement."""
    for what, (logs, own, base) in pairs.items():
        if len(logs) < 2:
            continue
        (paired,) = ratios([logs])
        interval = paired.interval
        between = "" if interval is None else f" ({interval.low:.3f} to {interval.high:.3f})"
        noise = " ~" if interval is None or interval.low <= 1 <= interval.high else ""
        means = " | ".join(f"{statistics.fmean(values):.4g}" for values in (own, base))
        print(f"| {name} | {what} | {means} | {paired.ratio:.3f}{between}{noise} | {paired.n} |")


def _cpu_per_event(record: Record) -> float | None:
    usage, summary = record.usage, record.summary
    if usage is None or summary is None or usage.workload_user_s is None or usage.workload_system_s is None:
        return None
    return 1e9 * (usage.workload_user_s + usage.workload_system_s) / summary.saved


MEASURED: Mapping[str, tuple[Variant, Reading]] = {
    "start, s": (Variant.FULL, STARTUP.read),
    "PSS, bytes": (Variant.FULL, PSS_PEAK.read),
    "tracer CPU, ns per event saved": (Variant.FULL, _cpu_per_event),
    "saved, %": (Variant.FULL, SAVED_PERCENT.read),
    "fio's runtime, s": (Variant.FULL, RUNTIME.read),
    "kernel side, ns per event": (Variant.RUN_TIME, BPF_TIME.read),
}


def of_run(records: tuple[Record, ...], name: str, base: str) -> Pairs:
    """Pair the trials of a block."""
    counted = [record for record in records if record.status is Status.OK and record.trial.config]
    pairs: Pairs = {}
    for tool in dict.fromkeys(record.trial.tool for record in counted):
        for what, (variant, read) in MEASURED.items():
            mine, theirs = (
                [
                    record
                    for record in counted
                    if (record.trial.setup, record.trial.tool) == (setup, tool)
                    and record.trial.config is not None
                    and record.trial.config.variant is variant
                ]
                for setup in (name, base)
            )
            own, values = ({pairing(record): read(record) for record in side} for side in (mine, theirs))
            logs = [log for place, value in own.items() if (log := _log_ratio(value, values.get(place))) is not None]
            pairs[f"{tool}: {what}"] = (logs, _there(own.values()), _there(values.values()))
    return pairs


def _log_ratio(own: float | None, base: float | None) -> float | None:
    return math.log(own) - math.log(base) if own and base else None


def _there(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


DRAINED: Mapping[str, Callable[[Mapping[str, Any]], float | None]] = {
    "drain rate, events/s": lambda result: result["events"] / result["seconds"],
    "draining CPU, ns per event": lambda result: 1e9 * result["cpu_s"] / result["cpu_events"],
    "kernel side, waking, ns per event": lambda result: result["kernel"] and result["kernel"]["waiting_ns"],
    "kernel side, room in the ring, ns per event": lambda result: result["kernel"] and result["kernel"]["busy_ns"],
}


def of_drain(measurements: list[dict[str, Any]], name: str, base: str) -> Pairs:
    """Pair the repetitions of a configuration."""
    by_place: defaultdict[tuple[Any, ...], dict[str, dict[str, Any]]] = defaultdict(dict)
    for item in measurements:
        case, config = item["case"], item["case"]["config"]
        if item["reason"] is None:
            place = (case["event_bytes"], config["format"], config["ringbuf_bytes"], case["repetition"])
            by_place[place][case["setup"]] = item["result"]
    both = [(found[name], found[base]) for found in by_place.values() if name in found and base in found]
    return dict(_compared(both))


def _compared(
    both: list[tuple[dict[str, Any], dict[str, Any]]],
) -> Iterator[tuple[str, tuple[list[float], list[float], list[float]]]]:
    for what, read in DRAINED.items():
        values = [(read(own), read(base)) for own, base in both]
        found = [(own, base) for own, base in values if own and base]
        logs = [math.log(own) - math.log(base) for own, base in found]
        yield what, (logs, [own for own, _ in found], [base for _, base in found])


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""The delay of delivery: how long events took from their end until they could be read in a tracer's output."""

from __future__ import annotations

from dataclasses import dataclass

from bpfbench.model.driven import enough


@dataclass(frozen=True, slots=True)
class Delays:
    """Times from the end of events until they could be read in the tracer's output, in ns.

    Ends are exact; what lies between is within 1/64 of what that share of the events does not exceed.
    """

    min: int
    p50: int
    p99: int
    p999: int
    max: int

    @property
    def ascending(self) -> tuple[int, ...]:
        """All of them, the least first."""
        return self.min, self.p50, self.p99, self.p999, self.max


@dataclass(frozen=True, slots=True)
class Delivery:
    """What reading a tracer's output from a pipe found; the program is tracers/delivery."""

    records: int
    """Whole ones."""
    output_bytes: int
    """All that came out of the pipe."""
    notices: int
    """Lines of bpftrace's among the records."""
    torn: int
    """What is no record."""
    impossible: int
    """Records of events that ended after they could be read, or before the tracer was started."""
    delay_ns: Delays | None
    """Of all records that are possible; None where there is none."""

    def percentile_ms(self, percent: str) -> float | None:
        """Return a percentile ("99.9") of the delay; None where too little stands behind it."""
        if self.delay_ns is None or not enough(percent, self.records):
            return None
        return float(getattr(self.delay_ns, f"p{percent.replace('.', '')}")) / 1e6

# SPDX-License-Identifier: Apache-2.0
"""How a campaign on many hosts is going, at one moment: RUN/live.json."""

from __future__ import annotations

from dataclasses import dataclass

LIVE_FORMAT = 1


@dataclass(frozen=True, slots=True)
class LiveHost:
    """What one host is at."""

    name: str
    state: str
    """running, waiting (for its next block), away, or done."""
    trial: str
    """The one that it is at; empty where it is at none."""
    step: str
    since_s: float
    """When that step began, or the host went away: seconds since the epoch, by the controller's clock."""
    done: int
    """Trials of its own with a record."""
    planned: int
    failed: int
    """Of those done, how many do not count."""
    left_s: float
    """How long its own trials that are left take, about."""


@dataclass(frozen=True, slots=True)
class Live:
    """All of it."""

    format: int
    at_s: float
    """When this was so, seconds since the epoch."""
    run: str
    scheduler: str
    dashboard: str | None
    """Where Dask's own pages are, on the machine of the scheduler."""
    ended: bool
    left_s: float
    """How long all that is left takes, hosts side by side."""
    hosts: tuple[LiveHost, ...]
    said: tuple[str, ...]
    """The last of what was said of hosts and blocks that went wrong, oldest first."""

    @property
    def done(self) -> int:
        """Trials with a record."""
        return sum(host.done for host in self.hosts)

    @property
    def planned(self) -> int:
        """All trials."""
        return sum(host.planned for host in self.hosts)

    @property
    def failed(self) -> int:
        """Trials with a record that do not count."""
        return sum(host.failed for host in self.hosts)

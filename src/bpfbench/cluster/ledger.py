# SPDX-License-Identifier: Apache-2.0
"""The ledger: what of a run is done, by which host, and what is left; the one place where records of hosts come in.

All records of a block come from one spool (order.Origin). When another spool's come, those that were there are set
aside first, so that nothing is compared that was not measured on one host in one boot.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bpfbench import soundness
from bpfbench.cluster.order import ORIGIN, Origin, Parcel, ParcelError
from bpfbench.codec import from_json, to_json
from bpfbench.declare import estimate, plan
from bpfbench.errors import StoreError
from bpfbench.model import Record, Status, Trial
from bpfbench.run import campaign
from bpfbench.run.progress import Pace
from bpfbench.store import Run
from bpfbench.testbed.base import Sizes
from bpfbench.units import plural

LOG = logging.getLogger("bpfbench.cluster")


@dataclass(slots=True)
class OwnBlock:
    """A block, and how far it is."""

    number: int
    trials: tuple[Trial, ...]
    left: set[str]
    """Trials without a record."""
    origin: Origin | None = None
    """Whose records there are."""
    have: set[str] = field(default_factory=set)
    """Records there are, as SPOOL/NAME."""
    failed_on: dict[str, int] = field(default_factory=dict)
    """How often a host could not run it."""
    lost: str | None = None
    """Why it is not run any more."""

    @property
    def host(self) -> str:
        """Who is to run it."""
        return self.trials[0].host


class Ledger:
    """What is known of a run that is going on.

    Args:
        run: the run, locked.
        refused: ids of spools of which nothing is wanted any more.
    """

    def __init__(self, run: Run, refused: Iterable[str] = ()) -> None:
        self.run = run
        self.refused = set(refused)
        self.blocks: dict[int, OwnBlock] = {}
        self.open: dict[int, OwnBlock] = {}
        """Those that are still to be run."""
        self.done = 0
        """How many trials have a record."""
        self.disks = Sizes()
        """What the disks of virtual machines must hold."""
        self.trials: dict[str, Trial] = {}
        self.failed: dict[str, int] = defaultdict(int)
        """Trials with a record that does not count, by host."""
        self._seconds_of = estimate.seconds(run.info.study)
        self._pace = Pace(self._seconds_of)
        self._left_s: dict[str, float] = defaultdict(float)
        """Estimates, by host, before there is experience."""
        self.add(run.plan())
        for record in run.records():
            self.failed[record.trial.host] += record.status is not Status.OK

    def add(self, trials: Iterable[Trial]) -> None:
        """Take trials up, with the records that there are of them."""
        by_block: dict[int, list[Trial]] = defaultdict(list)
        for trial in trials:
            by_block[trial.block].append(trial)
            self.trials[trial.id] = trial
        done = self.run.done()
        for number, own in by_block.items():
            block = OwnBlock(number, tuple(own), {trial.id for trial in own} - done)
            self.blocks[number] = block
            self.done += len(own) - len(block.left)
            if block.left:
                self.open[number] = block
            self._count(block, 1)
            for path in (self.run.path / "trials" / trial.id / ORIGIN for trial in own if trial.id in done):
                block.origin = _origin(path)
                block.have.add(known(block.origin))
        for path in (self.run.path / "warm-ups").glob(f"*/{ORIGIN}"):
            origin = _origin(path)
            if (warmed := self.trials.get(origin.name.partition("-warm-up.")[0])) is not None:
                self.blocks[warmed.block].have.add(known(origin))
        self.disks = campaign.disks(self.run.info.study, plan.Plan(tuple(self.trials.values()), ()))

    def left_s(self, host: str) -> float:
        """Estimate how long what is left of a host takes."""
        return self._pace.scaled(max(0.0, self._left_s[host]))

    def all_left_s(self) -> float:
        """Estimate how long all that is left takes, hosts side by side."""
        return self._pace.scaled(max(0.0, *self._left_s.values(), 0.0))

    def receive(self, parcel: Parcel) -> Record | None:
        """Commit a record, whole or not at all; return it, or None where there was nothing to do.

        Raises:
            ParcelError: it is not one that was ordered.
            OSError, StoreError: the run directory cannot be written.
        """
        record, origin = parcel.record, parcel.origin
        if parcel.run != self.run.info.id:
            raise ParcelError("it is a record of another run")
        trial_id = record.trial.id.removesuffix("-warm-up") if record.trial.warm_up else record.trial.id
        if (planned := self.trials.get(trial_id)) is None:
            raise ParcelError(f"no trial of this run is called {record.trial.id!r:.80}")
        wanted = plan.warm_up(planned, None) if record.trial.warm_up else planned
        if record.trial != wanted or parcel.block != planned.block or origin.host != planned.host:
            raise ParcelError(f"it is not the trial {planned.id} that was ordered of {planned.host}")
        block = self.blocks[planned.block]
        if known(origin) in block.have or origin.spool in self.refused or block.lost:
            return None
        if block.origin is not None and block.origin.spool != origin.spool:
            aside = self.set_aside(block)
            LOG.warning("block %d begins anew: %s set aside", block.number, plural(aside, "record"))
        block.origin = origin
        folder = self.run.begin(record.trial)
        for name, content in parcel.files.items():
            (folder / name).write_bytes(content)
        (folder / ORIGIN).write_text(to_json(origin))
        self.run.commit(record.trial)
        block.have.add(known(origin))
        if record.trial.warm_up:
            return None
        block.left.discard(planned.id)
        self.done += 1
        if not block.left:
            self.open.pop(block.number, None)
        self._left_s[planned.host] -= self._seconds_of(planned)
        self._pace.add(planned, record.seconds)
        self.failed[planned.host] += record.status is not Status.OK
        return record

    def set_aside(self, block: OwnBlock) -> int:
        """Have a block's records no more: another attempt follows. Return how many they were."""
        there = [trial for trial in block.trials if trial.id not in block.left]
        self._count(block, -1)
        for trial in there:
            self.run.forget(trial.id)
        if block.origin is not None:
            self.refused.add(block.origin.spool)
        block.left = {trial.id for trial in block.trials}
        self.open[block.number] = block
        self.done -= len(there)
        block.origin = None
        block.have.clear()
        self._count(block, 1)
        return len(there)

    def move(self, block: OwnBlock, host: str) -> int:
        """Give a block to another host; return how many records are set aside for that."""
        aside = self.set_aside(block)
        self._count(block, -1)
        for trial in block.trials:
            del self.trials[trial.id]
        block.trials = tuple(plan.moved(trial, host, self.run.info.study) for trial in block.trials)
        block.left = {trial.id for trial in block.trials}
        self.trials |= {trial.id: trial for trial in block.trials}
        self._count(block, 1)
        moved = {trial.index: trial for trial in block.trials}
        self.run.revise(self.run.info, [moved.get(trial.index, trial) for trial in self.run.plan()])
        return aside

    def lose(self, block: OwnBlock, reason: str) -> None:
        """Give a block up."""
        self._count(block, -1)
        self.open.pop(block.number, None)
        block.lost = reason

    def _count(self, block: OwnBlock, sign: int) -> None:
        """Add what is left of a block to its host's, or take it away."""
        own = (self._seconds_of(trial) for trial in block.trials if trial.id in block.left)
        self._left_s[block.host] += sign * sum(own)


def _origin(path: Path) -> Origin:
    """Return from which attempt a record is.

    Raises:
        StoreError: that cannot be read.
    """
    try:
        if path.parent.is_symlink():
            raise ValueError("it is in a link, and none is followed")
        return from_json(Origin, soundness.content(path))
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path}: {error}", f"move {path.parent} elsewhere: its trial is then run again") from error


def known(origin: Origin) -> str:
    """Return what a record is known by."""
    return f"{origin.spool}/{origin.name}"


def forget_failed(run: Run) -> frozenset[str]:
    """Set the records of all blocks aside that have a failed trial; return the spools they are from."""
    records = run.records()
    failed = {record.trial.block for record in records if record.status is not Status.OK}
    spools = set()
    for record in records:
        if record.trial.block in failed:
            spools.add(_origin(run.path / "trials" / record.trial.id / ORIGIN).spool)
            run.forget(record.trial.id)
    return frozenset(spools)


def onto(run: Run, hosts: Sequence[str], machine: dict[str, Any]) -> int:
    """Have a run, of crossed assignment, go on with these hosts; return how many blocks others than before get.

    Args:
        run: the run, locked.
        hosts: who is there now.
        machine: its facts, with those of new hosts.
    """
    study = replace(run.info.study, hosts=tuple(hosts))
    run.revise(replace(run.info, study=study, machine=machine), run.plan())
    ledger = Ledger(run)
    homeless = [block for block in ledger.open.values() if block.host not in hosts]
    for at, block in enumerate(homeless):
        ledger.move(block, hosts[at % len(hosts)])
    return len(homeless)

# SPDX-License-Identifier: Apache-2.0
"""The controller: has hosts run a run's blocks, and commits the records that come back into the run directory.

It is another executor of the plan, like run/campaign.py: whatever has a record is not run again. Each host has one
block of the run at a time. All records of a block come from one spool (order.Origin); when another spool's come, those
that were there are set aside first, so that nothing is compared that was not measured on one host in one boot.
"""

from __future__ import annotations

import json
import logging
import queue
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bpfbench.cluster import code
from bpfbench.cluster.client import Changed, Cluster, Gone, Heard, LostSchedulerError, TaskEnded
from bpfbench.cluster.connection import Connection
from bpfbench.cluster.order import ORIGIN, BlockOrder, Origin, Parcel, ParcelError, unpack
from bpfbench.codec import from_json, to_json
from bpfbench.declare import plan
from bpfbench.model import Record, Status, Study, Trial
from bpfbench.run import campaign
from bpfbench.run.progress import Pace, ProgressReporter
from bpfbench.store import Run
from bpfbench.testbed.base import Sizes
from bpfbench.units import duration

LOG = logging.getLogger("bpfbench.cluster")

PATIENCE_S = 600.0
"""How long a host may be away, or a scheduler, before it is given up."""
TICK_S = 1.0
LOOK_S = 30.0
"""How often it is looked who is there, unless somebody comes or goes."""
FORGET_S = 10.0
"""How long hosts are given at the end to tidy up; what they do not, they do when it is old."""
TRIES = 3
"""How often a block may fail on a host."""
SAME = ("node", "kernel", "cpus", "cpu_model")
"""What of a host must not change in a run."""


@dataclass(slots=True)
class Block:
    """A block, and how far it is."""

    number: int
    trials: tuple[Trial, ...]
    left: set[str]
    """Trials without a record."""
    origin: Origin | None = None
    """Whose records there are."""
    have: set[str] = field(default_factory=set)
    """Records there are, as SPOOL/NAME."""
    task: str | None = None
    """That is under way."""
    tries: int = 0
    lost: str | None = None
    """Why it is not run any more."""

    @property
    def host(self) -> str:
        """Who is to run it."""
        return self.trials[0].host


@dataclass(slots=True)
class Away:
    """A host that is not there."""

    since_s: float
    told: bool = False


class Controller:
    """Runs what is left of a run. See `execute`."""

    def __init__(
        self,
        run: Run,
        connection: Connection,
        reporter: ProgressReporter,
        *,
        patience_s: float = PATIENCE_S,
        refused: Iterable[str] = (),
        further: Callable[[], Sequence[Trial]] = tuple,
    ) -> None:
        self._run = run
        self._connection = connection
        self._reporter = reporter
        self._patience_s = patience_s
        self._refused = set(refused)
        self._further = further
        self._blocks: dict[int, Block] = {}
        self._trials: dict[str, Trial] = {}
        self._done = 0
        self._pace = Pace(plan.seconds_of)
        self._away: dict[str, Away] = {}
        self._present: frozenset[str] = frozenset()
        self._looked_s = float("-inf")
        self._disks = Sizes()
        self._forgetting: dict[str, str] = {}
        """The last request of its kind, by host."""
        self._add(run.plan())

    @property
    def lost(self) -> dict[str, list[int]]:
        """The numbers of the blocks that were given up, by reason."""
        found: dict[str, list[int]] = defaultdict(list)
        for block in self._blocks.values():
            if block.lost:
                found[block.lost].append(block.number)
        return found

    def attend(self) -> None:
        """Have all blocks run, through lost schedulers and hosts that come back.

        Raises:
            LostSchedulerError: the scheduler has been away for longer than our patience.
            StoreError: the run directory cannot be written.
        """
        lost_s: float | None = None
        while self._any_left():
            try:
                with Cluster(self._connection) as cluster:
                    lost_s = None
                    self._looked_s = float("-inf")
                    try:
                        self._attend(cluster)
                        cluster.answers(self._forgetting, FORGET_S)
                    except BaseException:
                        self._stop(cluster)
                        raise
            except LostSchedulerError as error:
                for block in self._blocks.values():
                    block.task = None
                lost_s = time.monotonic() if lost_s is None else lost_s
                if time.monotonic() - lost_s > self._patience_s:
                    raise
                LOG.warning("%s; hosts go on with their blocks, and it is looked for again", error.message)
                time.sleep(min(5.0, self._patience_s / 10))

    def _any_left(self) -> bool:
        """Tell whether there is something to be run, asking for more if there is not."""
        if any(block.left and not block.lost for block in self._blocks.values()):
            return True
        if any(block.lost for block in self._blocks.values()):
            return False  # a further round would be no complete study
        more = self._further()
        self._add(more)
        return bool(more)

    def _add(self, trials: Iterable[Trial]) -> None:
        """Take trials up, with the records that there are of them."""
        by_block: dict[int, list[Trial]] = defaultdict(list)
        for trial in trials:
            by_block[trial.block].append(trial)
            self._trials[trial.id] = trial
        done = self._run.done()
        for number, own in by_block.items():
            block = Block(number, tuple(own), {trial.id for trial in own} - done)
            self._blocks[number] = block
            self._done += len(own) - len(block.left)
            for path in (self._run.path / "trials" / trial.id / ORIGIN for trial in own if trial.id in done):
                block.origin = from_json(Origin, path.read_bytes())
                block.have.add(_known(block.origin))
        for path in (self._run.path / "warm-ups").glob(f"*/{ORIGIN}"):
            origin = from_json(Origin, path.read_bytes())
            if (warmed := self._trials.get(origin.name.partition("-warm-up.")[0])) is not None:
                self._blocks[warmed.block].have.add(_known(origin))
        unrolled = plan.Plan(tuple(self._trials.values()), ())
        self._disks = campaign.disks(self._run.info.study, unrolled)

    def _attend(self, cluster: Cluster) -> None:
        while self._any_left():
            self._look(cluster)
            self._dispatch(cluster)
            try:
                item = cluster.news.get(timeout=TICK_S)
            except queue.Empty:
                continue
            if isinstance(item, Gone):
                raise LostSchedulerError(f"scheduler {self._connection.scheduler} is lost")
            if isinstance(item, Changed):
                self._looked_s = min(self._looked_s, time.monotonic() - LOOK_S + TICK_S)
            elif isinstance(item, TaskEnded):
                self._task_ended(cluster, item.key)
            else:
                self._hear(item)

    def _look(self, cluster: Cluster) -> None:
        """See who is there, and give up who has been away for too long."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            self._present = cluster.present()
        for host in {block.host for block in self._blocks.values() if block.left and not block.lost}:
            if host in self._present:
                if (away := self._away.pop(host, None)) is not None and away.told:
                    LOG.info("host %s is back", host)
                continue
            away = self._away.setdefault(host, Away(now_s))
            if not away.told:
                LOG.warning("host %s is not there; its blocks wait for %s", host, duration(self._patience_s))
                away.told = True
            if now_s - away.since_s > self._patience_s:
                reason = f"host {host} has been away for {duration(now_s - away.since_s)}"
                self._give_up(cluster, host, reason)

    def _give_up(self, cluster: Cluster, host: str, reason: str) -> None:
        """Give a host's blocks to others, where any may run them."""
        own = [block for block in self._blocks.values() if block.host == host and block.left and not block.lost]
        for block in own:
            if block.task:
                cluster.release(block.task)
                block.task = None
            block.lost = reason
        LOG.warning("%s: %d blocks are not run", reason, len(own))

    def _dispatch(self, cluster: Cluster) -> None:
        """Give each host that is there its next block, unless it has one."""
        busy = {block.host for block in self._blocks.values() if block.task}
        for block in self._blocks.values():
            if block.left and not block.lost and block.host in self._present and block.host not in busy:
                busy.add(block.host)
                order = self._order(block)
                refused = tuple(sorted(self._refused))
                block.task = cluster.order(block.host, order, tuple(sorted(block.have)), refused)

    def _order(self, block: Block) -> BlockOrder:
        info = self._run.info
        return BlockOrder(
            run=info.id,
            code=code.digest(),
            study=alone(info.study, block.host),
            trials=block.trials,
            image=info.image["key"],
            executables=info.executables,
            data_bytes=self._disks.data,
            output_bytes=self._disks.output,
        )

    def _hear(self, item: Heard) -> None:
        message = item.message
        kind = message.get("kind")
        try:
            if kind == "record":
                self._receive(unpack(message))
            elif kind == "end":
                self._block_ended(message)
            elif kind == "news":
                self._show(message)
            elif kind == "ground":
                self._compare(message)
        except ParcelError as error:
            LOG.warning("refused: a message from host %.80s: %s", message.get("host"), error)

    def _receive(self, parcel: Parcel) -> None:
        """Commit a record, whole or not at all.

        Raises:
            ParcelError: it is not one that was ordered.
        """
        record, origin = parcel.record, parcel.origin
        if parcel.run != self._run.info.id:
            raise ParcelError("it is a record of another run")
        trial_id = record.trial.id.removesuffix("-warm-up") if record.trial.warm_up else record.trial.id
        if (planned := self._trials.get(trial_id)) is None:
            raise ParcelError(f"no trial of this run is called {record.trial.id!r:.80}")
        wanted = plan.warm_up(planned, None) if record.trial.warm_up else planned
        if record.trial != wanted or parcel.block != planned.block or origin.host != planned.host:
            raise ParcelError(f"it is not the trial {planned.id} that was ordered of {planned.host}")
        block = self._blocks[planned.block]
        if _known(origin) in block.have or origin.spool in self._refused:
            return
        if block.origin is not None and block.origin.spool != origin.spool:
            self._set_aside(block)
        block.origin = origin
        folder = self._run.begin(record.trial)
        for name, content in parcel.files.items():
            (folder / name).write_bytes(content)
        (folder / ORIGIN).write_text(to_json(origin))
        self._run.commit(record.trial)
        block.have.add(_known(origin))
        if not record.trial.warm_up:
            block.left.discard(planned.id)
            self._done += 1
            self._pace.add(planned, record.seconds)
            self._reporter.trial_ended(record, record.seconds, self._done, len(self._trials), self._left_s())

    def _set_aside(self, block: Block) -> None:
        """Have a block's records no more: they are of an attempt that another has followed."""
        there = [trial for trial in block.trials if trial.id not in block.left]
        for trial in there:
            self._run.forget(trial.id)
        if block.origin is not None:
            self._refused.add(block.origin.spool)
        self._done -= len(there)
        block.left = {trial.id for trial in block.trials}
        block.origin = None
        block.have.clear()
        if there:
            LOG.warning("block %d begins anew: %d records of the first attempt are set aside", block.number, len(there))

    def _left_s(self) -> float:
        """Estimate how long what is left takes, hosts side by side."""
        own: dict[str, list[Trial]] = defaultdict(list)
        for block in self._blocks.values():
            if block.left and not block.lost:
                own[block.host] += [trial for trial in block.trials if trial.id in block.left]
        return max((self._pace.left_s(trials) for trials in own.values()), default=0.0)

    def _block_of(self, message: Any) -> Block:
        """Return the block that a message is about.

        Raises:
            ParcelError: it is about none that its host was given.
        """
        number = message.get("block")
        block = self._blocks.get(number) if type(number) is int else None
        if block is None or message.get("host") != block.host:
            raise ParcelError("it is about no block that the host was given")
        return block

    def _block_ended(self, message: Any) -> None:
        block = self._block_of(message)
        if not block.left:
            return  # all of it is here, so the host may forget it
        reason = message.get("reason")
        if reason is not None:
            block.tries += 1
            LOG.warning("host %s: block %d: %s", block.host, block.number, str(reason)[:2000])
            if block.tries >= TRIES:
                block.lost = f"host {block.host} cannot run it"

    def _task_ended(self, cluster: Cluster, key: str) -> None:
        """A task has ended: where its block has not, it is ordered again, and the host goes on with it."""
        cluster.release(key)
        for block in self._blocks.values():
            if block.task == key:
                block.task = None
                if not block.left:
                    self._forgetting[block.host] = self._forget(cluster, block)

    def _forget(self, cluster: Cluster, block: Block) -> str:
        """Have a host delete what it keeps of a block that is all here."""
        return cluster.ask(block.host, "forget", {"run": self._run.info.id, "blocks": [block.number]})

    def _show(self, message: Any) -> None:
        self._block_of(message)

    def _compare(self, message: Any) -> None:
        """Refuse a host that is not what it was.

        Raises:
            ParcelError: it says nothing of itself.
        """
        block = self._block_of(message)
        try:
            now = json.loads(message["ground"])["facts"]
            began = self._run.info.machine["hosts"][block.host]
            changed = [what for what in ("kernel", "cpus", "cpu_model") if now[what] != began[what]]
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ParcelError(f"it says nothing of its ground: {error}") from None
        if changed:
            what = changed[0]
            block.lost = f"host {block.host} began with {what} {began[what]}, and has {now[what]!r:.80} now"
            LOG.warning("%s: its block %d is not run", block.lost, block.number)

    def _stop(self, cluster: Cluster) -> None:
        """Have every host end what it runs of this run; what is finished is kept there."""
        for host in {block.host for block in self._blocks.values() if block.task}:
            cluster.ask(host, "stop", {"run": self._run.info.id})


def alone(study: Study, host: str) -> Study:
    """Return the study that a host is given: of itself alone, on the testbed below."""
    return replace(study, testbed=study.ground, below=None, hosts=(host,))


def _known(origin: Origin) -> str:
    return f"{origin.spool}/{origin.name}"


def execute(
    run: Run,
    connection: Connection,
    reporter: ProgressReporter,
    *,
    retry_failed: bool = False,
    patience_s: float = PATIENCE_S,
    further: Callable[[], Sequence[Trial]] = tuple,
) -> None:
    """Run every trial that has no record yet, on the hosts of a cluster. May be interrupted anywhere, and resumed.

    Args:
        run: the run.
        connection: to the cluster.
        reporter: who is told.
        retry_failed: run blocks with failed and invalid trials again, whole.
        patience_s: how long a host or the scheduler may be away.
        further: asked for more once all is done, which it has added to the plan; nothing: that was all.

    Raises:
        LostSchedulerError: there is no scheduler.
        StoreError: the run directory cannot be written, or another campaign is running in it.
    """
    with run.locked():
        run.discard_partial()
        refused = _forget_failed(run) if retry_failed else ()
        controller = Controller(run, connection, reporter, patience_s=patience_s, refused=refused, further=further)
        try:
            controller.attend()
        finally:
            run.discard_partial()
        for reason, blocks in controller.lost.items():
            LOG.warning("%s; blocks without records: %s", reason, ", ".join(map(str, blocks)))


def _forget_failed(run: Run) -> tuple[str, ...]:
    """Set the records of all blocks aside that have a failed trial; return the spools they are from."""
    records: list[Record] = list(run.records())
    failed = {record.trial.block for record in records if record.status is not Status.OK}
    spools = set()
    for record in records:
        if record.trial.block in failed:
            spools.add(from_json(Origin, (run.path / "trials" / record.trial.id / ORIGIN).read_bytes()).spool)
            run.forget(record.trial.id)
    return tuple(spools)

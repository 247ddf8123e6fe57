# SPDX-License-Identifier: Apache-2.0
"""The controller: has hosts run a run's blocks, and their records committed into the run directory.

It is another executor of the plan, like run/campaign.py: whatever has a record is not run again. Each host has one
block of the run at a time, and is asked first what it has of it: a block goes on where it was begun.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bpfbench.cluster import code, live, settings
from bpfbench.cluster.client import Changed, Cluster, Gone, Heard, LostSchedulerError, TaskEnded, answered
from bpfbench.cluster.connection import Connection, keep
from bpfbench.cluster.ledger import Ledger, OwnBlock, forget_failed
from bpfbench.cluster.live import HostNow
from bpfbench.cluster.order import BlockOrder, ParcelError, unpack
from bpfbench.errors import MachineError
from bpfbench.model import Assignment, Trial
from bpfbench.run.progress import ProgressReporter
from bpfbench.store import Run
from bpfbench.units import duration, plural

LOG = logging.getLogger("bpfbench.cluster")

PATIENCE_S = 600.0
"""How long a host may be away, or the scheduler, before it is given up."""
TICK_S = 1.0
"""How often is looked at what no message tells."""
LOOK_S = 15.0
"""How often it is asked who is there, unless somebody comes or goes."""
FORGET_S = 10.0
"""How long hosts are given at the end to tidy up; what they do not, they do when it is old."""
TRIES = 3
"""How often a block may fail on a host."""
PAUSE_S = 10.0
"""How long a host is left alone after a block has failed there."""
SAID = 8
"""How many of the last warnings are at hand."""
SAME = ("kernel", "cpus", "cpu_model")
"""What of a host must not change in a run."""


class Controller:
    """Runs what is left of a run. See `execute`."""

    def __init__(
        self,
        ledger: Ledger,
        connection: Connection,
        reporter: ProgressReporter,
        *,
        patience_s: float = PATIENCE_S,
        further: Callable[[], Sequence[Trial]] = tuple,
    ) -> None:
        self._ledger = ledger
        self._run = ledger.run
        self._connection = connection
        self._reporter = reporter
        self._patience_s = patience_s
        self._further = further
        self._hosts: dict[str, HostNow] = defaultdict(HostNow)
        self._asked: dict[str, tuple[str, str]] = {}
        """Host and kind of each request, by what its answer is known by."""
        self._tasks: dict[str, str] = {}
        """The host of each task of a block."""
        self._looked_s = self._ticked_s = self._told_s = float("-inf")
        self._present: dict[str, float] = {}
        """When hosts were last heard of that are there."""
        self._silent: set[str] = set()
        self._said: deque[str] = deque(maxlen=SAID)
        self._dashboard: str | None = None

    def attend(self) -> None:
        """Have all blocks run, through lost schedulers and hosts that come back.

        Raises:
            LostSchedulerError: the scheduler has been away for longer than our patience.
            OSError, StoreError: the run directory cannot be written.
        """
        lost_s: float | None = None
        while self._any_left():
            try:
                with Cluster(self._connection) as cluster:
                    if lost_s is not None:
                        LOG.info("scheduler %s is back", self._connection.scheduler)
                    lost_s = None
                    self._attend(cluster)
            except LostSchedulerError as error:
                now_s = time.monotonic()
                if lost_s is None:
                    lost_s = now_s
                    self._warn(f"{error.message}; hosts go on with their blocks, and it is looked for")
                if now_s - lost_s > self._patience_s:
                    raise
                time.sleep(min(5.0, self._patience_s / 10))
        self._tell(ended=True)

    def _any_left(self) -> bool:
        """Tell whether there is something to be run, asking for more if there is not."""
        if self._ledger.open:
            return True
        if any(block.lost for block in self._ledger.blocks.values()):
            return False  # a further round would be of no complete study
        more = self._further()
        self._ledger.add(more)
        return bool(more)

    def _attend(self, cluster: Cluster) -> None:
        self._looked_s = self._ticked_s = float("-inf")
        self._tasks.clear()
        self._hosts = defaultdict(HostNow, {host: HostNow(unfit=now.unfit) for host, now in self._hosts.items()})
        self._asked.clear()
        self._dashboard = cluster.dashboard()
        try:
            while self._any_left():
                self._tick(cluster)
                try:
                    self._take(cluster, cluster.news.get(timeout=TICK_S))
                except queue.Empty:
                    continue
            self._part(cluster)
        except LostSchedulerError:
            raise
        except BaseException:
            for host in [host for host, now in self._hosts.items() if now.task]:
                self._ask(cluster, host, "stop")  # what is finished is kept there
            time.sleep(TICK_S)
            raise

    def _part(self, cluster: Cluster) -> None:
        """Wait a little for tasks that are about to end, and for hosts to have tidied up."""
        deadline_s = time.monotonic() + FORGET_S
        while time.monotonic() < deadline_s:
            if not self._tasks and all(kind != "forget" for _, kind in self._asked.values()):
                return
            with contextlib.suppress(queue.Empty):
                self._take(cluster, cluster.news.get(timeout=TICK_S / 4))

    def _take(self, cluster: Cluster, item: object) -> None:
        if isinstance(item, Gone):
            raise LostSchedulerError(f"scheduler {self._connection.scheduler} is lost")
        if isinstance(item, Changed):
            self._looked_s = min(self._looked_s, time.monotonic() - LOOK_S + TICK_S)
        elif isinstance(item, TaskEnded):
            self._task_ended(cluster, item.key)
        elif isinstance(item, Heard):
            host = str(item.message.get("host"))
            if host in self._hosts and self._hosts[host].away_s is not None:  # it may send all that there was left
                self._look(cluster, time.monotonic())
                self._see(cluster, host, time.monotonic())
            try:
                self._hear(cluster, item.message)
            except ParcelError as error:
                self._warn(f"refused: a message from host {host[:80]}: {error}")

    # What happens by itself

    def _tick(self, cluster: Cluster) -> None:
        """See who is there, give up who has been away for too long, and give work to who has none."""
        now_s = time.monotonic()
        if now_s - self._ticked_s < TICK_S / 4:
            return
        self._ticked_s = now_s
        if now_s - self._looked_s >= LOOK_S:
            self._look(cluster, now_s)
        waiting: dict[str, list[OwnBlock]] = defaultdict(list)
        homeless = []
        for block in self._ledger.open.values():
            now = self._hosts[block.host]
            if now.unfit or now.given_up or block.failed_on.get(block.host, 0) >= TRIES:
                homeless.append(block)
            else:
                waiting[block.host].append(block)
        for host in waiting.keys() | self._hosts.keys():
            self._see(cluster, host, now_s)
            now = self._hosts[host]
            if now.ready and now.task is None and waiting[host] and now_s >= now.rest_s:
                first = min(waiting[host], key=lambda own: (own.number not in self._hosts[own.host].begun, own.number))
                self._order(cluster, host, now, first)
        self._rehome(cluster, homeless, [host for host in self._hosts if not waiting[host]])
        if now_s - self._told_s >= live.EVERY_S:
            self._told_s = now_s
            self._tell()

    def _look(self, cluster: Cluster, now_s: float) -> None:
        """Ask who is there, and note who has come or gone."""
        before_s, self._looked_s = self._looked_s, now_s
        present = cluster.present()
        if now_s - before_s >= LOOK_S / 2:  # a worker speaks more often than that
            self._listen({host for host, heard in present.items() if self._present.get(host) == heard})
        self._present = present

    def _listen(self, silent: set[str]) -> None:
        """Say which hosts have fallen silent since, and which have not; they are there still, as far as is known."""
        if fallen := sorted(silent - self._silent):
            named = ", ".join(fallen[:SAID]) + (f" and {len(fallen) - SAID} more" if len(fallen) > SAID else "")
            self._warn(f"silent: {named}; a host is taken for gone after {duration(settings.LOST_S)} of that")
        for host in sorted(self._silent - silent):
            LOG.info("host %s is heard again", host)
        self._silent = silent

    def _see(self, cluster: Cluster, host: str, now_s: float) -> None:
        """Note whether a host is there, and ask one that has come what it has."""
        now = self._hosts[host]
        if host not in self._present:
            now.ready, now.asked_s = False, None
            if now.away_s is None:
                now.away_s, now.since_s = now_s, time.time()
                self._warn(f"host {host} is not there; its blocks wait for {duration(self._patience_s)}")
            elif now_s - now.away_s > self._patience_s and not now.given_up:
                now.given_up = f"host {host} has been away for {duration(now_s - now.away_s)}"
                self._warn(f"{now.given_up}, and is not waited for")
                self._drop_task(cluster, now)
        else:
            if now.away_s is not None:
                LOG.info("host %s is back", host)
            now.away_s, now.given_up = None, ""
            if not now.ready and (now.asked_s is None or now_s - now.asked_s > 4 * LOOK_S):
                now.asked_s = now_s
                self._ask(cluster, host, "blocks")

    def _rehome(self, cluster: Cluster, homeless: Sequence[OwnBlock], free: Sequence[str]) -> None:
        """Give blocks that their host does not run to hosts that have none, where any may run them."""
        crossed = self._run.info.study.assignment is Assignment.CROSSED
        fit = {host: now for host, now in self._hosts.items() if not now.unfit and not now.given_up}
        idle = [host for host in free if host in fit and fit[host].ready and fit[host].task is None]
        for block in homeless:
            able = {host for host in fit if block.failed_on.get(host, 0) < TRIES}
            if not (crossed and able):
                self._lose(block, "nobody else is there for it" if crossed else "its setups belong there (by-setup)")
            elif takers := [host for host in idle if host in able]:
                host = takers[0]
                idle.remove(host)
                before = block.host
                aside = self._ledger.move(block, host)
                also = f"; {plural(aside, 'record')} of the first attempt set aside" if aside else ""
                self._warn(f"block {block.number} of {before} goes to {host}{also}")
                self._order(cluster, host, self._hosts[host], block)

    def _lose(self, block: OwnBlock, why: str) -> None:
        """Give a block up for good."""
        now = self._hosts[block.host]
        reason = now.unfit or now.given_up or f"host {block.host} cannot run it"
        self._warn(f"block {block.number} is not run: {reason}; {why}")
        self._ledger.lose(block, reason)

    def _drop_task(self, cluster: Cluster, now: HostNow) -> None:
        """Want a host's task no more."""
        if now.task:
            self._tasks.pop(now.task, None)
            cluster.release(now.task)
            now.task = now.block = None

    def _order(self, cluster: Cluster, host: str, now: HostNow, block: OwnBlock) -> None:
        """Have a host run a block."""
        info = self._run.info
        order = BlockOrder(
            run=info.id,
            code=code.digest(),
            study=info.study.on(host),
            trials=block.trials,
            image=info.image["key"],
            executables=info.executables,
            parts=info.parts,
            data_bytes=self._ledger.disks.data,
            output_bytes=self._ledger.disks.output,
        )
        refused = tuple(sorted(self._ledger.refused))
        now.task, now.block = cluster.order(host, order, tuple(sorted(block.have)), refused), block
        self._tasks[now.task] = host
        now.trial, now.step, now.since_s = "", "begins", time.time()

    # What is heard

    def _hear(self, cluster: Cluster, message: Mapping[str, Any]) -> None:
        kind = message.get("kind")
        if kind == "record":
            record = self._ledger.receive(unpack(message))
            if record is not None:
                self._ledger.blocks[record.trial.block].failed_on.clear()
                done, total = self._ledger.done, len(self._ledger.trials)
                self._reporter.trial_ended(record, record.seconds, done, total, self._ledger.all_left_s())
        elif kind == "answer":
            self._hear_answer(cluster, message)
        elif kind in ("end", "news", "ground"):
            host, block = self._about(message)
            if kind == "news":
                self._hear_news(host, message)
            elif kind == "ground":
                self._compare(cluster, host, message)
            elif block.left and (reason := message.get("reason")) is not None:
                self._failed(cluster, host, block, str(reason)[:500])

    def _about(self, message: Mapping[str, Any]) -> tuple[str, OwnBlock]:
        """Return the host and block that a message is about.

        Raises:
            ParcelError: it is about none that its host has.
        """
        number, host = message.get("block"), message.get("host")
        block = self._ledger.blocks.get(number) if type(number) is int else None
        if block is None or not isinstance(host, str) or host != block.host:
            raise ParcelError("it is about no block that the host has")
        return host, block

    def _hear_answer(self, cluster: Cluster, message: Mapping[str, Any]) -> None:
        host, kind = self._asked.pop(str(message.get("nonce")), ("", ""))
        answer = answered(host, message)
        if kind != "blocks":
            return
        if isinstance(answer, MachineError):
            raise ParcelError(answer.message)
        begun, stale = set(), []
        for number in (int(name) for name in answer if name.isdecimal()):
            block = self._ledger.blocks.get(number)
            if block is not None and block.host == host and block.left and not block.lost:
                begun.add(number)
            else:
                stale.append(number)
        if stale:
            self._ask(cluster, host, "forget", blocks=stale)
        if begun:
            LOG.info("host %s has begun %s of this run, and goes on with it", host, plural(len(begun), "block"))
        self._hosts[host].begun = frozenset(begun)
        self._hosts[host].ready = True

    def _hear_news(self, host: str, message: Mapping[str, Any]) -> None:
        now, before = self._hosts[host], self._hosts[host].trial
        now.trial, now.step = str(message.get("trial"))[:200], str(message.get("step"))[:80]
        now.since_s = time.time()
        trial = self._ledger.trials.get(now.trial)
        if trial is not None and now.trial != before:
            done, total = self._ledger.done, len(self._ledger.trials)
            self._reporter.trial_began(trial, done, total, self._ledger.all_left_s())

    def _compare(self, cluster: Cluster, host: str, message: Mapping[str, Any]) -> None:
        """Refuse a host that is not what it was.

        Raises:
            ParcelError: it says nothing of itself.
        """
        try:
            now = json.loads(message["ground"])["facts"]
            began = self._run.info.machine["hosts"][host]
            changed = [what for what in SAME if now[what] != began[what]]
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ParcelError(f"it says nothing of its ground: {str(error)[:80]}") from None
        if changed and not self._hosts[host].unfit:
            what = changed[0]
            unfit = f"host {host} began with {what} {began[what]}, and has {str(now[what])[:80]} now"
            self._hosts[host].unfit = unfit
            self._warn(unfit)
            self._drop_task(cluster, self._hosts[host])
            self._ask(cluster, host, "stop")

    def _failed(self, cluster: Cluster, host: str, block: OwnBlock, reason: str) -> None:
        """Count a block that a host could not run, and give it up there when that is enough."""
        count = block.failed_on[host] = block.failed_on.get(host, 0) + 1
        self._hosts[host].rest_s = time.monotonic() + PAUSE_S
        self._warn(f"host {host}: block {block.number}: {reason}")
        if count >= TRIES:
            self._drop_task(cluster, self._hosts[host])

    def _task_ended(self, cluster: Cluster, key: str) -> None:
        """A task has ended: where its block has not, it is ordered again, and the host goes on with it."""
        cluster.release(key)
        host = self._tasks.pop(key, "")
        if host and (now := self._hosts[host]).task == key:
            block, now.task, now.block, now.trial, now.step = now.block, None, None, "", ""
            if block is not None and not block.left:
                self._ask(cluster, host, "forget", blocks=[block.number])
            elif block is not None and block.host == host and now.rest_s < time.monotonic():
                self._failed(cluster, host, block, "the worker says that it is done, and it is not")
            self._ticked_s = float("-inf")  # it is to have its next one at once

    def _ask(self, cluster: Cluster, host: str, kind: str, **asked: Any) -> None:
        self._asked[cluster.ask(host, kind, {"run": self._run.info.id, **asked})] = (host, kind)

    # What is said

    def _warn(self, text: str) -> None:
        LOG.warning("%s", text)
        self._said.append(f"{time.strftime('%H:%M:%S')} {text}")

    def _tell(self, *, ended: bool = False) -> None:
        """Write down how it is going."""
        live.write(
            self._run.path,
            live.picture(
                self._ledger, self._hosts, self._connection.scheduler, self._dashboard, tuple(self._said), ended=ended
            ),
        )


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
        patience_s: how long a host or the scheduler may be away, in seconds.
        further: asked for more once all is done, which it has added to the plan; nothing: that was all.

    Raises:
        LostSchedulerError: there is no scheduler.
        OSError, StoreError: the run directory cannot be written, or another campaign is running in it.
    """
    with run.locked():
        run.discard_partial()
        keep(run.path, connection)
        refused: Iterable[str] = forget_failed(run) if retry_failed else ()
        ledger = Ledger(run, refused)
        try:
            Controller(ledger, connection, reporter, patience_s=patience_s, further=further).attend()
        finally:
            run.discard_partial()

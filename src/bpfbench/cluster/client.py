# SPDX-License-Identifier: Apache-2.0
"""The controller's end of a cluster: submits functions of ours, and hears messages. Nothing is ever unpickled by it.

Dask's client loads what it is sent on several paths: results, their types, exceptions, warnings. Here none is left:
what is sent aside of a message stays unread (`deserialize`), handlers that would load it are replaced, results are
never fetched. Below all that, guard.py refuses every pickle that names anything.
"""

from __future__ import annotations

import json
import logging
import queue
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distributed import Client
from distributed.comm import CommClosedError

from bpfbench.cluster import settings, worker
from bpfbench.cluster.connection import Connection
from bpfbench.cluster.order import BlockOrder
from bpfbench.codec import to_json
from bpfbench.errors import MachineError

ANSWER_S = 60.0
"""How long a host is given to answer."""

SCARCE = 1e-6
"""What a request takes of a host's own resource: next to nothing, as it only says where."""


class LostSchedulerError(MachineError):
    """The scheduler is not there, or not any more."""


class RefusedByHostError(MachineError):
    """A host says no, or nothing."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of a host's, with when it came."""

    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """A task has ended, however."""

    key: str


@dataclass(frozen=True, slots=True)
class Changed:
    """Workers came or went."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The scheduler is lost."""


Answer = dict[str, Any] | MachineError
"""What a host answers, or why it does not."""
News = Heard | TaskEnded | Changed | Gone


class _UnreadClient(Client):  # type: ignore[misc]
    """Dask's client, but for all that loads what it is sent."""

    connection_args: Any

    def __init__(self, address: str, news: queue.Queue[News], **options: Any) -> None:
        self.news = news
        super().__init__(address, **options)

    def start(self, **options: Any) -> None:
        self.rpc.deserialize = False
        self.rpc.connection_args = dict(self.connection_args)
        self.connection_args = {**self.connection_args, "deserialize": False}
        for op in ("key-in-memory", "task-erred", "lost-data"):
            self._stream_handlers[op] = self._ended
        self._stream_handlers["cancelled-keys"] = self._cancelled
        self._stream_handlers["error"] = lambda **_: None
        super().start(**options)

    def subscribe_topic(self, topic: str, handler: Any) -> None:
        if topic not in Client._default_event_handlers:  # which print what they are sent, and load warnings
            super().subscribe_topic(topic, handler)

    def _ended(self, key: Any = None, **_: Any) -> None:
        self.news.put(TaskEnded(str(key)))

    def _cancelled(self, keys: Any = (), **_: Any) -> None:
        for key in keys:
            self._ended(key)

    async def _reconnect(self) -> None:
        self.news.put(Gone())
        await self._close(fast=True)


class Cluster:
    """A connection to a cluster. Use as a context manager.

    Args:
        connection: where its scheduler is.

    Raises (on entering):
        LostSchedulerError: there is none.
        MachineError: it may not be connected to like this.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.news: queue.Queue[News] = queue.Queue()
        self._topic = f"bpfbench-{uuid.uuid4().hex}"
        self._futures: dict[str, Any] = {}

    def __enter__(self) -> Cluster:
        address = self.connection.scheduler
        keys = settings.security(self.connection.certificates, address, insecure=self.connection.insecure)
        settings.apply()
        for name in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # we say ourselves what there is to say
        try:
            self._client = _UnreadClient(address, self.news, security=keys, set_as_default=False, timeout="10s")
        except (OSError, TimeoutError, ValueError) as error:
            said = str(error).partition("\n")[0]
            raise LostSchedulerError(f"scheduler {address}: {said}", "`bpfbench cluster up` starts one") from None
        self._client.subscribe_topic(self._topic, lambda event: self.news.put(_heard(event)))
        self._client.subscribe_topic("all", lambda _: self.news.put(Changed()))
        return self

    def __exit__(self, *_: object) -> None:
        self._futures.clear()
        self._client.close(timeout=5)

    def present(self) -> dict[str, float]:
        """Return when the hosts that have a worker now were last heard of, by the scheduler's clock.

        Raises:
            LostSchedulerError: the scheduler does not answer.
        """
        try:
            workers = self._client.sync(self._client.scheduler.identity, n_workers=-1)["workers"]
        except (OSError, TimeoutError, CommClosedError, AttributeError) as error:
            raise LostSchedulerError(f"scheduler {self.connection.scheduler}: {error}") from None
        named = ((str(own.get("name")), own) for own in workers.values())
        return {
            name: float(own.get("last_seen") or 0.0)
            for name, own in named
            if worker.resource(name) in (own.get("resources") or {})
        }

    def dashboard(self) -> str | None:
        """Return where Dask's own pages are, on the scheduler's machine; None where it has none."""
        port = (self._client._scheduler_identity.get("services") or {}).get("dashboard")
        return f"http://127.0.0.1:{port}/status" if type(port) is int else None

    def order(self, host: str, order: BlockOrder, have: tuple[str, ...], refused: tuple[str, ...]) -> str:
        """Have a host run a block; return what the task is called."""
        key = f"block-{order.run}-{order.block}-{uuid.uuid4().hex[:12]}"
        text = to_json(order, indent=None)
        self._submit(
            key, worker.run_block, (self._topic, text, have, refused), {"HOST": 1, worker.resource(host): SCARCE}
        )
        return key

    def ask(self, host: str, kind: str, asked: Mapping[str, Any]) -> str:
        """Ask something of a host, whose answer is going to be heard; return what it is known by."""
        nonce = uuid.uuid4().hex
        arguments = (self._topic, nonce, kind, json.dumps(dict(asked)))
        self._submit(f"answer-{nonce}", worker.answer, arguments, {worker.resource(host): SCARCE})
        return nonce

    def answers(self, nonces: Mapping[str, str], timeout_s: float = ANSWER_S) -> dict[str, Answer]:
        """Wait for the answers to requests, by host; all other news stays where it is.

        Args:
            nonces: what they are known by, by host.
            timeout_s: who has not answered by then gets a RefusedByHostError.
        """
        wanted = {nonce: host for host, nonce in nonces.items()}
        found: dict[str, Answer] = {}
        aside: list[News] = []
        deadline_s = time.monotonic() + timeout_s
        while len(found) < len(nonces) and (left_s := deadline_s - time.monotonic()) > 0:
            try:
                item = self.news.get(timeout=left_s)
            except queue.Empty:
                break
            host = wanted.get(str(item.message.get("nonce"))) if isinstance(item, Heard) else None
            if isinstance(item, Heard) and host is not None:
                found[host] = answered(host, item.message)
            elif isinstance(item, TaskEnded) and item.key.startswith("answer-"):
                self.release(item.key)
            else:
                aside.append(item)
                if isinstance(item, Gone):
                    break
        for item in aside:
            self.news.put(item)
        for host in nonces.keys() - found.keys():
            found[host] = RefusedByHostError(f"host {host} does not answer")
        return found

    def release(self, key: str) -> None:
        """Forget a task that has ended, or is not wanted any more."""
        if (future := self._futures.pop(key, None)) is not None:
            future.release()

    def _submit(self, key: str, function: Any, arguments: tuple[Any, ...], resources: Mapping[str, float]) -> None:
        future = self._client.submit(function, *arguments, key=key, resources=dict(resources), pure=False, retries=0)
        self._futures[key] = future


def _heard(event: Any) -> News:
    message = event[1] if isinstance(event, tuple | list) and len(event) == 2 else None
    return Heard(message if isinstance(message, Mapping) else {})


def answered(host: str, message: Mapping[str, Any]) -> Answer:
    """Read a host's answer as data."""
    if message.get("host") != host:
        return RefusedByHostError(f"host {host}: its answer is another's")
    if (reason := message.get("reason")) is not None:
        return RefusedByHostError(f"host {host}: {str(reason)[:2000]}")
    try:
        answer = json.loads(message["answer"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return RefusedByHostError(f"host {host}: its answer is no JSON")
    return answer if isinstance(answer, dict) else RefusedByHostError(f"host {host}: its answer is none")

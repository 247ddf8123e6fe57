# SPDX-License-Identifier: Apache-2.0
"""With a host's certificate one is that host: no other one, no controller, and no peer of a worker's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ensemble import BPFBENCH, require_told, until

pytest.importorskip("distributed")
from distributed import Worker
from distributed.comm import connect

from bpfbench.cluster import certificates, settings, worker
from bpfbench.cluster.certificates import Issued

pytestmark = pytest.mark.beside


@contextlib.contextmanager
def process(words: tuple[str, ...], log: Path) -> Iterator[None]:
    with log.open("ab") as file, subprocess.Popen((*BPFBENCH, *words), stdout=file, stderr=file) as running:
        try:
            yield
        finally:
            running.kill()


@pytest.fixture
def issued(tmp_path: Path) -> Issued:
    return certificates.issue(tmp_path / "certificates", "lab", (certificates.CONTROLLER, "alpha", "beta"), days=2)


@pytest.fixture
def address(tmp_path: Path, issued: Issued) -> Iterator[str]:
    said = tmp_path / "said.json"
    keys = ("--certificates", str(issued.of(certificates.CONTROLLER)), "--said", str(said))
    words = ("cluster", "scheduler", "--listen", "127.0.0.1", "--port", "0", *keys)
    with process(words, tmp_path / "scheduler.log"):
        until(said.exists, 180, "the scheduler listens")
        yield json.loads(said.read_text())["address"]


def test_a_worker_is_called_as_its_certificate_says(tmp_path: Path, issued: Issued, address: str) -> None:
    words = ("cluster", "worker", "--scheduler", address, "--name", "beta", "--cache", str(tmp_path / "cache"))
    log = tmp_path / "worker.log"
    with process((*words, "--certificates", str(issued.of("alpha"))), log):
        until(lambda: "is no good" in log.read_text(), 180, "the worker is told")
    require_told("certificate of another host", log.read_text(), (tmp_path / "scheduler.log").read_text())


def test_a_host_speaks_of_itself_alone_and_is_no_client(tmp_path: Path, issued: Issued, address: str) -> None:
    alpha = settings.security(issued.of("alpha"), address)
    log = tmp_path / "scheduler.log"

    async def be_hostile() -> None:
        settings.apply()
        here = worker.Here("alpha", tmp_path / "alpha", worker.begin)
        async with worker.made(address, here, security=alpha, death_timeout=None) as mine:
            mine.log_event("all", {"kind": "record", "host": "alpha", "mine": True})
            mine.log_event("all", {"kind": "record", "host": "beta"})
            mine.batched_send({"op": "update-graph", "client": "someone"})
            mine.batched_send({"op": "log-event", "worker": "tls://another", "topic": "all", "msg": {"host": "beta"}})
            await said("as 'beta'", 2)
            await said("says 'update-graph', as a client would", 1)
        for op in ("register-client", "connection_stream"):
            comm: Any = await connect(address, **alpha.get_connection_args("worker"))
            await comm.write({"op": op, "client": "someone", "versions": {}})
            assert not await answers(comm)

    async def answers(comm: Any) -> bool:
        try:
            return "stream-start" in str(await asyncio.wait_for(comm.read(), 30))
        except OSError:
            return False

    async def said(part: str, times: int) -> None:
        for _ in range(600):
            if log.read_text().count(part) >= times:
                return
            await asyncio.sleep(0.1)
        pytest.fail(f"not said: {part}\n{log.read_text()}")

    asyncio.run(be_hostile())
    assert "refused: host alpha would be a client" in log.read_text()


def test_a_worker_serves_nobody_but_its_scheduler(tmp_path: Path, issued: Issued) -> None:
    here = worker.Here("alpha", tmp_path / "alpha", worker.begin)
    keys = settings.security(issued.of("alpha"), "tls://127.0.0.1:1")

    async def made() -> Worker:
        return worker.made("tls://127.0.0.1:1", here, security=keys)

    assert set(asyncio.run(made()).handlers) == {"identity", "ping"}

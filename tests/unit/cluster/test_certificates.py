# SPDX-License-Identifier: Apache-2.0
"""Certificates of a cluster: good for its nodes, for a short while, and readable by their owner alone."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("cryptography")
from bpfbench.cluster import certificates
from bpfbench.cluster.certificates import Issued

NODES = ("_controller", "alpha")


def issue(folder: Path, *, days: int = 14, at: datetime | None = None, nodes: tuple[str, ...] = NODES) -> Issued:
    return certificates.issue(folder, "lab", nodes, days, at)


def context(purpose: ssl.Purpose, folder: Path) -> ssl.SSLContext:
    """As Dask makes them."""
    made = ssl.create_default_context(purpose, cafile=str(folder / "ca.pem"))
    made.verify_mode = ssl.CERT_REQUIRED
    made.check_hostname = False
    made.load_cert_chain(folder / "node.pem", folder / "node.key")
    return made


def talk(server: Path, client: Path) -> bytes:
    """Have a client ask a server for a line."""

    async def run() -> bytes:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello\n")
            writer.close()

        served = context(ssl.Purpose.CLIENT_AUTH, server)
        listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=served)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            asks = context(ssl.Purpose.SERVER_AUTH, client)
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=asks)
            try:
                return await reader.readline()
            finally:
                writer.close()

    return asyncio.run(run())


def test_those_of_one_cluster_trust_each_other_and_no_other(tmp_path: Path) -> None:
    ours, others = issue(tmp_path / "ours"), issue(tmp_path / "others")
    assert talk(ours.of("_controller"), ours.of("alpha")) == b"hello\n"
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        assert talk(ours.of("_controller"), others.of("alpha"))
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        assert talk(others.of("_controller"), ours.of("alpha"))


def test_no_host_can_pose_as_the_scheduler(tmp_path: Path) -> None:
    ours = issue(tmp_path / "ours")
    with pytest.raises(ssl.SSLError, match="unsuitable certificate purpose"):
        talk(ours.of("alpha"), ours.of("_controller"))


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    found = issue(tmp_path / "lab")
    for path in [found.folder, *found.folder.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_each_node_has_a_key_of_its_own_and_not_the_authority_s(tmp_path: Path) -> None:
    found = issue(tmp_path / "lab")
    keys = {path.read_text() for path in found.folder.rglob("*.key")}
    assert len(keys) == len(NODES) + 1
    assert {path.name for path in found.of("alpha").iterdir()} == {"ca.pem", "node.pem", "node.key"}


def test_those_there_are_are_kept_and_a_new_node_gets_its_own(tmp_path: Path) -> None:
    first = issue(tmp_path / "lab")
    assert first.renewed
    before = {path: path.read_bytes() for path in first.folder.rglob("*.*")}
    second = issue(tmp_path / "lab", nodes=(*NODES, "beta"))
    assert not second.renewed
    assert {path: path.read_bytes() for path in before if path.is_file()} == before
    assert talk(second.of("_controller"), second.of("beta")) == b"hello\n"


def test_they_are_made_anew_when_half_their_time_is_over(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    first = issue(tmp_path / "lab", at=now)
    assert timedelta(days=14) - timedelta(seconds=2) < first.until - now <= timedelta(days=14)
    assert not issue(tmp_path / "lab", at=now + timedelta(days=6)).renewed
    assert issue(tmp_path / "lab", at=now + timedelta(days=8)).renewed


def test_a_host_whose_clock_is_behind_accepts_them(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    ours = issue(tmp_path / "lab", at=now + timedelta(hours=20))
    assert talk(ours.of("_controller"), ours.of("alpha")) == b"hello\n"


def test_what_is_over_is_refused(tmp_path: Path) -> None:
    ours = issue(tmp_path / "lab", days=1, at=datetime.now(UTC) - timedelta(days=3))
    with pytest.raises(ssl.SSLError, match="expired"):
        talk(ours.of("_controller"), ours.of("alpha"))


def test_half_made_ones_are_none(tmp_path: Path) -> None:
    found = issue(tmp_path / "lab")
    (found.folder / certificates.AUTHORITY_KEY).unlink()
    assert certificates.good_until(found.folder) is None
    assert issue(tmp_path / "lab").renewed
    certificates.discard(found.folder)
    assert not found.folder.exists()

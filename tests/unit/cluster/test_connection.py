# SPDX-License-Identifier: Apache-2.0
"""What a run directory says of where a scheduler is, is believed as far as it does no harm, whoever it comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bpfbench import soundness
from bpfbench.cli.means import ClusterOptions
from bpfbench.cluster import connection
from bpfbench.cluster.connection import Connection
from bpfbench.errors import MachineError, StoreError, UsageError
from bpfbench.soundness import Trusted

ADDRESS = "tls://10.0.0.1:8786"


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (made := tmp_path / "run").mkdir()
    return made


@pytest.mark.parametrize("certificates", [None, "/srv/certificates"])
def test_it_is_kept_whole(run_dir: Path, certificates: str | None) -> None:
    own = Connection(ADDRESS, Path(certificates) if certificates else None)
    connection.keep(run_dir, own)
    assert connection.kept(run_dir) == own


def test_a_run_may_say_nothing(run_dir: Path) -> None:
    assert connection.kept(run_dir) is None
    with pytest.raises(UsageError, match="testbed cluster wants to know which"):
        ClusterOptions().connection(None, run_dir)


def test_it_is_believed_of_nobody_else(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.keep(run_dir, Connection(ADDRESS))
    owner = (run_dir / connection.FILE).stat().st_uid
    monkeypatch.setattr(soundness, "trusted", lambda: Trusted(frozenset({owner}), frozenset()))
    assert connection.kept(run_dir) == Connection(ADDRESS)
    monkeypatch.setattr(soundness, "trusted", lambda: Trusted(frozenset({owner + 1}), frozenset()))
    with pytest.raises(StoreError, match=rf"connection\.json: it belongs to user {owner}$") as caught:
        connection.kept(run_dir)
    assert "--scheduler" in str(caught.value.hint)


@pytest.mark.parametrize("certificates", ["certificates", "run/certificates", "{0}", "{0}/deeper", "{0}/../run/x"])
def test_certificates_do_not_come_with_a_run(run_dir: Path, monkeypatch: pytest.MonkeyPatch, certificates: str) -> None:
    monkeypatch.chdir(run_dir.parent)
    told = {"scheduler": ADDRESS, "certificates": certificates.format(run_dir)}
    (run_dir / connection.FILE).write_text(json.dumps(told))
    with pytest.raises(StoreError, match=r"connection\.json: its certificates come with the run"):
        connection.kept(run_dir)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"scheduler": "tls://h:1", "certificates": 5}', "\xff"])
def test_what_makes_no_sense_is_said(run_dir: Path, text: str) -> None:
    (run_dir / connection.FILE).write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match=r"connection\.json: "):
        connection.kept(run_dir)


@pytest.mark.parametrize("insecure", [False, True])
def test_to_do_without_certificates_is_said_each_time(
    run_dir: Path, capsys: pytest.CaptureFixture[str], *, insecure: bool
) -> None:
    connection.keep(run_dir, Connection(ADDRESS, insecure=True))
    told = json.loads((run_dir / connection.FILE).read_text())
    (run_dir / connection.FILE).write_text(json.dumps({**told, "insecure": True}))  # as it was written once
    found = ClusterOptions(insecure=insecure).connection(None, run_dir)
    assert found == Connection(ADDRESS, insecure=insecure)
    assert f"goes on with the scheduler that {run_dir} names: '{ADDRESS}'" in capsys.readouterr().err


def test_certificates_of_an_option_come_first(run_dir: Path) -> None:
    connection.keep(run_dir, Connection(ADDRESS, Path("/srv/old")))
    assert ClusterOptions(certificates=Path("/srv/new")).connection(None, run_dir).certificates == Path("/srv/new")
    assert ClusterOptions().connection(None, run_dir).certificates == Path("/srv/old")


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("tcp://127.0.0.1:8786", True),
        ("tcp://127.8.8.8:8786", True),
        ("tcp://[::1]:8786", True),
        ("tcp://localhost:8786", True),
        ("tcp://10.0.0.1:8786", False),
        ("tcp://127.example.org:8786", False),
        ("tcp://127.0.0.1@example.org:8786", False),
        ("127.0.0.1:8786", False),
    ],
)
def test_without_certificates_only_this_machine_is_talked_to(address: str, own: bool) -> None:
    pytest.importorskip("distributed")
    from bpfbench.cluster import settings

    if own:
        settings.security(None, address)
    else:
        with pytest.raises(MachineError, match="without certificates, whoever reaches it"):
            settings.security(None, address)
    settings.security(None, address, insecure=True)

# SPDX-License-Identifier: Apache-2.0
"""A parcel from a host is a record, or it is refused: whatever is wrong with it."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bpfbench.cluster import order
from bpfbench.cluster.order import RECORD_BYTES, Origin, ParcelError, pack, unpack

RECORD = next((Path(__file__).parents[2] / "data" / "runs" / "format-5" / "trials").iterdir())
WARM_UP = next((Path(__file__).parents[2] / "data" / "runs" / "format-5" / "warm-ups").iterdir())
ORIGIN = Origin("alpha", "b" * 36, "c" * 32)

Message = dict[str, Any]


@pytest.fixture(autouse=True)
def _format_of_the_stored_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "RECORD_FORMAT", 5)


def message(folder: Path = RECORD) -> Message:
    return pack("20261127-paper", 3, ORIGIN, folder)


@pytest.mark.parametrize("folder", [RECORD, WARM_UP], ids=["trial", "warm-up"])
def test_a_record_arrives_as_it_was_sent(folder: Path) -> None:
    parcel = unpack(message(folder))
    assert (parcel.run, parcel.block, parcel.origin.host) == ("20261127-paper", 3, "alpha")
    assert parcel.files == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert parcel.record.trial.warm_up == (folder == WARM_UP)


def changed(**changes: Any) -> Callable[[Message], Message]:
    return lambda sent: {**sent, **changes}


def with_file(name: Any, content: Any) -> Callable[[Message], Message]:
    return lambda sent: {**sent, "files": {**sent["files"], name: content}}


def without(key: str) -> Callable[[Message], Message]:
    return lambda sent: {name: value for name, value in sent.items() if name != key}


def bomb() -> bytes:
    packing = zlib.compressobj(9)
    return b"".join(packing.compress(bytes(2**20)) for _ in range(RECORD_BYTES // 2**20 + 2)) + packing.flush()


WRONG: dict[str, tuple[Callable[[Message], Message], str]] = {
    "no files": (without("files"), "has not the files"),
    "files are a list": (changed(files=[1, 2]), "has not the files"),
    "many files": (changed(files={f"f{n}": b"" for n in range(100)}), "has not the files"),
    "a path that climbs": (with_file("../../etc/cron.d/x", b""), "no file of a record is called"),
    "an absolute path": (with_file("/etc/passwd", b""), "no file of a record is called"),
    "a hidden file": (with_file(".bashrc", b""), "no file of a record is called"),
    "a null byte": (with_file("a\0b", b""), "no file of a record is called"),
    "its own origin": (with_file("origin.json", b""), "no file of a record is called"),
    "a name that is a number": (with_file(7, b""), "no file of a record is called"),
    "text for bytes": (with_file("a", "b"), "is no bytes"),
    "garbage": (with_file("record.json", b"\x00\xff garbage"), "cannot be unpacked"),
    "cut short": (with_file("record.json", zlib.compress(b"{}" * 999)[:-6]), "cut short"),
    "huge when unpacked": (with_file("record.json", bomb()), "more than 64 MiB"),
    "changed on the way": (with_file("record.json", zlib.compress(b"{}")), "checksum"),
    "no checksum": (without("sha256"), "checksum"),
    "a name that climbs": (changed(name="../0001"), "no name"),
    "a host that climbs": (changed(host="../x"), "no name"),
    "a name of another record": (changed(name="0001-other"), "holds the record of"),
    "a warm-up that is none": (changed(name=f"{RECORD.name}-warm-up.0"), "holds the record of"),
    "no run": (without("run"), "says no run"),
    "a run that is bytes": (changed(run=b"x"), "says no run"),
    "a block that is a word": (changed(block="3"), "names no block"),
    "nothing": (lambda _: {}, "says no run"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_record_is_refused(wrong: str) -> None:
    spoil, said = WRONG[wrong]
    with pytest.raises(ParcelError, match=said) as refusal:
        unpack(spoil(message()))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ["[" * 200_000, "{}", '{"format": 4}', "null", "1" * 10_000, '"\ud800"'])
def test_json_that_is_no_record_is_refused(text: str, tmp_path: Path) -> None:
    folder = tmp_path / RECORD.name
    shutil.copytree(RECORD, folder)
    (folder / "record.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ParcelError, match="is no record"):
        unpack(message(folder))


def test_a_record_that_is_too_large_is_not_sent(tmp_path: Path) -> None:
    folder = tmp_path / RECORD.name
    shutil.copytree(RECORD, folder)
    with (folder / "samples.csv").open("wb") as file:
        file.truncate(RECORD_BYTES + 1)
    with pytest.raises(ParcelError, match="may take 64 MiB"):
        message(folder)

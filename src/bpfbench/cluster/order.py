# SPDX-License-Identifier: Apache-2.0
"""What crosses between controller and host, as data: the order of a block one way, parcels of records the other.

Nothing of it is ever unpickled. An order is JSON; a parcel is a flat message of text, numbers and bytes. What comes
back is believed in nothing: a parcel is a record of the very trial that was ordered, within bounds, or refused whole.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bpfbench import soundness
from bpfbench.codec import decode
from bpfbench.model import RECORD_FORMAT, Record, Study, Trial
from bpfbench.units import size

RECORD_BYTES = 64 * 2**20
"""The most that the files of one record may take, together, packed and unpacked. A usual one takes 50 to 300 kB."""
FILES = 64
"""The most files of a record; a usual one has a dozen."""
FILE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}")
WARM_UP = re.compile(r"(.+)-warm-up\.[0-9]{1,4}")
"""How a spool calls the record of a warm-up, and which trial that was for."""
ORIGIN = "origin.json"
"""Where a record of a cluster keeps from which spool it came."""


class ParcelError(ValueError):
    """What came from a host is not what was ordered; says why in one line."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The one attempt at a block that a record is of: records of one block all have the same."""

    host: str
    boot_id: str
    spool: str
    """Its id, made when the block was begun."""
    name: str = ""
    """What the record is called there."""


@dataclass(frozen=True, slots=True)
class BlockOrder:
    """A block to be run."""

    run: str
    """Id of the run."""
    code: str
    """Digest of bpfbench's own code: a worker with another refuses."""
    study: Study
    """With the testbed below in the place of the cluster."""
    trials: tuple[Trial, ...]
    """Of one block, in their order."""
    image: str
    """Its key."""
    executables: dict[str, str]
    """SHA-256 of the tracers that the study brings, by setup, and of the files of its targets, by path."""
    parts: tuple[str, ...] = ()
    """Of the image: the layers of packages that its targets and commands want."""
    data_bytes: int = 0
    """What the disks of virtual machines must hold, for the whole study."""
    output_bytes: int = 0

    @property
    def block(self) -> int:
        """The block's number; -1 where there is none, and only the ground is surveyed."""
        return self.trials[0].block if self.trials else -1


@dataclass(frozen=True, slots=True)
class Parcel:
    """A record as it came, checked to be one."""

    run: str
    block: int
    origin: Origin
    record: Record
    files: dict[str, bytes]


def pack(run: str, block: int, origin: Origin, folder: Path) -> dict[str, Any]:
    """Return the message that holds a record's directory.

    Raises:
        ParcelError: it is too large to be sent.
        OSError: it cannot be read.
    """
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    if (taken := sum(map(len, files.values()))) > RECORD_BYTES:
        raise ParcelError(f"{folder.name} takes {size(taken)}; a record may take {size(RECORD_BYTES)}")
    return {
        "kind": "record",
        "run": run,
        "block": block,
        "host": origin.host,
        "boot_id": origin.boot_id,
        "spool": origin.spool,
        "name": folder.name,
        "sha256": _digest(files),
        "files": {name: zlib.compress(content, 1) for name, content in files.items()},
    }


def unpack(message: Mapping[str, Any]) -> Parcel:
    """Return what a message holds, after looking at all of it.

    Raises:
        ParcelError: it is no record, too large, damaged, or names what it must not; says which.
    """
    run, host, boot_id = (_text(message, key) for key in ("run", "host", "boot_id"))
    origin = Origin(host, boot_id, _text(message, "spool"), _text(message, "name"))
    if not FILE_NAME.fullmatch(host) or not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.@-]{0,254}", origin.name):
        raise ParcelError(f"no name of a host or a record: {host!r:.80}, {origin.name!r:.80}")
    block = message.get("block")
    if type(block) is not int:
        raise ParcelError("it names no block")
    files = _files(message.get("files"))
    if _digest(files) != message.get("sha256"):
        raise ParcelError("its checksum is not that of what is in it")
    record = _record(files)
    warm_up = WARM_UP.fullmatch(origin.name)
    called = f"{warm_up[1]}-warm-up" if warm_up else origin.name
    if record.trial.id != called or record.trial.warm_up != bool(warm_up):
        raise ParcelError(f"it is called {origin.name!r:.80}, and holds the record of {record.trial.id!r:.80}")
    return Parcel(run, block, origin, record, files)


def _files(packed: Any) -> dict[str, bytes]:
    """Unpack files, never more than the bound."""
    if not isinstance(packed, Mapping) or len(packed) > FILES:
        raise ParcelError(f"it has not the files of a record, which are {FILES} at most")
    found: dict[str, bytes] = {}
    left = RECORD_BYTES
    for name, content in packed.items():
        if not isinstance(name, str) or not FILE_NAME.fullmatch(name) or name == ORIGIN:
            raise ParcelError(f"no file of a record is called {name!r:.80}")
        if not isinstance(content, bytes):
            raise ParcelError(f"{name} is no bytes")
        unpacking = zlib.decompressobj()
        try:
            found[name] = unpacking.decompress(content, left + 1)
        except zlib.error as error:
            raise ParcelError(f"{name} cannot be unpacked: {error}") from None
        left -= len(found[name])
        if left < 0:
            raise ParcelError(f"it takes more than {size(RECORD_BYTES)}, unpacked")
        if not unpacking.eof or unpacking.unused_data:
            raise ParcelError(f"{name} is cut short, or goes on behind its end")
    return found


def _record(files: Mapping[str, bytes]) -> Record:
    """Read the record itself."""
    if "record.json" not in files:
        raise ParcelError("it has no record.json")
    try:
        record: Record = decode(Record, soundness.parsed(files["record.json"]), "Record")
    except ValueError as error:
        raise ParcelError(f"its record.json is no record: {str(error)[:200]}") from None
    if record.format != RECORD_FORMAT:
        raise ParcelError(f"its record has format {record.format}; {RECORD_FORMAT} is what was ordered")
    return record


def _text(message: Mapping[str, Any], key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str) or not 0 < len(value) < 256:
        raise ParcelError(f"it says no {key}")
    return value


def _digest(files: Mapping[str, bytes]) -> str:
    """Return a checksum of files and their names."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{len(files[name])}\0".encode())
        total.update(files[name])
    return total.hexdigest()

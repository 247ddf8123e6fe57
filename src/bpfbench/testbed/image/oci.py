# SPDX-License-Identifier: Apache-2.0
"""An OCI image layout in one tar archive: blobs named by their SHA-256, and an index of what they are.

It knows nothing of what is in it. Files are named, dated and ordered by their content alone, so that the same content
makes the same archive. https://github.com/opencontainers/image-spec has the format.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import tarfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from bpfbench.errors import ImageError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"

CHUNK = 8 * 2**20
"""So much is compressed at a time, on each CPU: a gzip member of its own."""
LEVEL = 6
JSON_MOST = 16 * 2**20
"""Bytes of the longest text that is read into memory."""
BLOCK = tarfile.BLOCKSIZE

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob in an archive."""

    media_type: str
    digest: str
    """As sha256:HEX."""
    size: int

    @property
    def descriptor(self) -> Json:
        """What others call it by."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


class Writer:
    """Writes an archive: blobs as they come, then their index. Leaves nothing unless that is whole.

    Until then the file has no name, so that the kernel deletes it when we are killed; but for file systems without
    such files, where it is `.FILE.partial`.

    Args:
        path: the archive.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        self._names: set[str] = set()

    def __enter__(self) -> Self:
        try:
            self._file = open(os.open(self._path.parent, os.O_TMPFILE | os.O_RDWR, 0o666), "w+b")  # noqa: PTH123 - no path
            self._unnamed = True
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                raise
            self._partial.unlink(missing_ok=True)  # of a writer that was killed, or a link
            self._file = self._partial.open("x+b")  # O_EXCL: of whoever puts a link there now, it is not followed
            self._unnamed = False
        self.text("oci-layout", {"imageLayoutVersion": "1.0.0"})
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._file:
            if kind is None:
                self._file.write(bytes(2 * BLOCK))
                self._file.flush()
                os.fsync(self._file.fileno())
                if self._unnamed:
                    self._name()
        if kind is None:
            self._partial.rename(self._path)
        elif not self._unnamed:
            self._partial.unlink()

    def _name(self) -> None:
        """Give the file a name."""
        self._partial.unlink(missing_ok=True)
        folder = os.open(self._partial.parent, os.O_PATH | os.O_DIRECTORY)
        try:  # with a directory's descriptor it is linkat(2), which follows the link that the kernel shows the file by
            os.link(f"/proc/self/fd/{self._file.fileno()}", self._partial.name, dst_dir_fd=folder)
        finally:
            os.close(folder)

    def text(self, name: str, value: Json) -> None:
        """Write a file of JSON that is no blob."""
        self._member(lambda _: name, [_json(value)])

    def blob(self, media_type: str, chunks: Iterable[bytes]) -> Blob:
        """Write a blob."""
        digest, size = self._member(lambda digest: f"blobs/sha256/{digest}", chunks)
        return Blob(media_type, f"sha256:{digest}", size)

    def json(self, media_type: str, value: Json) -> Blob:
        """Write a blob of JSON."""
        return self.blob(media_type, [_json(value)])

    def layer(self, chunks: Iterable[bytes], media_type: str = LAYER) -> tuple[Blob, str]:
        """Write a tar archive, compressed; return the blob, and the digest of what was compressed."""
        plain = hashlib.sha256()

        def told() -> Iterator[bytes]:
            for chunk in chunks:
                plain.update(chunk)
                yield chunk

        blob = self.blob(media_type, compressed(told()))
        return blob, f"sha256:{plain.hexdigest()}"

    def _member(self, named: Callable[[str], str], chunks: Iterable[bytes]) -> tuple[str, int]:
        """Write a file whose name and size are known when it is written; return its SHA-256 and size."""
        at, total, size = self._file.tell(), hashlib.sha256(), 0
        self._file.write(bytes(BLOCK))
        for chunk in chunks:
            self._file.write(chunk)
            total.update(chunk)
            size += len(chunk)
        self._file.write(bytes(-size % BLOCK))
        end, header = self._file.tell(), tarfile.TarInfo(named(total.hexdigest()))
        header.size, header.mode = size, 0o644
        self._file.seek(at)
        if header.name in self._names:  # the same content is there once
            self._file.truncate()
            return total.hexdigest(), size
        self._names.add(header.name)
        self._file.write(header.tobuf(tarfile.GNU_FORMAT))
        self._file.seek(end)
        return total.hexdigest(), size


class Layout:
    """An archive that is read. Use as a context manager.

    Args:
        path: the archive.

    Raises (on entering):
        ImageError: it cannot be read, or is no such archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        self._file = self.path.open("rb")
        try:
            self._tar = tarfile.open(fileobj=self._file, mode="r:")
            self._members = {own.name.removeprefix("./"): own for own in self._tar.getmembers() if own.isreg()}
            if "oci-layout" not in self._members:
                raise self.wrong("it has no oci-layout")
        except tarfile.TarError as error:
            self._file.close()
            raise self.wrong(f"it is no tar archive, or cut short: {error}") from None
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def wrong(self, why: str) -> ImageError:
        """Return the error that says what is wrong with it."""
        return ImageError(f"{self.path}: {why}", "it takes an archive as `bpfbench image export` writes it, undamaged")

    def index(self) -> Json:
        """Return what the archive says it holds."""
        return self._json("index.json")

    def json(self, descriptor: Json) -> Json:
        """Return what a blob of JSON says, verified."""
        self.verify(descriptor)
        return self._json(_path(descriptor))

    def verify(self, descriptor: Json) -> None:
        """Refuse a blob that is not what it is called.

        Raises:
            ImageError: it is not there, or another.
        """
        path = _path(descriptor)
        total = hashlib.sha256()
        for chunk in self._read(path):
            total.update(chunk)
        if total.hexdigest() != Path(path).name or self._members[path].size != descriptor.get("size"):
            raise self.wrong(f"damaged: {path} is not what its name says")

    def layer(self, descriptor: Json, plain_digest: str) -> Iterator[bytes]:
        """Yield what was compressed, and refuse in the end what it should not have been."""
        total = hashlib.sha256()
        try:
            for chunk in decompressed(self._read(_path(descriptor))):
                total.update(chunk)
                yield chunk
        except (zlib.error, EOFError) as error:
            raise self.wrong(f"damaged: {descriptor['digest']} cannot be decompressed: {error}") from None
        if f"sha256:{total.hexdigest()}" != plain_digest:
            raise self.wrong(f"damaged: {descriptor['digest']} does not hold what it should")

    def _json(self, name: str) -> Json:
        try:
            if self._members[name].size > JSON_MOST:
                raise self.wrong(f"{name} is too long")
            found = json.loads(b"".join(self._read(name)))
        except (KeyError, ValueError, RecursionError):
            raise self.wrong(f"{name} is not there, or no JSON") from None
        if not isinstance(found, dict):
            raise self.wrong(f"{name} is no JSON object")
        return found

    def _read(self, name: str) -> Iterator[bytes]:
        member = self._members.get(name)
        if member is None:
            raise self.wrong(f"it lacks {name}")
        opened = self._tar.extractfile(member)
        if opened is None:
            raise self.wrong(f"{name} is no file")
        with contextlib.closing(opened):
            try:
                while chunk := opened.read(2**20):
                    yield chunk
            except tarfile.TarError as error:
                raise self.wrong(f"cut short: {error}") from None


def compressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Compress by gzip, on all CPUs; the same comes of the same, wherever it was cut into chunks."""
    at_a_time = len(os.sched_getaffinity(0))
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(at_a_time) as pool:
        for piece in _of_equal_length(chunks):
            waiting.append(pool.submit(_member_of, piece))
            if len(waiting) > 2 * at_a_time:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def decompressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress what gzip made, of any number of members.

    Raises:
        EOFError: it is cut short.
        zlib.error: it is no gzip.
    """
    stream = zlib.decompressobj(31)
    for chunk in chunks:
        rest = chunk
        while rest:
            if stream.eof:
                stream = zlib.decompressobj(31)
            yield stream.decompress(rest, CHUNK)
            rest = stream.unconsumed_tail or stream.unused_data
    if not stream.eof:
        yield stream.flush()
    if not stream.eof:
        raise EOFError("it ends too early")


def read_from(pipe: IO[bytes]) -> Iterator[bytes]:
    """Yield what comes from a pipe to its end."""
    while chunk := pipe.read(2**20):
        yield chunk


def _member_of(piece: bytes) -> bytes:
    squeezing = zlib.compressobj(LEVEL, wbits=31)
    return squeezing.compress(piece) + squeezing.flush()


def _of_equal_length(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= CHUNK:
            yield bytes(held[:CHUNK])
            del held[:CHUNK]
    yield bytes(held)


def _json(value: Json) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _path(descriptor: Json) -> str:
    """Return where a blob is.

    Raises:
        ValueError: the descriptor is none.
    """
    digest = descriptor["digest"]
    if not isinstance(digest, str) or not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise ValueError(f"{digest!r} is no SHA-256")
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"

# SPDX-License-Identifier: Apache-2.0
"""The agent of a virtual machine: runs commands for the controller, who is at the other end of a virtio-serial port.

One line of JSON after the other, both ways. From the controller:

    {"do": "run", "argv": [...], "stdin": TEXT, "data": NAME?, "output": NAME?, "keep": [...]}
    {"do": "power-off"}

`data` and `output` name directories on the disks of these names; `keep` says which of `record` and `output` are sent
back. To the controller:

    {"event": "hello", "boot_id": TEXT, "kernel": TEXT}                 once, at the beginning
    {"event": "line", "text": TEXT}                                     a line of stdout
    {"event": "file", "of": "record", "name": NAME, "data": BASE64}     a piece of a file
    {"event": "exit", "status": NUMBER, "stderr": TEXT}                 the command has ended, all has been sent

Anything else from the controller, and its end, is the agent's end, with which the machine powers off (guest-init).
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import platform
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

PORT = "org.bpfbench.agent"
"""The virtio-serial port on which it is spoken to."""
DISKS = Path("/bpfbench/disks")
RECORD = Path("/bpfbench/received")
ENTER = Path(__file__).with_name("guest-enter")

PRIVATE = ("unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc")
"""The namespaces that a sandbox on a host has, too."""

CHUNK_BYTES = 48 * 1024
STDERR_BYTES = 64 * 1024
"""The most of a command's stderr that is sent: its end."""


class GoneError(Exception):
    """The controller is not there any more, or does not make sense."""


class Port:
    """Lines of JSON over a file descriptor, of the port or of anything else that is read and written."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._rest = b""

    def tell(self, **event: object) -> None:
        """Send one line.

        Raises:
            GoneError: nobody listens.
        """
        data = memoryview(json.dumps(event).encode() + b"\n")
        try:
            while data:
                data = data[os.write(self.fd, data) :]
        except OSError as error:
            raise GoneError from error

    def ask(self) -> dict[str, Any]:
        """Wait for the next line.

        Raises:
            GoneError: there is none, or it is no order.
        """
        try:
            while b"\n" not in self._rest:
                data = os.read(self.fd, 65536)
                if not data:
                    raise GoneError
                self._rest += data
            line, _, self._rest = self._rest.partition(b"\n")
            order = json.loads(line)
        except (OSError, ValueError) as error:
            raise GoneError from error
        if not isinstance(order, dict):
            raise GoneError
        return order


def serve(port: Port) -> None:
    """Do what the controller says until it says power-off, or nothing any more."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with contextlib.suppress(GoneError):
        port.tell(event="hello", boot_id=boot_id, kernel=platform.release())
        while (order := port.ask()).get("do") == "run":
            _run(port, order)


def _run(port: Port, order: dict[str, Any]) -> None:
    with contextlib.ExitStack() as places:
        data = DISKS / "data" / order["data"] if order.get("data") else None
        if data is not None:
            data.mkdir(parents=True, exist_ok=True)
        output = places.enter_context(_fresh(DISKS / "output" / order["output"])) if order.get("output") else ""
        record = places.enter_context(_fresh(RECORD))
        argv = (*PRIVATE, str(ENTER), str(data or ""), str(output), str(record), *order["argv"])
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as errors:
            stdin.write(order["stdin"].encode())
            stdin.seek(0)
            status = _stream(port, argv, stdin, errors)
            os.sync()  # what was laid out is there, however the machine ends
            for name, place in (("record", record), ("output", output)):
                if name in order["keep"]:
                    _send(port, name, Path(place))
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - STDERR_BYTES))
            port.tell(event="exit", status=status, stderr=errors.read().decode(errors="replace"))


def _stream(port: Port, argv: tuple[str, ...], stdin: IO[bytes], errors: IO[bytes]) -> int:
    """Run a command to its end, sending its lines as they come.

    Raises:
        GoneError: the controller said something meanwhile, or went away; the command has been killed.
    """
    with subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=errors) as process:
        if process.stdout is None:
            raise AssertionError("it is a pipe")
        fd, rest = process.stdout.fileno(), b""
        poll = select.poll()
        poll.register(port.fd, select.POLLIN)
        poll.register(fd, select.POLLIN)
        try:
            while True:
                if any(ready == port.fd for ready, _ in poll.poll()):
                    raise GoneError
                data = os.read(fd, 65536)
                *lines, rest = (rest + data).split(b"\n")
                for line in lines if data else [rest] * bool(rest):
                    port.tell(event="line", text=line.decode(errors="replace"))
                if not data:
                    return process.wait()
        except GoneError:
            process.kill()
            raise


@contextlib.contextmanager
def _fresh(place: Path) -> Iterator[Path]:
    """Make an empty directory, deleted in the end."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _send(port: Port, of: str, directory: Path) -> None:
    for path in sorted(directory.iterdir()):
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            while True:
                data = file.read(CHUNK_BYTES)
                port.tell(event="file", of=of, name=path.name, data=base64.b64encode(data).decode())
                if len(data) < CHUNK_BYTES:
                    break


def find_port(ports: Path = Path("/sys/class/virtio-ports")) -> Path:
    """Return the device of our port.

    Raises:
        FileNotFoundError: this machine has none.
    """
    for port in ports.iterdir():
        if (port / "name").read_text().strip() == PORT:
            return Path("/dev") / port.name
    raise FileNotFoundError(f"no port {PORT} in {ports}")


def main() -> None:
    """Serve whoever booted this machine."""
    serve(Port(os.open(find_port(), os.O_RDWR)))


if __name__ == "__main__":
    main()

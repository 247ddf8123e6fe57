# SPDX-License-Identifier: Apache-2.0
"""The controller's end of the conversation with the agent of a virtual machine, which inside/agent.py explains."""

from __future__ import annotations

import base64
import json
import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bpfbench.machine.command import Finished
from bpfbench.testbed.job import Job


class SilentError(Exception):
    """The agent says nothing any more, or nothing that makes sense. The message says so; empty: it has gone."""


class Agent:
    """Talks to an agent by a connected socket, the other end of which is the agent's port."""

    def __init__(self, port: socket.socket) -> None:
        self._port = port
        self._rest = b""

    def hello(self, timeout_s: float) -> str:
        """Wait for it to be there, and return the release of its kernel.

        Raises:
            SilentError: it does not come.
        """
        event = next(self._events(timeout_s))
        try:
            return str(event["kernel"])
        except KeyError:
            raise SilentError(f"its agent began with {str(event)[:SHOWN]}") from None

    def run(self, job: Job, keep: Mapping[str, Path], on_line: Callable[[str], None]) -> Finished:
        """Have a job run to its end, and call `on_line` with every line of its stdout.

        `keep` says where what is sent back goes: of `record` and `output`.

        Raises:
            SilentError: the end was not to be heard of.
        """
        seen = {"argv": job.argv, "stdin": job.stdin, "data": job.data, "output": job.output}
        self._tell({"do": "run", **seen, "keep": list(keep)})
        for event in self._events(job.timeout_s):
            try:
                match event["event"]:
                    case "line":
                        on_line(event["text"])
                    case "file":
                        _receive(event, keep)
                    case "exit":
                        return Finished(int(event["status"]), str(event["stderr"]))
            except KeyError:
                raise SilentError(f"its agent said {str(event)[:SHOWN]}") from None
        raise AssertionError("events end with an error")

    def power_off(self) -> None:
        """Tell it to unmount its disks and end.

        Raises:
            SilentError: it is not there.
        """
        self._tell({"do": "power-off"})

    def _tell(self, line: dict[str, Any]) -> None:
        try:
            self._port.sendall(json.dumps(line).encode() + b"\n")
        except OSError:
            raise SilentError from None

    def _events(self, timeout_s: float | None) -> Iterator[dict[str, Any]]:
        """Yield what it says, until that is nothing any more."""
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            while b"\n" not in self._rest:
                left_s = None if until_s is None else max(0.0, until_s - time.monotonic())
                if not select.select([self._port], [], [], left_s)[0]:
                    raise SilentError(f"it was not done after {timeout_s:g} s")
                self._rest += self._received()
            line, _, self._rest = self._rest.partition(b"\n")
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            if not isinstance(event, dict):
                raise SilentError(f"its agent said {line[:SHOWN]!r}")
            yield event

    def _received(self) -> bytes:
        try:
            data = self._port.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            raise SilentError
        return data


SHOWN = 100
"""How much is shown of what makes no sense."""


def _receive(event: dict[str, Any], keep: Mapping[str, Path]) -> None:
    """Write a piece of a file where it belongs, and nowhere else, whatever its name.

    Raises:
        SilentError: the guest names a file that it has no business with.
    """
    name = event["name"]
    if event["of"] not in keep or name != Path(name).name or name in {"", ".", ".."}:
        raise SilentError(f"its agent sent a file {str(name)[:SHOWN]!r} that nobody asked for")
    with (keep[event["of"]] / name).open("ab") as file:
        file.write(base64.b64decode(event["data"]))

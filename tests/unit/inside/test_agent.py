# SPDX-License-Identifier: Apache-2.0
"""Controller and agent understand each other over a socket pair, and whatever else comes ends the conversation."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bpfbench.inside.agent import PORT, Port, find_port, serve
from bpfbench.machine.command import Finished
from bpfbench.testbed.job import Job
from bpfbench.testbed.vm.agent import Agent, SilentError

HELLO = {"event": "hello", "boot_id": "b", "kernel": "6.12"}
END = {"event": "exit", "status": 3, "stderr": "oh\n"}


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Ours and the agent's end of the port."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def lines(*events: object) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def piece(name: str, data: bytes, of: str = "record") -> dict[str, str]:
    return {"event": "file", "of": of, "name": name, "data": base64.b64encode(data).decode()}


class TestController:
    @pytest.fixture
    def theirs(self, ends: tuple[socket.socket, socket.socket]) -> socket.socket:
        return ends[1]

    @pytest.fixture
    def agent(self, ends: tuple[socket.socket, socket.socket]) -> Agent:
        return Agent(ends[0])

    def test_it_waits_for_the_agent(self, agent: Agent, theirs: socket.socket) -> None:
        theirs.sendall(lines(HELLO))
        assert agent.hello(5) == "6.12"

    def test_a_command_has_its_lines_its_status_and_its_last_words(self, agent: Agent, theirs: socket.socket) -> None:
        said: list[str] = []
        theirs.sendall(lines({"event": "line", "text": "one"}, {"event": "line", "text": "zwö"}, END))
        assert agent.run(Job(("x", "y"), "in\n", 5, data="d", output="o"), {}, said.append) == Finished(3, "oh\n")
        assert said == ["one", "zwö"]
        told = json.loads(theirs.recv(65536))
        assert told == {"do": "run", "argv": ["x", "y"], "stdin": "in\n", "data": "d", "output": "o", "keep": []}

    def test_files_come_in_pieces_and_go_where_they_belong(
        self, agent: Agent, theirs: socket.socket, tmp_path: Path
    ) -> None:
        theirs.sendall(lines(piece("a", b"one "), piece("empty", b""), piece("a", b"two"), END))
        agent.run(Job(("x",), timeout_s=5), {"record": tmp_path}, print)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"one two", "empty": b""}

    @pytest.mark.parametrize("name", ["../a", "/etc/passwd", "..", ".", "", "a/b"])
    def test_a_file_goes_nowhere_else(self, agent: Agent, theirs: socket.socket, tmp_path: Path, name: str) -> None:
        (tmp_path / "record").mkdir()
        theirs.sendall(lines(piece(name, b"x"), END))
        with pytest.raises(SilentError, match="that nobody asked for"):
            agent.run(Job(("x",), timeout_s=5), {"record": tmp_path / "record"}, print)
        assert list(tmp_path.iterdir()) == [tmp_path / "record"]
        assert list((tmp_path / "record").iterdir()) == []

    def test_a_file_of_what_was_not_to_be_kept_is_refused(self, agent: Agent, theirs: socket.socket) -> None:
        theirs.sendall(lines(piece("a", b"x", of="output"), END))
        with pytest.raises(SilentError, match="that nobody asked for"):
            agent.run(Job(("x",), timeout_s=5), {}, print)

    @pytest.mark.parametrize("garbage", [b"\x00\xff\n", b"{\n", b"[]\n", b'{"event": "line"}\n', b'{"x": 1}\n'])
    def test_what_makes_no_sense_ends_it(self, agent: Agent, theirs: socket.socket, garbage: bytes) -> None:
        theirs.sendall(garbage)
        with pytest.raises(SilentError, match="its agent said"):
            agent.run(Job(("x",), timeout_s=5), {}, print)

    def test_an_agent_that_has_gone_is_noticed(self, agent: Agent, theirs: socket.socket) -> None:
        theirs.close()
        with pytest.raises(SilentError, match=r"^$"):
            agent.hello(5)
        with pytest.raises(SilentError):
            agent.power_off()

    def test_an_agent_that_is_late_is_not_waited_for(self, agent: Agent) -> None:
        with pytest.raises(SilentError, match=r"^it was not done after 0.01 s$"):
            agent.hello(0.01)


class TestAgent:
    @pytest.fixture
    def controller(self, ends: tuple[socket.socket, socket.socket]) -> socket.socket:
        return ends[0]

    @pytest.fixture
    def port(self, ends: tuple[socket.socket, socket.socket]) -> Port:
        return Port(ends[1].fileno())

    def test_it_says_hello_and_ends_when_it_is_told_to(self, controller: socket.socket, port: Port) -> None:
        controller.sendall(lines({"do": "power-off"}))
        serve(port)
        hello = json.loads(controller.recv(65536))
        assert hello["event"] == "hello"
        assert hello["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    @pytest.mark.parametrize("garbage", [b"\x00\xff\n", b"{\n", b"[]\n", b"{}\n", b'"run"\n'])
    def test_what_makes_no_sense_ends_it(self, controller: socket.socket, port: Port, garbage: bytes) -> None:
        controller.sendall(garbage)
        serve(port)

    def test_without_a_controller_it_ends(self, controller: socket.socket, port: Port) -> None:
        controller.shutdown(socket.SHUT_WR)
        serve(port)
        controller.close()
        serve(port)

    def test_orders_may_come_in_pieces_and_together(self, controller: socket.socket, port: Port) -> None:
        controller.sendall(b'{"do": "o')
        controller.sendall(b'ne"}\n{"do": "two"}\n')
        assert [port.ask(), port.ask()] == [{"do": "one"}, {"do": "two"}]

    def test_its_port_is_found_by_name(self, tmp_path: Path) -> None:
        for device, name in (("vport0p1", "something.else"), ("vport1p1", PORT)):
            (tmp_path / device).mkdir()
            (tmp_path / device / "name").write_text(f"{name}\n")
        assert find_port(tmp_path) == Path("/dev/vport1p1")
        with pytest.raises(FileNotFoundError):
            find_port(tmp_path / "nothing")

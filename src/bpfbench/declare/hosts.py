# SPDX-License-Identifier: Apache-2.0
"""A file of hosts, hosts.toml, as TOML text: which machines make a cluster, and how they are reached."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bpfbench import catalogue
from bpfbench.errors import UsageError
from bpfbench.factors import BELOW, REQUIRED, Key
from bpfbench.values import choice_message, existing_file, file_name, host_name, one_of, several, text, whole

CERTIFICATE_DAYS = 14
"""For so long certificates are good, unless the file says otherwise."""
CACHE = "/var/cache/bpfbench"


@dataclass(frozen=True, slots=True)
class RemoteHost:
    """A machine that measures, reached by SSH."""

    name: str
    address: str
    ssh_port: int
    user: str
    kind: str
    """What the user calls its kind, where there are several (`class`); empty: they are all of one."""
    identity_file: Path | None
    """A private key; None: those of the agent, and the user's own."""
    known_hosts: Path | None
    """The file with the keys of hosts; None: the user's own."""
    cache: str
    """bpfbench's cache directory there."""

    @property
    def where(self) -> str:
        """Its name and address, for people."""
        return f"{self.name} ({self.address}{'' if self.ssh_port == 22 else f', port {self.ssh_port}'})"


@dataclass(frozen=True, slots=True)
class Hosts:
    """A cluster: its scheduler, on this machine, and the machines that measure."""

    where: str
    """The file."""
    name: str
    listen: str
    """The address of this machine at which hosts reach the scheduler."""
    port: int
    below: str
    """The testbed on each host."""
    image: str
    kernels: tuple[str, ...]
    """Those that virtual machines boot on hosts."""
    certificate_days: int
    hosts: tuple[RemoteHost, ...]

    @property
    def scheduler(self) -> str:
        """The scheduler's address, as Dask has it."""
        return f"tls://{f'[{self.listen}]' if ':' in self.listen else self.listen}:{self.port}"


def load(path: Path) -> Hosts:
    """Read a file of hosts.

    Raises:
        UsageError: the file cannot be read, is no TOML, or a key or value is wrong; says which, and what would do.
    """
    try:
        return parse(path.read_bytes().decode(), str(path))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", "docs/cluster.md shows one") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: cannot be read: not UTF-8 text at byte {error.start}") from error


def parse(content: str, where: str) -> Hosts:
    """Slot TOML text into Hosts; `where` names its origin in messages, and paths are relative to its folder.

    Raises:
        UsageError: the text is no TOML, or a key or value is wrong.
    """
    try:
        raw = tomllib.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: not valid TOML: {error}") from error
    _require_known(where, "", raw, ("cluster", "hosts"))
    own_keys, host_keys = _cluster_keys(), _host_keys(Path(where).parent)
    shared = [key for key in host_keys if key.default is not REQUIRED]
    top = _table(where, "cluster", raw.get("cluster", {}))
    _require_known(where, "cluster", top, [key.dotted for key in (*own_keys, *shared)])
    found = {key.dotted: _value(where, "cluster", key, top) for key in own_keys}
    common = {key.dotted: _value(where, "cluster", key, top) for key in shared}
    hosts = tuple(
        _host(where, name, own, host_keys, common) for name, own in _table(where, "hosts", raw.get("hosts", {})).items()
    )
    if not hosts:
        raise UsageError(f"{where}: hosts: give at least one", '[hosts.alpha] with address = "10.0.0.11"')
    if found["kernels"] and found["below"] != "vm":
        raise UsageError(f"{where}: cluster.kernels: only virtual machines boot kernels", 'say below = "vm"')
    kernels = found["kernels"] or (next(iter(catalogue.KERNELS)),) * (found["below"] == "vm")
    _require_apart(where, hosts)
    _require_reached(where, found["listen"], hosts)
    return Hosts(where=where, **{**found, "kernels": kernels}, hosts=hosts)


def _cluster_keys() -> tuple[Key, ...]:
    return (
        Key("name", text(file_name)),
        Key("listen", text(_address)),
        Key("port", whole(1, 65535), 8786),
        Key("below", one_of(BELOW), "host"),
        Key("image", one_of(tuple(catalogue.IMAGES)), "trixie"),
        Key("kernels", several(one_of(tuple(catalogue.KERNELS))), ()),
        Key("certificate_days", whole(1, 90), CERTIFICATE_DAYS),
    )


def _host_keys(folder: Path) -> tuple[Key, ...]:
    """Return the keys of [hosts.NAME]. All but the address may stand in [cluster], for those that do not say."""
    return (
        Key("address", text(_address)),
        Key("ssh_port", whole(1, 65535), 22),
        Key("user", text(_user), "root"),
        Key("class", text(file_name), ""),
        Key("identity_file", existing_file(folder), None),
        Key("known_hosts", existing_file(folder), None),
        Key("cache", text(_absolute), CACHE),
    )


def _host(where: str, name: str, own: Any, keys: Iterable[Key], common: Mapping[str, Any]) -> RemoteHost:
    table = f"hosts.{name}"
    try:
        host_name(name)
    except ValueError as error:
        raise UsageError(f"{where}: {table}: {error}") from None
    own = _table(where, table, own)
    keys = tuple(keys)
    _require_known(where, table, own, [key.dotted for key in keys])
    found = {
        key.dotted: common[key.dotted]
        if key.dotted in common and key.dotted not in own
        else _value(where, table, key, own)
        for key in keys
    }
    return RemoteHost(name=name, kind=found.pop("class"), **found)


def _table(where: str, name: str, own: Any) -> dict[str, Any]:
    if not isinstance(own, dict):
        raise UsageError(f"{where}: {name}: a table is wanted, as in [{'hosts.NAME' if name == 'hosts' else name}]")
    return own


def _require_known(where: str, table: str, own: Mapping[str, Any], names: Iterable[str]) -> None:
    valid = tuple(names)
    for name in own:
        if name not in valid:
            dotted = f"{table}.{name}" if table else name
            raise UsageError(f"{where}: {dotted}: unknown key; {choice_message(name, valid)}")


def _value(where: str, table: str, key: Key, own: Mapping[str, Any]) -> Any:
    if key.dotted not in own:
        if key.default is REQUIRED:
            raise UsageError(f"{where}: {table}.{key.dotted}: this key is required", "docs/cluster.md shows a file")
        return key.default
    try:
        return key.read(own[key.dotted])
    except ValueError as error:
        raise UsageError(f"{where}: {table}.{key.dotted}: {error}") from None


def _address(value: str) -> str:
    """Check the address, or the name, of a machine."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        pass
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", value) or re.fullmatch(r"[\d.]+", value):
        raise ValueError(f"{value!r} is no address; write an IP address, or a name that DNS knows, without a port")
    return value


def _user(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}", value):
        raise ValueError(f"{value!r} is no name of a user")
    return value


def _absolute(value: str) -> str:
    if not re.fullmatch(r"/[^\0\n]+", value):
        raise ValueError(f"{value!r} is no absolute path of a directory")
    return value


def _require_apart(where: str, hosts: Iterable[RemoteHost]) -> None:
    """Refuse two names for one machine, which would measure two trials at a time."""
    seen: dict[tuple[str, int], str] = {}
    for host in hosts:
        other = seen.setdefault((host.address, host.ssh_port), host.name)
        if other != host.name:
            raise UsageError(
                f"{where}: hosts.{host.name}.address: {host.address} is hosts.{other}, too",
                "a machine is one host; leave one of the two out",
            )


def _require_reached(where: str, listen: str, hosts: Iterable[RemoteHost]) -> None:
    """Refuse a scheduler on the loopback interface for machines that are elsewhere."""
    elsewhere = [host.name for host in hosts if not loopback(host.address)]
    if loopback(listen) and elsewhere:
        raise UsageError(
            f"{where}: cluster.listen: {listen} is this machine alone, and {', '.join(elsewhere)} cannot reach it",
            "give the address that this machine has in their network (`ip -brief address`)",
        )


def loopback(address: str) -> bool:
    """Tell whether an address is a machine's own, which no other reaches."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"

# SPDX-License-Identifier: Apache-2.0
"""A file of hosts is read whole, and what is wrong with one is said in a sentence that names where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfbench.declare import hosts
from bpfbench.declare.hosts import Hosts
from bpfbench.errors import UsageError

LAB = """
[cluster]
name = "lab"
listen = "10.0.0.1"
user = "bench"
[hosts.alpha]
address = "10.0.0.11"
class = "epyc-7302"
[hosts.beta]
address = "beta.example.org"
ssh_port = 2222
user = "root"
cache = "/srv/bpfbench"
"""


def read(text: str = LAB, **replaced: str) -> Hosts:
    for old, new in replaced.items():
        text = text.replace(old, new)
    return hosts.parse(text, "hosts.toml")


def refused(text: str) -> str:
    with pytest.raises(UsageError) as error:
        hosts.parse(text, "hosts.toml")
    assert error.value.message.startswith("hosts.toml: ")
    return error.value.message.removeprefix("hosts.toml: ")


def test_what_is_not_said_is_as_usual_and_a_host_says_more_than_the_cluster() -> None:
    found = read()
    alpha, beta = found.hosts
    assert (found.port, found.below, found.image, found.kernels) == (8786, "host", "trixie", ())
    assert found.scheduler == "tls://10.0.0.1:8786"
    assert (alpha.name, alpha.address, alpha.ssh_port, alpha.user, alpha.kind) == (
        "alpha", "10.0.0.11", 22, "bench", "epyc-7302",
    )  # fmt: skip
    assert alpha.cache == "/var/cache/bpfbench"
    assert (beta.ssh_port, beta.user, beta.kind, beta.cache) == (2222, "root", "", "/srv/bpfbench")
    assert beta.where == "beta (beta.example.org, port 2222)"


def test_virtual_machines_boot_the_first_kernel_unless_others_are_named() -> None:
    assert read(LAB.replace('"lab"', '"lab"\nbelow = "vm"')).kernels == ("trixie",)
    assert read(LAB.replace('"lab"', '"lab"\nbelow = "vm"\nkernels = ["sid", "trixie"]')).kernels == ("sid", "trixie")


def test_a_scheduler_on_ipv6_has_brackets() -> None:
    assert read(LAB.replace("10.0.0.1", "fd00::1", 1)).scheduler == "tls://[fd00::1]:8786"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    (tmp_path / "hosts.toml").write_text(LAB.replace('user = "bench"', 'identity_file = "key"'))
    assert {host.identity_file for host in hosts.load(tmp_path / "hosts.toml").hosts} == {tmp_path / "key"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "lab"', "", "cluster.name: this key is required"),
        ('listen = "10.0.0.1"', "", "cluster.listen: this key is required"),
        ('address = "10.0.0.11"', "", "hosts.alpha.address: this key is required"),
        ('listen = "10.0.0.1"', 'listen = "10.0.0.1:8786"', "cluster.listen: '10.0.0.1:8786' is no address"),
        ('listen = "10.0.0.1"', 'listen = "10.0.0.1234"', "cluster.listen: '10.0.0.1234' is no address"),
        ('listen = "10.0.0.1"', 'listen = "127.0.0.1"', "cluster.listen: 127.0.0.1 is this machine alone"),
        ('name = "lab"', 'name = "../lab"', "cluster.name: '../lab' is no name"),
        ("user =", "usr =", "cluster.usr: unknown key; 'usr' is not one of:"),
        ("class =", "clas =", "hosts.alpha.clas: unknown key; 'clas' is not one of:"),
        ("ssh_port = 2222", "ssh_port = 0", "hosts.beta.ssh_port: 0 is out of range; valid is 1 to 65535"),
        ("ssh_port = 2222", 'ssh_port = "2222"', "hosts.beta.ssh_port: a whole number is wanted, not '2222'"),
        ('user = "root"', 'user = "-oProxyCommand=x"', "hosts.beta.user: '-oProxyCommand=x' is no name of a user"),
        ('cache = "/srv/bpfbench"', 'cache = "srv"', "hosts.beta.cache: 'srv' is no absolute path"),
        ("[hosts.alpha]", "[hosts.Alpha]", "hosts.Alpha: 'Alpha' is no host name"),
        ('"beta.example.org"\nssh_port = 2222', '"10.0.0.11"', "hosts.beta.address: 10.0.0.11 is hosts.alpha, too"),
        ("[hosts.alpha]", '[kinds]\na = "b"\n[hosts.alpha]', "kinds: unknown key"),
        ('"lab"', '"lab"\nbelow = "cluster"', "cluster.below: 'cluster' is not one of: host, vm"),
        ('"lab"', '"lab"\nkernels = "sid"', "cluster.kernels: only virtual machines boot kernels"),
        ('"lab"', '"lab"\nidentity_file = "no"', "cluster.identity_file: 'no' is not an existing file"),
        ('address = "10.0.0.11"', "address = 7", "hosts.alpha.address: a text is wanted, not 7"),
    ],
)
def test_what_is_wrong_is_said_with_where(old: str, new: str, said: str) -> None:
    assert old in LAB
    assert refused(LAB.replace(old, new)).startswith(said)


def test_a_cluster_without_hosts_is_none() -> None:
    assert refused('[cluster]\nname = "lab"\nlisten = "10.0.0.1"\n') == "hosts: give at least one"
    assert refused('hosts = 3\n[cluster]\nname = "lab"\nlisten = "10.0.0.1"\n').startswith("hosts: a table is wanted")


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.lists(st.text())), max_size=4))
def test_no_table_makes_anything_but_an_answer_or_an_error(table: dict[str, object]) -> None:
    lines = "\n".join(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in table.items())
    with pytest.raises(UsageError):
        hosts.parse(f"[cluster]\n{lines}\n", "hosts.toml")


def test_a_file_that_cannot_be_read_is_said_to_be_that(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        hosts.load(tmp_path / "hosts.toml")
    (tmp_path / "hosts.toml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        hosts.load(tmp_path / "hosts.toml")

# SPDX-License-Identifier: Apache-2.0
"""Hosts reached by SSH: commands run there, files sent there. A host whose key is not known is never talked to."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shlex
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import asyncssh

from bpfbench.declare.hosts import RemoteHost
from bpfbench.errors import MachineError
from bpfbench.machine import command

CONNECT_S = 20.0
PIECE = 4 * 2**20
"""Bytes that are sent before it is told how far it is."""
KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
"""As OpenSSH reads them."""

Sent = Callable[[int, int], None]
"""Told how many bytes of how many are there."""


class HostError(MachineError):
    """A host cannot be reached, or cannot do what it should."""


class Shell:
    """A connection to a host."""

    def __init__(self, host: RemoteHost, connection: asyncssh.SSHClientConnection) -> None:
        self.host = host
        self._connection = connection

    async def run(
        self, argv: Sequence[str], stdin: str = "", timeout_s: float = 600.0, accepted: Sequence[int] = (0,)
    ) -> str:
        """Run a command there; return what it writes to stdout.

        Args:
            argv: the command.
            stdin: what it reads.
            timeout_s: it is given up after so long.
            accepted: the exit statuses that are none of an error.

        Raises:
            HostError: it failed; has its last words.
        """
        command.LOG.debug("%s: %s", self.host.name, shlex.join(argv))
        try:
            ended = await self._connection.run(
                shlex.join(argv), input=stdin, timeout=timeout_s, encoding="utf-8", errors="replace"
            )
        except TimeoutError:  # asyncssh's own is one, too
            raise HostError(f"host {self.host.where}: `{argv[0]}` does not end", "look what it waits for") from None
        except (asyncssh.Error, OSError) as error:
            raise HostError(f"host {self.host.where}: the connection was lost: {error}", "run it again") from None
        if ended.exit_status not in accepted:
            said = str(ended.stderr or ended.stdout or "").strip().splitlines()
            words = "\n  ".join(said[-4:]) or f"`{argv[0]}` ended with status {ended.exit_status}"
            raise HostError(f"host {self.host.where}: {words}")
        return str(ended.stdout or "")

    async def send(self, local: Path, remote: str, sha256: str, sent: Sent = lambda _, __: None) -> None:
        """Have a file there, whole or not at all, going on from where an earlier attempt broke off.

        Args:
            local: the file here.
            remote: its path there, in a directory that exists.
            sha256: what it must be.
            sent: told how far it is.

        Raises:
            HostError: it did not arrive as it was sent.
        """
        partial = f"{remote}.{sha256[:16]}.partial"
        for attempt in range(2):
            resumed = await self._copy(local, partial, sent)
            there = (await self.run(("sha256sum", "--", partial))).split()[0]
            if there == sha256:
                await self.run(("mv", "--", partial, remote))
                return
            await self.run(("rm", "-f", "--", partial))
            if not resumed or attempt:
                break
        raise HostError(f"host {self.host.where}: {local.name} arrived damaged", "run it again; look at that network")

    async def _copy(self, local: Path, partial: str, sent: Sent) -> bool:
        """Copy what is not there yet; return whether something was."""
        size = local.stat().st_size
        try:
            async with self._connection.start_sftp_client() as sftp:
                there = await sftp.stat(partial) if await sftp.exists(partial) else None
                done = there.size or 0 if there else 0
                if done > size:
                    await sftp.remove(partial)
                    done = 0
                mode = "r+b" if done else "wb"
                async with sftp.open(partial, mode, encoding=None) as file:
                    at = done
                    with local.open("rb") as reading:
                        reading.seek(at)
                        while piece := await asyncio.to_thread(reading.read, PIECE):
                            await file.write(piece, at)
                            at += len(piece)
                            sent(at, size)
                return done > 0
        except (asyncssh.Error, OSError) as error:
            why = getattr(error, "reason", "") or str(error)
            raise HostError(
                f"host {self.host.where}: {partial}: {why}", "run it again: it goes on from there"
            ) from None


@contextlib.asynccontextmanager
async def connected(host: RemoteHost) -> AsyncIterator[Shell]:
    """Connect to a host whose key is known.

    Raises:
        HostError: it cannot be reached, is not who it was, or does not let us in; says what to do.
    """
    known = _known(host)
    try:
        connection = await asyncssh.connect(
            host.address,
            host.ssh_port,
            username=host.user,
            known_hosts=known,  # never None, which would be anyone
            client_keys=[str(host.identity_file)] if host.identity_file else (),
            password_auth=False,
            kbdint_auth=False,
            connect_timeout=CONNECT_S,
            login_timeout=CONNECT_S,
            keepalive_interval=15,
            keepalive_count_max=4,
        )
    except asyncssh.HostKeyNotVerifiable:
        raise await _untrusted(host, known) from None
    except asyncssh.PermissionDenied:
        at = f"-p {host.ssh_port} {host.user}@{host.address}"
        raise HostError(
            f"host {host.where}: {host.user} is not let in with the keys that there are here",
            f"have your key there (`ssh-copy-id {at}`) and in your agent (`ssh-add`), or name it: identity_file",
        ) from None
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise HostError(
            f"host {host.where}: {host.identity_file or 'a private key'}: {error}", "with a passphrase: `ssh-add` it"
        ) from None
    except (asyncssh.Error, OSError, TimeoutError) as error:
        said = getattr(error, "strerror", None) or str(error) or f"no answer within {CONNECT_S:.0f} s"
        raise HostError(
            f"host {host.where} cannot be reached: {said}",
            f"is it on, is that its address, does its sshd listen at port {host.ssh_port}?",
        ) from None
    async with connection:
        yield Shell(host, connection)


def _known(host: RemoteHost) -> asyncssh.SSHKnownHosts:
    """Return the keys of hosts that are known."""
    files = [host.known_hosts] if host.known_hosts else [Path(name).expanduser() for name in KNOWN_HOSTS]
    try:
        return asyncssh.import_known_hosts("\n".join(path.read_text() for path in files if path.is_file()) + "\n")
    except ValueError as error:
        raise HostError(f"{', '.join(map(str, files))}: {error}") from None


async def _untrusted(host: RemoteHost, known: asyncssh.SSHKnownHosts) -> HostError:
    """Say that a host's key is not known, or not the one that is."""
    shown = await _shown_key(host)
    file = host.known_hosts or Path(KNOWN_HOSTS[0])
    expected, *_ = known.match(host.address, "", host.ssh_port if host.ssh_port != 22 else None)
    at = host.address if host.ssh_port == 22 else f"[{host.address}]:{host.ssh_port}"
    compare = "compare with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` says on its console"
    if expected:
        wanted = " or ".join(key.get_fingerprint() for key in expected)
        return HostError(
            f"host {host.where} shows another SSH key than {file} has: {shown}, not {wanted}",
            "it was installed anew, or is another machine, or somebody is in between: find out which; if it is right, "
            f"`ssh-keygen -f {file} -R '{at}'`, then as for a new one: {compare}",
        )
    scan = f"ssh-keyscan -p {host.ssh_port} {host.address} >> {file}"
    return HostError(f"host {host.where}: its SSH key is not known here: {shown}", f"{compare}, then `{scan}`")


async def _shown_key(host: RemoteHost) -> str:
    with contextlib.suppress(asyncssh.Error, OSError, TimeoutError):
        key = await asyncio.wait_for(asyncssh.get_server_host_key(host.address, host.ssh_port), CONNECT_S)
        if key is not None:
            return key.get_fingerprint()
    return "which is not to be had now"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

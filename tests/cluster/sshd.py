# SPDX-License-Identifier: Apache-2.0
"""An SSH server of a host of a test, of which the machine's own knows nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def keygen(path: Path) -> None:
    """Make a key pair."""
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)), check=True)


def server(folder: Path, host: str, listen: str, port: int) -> list[str]:
    """Return the command of a server, configured in a folder; whoever has FOLDER/key is let in."""
    keygen(folder / f"{host}.key")
    (folder / f"{host}.conf").write_text(
        f"Port {port}\nListenAddress {listen}\nHostKey {folder / host}.key\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/key.pub\nStrictModes no\nPermitRootLogin prohibit-password\n"
        "PasswordAuthentication no\nSubsystem sftp internal-sftp\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    return [shutil.which("sshd") or "sshd", "-D", "-e", "-f", str(folder / f"{host}.conf")]


def known(folder: Path, host: str, at: str) -> str:
    """Return the line of known_hosts for a host that is reached at an address, such as 10.0.0.1 or [127.0.0.1]:2222."""
    kind, key, _ = (folder / f"{host}.key.pub").read_text().split()
    return f"{at} {kind} {key}\n"

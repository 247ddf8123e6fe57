# SPDX-License-Identifier: Apache-2.0
"""The certificates of a cluster: an authority of its own, and one short-lived certificate for each who takes part.

    FOLDER/authority.key               the authority's key, which never leaves this machine
    FOLDER/ca.pem                      its certificate
    FOLDER/NODE/{ca.pem,node.pem,node.key}   what a node needs: its key, its certificate, and who vouches for the others

Directories are 0700, files 0600. Scheduler, workers and client accept whom the authority vouches for, and nobody else.
A certificate names its node (scheduler.py asks for that), and that of a host is no server's: no host can pose as the
scheduler.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_KEY, CA, CERTIFICATE, KEY = "authority.key", "ca.pem", "node.pem", "node.key"
CONTROLLER = "_controller"
"""The node that has scheduler and controllers: no host has such a name."""
BEFORE = timedelta(days=1)
"""Certificates are good from so long before they are made: clocks of hosts may be behind."""


@dataclass(frozen=True, slots=True)
class Issued:
    """The certificates of a cluster."""

    folder: Path
    until: datetime
    renewed: bool
    """Whether they were made anew, so that whoever has the former ones must have these."""

    def of(self, node: str) -> Path:
        """Return the directory of a node's."""
        return self.folder / node


def issue(folder: Path, cluster: str, nodes: Sequence[str], days: int, now: datetime | None = None) -> Issued:
    """Return certificates for these nodes: those there are, where all will be good for half their time yet.

    Args:
        folder: where they are kept.
        cluster: its name.
        nodes: whom they are for.
        days: for how long new ones are good.
        now: the time.

    Raises:
        OSError: they cannot be written.
    """
    now = now or datetime.now(UTC)
    until = good_until(folder)
    if until is None or until - now < timedelta(days=days) / 2:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        folder.chmod(0o700)
        _found(folder, cluster, now, now + timedelta(days=days))
        until, renewed = good_until(folder) or now, True
    else:
        renewed = False
    for node in nodes:
        if not (folder / node).exists():
            _certify(folder, cluster, node, now, until)
    return Issued(folder, until, renewed)


def name(node: Path) -> str:
    """Return whom the certificate in a node's directory names."""
    subject = x509.load_pem_x509_certificate((node / CERTIFICATE).read_bytes()).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def discard(folder: Path) -> None:
    """Delete them, keys and all: what they were for is over."""
    shutil.rmtree(folder, ignore_errors=True)


def good_until(folder: Path) -> datetime | None:
    """Return until when the certificates in a folder are good; None: there are none, or they cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        if (folder / AUTHORITY_KEY).exists():
            return x509.load_pem_x509_certificate((folder / CA).read_bytes()).not_valid_after_utc
    return None


def _found(folder: Path, cluster: str, now: datetime, until: datetime) -> None:
    """Make the authority. Its key is written last: without it nothing is there."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(cluster, "authority")
    made = (
        _builder(subject, key, now, until)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(folder / CA, made.public_bytes(serialization.Encoding.PEM))
    _write(folder / AUTHORITY_KEY, _pem(key))


def _certify(folder: Path, cluster: str, node: str, now: datetime, until: datetime) -> None:
    """Make a node's key and certificate."""
    authority = x509.load_pem_x509_certificate((folder / CA).read_bytes())
    loaded = serialization.load_pem_private_key((folder / AUTHORITY_KEY).read_bytes(), password=None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{folder / AUTHORITY_KEY} is no key of ours")
    key = ec.generate_private_key(ec.SECP256R1())
    server = [ExtendedKeyUsageOID.SERVER_AUTH] if node == CONTROLLER else []
    made = (
        _builder(_name(cluster, node), key, now, until)
        .issuer_name(authority.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([*server, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(node)]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(loaded.public_key()), critical=False)
        .sign(loaded, hashes.SHA256())
    )
    with _aside(folder / node) as partial:
        _write(partial / CA, authority.public_bytes(serialization.Encoding.PEM))
        _write(partial / CERTIFICATE, made.public_bytes(serialization.Encoding.PEM))
        _write(partial / KEY, _pem(key))


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEFORE)
        .not_valid_after(until)
    )


def _name(cluster: str, who: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"bpfbench cluster {cluster}"[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, who),
        ]
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@contextlib.contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """Give a directory to fill, which is renamed when that is done."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    yield partial
    partial.rename(folder)


def _write(path: Path, content: bytes) -> None:
    """Write a file that nobody else ever can read."""
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(content)

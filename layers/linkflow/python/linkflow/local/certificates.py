"""Certificates for services that call each other over mutual TLS: an authority of the installation's own, and a
certificate for each service (ECDSA P-256, X.509 v3, PEM)."""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from linkflow.config import BadConfig

SERVICES = ("api", "frontend", "history", "matching", "worker", "timer")
AUTHORITY_DAYS = 3650
_CERTIFICATE, _KEY, _AUTHORITY = "tls.crt", "tls.key", "ca.crt"
_EARLIER = datetime.timedelta(minutes=5)
"""Clocks of machines differ."""


class Certificate(Struct, frozen=True, kw_only=True):
    """What a folder holds."""

    service: str
    names: tuple[str, ...]
    """Names and addresses it is good for."""
    expires: str
    """ISO 8601."""
    made: bool = False
    """Made just now; otherwise it was good as it was."""


class Authority:
    """Issues certificates. Its key is as good as all of theirs: it belongs where the deployment's secrets are."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate, self._key = certificate, key

    @property
    def pem(self) -> bytes:
        """The certificate that services believe."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @classmethod
    def at(cls, folder: Path, now: datetime.datetime) -> Authority:
        """The one of a folder (``ca.crt``, ``ca.key``), made where there is none.

        Raises `BadConfig` where only one of the two is there, or the two do not belong together.
        """
        crt, key = folder / _AUTHORITY, folder / "ca.key"
        if crt.exists() != key.exists():
            lost = key if crt.exists() else crt
            raise BadConfig(f"{lost} is missing. Bring it back, or remove the other one to begin anew.")
        if not crt.exists():
            made = cls._new(now)
            _write(key, _private(made._key), 0o600)
            _write(crt, made.pem, 0o644)
            return made
        try:
            certificate = x509.load_pem_x509_certificate(crt.read_bytes())
            private = serialization.load_pem_private_key(key.read_bytes(), None)
        except ValueError as error:
            raise BadConfig(f"{folder}: {_AUTHORITY} and ca.key cannot be read: {error}") from None
        if not isinstance(private, ec.EllipticCurvePrivateKey) or certificate.public_key() != private.public_key():
            raise BadConfig(f"{folder}: ca.key is not the key of {_AUTHORITY}.")
        return cls(certificate, private)

    @classmethod
    def _new(cls, now: datetime.datetime) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "LinkFlow services")])
        builder = _builder(name, name, key.public_key(), now, AUTHORITY_DAYS).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        builder = builder.add_extension(_usage(signs=True), critical=True).add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    def issue(self, service: str, names: Iterable[str], days: int, now: datetime.datetime) -> tuple[bytes, bytes]:
        """Certificate and key for a service, good for `names` (hosts and addresses), at both ends of a call."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, service)])
        builder = _builder(subject, self._certificate.subject, key.public_key(), now, days)
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(both), critical=False)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), _private(key)

    def signed(self, certificate: x509.Certificate) -> bool:
        """Is it one of ours?"""
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except Exception:  # whatever does not verify is not ours
            return False
        return True


def make(
    folder: Path,
    services: Iterable[str],
    hosts: Mapping[str, Iterable[str]],
    days: int,
    *,
    renew: bool = False,
    now: datetime.datetime | None = None,
) -> list[Certificate]:
    """A folder for each service below `folder`, and the authority in it. What is good is left as it is.

    A certificate is made again where it is missing, of another authority, not good for all names, or past two thirds of
    its life. `hosts` has further names by service (``*``: for all). Raises `BadConfig`.
    """
    now = (now or datetime.datetime.now(datetime.UTC)).replace(microsecond=0)
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority.at(folder, now)
    made = []
    for service in services:
        own = folder / service
        names = names_of(service, [*hosts.get(service, ()), *hosts.get("*", ())])
        found = None if renew else _good(own, names, authority, now)
        if found is None:
            certificate, key = authority.issue(service, names, days, now)
            own.mkdir(exist_ok=True)
            _write(own / _KEY, key, 0o600)
            _write(own / _CERTIFICATE, certificate, 0o644)
        _write(own / _AUTHORITY, authority.pem, 0o644)
        made.append(_described(service, own, made=found is None))
    return made


def described(folder: Path) -> list[Certificate]:
    """The certificates in the folders below. Raises `BadConfig` where there are none."""
    found = [_described(own.parent.name, own.parent) for own in sorted(folder.glob(f"*/{_CERTIFICATE}"))]
    if not found:
        raise BadConfig(f"{folder} has no certificates; `linkflow certs make {folder}` makes them.")
    return found


def names_of(service: str, further: Iterable[str]) -> list[str]:
    """What a service is called: by compose and Kubernetes, on its own machine, and otherwise."""
    usual = (service, f"linkflow-{service}", "localhost", "127.0.0.1", "::1")
    return list(dict.fromkeys([*usual, *further]))


def _good(own: Path, names: list[str], authority: Authority, now: datetime.datetime) -> x509.Certificate | None:
    try:
        certificate = x509.load_pem_x509_certificate((own / _CERTIFICATE).read_bytes())
        key = serialization.load_pem_private_key((own / _KEY).read_bytes(), None)
    except (OSError, ValueError):
        return None
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    late = now > begin + (end - begin) * 2 / 3
    belongs = certificate.public_key() == key.public_key() and authority.signed(certificate)
    return certificate if belongs and not late and set(names) <= set(_names(certificate)) else None


def _described(service: str, own: Path, *, made: bool = False) -> Certificate:
    try:
        certificate = x509.load_pem_x509_certificate((own / _CERTIFICATE).read_bytes())
    except ValueError as error:
        raise BadConfig(f"{own / _CERTIFICATE} cannot be read: {error}") from None
    expires = certificate.not_valid_after_utc.isoformat().replace("+00:00", "Z")
    return Certificate(service=service, names=tuple(_names(certificate)), expires=expires, made=made)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(one) for one in found.get_values_for_type(x509.IPAddress)]
    return [*found.get_values_for_type(x509.DNSName), *addresses]


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if not name.isascii() or not name or any(c.isspace() or c in "/:@" for c in name):
        raise BadConfig(f"{name!r} is no host name and no address: write history.internal or 10.0.0.5.")
    return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all: a service may be reading. What is already there stays untouched."""
    if path.exists() and path.read_bytes() == content:
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    beside.replace(path)

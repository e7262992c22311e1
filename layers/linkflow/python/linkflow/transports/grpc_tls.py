"""Mutual TLS between services: the certificate of this process, and the authority that it believes.

A folder holds ``tls.crt``, ``tls.key`` and ``ca.crt`` (PEM; the names of a Kubernetes TLS secret). `linkflow certs`
makes such folders. The files are read again when they change, so certificates are renewed without a restart.
"""

from __future__ import annotations

import threading
from pathlib import Path

import grpc
from msgspec import Struct

from linkflow.config import BadConfig, Config

CERTIFICATE, KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"


class Material(Struct, frozen=True):
    """PEM, as it stood in the files at `stamp`."""

    certificate: bytes
    key: bytes
    authority: bytes
    stamp: tuple[int, ...]


class Identity:
    """What a folder says this process is. Raises `BadConfig` where the folder is not complete."""

    def __init__(self, folder: str) -> None:
        self._files = [Path(folder) / name for name in (CERTIFICATE, KEY, AUTHORITY)]
        self._lock = threading.Lock()
        self._material = self._read()

    def client(self) -> grpc.ChannelCredentials:
        """For a channel: who the peer is is checked, and it learns who we are."""
        now = self.now()
        return grpc.ssl_channel_credentials(now.authority, now.key, now.certificate)

    def server(self) -> grpc.ServerCredentials:
        """For a server that takes calls of this authority's certificates alone."""
        given = [self._material.stamp]

        def fetch() -> grpc.ServerCertificateConfiguration | None:  # gRPC asks at each handshake
            now = self.now()
            if now.stamp == given[0]:
                return None
            given[0] = now.stamp
            return _configuration(now)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(self._material),
            fetch,  # type: ignore[arg-type]  # gRPC's documentation has None for "nothing new"
            require_client_authentication=True,
        )

    def now(self) -> Material:
        """The present content. Files that cannot be read just now (they are being replaced) leave the last one."""
        with self._lock:
            try:
                if self._stamp() != self._material.stamp:
                    self._material = self._read()
            except (OSError, BadConfig):
                pass
            return self._material

    def _stamp(self) -> tuple[int, ...]:
        return tuple(file.stat().st_mtime_ns for file in self._files)

    def _read(self) -> Material:
        try:
            stamp = self._stamp()
            certificate, key, authority = (file.read_bytes() for file in self._files)
        except OSError as error:
            raise BadConfig(
                f"LINKFLOW_TLS: {error.filename}: {error.strerror}. The folder holds {CERTIFICATE}, {KEY} and"
                f" {AUTHORITY}; `linkflow certs make` makes them."
            ) from None
        for name, text in ((CERTIFICATE, certificate), (KEY, key), (AUTHORITY, authority)):
            if b"-----BEGIN " not in text:
                raise BadConfig(f"LINKFLOW_TLS: {name} is not PEM.")
        _check_pair(certificate, key)
        return Material(certificate, key, authority, stamp)


def identity(config: Config) -> Identity | None:
    """What a process shows and asks for; None without `Config.tls`."""
    return Identity(config.tls) if config.tls else None


def _check_pair(certificate: bytes, key: bytes) -> None:
    """Half of a renewal must not be shown: nobody would talk to us."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificate

    try:
        fits = load_pem_private_key(key, None).public_key() == load_pem_x509_certificate(certificate).public_key()
    except (ValueError, TypeError) as error:
        raise BadConfig(f"LINKFLOW_TLS: {CERTIFICATE} or {KEY} cannot be read: {error}") from None
    if not fits:
        raise BadConfig(f"LINKFLOW_TLS: {KEY} is not the key of {CERTIFICATE}.")


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    pairs = [(material.key, material.certificate)]
    return grpc.ssl_server_certificate_configuration(pairs, root_certificates=material.authority)

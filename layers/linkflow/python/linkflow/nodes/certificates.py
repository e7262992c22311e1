"""Certificates that come with a call, into a TLS context."""

from __future__ import annotations

import os
import ssl
import tempfile

from linkflow.nodes.base import NodeFailure
from linkflow.nodes.going import Tls


def load(context: ssl.SSLContext, wanted: Tls) -> None:
    """Trust further authorities, and show a certificate of one's own. Raises `NodeFailure` ``bad_credential``."""
    try:
        if wanted.authorities:
            context.load_verify_locations(cadata=wanted.authorities)
        if wanted.certificate:
            _show(context, wanted.certificate, wanted.key)
    except (ssl.SSLError, ValueError, OSError):
        text = "The certificates cannot be read: they and the key are given in PEM, the key without a password."
        raise NodeFailure("bad_credential", text, retryable=False) from None


def _show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    # OpenSSL's bindings take a certificate with its key from a file only: it is there for as long as that takes.
    handle, name = tempfile.mkstemp(prefix="linkflow-")  # mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f"{certificate.strip()}\n{key.strip()}\n")
        context.load_cert_chain(name, password=lambda: b"")
    finally:
        os.unlink(name)

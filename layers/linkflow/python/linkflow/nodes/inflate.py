"""Reads a response body within a bound, before and after decompression."""

from __future__ import annotations

import zlib

from linkflow.nodes.base import NodeFailure


class Inflater:
    """Collects a body of at most `limit` bytes; undoes gzip and deflate, leaves other encodings as they are.

    A few hundred bytes can inflate to gigabytes, so no call to zlib may give back more than the limit leaves.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        self._kind = encoding.strip().lower()
        # 47: zlib tells gzip and zlib headers apart by itself.
        self._zlib = zlib.decompressobj(47) if self._kind in ("gzip", "x-gzip", "deflate") else None
        self._limit, self._raw, self._size, self._parts = limit, 0, 0, list[bytes]()

    def expect(self, length: int) -> None:
        """The peer says how long the body is: refuse it before reading. Raises `NodeFailure` ``http_too_large``."""
        if length > self._limit:
            raise self._too_large()

    def feed(self, chunk: bytes) -> None:
        """The next bytes off the wire. Raises `NodeFailure` ``http_too_large`` or ``http_bad_body``."""
        self._raw += len(chunk)
        if self._zlib is None:
            self._keep(chunk)
            return
        if self._raw > self._limit:
            raise self._too_large()
        try:
            self._inflate(chunk)
        except zlib.error:
            self._retry_bare(chunk)

    def _inflate(self, chunk: bytes) -> None:
        while chunk and self._zlib is not None:
            if self._zlib.eof:  # a further gzip member (RFC 1952, 2.2)
                self._zlib = zlib.decompressobj(47)
            self._keep(self._zlib.decompress(chunk, self._limit - self._size + 1))
            chunk = self._zlib.unused_data

    def _retry_bare(self, chunk: bytes) -> None:
        # Some servers send bare deflate (RFC 1951) under the name of zlib's (RFC 1950); it shows in the first chunk.
        if self._kind != "deflate" or self._size or self._raw != len(chunk):
            raise self._bad_body() from None
        self._zlib = zlib.decompressobj(-15)
        try:
            self._inflate(chunk)
        except zlib.error:
            raise self._bad_body() from None

    def finish(self) -> bytes:
        """The whole body. Raises `NodeFailure` ``http_bad_body`` if the compressed form ends early."""
        if self._zlib is not None and self._raw and not self._zlib.eof:
            raise self._bad_body()
        return b"".join(self._parts)

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            raise self._too_large()
        self._parts.append(data)

    def _too_large(self) -> NodeFailure:
        return NodeFailure("http_too_large", f"The body is larger than {self._limit} bytes.", retryable=False)

    def _bad_body(self) -> NodeFailure:
        return NodeFailure("http_bad_body", f"The body is not valid {self._kind}.")

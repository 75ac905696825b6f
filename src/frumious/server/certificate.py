"""The certificate that is served and its key, as they were when they were looked at.

Both are read once, by what their names lead to at that moment, and kept in memory. A worker that is made later finds
what was checked, whatever an ACME client is doing to the files meanwhile.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path


class BadCertificate(Exception):
    """A certificate and a key that cannot be used together: why."""


class Certificate:
    """A certificate with its chain, and its key."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read and check them; raises BadCertificate, OSError."""
        self._certificate, self._key = _Kept(certificate), _Kept(key)
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*self.paths, password="")
        except (ssl.SSLError, ValueError) as error:
            raise BadCertificate(getattr(error, "reason", None) or error.args[-1]) from None

    @property
    def paths(self) -> tuple[str, str]:
        """Where this process reads the two, and each that it forks while this is there."""
        return self._certificate.path, self._key.path


class _Kept:
    """The bytes of a file, in memory that has a path, since that is what those who read them want."""

    def __init__(self, path: Path) -> None:
        body = path.read_bytes()
        self._descriptor = os.memfd_create("frumious-tls")
        self.path = f"/proc/self/fd/{self._descriptor}"
        Path(self.path).write_bytes(body)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

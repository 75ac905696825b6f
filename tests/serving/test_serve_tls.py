"""`frumious serve` with certificates that an ACME client renews (docs/serving.md)."""

import contextlib
import hashlib
import http.client
import os
import signal
import socket
import ssl

import pytest
import trustme

from support.program import wait_for
from support.serving import serving, write_config
from support.tree import build_small_tree


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    """A mirror with one file that no socket buffer holds."""
    tree = build_small_tree(tmp_path_factory.mktemp("tls") / "mirror")
    (tree.web / "packages/large.bin").write_bytes(os.urandom(30 << 20))
    return tree


class Renewing:
    """Certificates as certbot keeps them: `live/` has links to the newest of `archive/`."""

    def __init__(self, folder, authority):
        self.live, self.archive = folder / "live", folder / "archive"
        self.live.mkdir()
        self.archive.mkdir()
        self._authority = authority
        self._number = 0

    @property
    def settings(self):
        return f"tls-certificate = {self.live / 'fullchain.pem'}\ntls-key = {self.live / 'privkey.pem'}"

    def renew(self):
        """Make the next certificate, let the links lead to it, and delete the one before."""
        before = list(self.archive.iterdir())
        self._number += 1
        made = self._authority.issue_cert("127.0.0.1")
        chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
        for name, body in (("fullchain", chain), ("privkey", made.private_key_pem.bytes())):
            place = self.archive / f"{name}{self._number}.pem"
            place.write_bytes(body)
            link = self.live / "new"
            link.symlink_to(place)
            link.replace(self.live / f"{name}.pem")
        for path in before:
            path.unlink()
        return hashlib.sha256(
            ssl.PEM_cert_to_DER_cert(chain.decode().split("\n-----BEGIN", 1)[0])
        ).hexdigest()


@pytest.fixture
def renewing(tmp_path, authority):
    return Renewing(tmp_path, authority)


def shown(server, trusting):
    """Return the digest of the certificate that somebody who comes now is shown, None if nobody answers."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", server.port), 5) as plain,
        trusting.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        certificate = connection.getpeercert(binary_form=True)
        assert certificate is not None
        return hashlib.sha256(certificate).hexdigest()
    return None


def test_a_renewed_certificate_is_taken_up_and_who_is_connected_stays(mirror, tmp_path, renewing, trusting):
    first = renewing.renew()
    with serving(write_config(tmp_path / "f.conf", mirror.web.parent, renewing.settings)) as server:
        wait_for(lambda: shown(server, trusting) == first)
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=trusting, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", "/packages/large.bin")
            answer = connection.getresponse()
            got = answer.read(1000)

            second = renewing.renew()
            assert shown(server, trusting) == first, "nothing was said yet"
            server.process.send_signal(signal.SIGHUP)
            wait_for(lambda: shown(server, trusting) == second)

            got += answer.read()
        assert got == (mirror.web / "packages/large.bin").read_bytes()
        assert second != first
        assert "takes effect when" not in server.log.read_text()


def test_what_cannot_be_used_changes_nothing_and_no_worker_reads_it(mirror, tmp_path, renewing, trusting):
    first = renewing.renew()
    with serving(write_config(tmp_path / "f.conf", mirror.web.parent, renewing.settings)) as server:
        wait_for(lambda: shown(server, trusting) == first)
        before = server.children()
        (renewing.live / "privkey.pem").resolve().write_text("half of a k")
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "goes on as before" in server.log.read_text())
        wait_for(lambda: not before & server.children())

        assert "cannot be used together" in server.log.read_text()
        assert shown(server, trusting) == first


def test_a_worker_that_dies_is_replaced_whatever_became_of_the_files(mirror, tmp_path, renewing, trusting):
    first = renewing.renew()
    with serving(write_config(tmp_path / "f.conf", mirror.web.parent, renewing.settings)) as server:
        wait_for(lambda: shown(server, trusting) == first)
        for path in renewing.archive.iterdir():
            path.unlink()
        before = server.children()
        os.kill(int(min(before)), signal.SIGKILL)
        wait_for(lambda: server.children() - before)
        wait_for(lambda: shown(server, trusting) == first)


def test_https_begins_and_ends_with_the_settings(mirror, tmp_path, renewing, trusting):
    config = write_config(tmp_path / "f.conf", mirror.web.parent)
    with serving(config) as server:
        assert shown(server, trusting) is None
        first = renewing.renew()
        write_config(config, mirror.web.parent, renewing.settings)
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: shown(server, trusting) == first)


@pytest.mark.parametrize(("version", "spoken"), [("TLSv1_2", "TLSv1.2"), ("TLSv1_3", "TLSv1.3")])
def test_clients_of_some_age_are_understood(authority, mirror, tmp_path, version, spoken):
    """Python 3.6 with the OpenSSL of its time knows no TLS 1.3."""
    renewing = Renewing(tmp_path, authority)
    renewing.renew()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    config = write_config(tmp_path / "f.conf", mirror.web.parent, renewing.settings)
    with (
        serving(config) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        assert secure.version() == spoken

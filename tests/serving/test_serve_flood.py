"""A private mirror while somebody guesses passwords (docs/serving.md): who is known is answered, who comes new can log in."""

import base64
import contextlib
import http.client
import re
import socket

import pytest

from frumious.server.access import password_line
from support.serving import serving, write_config

GUESSES = 150
PASSWORDS = {"alice": "correct horse", "bob": "battery staple"}


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.fixture(scope="module")
def private(tree, tmp_path_factory):
    folder = tmp_path_factory.mktemp("flood")
    users = folder / "users"
    users.write_text("\n".join(password_line(*known) for known in PASSWORDS.items()))
    with serving(write_config(folder / "f.conf", tree.web.parent, f"users = {users}")) as server:
        yield server


def log_in_from(address, server, name):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20, source_address=(address, 0))
    with contextlib.closing(connection):
        connection.request("GET", "/simple/snark/", headers={"Authorization": basic(name, PASSWORDS[name])})
        return connection.getresponse().status


def test_guessing_stops_nobody_else(private):
    assert log_in_from("127.0.0.1", private, "alice") == 200

    with contextlib.ExitStack() as stack:
        guessing = [
            stack.enter_context(socket.create_connection(("127.0.0.1", private.port), 30))
            for _ in range(GUESSES)
        ]
        for number, connection in enumerate(guessing):
            said = f"GET /simple/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {basic('alice', number)}\r\n\r\n"
            connection.sendall(said.encode())
        assert log_in_from("127.0.0.1", private, "alice") == 200, "known already"
        assert log_in_from("127.0.0.2", private, "bob") == 200, "new, and from elsewhere"
        assert private.ask("/health").status == 200
        answers = [b"".join(iter(lambda: connection.recv(1 << 16), b"")) for connection in guessing]  # noqa: B023 - read at once

    statuses = [int(answer[9:12]) for answer in answers]
    assert set(statuses) == {401, 503}
    assert statuses.count(401) >= 8
    refused = [answer for answer in answers if answer.startswith(b"HTTP/1.1 503")]
    assert all(re.search(rb"(?i)\r\nretry-after: \d+\r\n", answer) for answer in refused)
    assert not any(b"snark" in answer for answer in answers)
    assert log_in_from("127.0.0.1", private, "bob") == 200, "when it is over"

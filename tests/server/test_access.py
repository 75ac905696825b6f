"""Who may read a private mirror (conformance 58)."""

import asyncio
import base64
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.server import access
from frumious.server.access import Access, BadUsers, Guarded, password_line, read_users, token_line
from frumious.server.http import Request, text
from frumious.server.site import Route, Site
from server.test_simple import header

PASSWORD, TOKEN = "correct horse", "t" * 43


@pytest.fixture(scope="session")
def lines():
    return f"# people\n{password_line('alice', PASSWORD)}\n\n{token_line('ci', TOKEN)}\n"


@pytest.fixture
def users(tmp_path, lines):
    path = tmp_path / "users"
    path.write_text(lines)
    return path


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def site():
    public = [("cache-control", "max-age=600, public")]
    return Site(
        {"simple": Route(lambda _r: text(200, "secret", public))},
        Route(lambda _r: text(404, "404 Not Found")),
    )


def ask(guarded, path="/simple/", method="GET", **headers):
    async def work():
        answer = guarded.answer(Request(method, path, "", headers.get))
        return answer if not asyncio.iscoroutine(answer) else await answer

    return asyncio.run(work())


KNOWN = [
    ("a password", basic("alice", PASSWORD)),
    ("a token as password", basic("__token__", TOKEN)),
    ("a token, whoever says so", basic("ci", TOKEN)),
    ("a token alone", f"Bearer {TOKEN}"),
    ("another spelling", basic("alice", PASSWORD).replace("Basic", "bAsIc")),
]
UNKNOWN = [
    None, "", "Basic", "Basic !!!", "Basic " + base64.b64encode(b"alice").decode(), "Basic " + base64.b64encode(b"\xff:\xff").decode(),
    basic("alice", "wrong horse"), basic("bob", PASSWORD), basic("", ""), basic("alice", ""), basic("nobody", ""),
    "Bearer x", "Digest username=alice", basic("alice", PASSWORD) + "x" * 5000, basic("ci", "sha256$" + "0" * 64),
]  # fmt: skip


@pytest.mark.parametrize(("_what", "authorization"), KNOWN)
def test_who_is_known_may_read(users, _what, authorization):
    answer = ask(Guarded(site(), Access(users)), authorization=authorization)

    assert (answer.status, answer.body) == (200, b"secret\n")
    assert header(answer, "cache-control") == "max-age=600, private"


@pytest.mark.parametrize("authorization", UNKNOWN)
def test_whoever_is_not_is_told_so_before_anything_else(users, authorization):
    guarded = Guarded(site(), Access(users))
    given_headers = {} if authorization is None else {"authorization": authorization}

    there, absent = ask(guarded, **given_headers), ask(guarded, "/nowhere", **given_headers)

    assert (there.status, there.headers, there.body) == (absent.status, absent.headers, absent.body)
    assert there.status == 401
    assert header(there, "www-authenticate").startswith("Basic realm=")
    assert b"secret" not in there.body


def test_health_and_the_question_of_a_browser_are_open(users):
    guarded = Guarded(
        Site({"health": Route(lambda _r: text(200, "ok"))}, Route(lambda _r: text(404, "no"))), Access(users)
    )

    assert ask(guarded, "/health").status == 200
    assert ask(guarded, "/simple/", "OPTIONS").status == 204
    assert ask(guarded, "/health/x").status == 401


def counted(monkeypatch):
    """Count the checks of passwords."""
    checks, real = [], access._fits
    monkeypatch.setattr(access, "_fits", lambda *a: checks.append(a) or real(*a))
    return checks


def test_a_password_is_checked_once_and_then_remembered(users, monkeypatch):
    checks, door = counted(monkeypatch), Access(users)

    async def work():
        for _ in range(50):
            assert await door.may_read(basic("alice", PASSWORD))
        assert not await door.may_read(basic("nobody", "whatever"))

    asyncio.run(work())

    assert len(checks) == 2, "once for alice, and as much for somebody who is not there"


def test_who_asks_many_times_at_once_is_checked_once(users, monkeypatch):
    """As uv does with fifty requests before the first is answered."""
    checks, door = counted(monkeypatch), Access(users)

    async def work():
        return await asyncio.gather(
            *(door.may_read(basic("alice", PASSWORD), "192.0.2.1") for _ in range(50))
        )

    assert asyncio.run(work()) == [True] * 50
    assert len(checks) == 1


def test_passwords_that_wait_are_bounded_for_each_client_and_for_all(users, monkeypatch):
    checks, door = counted(monkeypatch), Access(users)
    guarded = Guarded(site(), door)

    async def guess(number, client):
        request = Request("GET", "/simple/", "", {"authorization": basic("alice", f"guess {number}")}.get)
        request.client = client
        return await guarded.answer(request)

    async def work():
        assert await door.may_read(basic("alice", PASSWORD), "192.0.2.1")
        flood = [
            asyncio.create_task(guess(number, client))
            for client in ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5")
            for number in range(20 * int(client[-1]), 20 * int(client[-1]) + 20)
        ]
        await asyncio.sleep(0)
        assert await door.may_read(basic("alice", PASSWORD), "192.0.2.1"), "remembered"
        assert await door.may_read(f"Bearer {TOKEN}", "192.0.2.1"), "a token is no password"
        assert await door.may_read(basic("ci", TOKEN), "192.0.2.1")
        assert not any(task.done() and task.result().status == 401 for task in flood), "none of them waited"
        answers = await asyncio.gather(*flood)
        assert await door.may_read(basic("alice", PASSWORD), "192.0.2.6")
        return answers

    answers = asyncio.run(work())

    refused = [answer for answer in answers if answer.status == 503]
    assert [sum(answer.status == 401 for answer in answers[n : n + 20]) for n in range(0, 100, 20)] == [
        8,
        8,
        8,
        8,
        0,
    ]
    assert len(refused) == 100 - 32
    assert {header(answer, "retry-after") for answer in refused} == {"2"}
    assert len(checks) == 1 + 32
    assert not door._waiting, "nobody is counted who does not wait"
    assert not door._checks


def test_a_check_that_began_before_the_file_changed_is_not_remembered(users, monkeypatch):
    monkeypatch.setattr(access, "_LOOK_SECONDS", 0.0)
    door = Access(users)

    async def work():
        begun = asyncio.create_task(door.may_read(basic("alice", PASSWORD)))
        await asyncio.sleep(0)
        users.write_text(token_line("ci", TOKEN))
        assert not await door.may_read("Bearer x")
        await begun
        return await door.may_read(basic("alice", PASSWORD))

    assert not asyncio.run(work())


def test_the_file_is_read_again_and_a_broken_one_changes_nothing(users, monkeypatch, caplog):
    monkeypatch.setattr(access, "_LOOK_SECONDS", 0.0)
    door = Access(users)

    def may(authorization):
        return asyncio.run(door.may_read(authorization))

    assert may(basic("alice", PASSWORD))
    users.write_text("broken\n")
    assert may(basic("alice", PASSWORD))
    assert "line 1" in caplog.text
    users.write_text(token_line("ci", TOKEN))
    assert not may(basic("alice", PASSWORD)), "whoever was taken off is out at once"
    assert may(f"Bearer {TOKEN}")
    users.unlink()
    assert may(f"Bearer {TOKEN}")


def test_a_file_that_cannot_be_read_at_first_lets_nobody_in(tmp_path):
    assert not asyncio.run(Access(tmp_path / "none").may_read(f"Bearer {TOKEN}"))


@pytest.mark.parametrize(
    "line",
    [
        "alice", "alice:secret", ":x", "alice:sha256$123", "alice:scrypt$1$1$1$x$y", "alice:scrypt$16384$8$1$!!$YQ==",
        f"alice:scrypt${1 << 30}$8$1$YQ==$YQ==", "alice:scrypt$1000$8$1$YQ==$YQ==", "alice:scrypt$2$99$1$YQ==$YQ==",
        "alice:$2y$05$abcdefghijklmnopqrstuv", "alice:{SHA}x=",
    ],
)  # fmt: skip
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "users"
    path.write_text(f"# fine\n{line}\n")

    with pytest.raises(BadUsers) as caught:
        read_users(path)
    assert caught.value.line == 2
    assert str(path) in str(caught.value)


def test_a_name_that_is_there_twice(tmp_path, lines):
    path = tmp_path / "users"
    path.write_text(lines + lines)
    with pytest.raises(BadUsers, match="alice is there twice"):
        read_users(path)


@pytest.mark.parametrize("name", ["", " x", "a:b", "a\nb", "#x", "x" * 300])
def test_a_name_that_cannot_stand_in_a_line(name):
    with pytest.raises(ValueError, match="cannot be a name"):
        token_line(name, TOKEN)


NOBODY = Access(Path(os.devnull))


@given(
    st.one_of(
        st.text(max_size=100),
        st.binary(max_size=60).map(lambda said: "Basic " + base64.b64encode(said).decode()),
    )
)
def test_no_header_is_too_strange(authorization):
    assert not asyncio.run(NOBODY.may_read(authorization))

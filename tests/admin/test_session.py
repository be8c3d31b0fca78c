"""Sessions, slow wrong tokens and where a login may lead, without a network."""

from __future__ import annotations

import asyncio

import pytest

from proxy.admin.session import SESSIONS, Attempts, Sessions, local_path, login_path, place_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends_by_itself_and_by_hand() -> None:
    clock = Clock()
    sessions = Sessions(60, clock)
    one, other = sessions.begin(None), sessions.begin(None)
    assert len(one) >= 43, "256 bits"
    name = sessions.find(one)
    assert name is not None
    assert name != sessions.find(other)
    assert one not in name, "what names it in this process opens nothing"
    assert sessions.find(one[:-1]) is None
    assert sessions.find("") is None
    clock.now = 59.9
    assert sessions.lasts(name)
    sessions.end(other)
    assert sessions.find(other) is None
    clock.now = 60
    assert not sessions.lasts(name)
    assert sessions.find(one) is None
    assert len(sessions) == 0


def test_a_session_is_never_taken_over() -> None:
    sessions = Sessions(60, Clock())
    sessions.begin("chosen by somebody else")
    assert sessions.find("chosen by somebody else") is None
    mine = sessions.begin(None)
    assert sessions.begin(mine) != mine
    assert sessions.find(mine) is None, "the one that was there before ends"


def test_sessions_are_bounded() -> None:
    sessions = Sessions(60, Clock())
    made = [sessions.begin(None) for _ in range(SESSIONS + 1)]
    assert len(sessions) == SESSIONS
    assert sessions.find(made[0]) is None
    assert sessions.find(made[1]) is not None


async def test_wrong_tokens_wait_a_few_at_a_time_and_only_theirs() -> None:
    free = asyncio.Event()

    async def sleep(seconds: float) -> None:
        assert seconds == 1.0
        await free.wait()

    attempts = Attempts(sleep, each=2, most=3)
    async with asyncio.TaskGroup() as group:
        for remote in ("10.0.0.1", "2001:db8::1", "2001:db8::2"):
            assert not attempts.full(remote)
            group.create_task(attempts.wrong(remote))
            await asyncio.sleep(0)
        assert attempts.full("2001:db8::ffff"), "who has one address has all of its network"
        assert attempts.full("10.0.0.1"), "no more wait in all"
        free.set()
    assert not attempts.full("10.0.0.1")
    assert not attempts.full("2001:db8::1")


def test_places() -> None:
    assert place_of("10.0.0.1") == "10.0.0.1"
    assert place_of("2001:db8:0:1:2::3") == "2001:db8:0:1::/64"
    assert place_of(None) == place_of("no address") == ""


@pytest.mark.parametrize(
    "path", ["/", "/findings?state=open&q=a%20b", "/domains/pay%2Fments", "/traces/1?open=0.1#d2", "/live?x=//y"]
)
def test_a_login_leads_back(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        None, "", "findings", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "//[",
        "https://evil.example/", "javascript:alert(1)", "/\t/evil.example", "/\n/evil.example", " /",
        "/ /evil.example", "/ü", "http:/x", "/x" * 2_000,
        "/login?next=/login", "/logout", "/api/v1/domains", "/static/base.css",
    ],
)  # fmt: skip
def test_a_login_leads_nowhere_else(path: str | None) -> None:
    assert local_path(path) == "/"


def test_the_login_page_knows_where_to_go_on() -> None:
    assert login_path("/") == login_path("//evil.example") == "/login"
    assert login_path("/findings?q=a&state=open") == "/login?next=/findings%3Fq%3Da%26state%3Dopen"

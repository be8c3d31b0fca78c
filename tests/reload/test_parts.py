"""What configurations share, and how one is told from another."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.settings import Settings
from proxy.settings.changes import FIXED, ReloadRefusedError, changed, fingerprint, refuse_fixed
from proxy.shelf import Shelf
from proxy.stamp import stamp


async def test_a_thing_is_closed_when_the_last_one_gives_it_back() -> None:
    shelf, events = Shelf(), list[str]()

    async def make(closing: AsyncExitStack) -> object:
        events.append("opened")
        closing.callback(events.append, "closed")
        return object()

    async with AsyncExitStack() as first:
        one = await shelf.take("key", make, first)
        async with AsyncExitStack() as second:
            assert await shelf.take("key", make, second) is one
            assert await shelf.take("other", make, second) is not one
        assert (events, len(shelf)) == (["opened", "opened", "closed"], 1)
    assert (events[-1], len(shelf)) == ("closed", 0)
    async with AsyncExitStack() as third:
        assert await shelf.take("key", make, third) is not one


async def test_what_could_not_be_opened_is_not_held() -> None:
    shelf, closed = Shelf(), list[str]()

    async def fail(closing: AsyncExitStack) -> object:
        closing.callback(closed.append, "closed")
        raise OSError("not there")

    async with AsyncExitStack() as stack:
        with pytest.raises(OSError, match="not there"):
            await shelf.take("key", fail, stack)
    assert (closed, len(shelf)) == (["closed"], 0)


async def test_what_is_being_closed_is_given_to_nobody() -> None:
    shelf = Shelf()

    async def make(closing: AsyncExitStack) -> object:
        async def look() -> None:
            async with AsyncExitStack() as other:
                seen.append(await shelf.take("key", plain, other))

        closing.push_async_callback(look)
        return object()

    async def plain(_closing: AsyncExitStack) -> object:
        return object()

    seen: list[object] = []
    async with AsyncExitStack() as stack:
        one = await shelf.take("key", make, stack)
    assert seen
    assert seen[0] is not one


def made(**more: object) -> Settings:
    return Settings.model_validate({"primary": {"url": "http://127.0.0.1:1"}, **more})


def test_the_keys_that_differ_are_named_as_far_down_as_both_have_them() -> None:
    before = made(domains={"users": {"routes": ["GET /a"]}, "old": {}}, postgres={"dsn": "postgresql://a:b@c/d"})
    after = made(
        domains={"users": {"routes": ["GET /b"], "gate": {"max_diffs": 1}}, "new": {}},
        settle={"attempts": 1, "delay": 1.0},
        compare={"ignore": ["$.a"]},
    )
    assert sorted(changed(before, after)) == [
        "compare.ignore",
        "domains.new",
        "domains.old",
        "domains.users.gate.max_diffs",
        "domains.users.routes",
        "postgres",
        "settle.attempts",
        "settle.delay",
    ]
    assert changed(before, before.model_copy(deep=True)) == []


@pytest.mark.parametrize("key", FIXED)
def test_each_key_that_needs_a_restart_is_refused_by_name(key: str) -> None:
    values = {
        "listen": "127.0.0.1:9",
        "admin.listen": "127.0.0.1:9",
        "admin.token": "t",
        "admin.session": 60.0,
        "ledger.url": "postgresql://u@127.0.0.1/x",
        "ledger.journal": "elsewhere",
        "ledger.flush": 2.0,
    }
    names = key.split(".")
    more = {names[0]: values[key] if len(names) == 1 else {names[1]: values[key]}}
    before = made(ledger={"url": "postgresql://u@127.0.0.1/y"}) if key == "ledger.journal" else made()
    if key == "ledger.journal":
        more = {"ledger": {"url": "postgresql://u@127.0.0.1/y", "journal": "elsewhere"}}
    with pytest.raises(ReloadRefusedError) as refused:
        refuse_fixed(before, made(**more))
    assert refused.value.problems == [f"{key}: cannot change while the proxy runs; restart it, or take the change back"]


def test_a_fingerprint_tells_of_no_secret_and_of_all_else() -> None:
    one = made(admin={"token": "one secret"}, postgres={"dsn": "postgresql://a:one@c/d"})
    other = made(admin={"token": "another"}, postgres={"dsn": "postgresql://a:two@c/d"})
    assert fingerprint(one) == fingerprint(other) != fingerprint(made())
    assert fingerprint(made(sampling=0.5)) != fingerprint(made())


def test_a_stamp_tells_content_from_other_content(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    gone = stamp(file)
    file.write_text("one")
    link.symlink_to(file)
    first, linked = stamp(file), stamp(link)
    assert gone == (str(file),) != first
    file.write_text("two!")
    assert stamp(file) != first
    assert stamp(link)[1:] == stamp(file)[1:] != linked[1:]

"""Files that change: when they are read again, what is told of it, and what a file by half or a broken one does."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.reload import Reloader, Source
from proxy.settings import Settings
from proxy.settings.changes import InForce, Refusal, ReloadRefusedError, fingerprint
from tests.reload.conftest import until

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
GOOD = 'primary: {url: "http://127.0.0.1:1"}\nsampling: RATE\nids: {sources: [{file: ids.json}]}\n'
EVERY = 0.02


class Target:
    """Takes over what is valid, as the application does, and counts the looks in between."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.in_force = InForce(AT, fingerprint(settings))
        self.asked = 0
        self.why: list[str] = []

    async def reload(self, settings: Settings) -> None:
        self.asked += 1
        if self.why:
            raise ReloadRefusedError(self.why)
        if settings != self.settings:
            force = self.in_force
            self.in_force = InForce(AT, fingerprint(settings), force.reloads + 1)
        self.settings = settings
        self.in_force = replace(self.in_force, refused=None)

    def refused(self, problems: list[str]) -> None:
        self.asked += 1
        self.in_force = replace(self.in_force, refused=Refusal(AT, tuple(problems)))


class Counting(Reloader):
    """Tells how often it has looked."""

    looks = 0

    async def _waited(self) -> bool:
        self.looks += 1
        return await super()._waited()

    async def look(self, times: int = 3) -> None:
        """Return when it has looked so often again."""
        seen = self.looks
        await until(lambda: self.looks >= seen + times)


@asynccontextmanager
async def watching(folder: Path) -> AsyncIterator[tuple[Path, Target, Counting]]:
    file = folder / "shadowread.yaml"
    write(file, 0.5)
    (folder / "ids.json").write_text("[]")
    source = Source(file, {})
    target = Target(source.load())
    reloader = Counting(source, target, every=EVERY)
    reloader.start()
    try:
        await reloader.look()
        yield file, target, reloader
    finally:
        await reloader.stop()


def write(file: Path, sampling: float, more: str = "") -> None:
    file.write_text(GOOD.replace("RATE", str(sampling)) + more)


async def test_a_changed_file_is_taken_over_and_what_changed_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "proxy.reload")
    async with watching(tmp_path) as (file, target, reloader):
        asked = target.asked
        await reloader.look(5)
        assert target.asked == asked, "a file that has not changed is left alone"
        write(file, 0.25, "settle: {attempts: 1}\n")
        await until(lambda: target.settings.sampling == 0.25)
        assert f"configuration {target.in_force.fingerprint} taken over: sampling, settle.attempts" in caplog.text
        assert target.in_force.fingerprint == fingerprint(target.settings)
        beside = tmp_path / "beside.yaml"
        write(beside, 0.75)
        beside.replace(file)
        await until(lambda: target.settings.sampling == 0.75)


async def test_a_link_that_is_turned_to_another_folder_is_followed(tmp_path: Path) -> None:
    """So do orchestrators replace the files of a mounted configuration."""
    for name, sampling in (("one", 0.5), ("two", 0.125)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "shadowread.yaml", sampling)
    (tmp_path / "now").symlink_to("one")
    (tmp_path / "one" / "ids.json").write_text("[]")
    source = Source(tmp_path / "now" / "shadowread.yaml", {})
    target = Target(source.load())
    reloader = Counting(source, target, every=EVERY)
    reloader.start()
    await reloader.look()
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(tmp_path / "now")
    await until(lambda: target.settings.sampling == 0.125)
    await reloader.stop()


async def test_a_bad_file_is_refused_with_what_and_where_until_it_is_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "proxy.reload")
    async with watching(tmp_path) as (file, target, reloader):
        before = target.settings
        write(file, 2.0, "unknown: 1\n")
        await until(lambda: target.in_force.refused is not None)
        refused = target.in_force.refused
        assert refused is not None
        assert [problem.partition(": ")[0] for problem in refused.problems] == [f"{file}:2", f"{file}:4"]
        for problem in refused.problems:
            assert f"the configuration as it is now is refused: {problem}" in caplog.text
        assert f"{target.in_force.fingerprint}, in force since 2026-11-23T12:00:00+00:00, stays so" in caplog.text
        assert target.settings is before
        asked = target.asked
        await reloader.look(5)
        assert target.asked == asked, "told once, not each second"

        file.unlink()
        await until(lambda: "cannot be read" in str(target.in_force.refused))
        write(file, 0.5)
        await until(lambda: target.in_force.refused is None)
        assert target.settings == before


async def test_a_thousand_problems_are_told_in_few_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with watching(tmp_path) as (file, target, _):
        write(file, 0.5, "".join(f"{'k' * 990}{number}: 1\n" for number in range(300)))
        await until(lambda: target.in_force.refused is not None)
        refused = target.in_force.refused
        assert refused is not None
        assert (len(refused.problems), refused.problems[-1]) == (21, "and 280 more")
        assert max(map(len, refused.problems)) <= 1_000
        assert len(caplog.records) == 22


async def test_a_file_of_the_id_map_is_looked_at_too_also_a_new_one_that_is_still_broken(tmp_path: Path) -> None:
    async with watching(tmp_path) as (file, target, reloader):
        asked = target.asked
        (tmp_path / "ids.json").write_text(json.dumps([{"entity": "a"}]))
        await until(lambda: target.asked == asked + 1)
        await reloader.look()

        target.why = ["more.json cannot be used"]
        (tmp_path / "more.json").write_text("[{")
        file.write_text(file.read_text().replace("ids.json", "more.json"))
        await until(lambda: target.in_force.refused is not None)
        await reloader.look()
        target.why = []
        (tmp_path / "more.json").write_text("[]")
        await until(lambda: target.in_force.refused is None and target.in_force.reloads == 1)


async def test_a_change_while_another_set_of_files_is_taken_over_is_found(tmp_path: Path) -> None:
    async with watching(tmp_path) as (file, target, _):
        (tmp_path / "more.json").write_text("[]")
        take_over = target.reload

        async def slowly(settings: Settings) -> None:
            await take_over(settings)
            if settings.sampling == 0.25:
                file.write_text(file.read_text().replace("0.25", "0.125"))

        target.reload = slowly  # type: ignore[method-assign]
        file.write_text(GOOD.replace("RATE", "0.25").replace("ids.json", "more.json"))
        await until(lambda: target.settings.sampling == 0.125)


async def test_what_is_still_being_written_is_not_read(tmp_path: Path) -> None:
    async with watching(tmp_path) as (file, target, reloader):
        with file.open("w") as writing:
            for number in range(8):
                writing.write(f"# {'x' * 100} {number}\n")
                if number == 4:
                    writing.write("primary: {url: [\n")
                writing.flush()
                await reloader.look(1)
            asked = target.asked
            writing.seek(0)
            writing.truncate()
            writing.write(GOOD.replace("RATE", "0.375"))
        await until(lambda: target.settings.sampling == 0.375)
        assert (asked, target.in_force.refused) == (1, None), "only at the start"


async def test_asking_reads_it_at_once_and_says_that_nothing_has_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "proxy.reload")
    file = tmp_path / "shadowread.yaml"
    write(file, 0.5)
    source = Source(file, {})
    target = Target(source.load())
    reloader = Reloader(source, target, every=3600.0)
    reloader.start()
    reloader.ask()
    await until(lambda: target.asked == 1)
    await until(lambda: "nothing in it has changed" in caplog.text)
    write(file, 0.25)
    reloader.ask()
    await until(lambda: target.settings.sampling == 0.25)
    await reloader.stop()


async def test_a_fault_of_ours_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Target):
        async def reload(self, settings: Settings) -> None:
            self.asked += 1
            if self.asked == 1:
                raise RuntimeError("a fault")
            await super().reload(settings)

    file = tmp_path / "shadowread.yaml"
    write(file, 0.5)
    source = Source(file, {})
    target = Faulty(source.load())
    reloader = Reloader(source, target, every=EVERY)
    reloader.start()
    await until(lambda: target.in_force.refused is not None)
    assert "RuntimeError" in str(target.in_force.refused)
    write(file, 0.25)
    await until(lambda: target.settings.sampling == 0.25)
    await reloader.stop()
    assert "the one before stays in force" in caplog.text

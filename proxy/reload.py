"""Reads the configuration again when one of its files has changed, or when somebody says so, and hands it over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from proxy.errors import SettingsError
from proxy.settings import FileSource, Settings, load_settings
from proxy.settings.changes import InForce, ReloadRefusedError, changed
from proxy.stamp import Stamp, stamp
from proxy.tasks import TaskGroup
from proxy.telemetry import Gauge

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks at the files. One that has changed is read when it was the same at the next look, so that what is
still being written is not read by half."""
MOST_TOLD = 20
"""Problems, and changed keys, of one configuration that are told."""
MOST_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class Source:
    """Where the configuration comes from: a file, and the environment that is put into it."""

    path: Path
    environment: Mapping[str, str]

    def load(self) -> Settings:
        """Read and check it all. Raises SettingsError."""
        return load_settings(self.path, self.environment)

    def files(self, settings: Settings) -> list[Path]:
        """What is read once and would not be looked at again: the file itself, and those of the id map."""
        return [self.path, *(one.file for one in settings.ids.sources if isinstance(one, FileSource))]


class Reloads(Protocol):
    """What works under a configuration."""

    @property
    def settings(self) -> Settings:
        """Those in force."""
        ...

    @property
    def in_force(self) -> InForce: ...

    async def reload(self, settings: Settings) -> None:
        """Take them over. Raises ReloadRefusedError."""
        ...

    def refused(self, problems: list[str]) -> None:
        """Show that a configuration was not taken."""
        ...


class Reloader:
    """Looks at the files of `source` every second while it runs, and has `target` take over what is new.

    A configuration that cannot be used changes nothing: it is logged, shown, and tried again once a file has changed
    or somebody asks.
    """

    def __init__(self, source: Source, target: Reloads, *, every: float = LOOK_SECONDS) -> None:
        self._source = source
        self._target = target
        self._every = every
        self._asked = asyncio.Event()
        self._named: Sequence[Path] = ()
        """The files of what was read last, taken over or not: a fault in one of them is mended there."""
        self._tasks = TaskGroup(1)

    def start(self) -> None:
        self._tasks.start(self._run(), name="configuration")

    async def stop(self) -> None:
        await self._tasks.drain(0)

    def ask(self) -> None:
        """Read it again in any case. Returns at once."""
        self._asked.set()

    async def _run(self) -> None:
        # Of nothing: what has changed since the process read it at its start is found at the first look.
        taken: Sequence[Stamp] = ()
        before: Sequence[Stamp] = ()
        while True:
            asked = await self._waited()
            now = await self._stamps()
            if asked or (now != taken and now == before):
                try:
                    await self._reload(asked=asked)
                except Exception as error:
                    log.exception("the configuration could not be read again; the one before stays in force")
                    self._target.refused(
                        [f"it could not be read: {type(error).__name__}; the log of the process says why"]
                    )
                named = await self._stamps()
                # Of a file that was not named before it is known only now; what changed meanwhile is found next.
                seen = {one[0]: one for one in now}
                taken = now = [seen.get(one[0], one) for one in named]
            before = now

    async def _waited(self) -> bool:
        """Whether somebody asked before it was time to look."""
        try:
            async with asyncio.timeout(self._every):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def _stamps(self) -> Sequence[Stamp]:
        files = dict.fromkeys((*self._source.files(self._target.settings), *self._named))
        # In a thread: a file may lie where looking takes long.
        return await asyncio.to_thread(lambda: [stamp(file) for file in files])

    async def _reload(self, *, asked: bool) -> None:
        before, reloads = self._target.settings, self._target.in_force.reloads
        try:
            settings = await asyncio.to_thread(self._source.load)
            self._named = self._source.files(settings)
            await self._target.reload(settings)
        except (SettingsError, ReloadRefusedError) as error:
            problems = _few(error.problems)
            self._target.refused(problems)
            force = self._target.in_force
            for problem in problems:
                log.error("the configuration as it is now is refused: %s", problem)
            log.error("the configuration %s, in force since %s, stays so", force.fingerprint, force.at.isoformat())
            return
        if self._target.in_force.reloads != reloads:
            keys = changed(before, settings) or ["the content of files of the id map"]
            log.info("configuration %s taken over: %s", self._target.in_force.fingerprint, ", ".join(_few(keys)))
        elif asked:
            log.info("the configuration was read again: nothing in it has changed")


def _few(lines: Sequence[str]) -> list[str]:
    more = len(lines) - MOST_TOLD
    return [*(line[:MOST_CHARACTERS] for line in lines[:MOST_TOLD]), *([f"and {more} more"] if more > 0 else [])]


def told(in_force: Callable[[], InForce]) -> Iterable[Gauge]:
    """Which configuration is in force, as figures."""
    text = "1, with the fingerprint of the configuration in force."
    yield Gauge("shadowread.config.info", text, lambda: {(in_force().fingerprint,): 1.0}, ("fingerprint",))
    text = "When the configuration in force was taken over, in seconds since 1970."
    loaded = "shadowread.config.loaded_timestamp_seconds"
    yield Gauge(loaded, text, lambda: {(): in_force().at.timestamp()}, unit="s")
    text = "Configurations taken over since the process was started."
    yield Gauge("shadowread.config.reloads", text, lambda: {(): in_force().reloads}, counter=True, unit="{reload}")
    text = "1 while the last configuration that was read is refused and an older one in force, otherwise 0."
    yield Gauge("shadowread.config.refused", text, lambda: {(): float(in_force().refused is not None)})

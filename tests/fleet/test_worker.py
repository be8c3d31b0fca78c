"""What a worker and the first process do when a day begins; both in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy import opening
from proxy.app import Application
from proxy.fleet.messages import Begin
from proxy.fleet.port import Port
from proxy.fleet.worker import Worker, packed, settings_of
from proxy.telemetry.setup import Telemetry
from tests.e2e.backends import backend, fetch
from tests.fleet.conftest import Side, crew_settings


async def test_rules_that_end_with_a_day_begin_a_window_in_every_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with backend(Side(1)) as one, backend(Side(2)) as other:
        made = crew_settings(tmp_path, one, other)
        assert settings_of(packed(made)) == made
        port = Port.reserve("127.0.0.1", 0)
        host, number = port.address
        worker = Worker(Begin(1, packed(made), b"key", host, number, "text", False), made, Telemetry())
        await worker.start()
        try:
            assert b"200 OK" in await fetch(f"http://{host}:{number}", b"/api/a/1")
            before = worker.ledger.window("a")
            monkeypatch.setattr(opening, "rules_fingerprint", lambda *_: "of the next day")
            worker.anew()
            after = worker.ledger.window("a")
            assert before is not None
            assert after is not None
            assert after.id != before.id
        finally:
            await worker.stop()
            port.close()


async def test_the_workers_enter_a_new_day_before_the_first_process(tmp_path: Path) -> None:
    entered: list[str] = []
    async with backend(Side(1)) as one, backend(Side(2)) as other:
        application = Application(crew_settings(tmp_path, one, other))
        await application.start()
        try:

            class Told:
                def anew(self) -> None:
                    entered.append("workers")

            class Reigning:
                class opened:  # noqa: N801 - an attribute
                    @staticmethod
                    def enter() -> None:
                        entered.append("first process")

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(application, "_crew", Told())
                patch.setattr(application._line, "reign", Reigning())
                application._enter_anew()
        finally:
            await application.stop()
    assert entered == ["workers", "first process"]

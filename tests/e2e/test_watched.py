"""What a running proxy keeps beside its verdicts: windows, watched time, known entities; and who else may write."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from proxy.ledger import sweeps
from proxy.model import Verdict
from proxy.settings import load_settings
from proxy.verify.pulse import BEGINNING
from proxy.window import KnownEntities
from tests.e2e.backends import answering, backend, fetch, response
from tests.e2e.conftest import Proxy, running, settings
from tests.sweep.support import Things, configured, legacy, run


async def known(proxy: Proxy) -> tuple[KnownEntities, ...]:
    async with asyncio.timeout(10):
        while not (found := await proxy.application.ledger.ask(sweeps.known_entities)):  # noqa: ASYNC110 - the file has nobody to tell
            await asyncio.sleep(0.02)
    return found


async def test_time_is_watched_from_the_start_and_a_restart_leaves_a_hole(folder: Path) -> None:
    body = answering(response(b"{}"))
    async with backend(body) as primary, backend(body) as shadow:
        made = settings(folder, primary, shadow)
        async with running(made) as proxy:
            await fetch(proxy.url)
            counts = await proxy.until(lambda c: c.comparisons == 1 and len(c.watches) == 1)
            assert counts.watches[0].why == BEGINNING
            assert counts.window is not None
            assert "rules" in counts.window.parts
            first = counts.window.id
            assert [(one.entity, one.count, one.exact) for one in await known(proxy)] == [("thing", 1, True)]
        async with running(made) as proxy:
            counts = await proxy.until(lambda c: len(c.watches) == 2)
            assert counts.window is not None
            assert counts.window.id == first, "the same rules and sides: the evidence goes on"
            before, after = counts.watches
            assert before.began < before.ended <= after.began, "stopping extends the watch to that moment"
            assert after.why == BEGINNING


async def test_a_domain_that_is_off_is_neither_entered_nor_watched(folder: Path) -> None:
    body = answering(response(b"{}"))
    domains: dict[str, Any] = {"things": {"stage": "off", "routes": ["GET /api/things/{id}"]}}
    async with (
        backend(body) as primary,
        backend(body) as shadow,
        running(settings(folder, primary, shadow, domains=domains)) as proxy,
    ):
        await fetch(proxy.url)
        assert proxy.application.ledger.window("things") is None
        await proxy.application.ledger.flush()
        assert await proxy.application.ledger.domains() == {}


@pytest.mark.slow
async def test_a_sweep_runs_beside_a_proxy_on_one_ledger(tmp_path: Path) -> None:

    primary, shadow = Things(40, by_uuid=False), Things(40, by_uuid=True)
    async with configured(tmp_path, primary, shadow) as config, running(load_settings(config, {})) as proxy:
        await fetch(proxy.url, f"/api/things/{legacy(1)}".encode())
        await proxy.until(lambda c: c.comparisons == 1)
        window = proxy.application.ledger.window("things")
        code, told, text = await run("sweep", "things", "-c", config, "--json")
        assert code == 0, text
        assert window is not None
        assert told["routes"][0]["window"] == window.id, "it counts where the proxy counts"
        await fetch(proxy.url, f"/api/things/{legacy(2)}".encode())
        counts = await proxy.until(lambda c: c.observed == 42)
        assert counts.verdicts == {Verdict.MATCH: 42}
        assert counts.entity_counts == {"thing": 40}
        assert counts.window is not None
        assert counts.window.id == window.id

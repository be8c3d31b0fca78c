"""A stored trace is what was observed, to the last digit."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from comparators.model import Difference, Kind
from tests.ledger.support import diff, opened

WEI = 155521417059687364391
RATE = Decimal("1.08799008123456789012")


async def test_numbers_keep_their_type_and_every_digit(tmp_path: Path) -> None:
    found = Difference("$.rate", Kind.NUMBER_STRING, RATE, str(RATE))
    wei = Difference("$.wei", Kind.VALUE_CHANGED, WEI, WEI + 1)
    async with opened(tmp_path / "ledger.db") as ledger:
        diff(ledger, "t1", found, wei)
        await ledger.flush()
        kept = await ledger.trace("t1")
        assert kept is not None
        assert kept.differences == (found, wei)
        assert isinstance(kept.primary_seconds, float)
        samples = {f.path: (f.sample_primary, f.sample_shadow) for f in await ledger.findings("users", limit=5)}
    assert samples == {"$.rate": (f"{RATE}", f'"{RATE}"'), "$.wei": (f"{WEI}", f"{WEI + 1}")}

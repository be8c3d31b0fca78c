"""What the gate is given of an examination is what was found, added up."""

from __future__ import annotations

from proxy.ledger import examined
from proxy.ledger.weighed import ALL_PATHS, NAMED_FIELDS, weighed
from proxy.window import DamageCount, FieldCount
from tests.ledger.support import Home, opened

SEEN = [DamageCount("GET /u", f"$.f{n}", "text", 3, 3) for n in range(500)]
DULL = [
    DamageCount("GET /u", "$.amount", "number", 7, 0, "ignore $..amount"),
    DamageCount("GET /u", "$.tags", "swap_elements", 4, 1, "order $.tags"),
]
OTHER = [DamageCount("GET /v", "$.f1", "text", 2, 2), DamageCount("GET /u", "$.f1", "date", 5, 5)]


async def test_what_was_always_seen_is_summed_and_the_rest_stands_for_itself(home: Home) -> None:
    fields = [FieldCount("GET /u", f"$.f{n:04d}", 9, 9, 0, 0, 9 if n < 100 else 0) for n in range(400)]
    async with opened(home / "a.db") as ledger:
        await ledger.write(lambda c: examined.add(c, "w1", fields, [*SEEN, *DULL, *OTHER], domain="users"))
        await ledger.write(lambda c: examined.add(c, "w2", [], OTHER[:1], domain="chat"))
        found = await ledger.ask(lambda c: weighed(c, {"w1", "w2", "w3"}))
    assert set(found["w1"].damages) == {
        DamageCount("GET /u", ALL_PATHS, "text", 1_500, 1_500),
        DamageCount("GET /u", ALL_PATHS, "date", 5, 5),
        DamageCount("GET /v", ALL_PATHS, "text", 2, 2),
        *DULL,
    }
    assert (found["w1"].fields, found["w1"].not_verified, len(found["w1"].named)) == (400, 300, NAMED_FIELDS)
    assert found["w1"].named[0] == fields[100]
    assert found["w2"].damages == (DamageCount("GET /v", ALL_PATHS, "text", 2, 2),)
    assert (found["w3"].fields, found["w3"].damages, found["w3"].standings) == (0, (), ())

"""Pauses that overlap end with the last of them."""

from __future__ import annotations

from proxy.provenance.pauses import Pauses, looked_up
from proxy.settings import Settings
from tests.provenance.support import Shadow
from tests.provenance.test_prover import fetching_nothing


def test_a_domain_goes_on_when_the_last_one_who_paused_it_says_so() -> None:
    reads = Shadow(fetching_nothing)
    pauses = Pauses(reads)
    pauses.pause("a")
    with pauses.of(["a", "b"]):
        assert reads.paused == {"a", "b"}
        pauses.resume("a")
        assert reads.paused == {"a", "b"}
    assert not reads.paused
    assert reads.pauses == 2


def test_the_tables_of_the_id_map_and_of_gaps_are_known_without_their_schema() -> None:
    made = Settings.model_validate(
        {
            "primary": {"url": "http://127.0.0.1:1"},
            "postgres": {"dsn": "postgresql://127.0.0.1/x"},
            "ids": {
                "sources": [
                    {"table": "app.id_map", "entity": "e", "legacy": "l", "uuid": "u"},
                    {"table": "users", "entity_name": "user", "legacy": "l", "uuid": "u"},
                    {"file": "ids.json"},
                ]
            },
            "gaps": [{"table": "app.missed", "id": "id"}],
        }
    )
    assert looked_up(made) == {"id_map", "users", "missed"}

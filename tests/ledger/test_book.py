"""Which window a domain is counted in: what is decided at once, and what becomes of it when the file says more."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

from proxy.ledger.book import PART_BYTES, PARTS, Book
from proxy.ledger.windows import Stored
from proxy.window import Window
from tests.ledger.support import START, Clock

A = {"rules": "aa"}
LATER = START + timedelta(hours=1)


def book(clock: Clock | None = None) -> Book:
    numbers = count(1)
    return Book(clock or Clock(), lambda: f"own{next(numbers)}")


def in_file(parts: dict[str, str], seq: int = 1, id_: str = "theirs") -> Stored:
    return Stored(seq, Window(id_, "users", parts, START, "begun elsewhere"))


def save(one: Book, seq: int = 1) -> None:
    """Write down what is unsaved, when nobody else has written meanwhile."""
    one.stored({unsaved.window.id: Stored(seq, unsaved.window) for unsaved in one.unsaved()})


def test_a_part_that_becomes_known_is_filled_in_and_one_that_changes_begins_anew() -> None:
    users = book()
    first = users.enter("users", A, START)
    assert (first.started_at, first.why) == (START, "the first window of this domain")
    filled = users.enter("users", {"primary": "2.8.79, mongo"}, LATER)
    assert filled == Window(first.id, "users", {**A, "primary": "2.8.79, mongo"}, START, first.why)
    assert users.enter("users", {"primary": "2.8.79, mongo"}, LATER) == filled
    changed = users.enter("users", {"rules": "bb", "shadow": "x"}, LATER)
    assert changed.id != first.id
    assert changed.parts == {"rules": "bb", "primary": "2.8.79, mongo", "shadow": "x"}
    assert (changed.started_at, changed.why) == (LATER, "rules changed from aa to bb")
    both = users.enter("users", {"rules": "cc", "primary": "3"}, LATER)
    assert both.why == "primary changed from 2.8.79, mongo to 3; rules changed from bb to cc"


def test_by_hand_the_parts_stay() -> None:
    users = book()
    users.enter("users", A, START)
    again = users.restart("users", "a new start", LATER)
    assert (again.parts, again.why, again.started_at) == (A, "a new start", LATER)
    assert users.window("users") == again
    assert users.window("nobody") is None
    assert users.restart("others", "first of all", START).parts == {}


def test_parts_from_outside_are_bounded_and_can_be_stored() -> None:
    found = book().enter("users", {f"{n:03}": "\ud800" + "x" * 1_000 for n in range(100)}, START)
    assert len(found.parts) == PARTS
    assert all(text.startswith("?xxx") and len(text) <= PART_BYTES for text in found.parts.values())


def test_long_parts_that_differ_only_at_their_end_are_two() -> None:
    users = book()
    first = users.enter("users", {"primary": "v" * 1_000 + "1"}, START)
    assert users.enter("users", {"primary": "v" * 1_000 + "1"}, LATER) == first
    assert users.enter("users", {"primary": "v" * 1_000 + "2"}, LATER) != first


def test_the_same_parts_join_what_is_in_the_file() -> None:
    users = book()
    users.load({"users": in_file(A)}, {"theirs"})
    assert users.enter("users", A, LATER).id == "theirs"
    assert users.unsaved() == ()
    assert users.epoch("users").id == "theirs"


def test_it_moves_on_to_a_window_that_counts_under_the_same() -> None:
    users = book()
    users.enter("users", A, START)
    before = users.epoch("users")
    save(users)
    users.seen({"users": in_file({"primary": "2"}, 2)}, LATER)
    after = users.epoch("users")
    assert (after.id, after.window.parts) == ("theirs", {"rules": "aa", "primary": "2"})
    assert (before.over, after.over) == (True, False)
    assert [one.window.id for one in users.unsaved()] == ["theirs"]  # for the part that it did not bear


def test_one_of_its_own_that_is_older_or_not_written_is_not_left_for_it() -> None:
    users = book()
    users.enter("users", A, START)
    save(users)
    users.enter("users", {"rules": "bb"}, LATER)
    users.seen({"users": in_file({}, 2)}, LATER)
    assert users.epoch("users").id == "own2"
    save(users, 3)
    users.seen({"users": in_file({}, 2)}, LATER)
    assert users.epoch("users").id == "own2"


def test_a_domain_is_taken_back_from_other_rules_once_a_minute() -> None:
    users = book()
    users.enter("users", A, START)
    save(users)
    users.seen({"users": in_file({"rules": "bb"}, 2)}, LATER)
    taken = users.window("users")
    assert taken is not None
    assert (taken.id, taken.parts, taken.why) == ("own2", A, "rules changed from bb to aa")
    save(users, 3)
    users.seen({"users": in_file({"rules": "bb"}, 4, "again")}, LATER + timedelta(seconds=59))
    assert users.window("users") == taken
    users.seen({"users": in_file({"rules": "bb"}, 4, "again")}, LATER + timedelta(seconds=60))
    assert users.epoch("users").id == "own3"


def test_what_is_written_may_turn_out_to_be_the_window_of_another() -> None:
    users = book()
    users.enter("users", A, START)
    epoch = users.epoch("users")
    users.enter("users", {"shadow": "s"}, LATER)  # while it is being written
    users.stored({"own1": in_file({**A, "primary": "2"})})
    assert epoch is users.epoch("users")
    assert (epoch.id, epoch.window.parts) == ("theirs", {**A, "primary": "2", "shadow": "s"})
    assert [one.window for one in users.unsaved()] == [epoch.window]


def test_another_may_have_filled_in_something_else_first() -> None:
    clock = Clock()
    users = book(clock)
    users.enter("users", {**A, "primary": "3"}, START)
    clock.tick(minutes=5)
    (unsaved,) = users.unsaved()
    users.stored({"own1": Stored(1, Window("own1", "users", {**A, "primary": "2"}, START, unsaved.window.why))})
    found = users.window("users")
    assert found is not None
    assert (found.why, found.started_at) == ("primary changed from 2 to 3", clock.now)
    assert [one.window.id for one in users.unsaved()] == ["own2"]


def test_a_file_that_lacks_a_window_gets_it_as_it_was() -> None:
    users = book()
    users.enter("users", A, START)
    (unsaved,) = users.unsaved()
    assert not unsaved.alone
    save(users)
    users.load({"users": in_file(A, 9)}, {"theirs"})
    (unsaved,) = users.unsaved()
    assert (unsaved.window.id, unsaved.alone) == ("own1", True)

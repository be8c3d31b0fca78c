"""How much is verified: less as soon as the thread is too busy, more again when it is not."""

from __future__ import annotations

import pytest

from proxy.verify.headroom import LEAST, LOOK_EVERY, STEP, Headroom


class Machine:
    """A clock, and the processor time of a thread that is busy to a share."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.used = 5.0
        self.looks = 0

    def spent(self) -> float:
        self.looks += 1
        return self.used

    def run(self, headroom: Headroom, busy: float, times: int = 1) -> list[float]:
        """The share after each of so many looks at a thread that is `busy`."""
        found = []
        for _ in range(times):
            self.now += LOOK_EVERY
            self.used += busy * LOOK_EVERY
            headroom.has(0.0)
            found.append(headroom.share)
        return found


@pytest.fixture
def machine() -> Machine:
    return Machine()


def headroom(machine: Machine, limit: float = 0.9) -> Headroom:
    return Headroom(limit, clock=lambda: machine.now, spent=machine.spent)


def test_there_is_room_for_all_while_the_thread_has_time(machine: Machine) -> None:
    made = headroom(machine)
    assert machine.run(made, 0.89, 50) == [1.0] * 50
    assert made.has(0.999)


def test_the_share_halves_at_each_look_at_a_busy_thread_and_never_ends(machine: Machine) -> None:
    made = headroom(machine)
    machine.run(made, 0.1)
    assert machine.run(made, 0.95, 3) == [0.5, 0.25, 0.125]
    assert made.has(0.12)
    assert not made.has(0.13)
    assert machine.run(made, 1.0, 20)[-1] == LEAST


def test_it_grows_back_step_by_step(machine: Machine) -> None:
    made = headroom(machine)
    machine.run(made, 0.1)
    machine.run(made, 1.0, 1)
    assert machine.run(made, 0.5, 2) == pytest.approx([0.5 + STEP, 0.5 + 2 * STEP])
    assert machine.run(made, 0.5, 20)[-1] == 1.0


def test_it_looks_no_oftener_than_it_learns_something(machine: Machine) -> None:
    made = headroom(machine)
    for _ in range(100):
        made.has(0.5)
    assert machine.looks == 1


def test_a_pause_says_nothing_of_the_time_before_it(machine: Machine) -> None:
    made = headroom(machine)
    machine.run(made, 0.1)
    machine.now += 60.0
    machine.used += 59.9
    assert made.has(0.99)


def test_one_that_may_be_as_busy_as_it_likes_never_looks(machine: Machine) -> None:
    made = headroom(machine, 1.0)
    machine.run(made, 1.0, 10)
    assert made.has(0.999)
    assert machine.looks == 0

"""The line that the soak draws through its samples."""

from __future__ import annotations

import os
import random
from xml.etree import ElementTree as ET

from tests.bench.soak_memory import MIB, Held, Series, held_by, slope_of, sparkline, svg

HOUR = 3600


def test_noise_is_no_growth_and_growth_is_found_in_noise() -> None:
    rng = random.Random(3)
    noise = [rng.gauss(300, 8) * MIB for _ in range(HOUR)]
    flat = slope_of([(at, int(size)) for at, size in enumerate(noise)])
    leaking = slope_of([(at, int(size + 10 * MIB * at / HOUR)) for at, size in enumerate(noise)])
    assert flat is not None
    assert leaking is not None
    assert flat.low < 0 < flat.high
    assert abs(flat.per_hour) < 1 * MIB
    assert 9 * MIB < leaking.low < leaking.per_hour < leaking.high < 12 * MIB


def test_peaks_and_the_warm_up_are_no_trend() -> None:
    series = Series("proxy")
    for at in range(HOUR):
        size = (100 + min(at, 600) / 3 + (50 if at % 97 == 0 else 0)) * MIB
        series.add(float(at), Held(int(size), int(size), int(size)))
    slope = series.slope(600.0)
    assert slope is not None
    assert abs(slope.per_hour) < 0.01 * MIB
    assert series.peak == 350 * MIB
    assert len(sparkline(series, 20)) == 20


def test_too_little_says_nothing() -> None:
    assert slope_of([]) is None
    assert slope_of([(0.0, 1), (1.0, 2)]) is None
    assert Series("proxy").peak == 0


def test_what_this_process_holds() -> None:
    held = held_by(os.getpid())
    assert held.rss >= held.pss >= held.uss > 10 * MIB
    assert held_by(2**22 + 1) == Held()


def test_the_picture_is_xml() -> None:
    series = Series("worker & co")
    for at in range(10):
        series.add(float(at), Held(at * MIB, at * MIB, at * MIB))
    root = ET.fromstring(svg([series, Series("gone")], 3.0, 1024 * MIB))  # noqa: S314 - our own
    assert root.tag.endswith("svg")

"""Where a change comes from, without a network."""

from __future__ import annotations

import pytest

from proxy.admin.csrf import Csrf, from_here

HOST = {"Host": "127.0.0.1:8081"}


def test_a_token_is_of_one_session_and_one_process() -> None:
    csrf, other = Csrf(b"a" * 32), Csrf(b"b" * 32)
    assert csrf.fits(csrf.token("one"), "one")
    assert csrf.token("one") == csrf.token("one")
    assert not csrf.fits(csrf.token("one"), "two")
    assert not csrf.fits(csrf.token("one"), "")
    assert not other.fits(csrf.token("one"), "one")
    assert not csrf.fits("", "")
    assert not csrf.fits("\udcff\u00fc", "one")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Origin": "http://127.0.0.1:8081"},
        {"Origin": "http://127.0.0.1:8081", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://dash.example", "Host": "dash.example"},
        {"Origin": "https://dash.example:443", "Host": "DASH.example"},
        {"Origin": "http://[::1]:8081", "Host": "[::1]:8081"},
    ],
)
def test_from_here(fields: dict[str, str]) -> None:
    assert from_here(HOST | fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:8082"},
        {"Origin": "http://localhost:8081"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:8081.evil.example"},
        {"Origin": "file://127.0.0.1:8081"},
        {"Origin": "http://127.0.0.1:8081", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:notaport"},
        {"Origin": "http://[", "Host": "["},
    ],
)
def test_from_elsewhere(fields: dict[str, str]) -> None:
    assert not from_here(HOST | fields)

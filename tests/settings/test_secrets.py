"""What of the configuration itself is secret, and so looked for in all that is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.settings.secrets import passwords_of, secrets_of
from tests.admin.recorded import settings_in


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://app:p%40w@db/shop", {"p%40w", "p@w"}),
        ("mongodb://app:pa/w@a,b/?authSource=x", {"pa/w"}),
        ("postgresql://db/shop?user=app&password=s3cret", {"s3cret"}),
        ("postgresql://app@db/shop", set()),
        ("sqlite:///a.db", set()),
    ],
)
def test_the_passwords_of_an_address(url: str, found: set[str]) -> None:
    assert set(passwords_of(url)) == found


@pytest.mark.parametrize(
    ("url", "found"),
    [("http://jo:s3cret@h", "s3cret"), ("http://t0ken@h", "t0ken"), ("http://h/a", None), (None, None)],
)
def test_the_secret_of_a_backends_address(tmp_path: Path, url: str | None, found: str | None) -> None:
    settings = settings_in(tmp_path)
    before = set(secrets_of(settings))
    changed = settings.model_copy(update={"shadow": settings.shadow.model_copy(update={"url": url})})
    assert set(secrets_of(changed)) - before == ({found} if found else set())

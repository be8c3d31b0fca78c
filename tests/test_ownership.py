"""A mixture of two distributions that both ship `proxy` is never run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from proxy.errors import ShadowreadError
from proxy.ownership import check_ownership


def test_our_own_packages_and_a_checkout_are_fine() -> None:
    check_ownership({"proxy": ["shadowread"], "comparators": ["shadowread", "shadowread"], "yaml": ["PyYAML"]})
    check_ownership({})
    check_ownership()


@pytest.mark.parametrize("package", ["proxy", "comparators"])
def test_another_owner_is_named_and_refused(package: str) -> None:
    with pytest.raises(ShadowreadError, match=rf"`{package}`.*some-proxy.*virtual environment"):
        check_ownership({package: ["shadowread", "some-proxy"]})


def test_the_installed_metadata_is_what_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "some_proxy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-proxy\nVersion: 1.0\n")
    (info / "RECORD").write_text("proxy/__init__.py,,\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    with pytest.raises(ShadowreadError, match="some-proxy"):
        check_ownership()

"""Which store a domain reads, by its flags and their other names."""

from __future__ import annotations

import pytest

from proxy.demo.marketplace.flags import DOMAINS, Mode, modes, parse_flags, primary_flags, twin_flags


@pytest.mark.parametrize(("domain", "flag"), [(one.domain, flag) for one in DOMAINS for flag in one.flags])
@pytest.mark.parametrize(
    ("word", "mode"), [("pg", Mode.POSTGRES), ("postgres", Mode.POSTGRES), ("dual", Mode.DUAL), ("mongo", Mode.MONGO)]
)
def test_every_flag_and_alias_decides_its_domain(domain: str, flag: str, word: str, mode: Mode) -> None:
    other = "mongo" if word != "mongo" else "pg"
    resolved = modes(parse_flags(f"REPO_DEFAULT={other},{flag}={word}"))
    assert resolved[domain] is mode
    untouched = [one.domain for one in DOMAINS if flag not in one.flags]
    assert {resolved[name] for name in untouched} == {Mode.MONGO if other == "mongo" else Mode.POSTGRES}


def test_mongo_is_the_default() -> None:
    assert set(modes({}).values()) == {Mode.MONGO}


def test_the_domain_s_first_flag_wins_over_its_alias() -> None:
    assert modes(parse_flags("REPO_BLOG=mongo,BLOG_STORE=pg"))["blog"] is Mode.MONGO


@pytest.mark.parametrize(
    ("text", "complaint"), [("REPO_NOPE=pg", "unknown flag 'REPO_NOPE'"), ("REPO_USER=x", "a mode is")]
)
def test_what_is_no_flag_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_flags(text)


def test_the_demo_s_two_instances() -> None:
    assert set(modes(primary_flags()).values()) == {Mode.DUAL}
    assert set(modes(twin_flags(frozenset())).values()) == {Mode.POSTGRES}
    buggy = modes(twin_flags(frozenset({"release_hold_reads_mongo"})))
    assert [domain for domain, mode in buggy.items() if mode is not Mode.POSTGRES] == ["release_holds"]
    assert buggy["release_holds"] is Mode.DUAL

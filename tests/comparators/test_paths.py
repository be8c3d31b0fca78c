"""The path language, normalized paths, and the automaton against a matcher that only follows the definition."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comparators.automaton import Automaton
from comparators.paths import MAX_PATH_LENGTH, MAX_STEPS, Key, PathError, Step, compile_path, pattern_of, render


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("$", []),
        ("$.a.b_1", [Step("name", "a"), Step("name", "b_1")]),
        ("$['it\\'s'][\"x\"]", [Step("name", "it's"), Step("name", "x")]),
        ("$['\\u0041\\n']", [Step("name", "A\n")]),
        ("$.a[0][12]", [Step("name", "a"), Step("index", 0), Step("index", 12)]),
        ("$[*].*", [Step("any"), Step("any")]),
        ("$..a", [Step("deep"), Step("name", "a")]),
        ("$..[0]", [Step("deep"), Step("index", 0)]),
        ("$.a..", [Step("name", "a"), Step("deep")]),
        ("$.größe", [Step("name", "größe")]),
    ],
)
def test_paths_that_are_read(text: str, steps: list[Step]) -> None:
    assert list(compile_path(text).steps) == steps


@pytest.mark.parametrize(
    "text",
    ["", "a", ".a", "$a", "$.", "$.1", "$[-1]", "$[01]", "$[1:2]", "$[?(@.a)]", "$['a", "$[a]", "$.a[", "$...a", "$. a",
     "$" + ".a" * (MAX_STEPS + 1), "$." + "a" * MAX_PATH_LENGTH],
)  # fmt: skip
def test_paths_that_are_refused(text: str) -> None:
    with pytest.raises(PathError, match="path"):
        compile_path(text)


keys = st.lists(st.one_of(st.integers(0, 99), st.text(max_size=4)), max_size=5)


@given(keys)
def test_a_rendered_path_leads_back(found: list[Key]) -> None:
    path = compile_path(render(found))
    assert [step.key for step in path.steps] == found
    assert render(found).encode("utf-8")


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("$", "$"),
        ("$.data[3].buyer[10].id", "$.data[*].buyer[*].id"),
        ("$.m['65f1a2b3c4d5e6f708192a01'].n", "$.m.*.n"),
        ("$.m.a5f1a2b3c4d5e6f708192a01[0]", "$.m.*[*]"),
        ("$['0b8e6a10-3c5d-4e7f-8a91-b2c3d4e5f601']", "$.*"),
        ("$['user:65f1a2b3c4d5e6f708192a01']", "$.*"),
        ("$['a[3].b'].c", "$['a[3].b'].c"),
        ("headers.location", "headers.location"),
    ],
)
def test_patterns(path: str, pattern: str) -> None:
    assert pattern_of(path) == pattern
    assert pattern_of(pattern) == pattern


def matches(steps: tuple[Step, ...], at: tuple[Key, ...]) -> bool:
    if not steps:
        return not at
    if steps[0].sort == "deep":
        return any(matches(steps[1:], at[skip:]) for skip in range(len(at) + 1))
    if not at:
        return False
    fits = steps[0].sort == "any" or (steps[0].key == at[0] and type(steps[0].key) is type(at[0]))
    return fits and matches(steps[1:], at[1:])


pieces = st.sampled_from([".a", ".b", "['c']", "[0]", "[1]", "[*]", ".*", "..a", "..[0]", "..*"])
patterns = st.lists(pieces, max_size=4).flatmap(lambda p: st.sampled_from(["$" + "".join(p), "$" + "".join(p) + ".."]))
places = st.lists(st.sampled_from(["a", "b", "c", "other", 0, 1, 7]), max_size=5)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(patterns, st.integers(0, 2)), max_size=5), st.lists(places, min_size=1, max_size=5))
def test_the_automaton_agrees_with_the_definition(rules: list[tuple[str, int]], visited: list[list[Any]]) -> None:
    automaton = Automaton()
    compiled = [compile_path(text) for text, _ in rules]
    for number, (path, (_, nearness)) in enumerate(zip(compiled, rules, strict=True)):
        automaton.add(path, nearness, "slot", number)
    root = automaton.start()
    for at in visited:
        place = root
        for key in at:
            place = place.index(key) if isinstance(key, int) else place.name(key)
        speaking = [n for n, path in enumerate(compiled) if matches(path.steps, tuple(at))]
        best = max(speaking, key=lambda n: (rules[n][1], compiled[n].concrete, n), default=None)
        assert place.rules.get("slot") == best

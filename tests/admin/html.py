"""Reading pages strictly: what a browser would repair in silence is a fault here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr",
})  # fmt: skip
SVG = frozenset({"rect", "line", "path", "circle"})

BLOCKS = frozenset({"td", "th", "div", "p", "li", "dt", "dd", "h1", "h2", "h3", "option", "button"})
"""What stands apart from what is before and behind it."""


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    parent: Element | None = None
    inside: list[Element | str] = field(default_factory=list)

    @property
    def children(self) -> list[Element]:
        return [one for one in self.inside if isinstance(one, Element)]

    @property
    def text(self) -> str:
        """All text inside, white space run together."""
        return " ".join("".join(self._pieces()).split())

    def _pieces(self) -> list[str]:
        found = []
        for one in self.inside:
            apart = " " if isinstance(one, Element) and one.name in BLOCKS else ""
            found += [one] if isinstance(one, str) else [apart, *one._pieces(), apart]
        return found

    def all(self, name: str = "", /, **attributes: str) -> list[Element]:
        """Elements inside, in document order; `class_` names one of the classes."""
        found = []
        for child in self.children:
            wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
            classes = wanted.pop("class", None)
            if (
                name in ("", child.name)
                and all(child.attributes.get(key) == value for key, value in wanted.items())
                and (classes is None or classes in child.attributes.get("class", "").split())
            ):
                found.append(child)
            found += child.all(name, **attributes)
        return found

    def one(self, name: str = "", /, **attributes: str) -> Element:
        (found,) = self.all(name, **attributes)
        return found


class _Strict(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.at = self.root

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert max(Counter(name for name, _ in attrs).values(), default=1) == 1, f"<{tag}> has an attribute twice"
        made = Element(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.inside.append(made)
        if tag not in VOID:
            self.at = made

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID | SVG, f"<{tag}/> does not end itself"
        self.at.inside.append(Element(tag, {name: value or "" for name, value in attrs}, self.at))

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.at.name, f"</{tag}> within <{self.at.name}>, line {self.getpos()[0]}"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        self.at.inside.append(data)


def read(text: str) -> Element:
    """The document; AssertionError where it is not well-formed."""
    parser = _Strict()
    parser.feed(text)
    parser.close()
    assert parser.at is parser.root, f"<{parser.at.name}> is never closed"
    return parser.root

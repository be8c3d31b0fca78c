"""SQL text cut into tokens exactly as Postgres cuts it (its manual, 4.1), so that nothing hides in a literal.

Parsers made for many dialects read some texts otherwise: `$1,$2` as the start of a dollar quoted string, say. What
is checked is therefore read by this module first.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from enum import Enum, auto

_SIGNS = r"+\-*/<>=~!@#%^&|`?"
_LETTER = r"A-Za-z_\x80-\U0010ffff"
_TOKEN = re.compile(
    rf"""
    (?P<blank> [ \t\n\r\f\v]+ | --[^\n\r]* )
  | (?P<comment> /\* )
  | (?P<escaped> [eE]'(?:[^'\\]|''|\\.)*' )
  | (?P<unicode> [uU]&['"] )
  | (?P<string> [bBxXnN]?'(?:[^']|'')*' )
  | (?P<dollar> \$(?P<tag>(?:[{_LETTER}][{_LETTER}0-9]*)?)\$ )
  | (?P<parameter> \$[0-9]+ )
  | (?P<word> [{_LETTER}][{_LETTER}0-9$]* )
  | (?P<quoted> "(?:[^"\0]|"")+" )
  | (?P<number> 0[xXoObB][0-9a-fA-F_]+ | (?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)? )
  | (?P<sign> :: | := | => | (?:(?!--|/\*)[{_SIGNS}])+ | [()\[\],.;:] )
    """,
    re.VERBOSE | re.DOTALL,
)
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
"""Postgres folds these only, where a letter may take several bytes."""
_COMMENT_EDGE = re.compile(r"/\*|\*/")
MAX_TOKENS = 20_000


class StatementError(ValueError):
    """A statement that is not run; the text says what is wrong, and in which line and column where it is known."""


class Kind(Enum):
    WORD = auto()
    QUOTED = auto()
    STRING = auto()
    NUMBER = auto()
    PARAMETER = auto()
    SIGN = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """`text` of a word is lower case, of a quoted identifier what it names, of a string nothing."""

    kind: Kind
    text: str
    start: int


def tokens(sql: str) -> list[Token]:
    """The tokens without blanks and comments. StatementError for what Postgres would not read, or not surely so."""
    found: list[Token] = []
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        if match is None:
            raise StatementError(f"{place(sql, at)}: unexpected {sql[at]!r}" + _hint(sql[at]))
        end = match.end()
        if match["comment"]:
            end = _end_of_comment(sql, at)
        elif match["dollar"]:
            end = _end_of_dollar(sql, match)
            found.append(Token(Kind.STRING, "", at))
        elif match["unicode"]:
            raise StatementError(f"{place(sql, at)}: U&-literals are not taken; write the signs themselves")
        elif not match["blank"]:
            token = _token(match)
            if token.kind is Kind.STRING and found and found[-1].kind is Kind.STRING:
                raise StatementError(f"{place(sql, at)}: two strings in a row; write them as one")
            found.append(token)
            if len(found) > MAX_TOKENS:
                raise StatementError(f"more than {MAX_TOKENS} words and signs")
        at = end
    return found


def place(sql: str, at: int) -> str:
    line = sql.count("\n", 0, at)
    return f"line {line + 1}, column {at - (sql.rfind(chr(10), 0, at) + 1) + 1}"


def _token(match: re.Match[str]) -> Token:
    text, start = match[0], match.start()
    if match["word"]:
        return Token(Kind.WORD, text.translate(_LOWER), start)
    if match["quoted"]:
        return Token(Kind.QUOTED, text[1:-1].replace('""', '"'), start)
    if match["parameter"]:
        return Token(Kind.PARAMETER, text, start)
    if match["number"]:
        return Token(Kind.NUMBER, text, start)
    return Token(Kind.SIGN, text, start) if match["sign"] else Token(Kind.STRING, "", start)


def _end_of_comment(sql: str, start: int) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge[0] == "/*" else -1
        if not depth:
            return edge.end()
    raise StatementError(f"{place(sql, start)}: a comment that does not end")


def _end_of_dollar(sql: str, match: re.Match[str]) -> int:
    end = sql.find(match[0], match.end())
    if end < 0:
        raise StatementError(f"{place(sql, match.start())}: a {match[0]} string that does not end")
    return end + len(match[0])


def _hint(sign: str) -> str:
    return {
        "\\": "; commands of psql are not SQL",
        "'": "; a string that does not end",
        '"': "; a quoted name that does not end",
        "$": "; parameters are written $1, $2",
    }.get(sign, "")

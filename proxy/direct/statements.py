"""What SQL a direct reader runs: one SELECT that changes nothing and locks nothing. All else is refused at start.

Three walls stand behind one another: this check of the text, the volatile functions that the server names when a
statement is proved, and the read-only transaction in which it runs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from proxy.direct.sql_tokens import Kind, StatementError, Token, place, tokens

__all__ = ["MAX_CHARACTERS", "Statement", "StatementError", "check_statement", "functions"]

MAX_CHARACTERS = 100_000

_REFUSED: tuple[tuple[type[exp.Expr], str, str], ...] = (
    (exp.Insert, "INSERT", "insert"),
    (exp.Update, "UPDATE", "update"),
    (exp.Delete, "DELETE", "delete"),
    (exp.Merge, "MERGE", "merge"),
    (exp.Into, "SELECT INTO", "into"),
    (exp.Lock, "FOR UPDATE or FOR SHARE", "for"),
    (exp.Create, "CREATE", "create"),
    (exp.Command, "a command", ""),
)
"""What may not stand anywhere in a statement, and the word by which its place is found."""
_KNOWN_SIGNS = re.compile(
    r"[()\[\],.;:]|::|:=|=>|(?:<=|>=|<>|[-+*/<>=])[-+]?|!=|\|\||->>?|#>>?|@>|<@|\?[|&]?|&&|!?~\*?|[%^]"
)
"""Operators that the parser knows. Others, which an extension may bring, can stand where a plus sign can."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A checked statement. `parameters` is the highest n of its `$n`, `numbers` which ones there are.

    `functions` are all names that may be called: whatever stands before a parenthesis, without its schema.
    `members` are names after a dot, which Postgres may take for a function of one row; `operators` are its signs.
    """

    sql: str
    numbers: frozenset[int]
    functions: frozenset[str]
    members: frozenset[str]
    operators: frozenset[str]

    @property
    def parameters(self) -> int:
        return max(self.numbers, default=0)


def check_statement(sql: str) -> Statement:
    """The statement, when it is exactly one SELECT (which may begin with WITH). StatementError says what and where."""
    if len(sql) > MAX_CHARACTERS:
        raise StatementError(f"longer than {MAX_CHARACTERS} characters")
    if "\0" in sql:
        raise StatementError("holds a NUL character")
    words = tokens(sql)
    while words and words[-1].text == ";" and words[-1].kind is Kind.SIGN:
        words.pop()
    _check_beginning(sql, words)
    for word in words:
        if word.kind is Kind.SIGN and word.text == ";":
            raise StatementError(f"{place(sql, word.start)}: a second statement; write each as a statement of its own")
    _check_tree(_parsed(words), sql)
    return Statement(
        sql=sql,
        numbers=frozenset(_number(sql, word) for word in words if word.kind is Kind.PARAMETER),
        functions=_named(words, before="("),
        members=frozenset(
            name.text
            for dot, name in itertools.pairwise(words)
            if dot.text == "." and dot.kind is Kind.SIGN and name.kind in (Kind.WORD, Kind.QUOTED)
        ),
        operators=frozenset(word.text for word in words if word.kind is Kind.SIGN and word.text[0] not in "()[],.;:"),
    )


def functions(statement: Statement) -> set[str]:
    """The names of everything that may be a function call in the statement, lower case unless quoted."""
    return set(statement.functions)


def _check_beginning(sql: str, words: Sequence[Token]) -> None:
    first = next((word for word in words if word.text != "("), None)
    if first is None:
        raise StatementError("no statement at all")
    if first.kind is not Kind.WORD or first.text not in ("select", "with"):
        raise StatementError(
            f"{place(sql, first.start)}: begins with {first.text.upper() or 'a string'}; "
            "only a single SELECT, which may begin with WITH, is run"
        )


def _parsed(words: Sequence[Token]) -> exp.Expr:
    text = " ".join(_plain(word) for word in words)
    try:
        tree = sqlglot.parse_one(text, dialect="postgres")
    except SqlglotError as error:
        described = getattr(error, "errors", None) or [{}]
        near = described[0].get("highlight") or ""
        raise StatementError(f"not understood as SQL{f' near {near!r}' if near else ''}") from error
    except RecursionError:
        raise StatementError("nested too deeply") from None
    return tree


def _plain(word: Token) -> str:
    """A token so that no other reader can take it otherwise: literals and parameters are emptied."""
    if word.kind is Kind.STRING:
        return "'x'"
    if word.kind is Kind.PARAMETER:
        return f"p_{word.text[1:]}"
    if word.kind is Kind.QUOTED:
        return '"{}"'.format(word.text.replace('"', '""'))
    if word.kind is Kind.SIGN and not _KNOWN_SIGNS.fullmatch(word.text):
        return "+"
    return word.text


def _check_tree(tree: exp.Expr, sql: str) -> None:
    inner: exp.Expr | None = tree
    while isinstance(inner, exp.Subquery):
        inner = inner.this
    if not isinstance(inner, exp.Query):
        raise StatementError(f"{type(inner).__name__.upper()} is not run; only a single SELECT is")
    for node in tree.walk():
        for kind, called, word in _REFUSED:
            if isinstance(node, kind):
                where = _where(sql, word)
                raise StatementError(f"{where}{called} is not run; a direct read changes and locks nothing")


def _where(sql: str, sought: str) -> str:
    """The place of a word, where the statement has it once: a parsed tree does not keep all places."""
    found = [word for word in tokens(sql) if word.kind is Kind.WORD and word.text == sought]
    return f"{place(sql, found[0].start)}: " if len(found) == 1 else ""


def _named(words: Sequence[Token], before: str) -> frozenset[str]:
    return frozenset(
        name.text
        for name, sign in itertools.pairwise(words)
        if sign.text == before and sign.kind is Kind.SIGN and name.kind in (Kind.WORD, Kind.QUOTED)
    )


def _number(sql: str, word: Token) -> int:
    if len(word.text) > 5 or not 1 <= int(word.text[1:]) <= 1_000:
        raise StatementError(f"{place(sql, word.start)}: {word.text[:20]} is not one of $1 to $1000")
    return int(word.text[1:])

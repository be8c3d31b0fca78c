"""Statements: one SELECT that changes nothing passes; all else is refused, however it is written."""

from __future__ import annotations

import pytest

from proxy.direct.statements import MAX_CHARACTERS, StatementError, check_statement, functions

GOOD = [
    "SELECT 1",
    "SELECT 1;;",
    "(SELECT 1)",
    "SELECT 1 UNION ALL SELECT 2 ORDER BY 1",
    "-- a note; DROP TABLE x\nSELECT 1 /* ; DELETE /* nested */ FROM x */",
    "WITH RECURSIVE a(n) AS (SELECT 1 UNION SELECT n + 1 FROM a WHERE n < 5) SELECT * FROM a",
    "SELECT ';', $$; DROP TABLE x$$, $tag$'$$'$tag$, E'\\'; DROP', \"a;b\", 'it''s' FROM t",
    "SELECT * FROM t WHERE (a, b) > ($1,$2) AND c IN ($3,$4)",
    "SELECT * FROM t WHERE id = ANY($1::uuid[]) AND data @> '{}' AND j ? 'a' AND j ?| $2 AND d #>> '{a,b}' = 'x'",
    'SELECT t.update, t.delete, t."into", t.lock FROM insert_log t',
    "SELECT count(*) FILTER (WHERE a) OVER (PARTITION BY b ORDER BY c ROWS UNBOUNDED PRECEDING) FROM t",
    "SELECT DISTINCT ON (a) a, b[1:2], (c).d, x.y::numeric(10,2) FROM t, LATERAL (SELECT 1 AS y) x ORDER BY a, b DESC",
    "SELECT coalesce(json_agg(x ORDER BY y) FILTER (WHERE x IS NOT NULL), '[]') FROM t GROUP BY ROLLUP (a)",
    "SELECT * FROM json_to_recordset('[]') AS x(a int) CROSS JOIN LATERAL jsonb_array_elements(a) WITH ORDINALITY",
    "SELECT created AT TIME ZONE 'UTC' - interval '3 days', extract(epoch FROM created), a -|- b, @ -5, a <-> b FROM t",
    "SELECT a FROM t LIMIT $1 OFFSET $2",
    "SELECT jsonb_path_query(a, '$.x') FROM t FETCH FIRST 3 ROWS ONLY",
    "WITH a AS MATERIALIZED (SELECT 1 AS n) SELECT n FROM a WHERE EXISTS (SELECT 1 FROM a AS b WHERE b.n = a.n)",
]


@pytest.mark.parametrize("sql", GOOD)
def test_reads_pass(sql: str) -> None:
    assert check_statement(sql).sql == sql


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("", "no statement"),
        (" -- only a note", "no statement"),
        ("SELECT 1; SELECT 2", "line 1, column 9: a second statement"),
        ("SELECT 1\n;\n DROP TABLE x", "line 2, column 1: a second statement"),
        ("SELECT '\\'; DROP TABLE x --'", "a second statement"),
        ("SELECT $a$ $b$ $a$; DELETE FROM t", "a second statement"),
        ("INSERT INTO t VALUES (1)", "line 1, column 1: begins with INSERT"),
        ("/* x */ UPDATE t SET a = 1", "begins with UPDATE"),
        ("DELETE FROM t", "begins with DELETE"),
        ("MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE", "begins with MERGE"),
        ("COPY t TO STDOUT", "begins with COPY"),
        ("COPY (SELECT 1) TO PROGRAM 'id'", "begins with COPY"),
        ("DO $$ BEGIN END $$", "begins with DO"),
        ("SET transaction_read_only = off", "begins with SET"),
        ("RESET ALL", "begins with RESET"),
        ("CALL f()", "begins with CALL"),
        ("EXPLAIN ANALYZE DELETE FROM t", "begins with EXPLAIN"),
        ("PREPARE x AS SELECT 1", "begins with PREPARE"),
        ("EXECUTE x", "begins with EXECUTE"),
        ("LOCK TABLE t", "begins with LOCK"),
        ("BEGIN", "begins with BEGIN"),
        ("ROLLBACK; SELECT 1", "begins with ROLLBACK"),
        ("VALUES (1)", "begins with VALUES"),
        ("TABLE t", "begins with TABLE"),
        ("CREATE TABLE a AS SELECT 1", "begins with CREATE"),
        ("DECLARE c CURSOR FOR SELECT 1", "begins with DECLARE"),
        ("LISTEN x", "begins with LISTEN"),
        ("'SELECT 1'", "begins with a string"),
        ("WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", "line 1, column 12: DELETE is not run"),
        ("WITH a AS (INSERT INTO t VALUES (1) RETURNING *) SELECT 1", "INSERT is not run"),
        ("WITH a AS (WITH c AS (UPDATE t SET a = 1 RETURNING 1) SELECT 1) SELECT 1", "UPDATE is not run"),
        ("WITH a AS (SELECT 1) DELETE FROM t", "DELETE is not run"),
        ("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", "INSERT is not run"),
        ("(WITH a AS (SELECT 1) UPDATE t SET a = 1)", "not"),
        ("SELECT * INTO x FROM t", "line 1, column 10: SELECT INTO is not run"),
        ("SELECT 1 INTO TEMP x", "SELECT INTO is not run"),
        ("SELECT * FROM t FOR UPDATE", "line 1, column 17: FOR UPDATE"),
        ("SELECT * FROM t FOR NO KEY UPDATE SKIP LOCKED", "FOR UPDATE or FOR SHARE is not run"),
        ("SELECT * FROM (SELECT 1 FROM t FOR SHARE) x", "FOR UPDATE or FOR SHARE is not run"),
        ("SELECT * FROM t f\nOR KEY SHARE", "not"),
        ("\\! id", "commands of psql"),
        ("SELECT 1 \\gexec", "commands of psql"),
        ("SELECT 'a", "a string that does not end"),
        ("SELECT $a$ x $b$", "does not end"),
        ("SELECT 1 /* /* */", "a comment that does not end"),
        ("SELECT U&'\\0041'", "U&-literals are not taken"),
        ("SELECT E'a'\n'b\\'", "two strings in a row|does not end"),
        ("SELECT FROM WHERE", "not understood"),
        ("SELECT $0", "not one of \\$1 to \\$1000"),
        ("SELECT $99999999999", "not one of \\$1 to"),
        ("SELECT 1\0", "NUL"),
        ("SELECT " + "1," * MAX_CHARACTERS + "1", "longer than"),
        ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "nested too deeply|not understood"),
    ],
)  # fmt: skip
def test_all_else_is_refused(sql: str, said: str) -> None:
    with pytest.raises(StatementError, match=said):
        check_statement(sql)


def test_nothing_hides_in_what_only_looks_like_a_literal() -> None:
    """Each of these hides a call from a reader of SQL that cuts tokens otherwise than Postgres."""
    for sql in (
        "SELECT $1,$2, pg_sleep($1),$2",
        "SELECT '\\', pg_sleep(1), '\\'",
        "SELECT E'\\\\', pg_sleep(1), E''",
        "SELECT $$'$$, pg_sleep(1), $$'$$",
        "SELECT /* /* */ ' */ pg_sleep(1) -- '",
        'SELECT "a\'", pg_sleep(1), "\'"',
        'SELECT pg_catalog . "pg_sleep" /* */ (1)',
        "SELECT PG_SLEEP\n(1)",
        "SELECT a$b$, pg_sleep(1), c$b$ FROM t",
    ):
        assert "pg_sleep" in functions(check_statement(sql)), sql
    for sql in (
        "SELECT 'pg_sleep(1)'",
        "SELECT $$pg_sleep(1)$$",
        "SELECT 1 -- pg_sleep(1)",
        "SELECT E'\\' pg_sleep(1)'",
    ):
        assert "pg_sleep" not in functions(check_statement(sql)), sql


def test_what_is_known_of_a_statement() -> None:
    sql = "SELECT a.\"Fn\"($2), İ.Now(), u.secret FROM t u WHERE a === $10 AND b = '$3' AND c = $2"
    checked = check_statement(sql)
    assert (checked.parameters, checked.numbers) == (10, frozenset({2, 10}))
    assert {"Fn", "now"} <= checked.functions
    assert checked.members == {"Fn", "now", "secret"}
    assert checked.operators == {"===", "="}
    assert check_statement("SELECT 1").parameters == 0

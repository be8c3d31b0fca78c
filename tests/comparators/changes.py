"""What is changed in the row of `stores`, column by column, by the least that each type allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.comparators.saying import OTHER_UUID, OWNER_UUID, STRANGER


@dataclass(frozen=True)
class Change:
    """One column of the full row set to another value, and what must be said of it: kinds by path, none if equal."""

    column: str
    value: str
    said: Mapping[str, str] | str

    @property
    def name(self) -> str:
        return f"{self.column} = {self.value}"

    def expected(self) -> list[tuple[str, str]]:
        """(path, kind) of every difference. A lone kind stands at the column itself."""
        if isinstance(self.said, str):
            return [(f"$.{self.column}", self.said)] if self.said else []
        return sorted((f"$.{self.column}{below}", kind) for below, kind in self.said.items())


CHANGES = (
    # Ids
    Change("_id", f"'{OTHER_UUID}'", "id_mismatch"),
    Change("owner", f"'{OTHER_UUID}'", "id_mismatch"),
    Change("owner", f"'{STRANGER}'", "id_mismatch"),
    Change("owner", "NULL", "type_changed"),
    Change("device", f"'{STRANGER}'", "value_changed"),
    Change("device", "upper(device::text)::uuid", ""),
    Change("avatar", f"'/files/{OTHER_UUID}.png'", "id_mismatch"),
    Change("avatar", f"'/files/{OWNER_UUID}.PNG'", "case"),
    Change("avatar", f"'/files/{OWNER_UUID.upper()}.png'", ""),
    Change("avatar", f"'/files/{OWNER_UUID}.jpg'", "value_changed"),
    Change("refs", f"ARRAY['{OTHER_UUID}', '{OWNER_UUID}']::uuid[]", "order_changed"),
    Change("refs", f"ARRAY['{OWNER_UUID}']::uuid[]", {"[1]": "missing"}),
    Change("refs", f"ARRAY['{OTHER_UUID}']::uuid[]", {"[0]": "missing"}),
    Change("refs", f"ARRAY['{OWNER_UUID}', '{OWNER_UUID}']::uuid[]", {"[1]": "id_mismatch"}),
    Change("refs", f"ARRAY['{OWNER_UUID}', '{OTHER_UUID}', '{OTHER_UUID}']::uuid[]", {"[2]": "added"}),
    Change("refs", "'{}'", {"[0]": "missing", "[1]": "missing"}),
    Change("refs", "NULL", "type_changed"),
    Change("unread", f"""'{{"{OWNER_UUID}": 0, "{OTHER_UUID}": 3.0}}'""", ""),
    Change("unread", f"""'{{"{OWNER_UUID}": 0, "{OTHER_UUID}": 4}}'""", {f"['{OTHER_UUID}']": "value_changed"}),
    Change("unread", f"""'{{"{OWNER_UUID}": 3, "{OTHER_UUID}": 0}}'""",
           {f"['{OWNER_UUID}']": "value_changed", f"['{OTHER_UUID}']": "value_changed"}),
    Change("unread", f"""'{{"{OWNER_UUID}": 0}}'""", {f"['{OTHER_UUID}']": "missing"}),
    # Texts
    Change("title", "replace(title, 'C', 'c')", "case"),
    Change("title", "title || ' '", "whitespace"),
    Change("title", "replace(title, ' 1', '  1')", "whitespace"),
    Change("title", "replace(title, ' 1', E'\\u00a01')", "whitespace"),
    Change("title", "normalize(title, NFD)", "value_changed"),
    Change("title", "title || E'\\u200b'", "value_changed"),
    Change("title", "replace(title, E'\\u00df', 'ss')", "case"),
    Change("title", "left(title, -1)", "value_changed"),
    Change("title", "replace(title, '\\', '/')", "value_changed"),
    Change("title", "''", "value_changed"),
    Change("title", "NULL", "type_changed"),
    Change("gone", "''", "empty"),
    Change("gone", "'null'", "type_changed"),
    Change("code", "'123'", "value_changed"),
    Change("code", "'0123.0'", "value_changed"),
    Change("code", "' 0123'", "whitespace"),
    Change("country", "'FRA'", "value_changed"),
    Change("country", "'fr'", "case"),
    Change("state", "'done'", "value_changed"),
    Change("addr", "'10.0.0.1/31'", "value_changed"),
    Change("addr", "'10.0.0.1/32'", ""),
    Change("blob", "'\\xdeadbeee'", "value_changed"),
    Change("blob", "''", "value_changed"),
    # Numbers
    Change("wide", "wide + 0.000000000000000001", "value_changed"),
    Change("wide", "-wide", "value_changed"),
    Change("round", "round + 0.000000000000000001", "value_changed"),
    Change("bare", "10.29", ""),
    Change("bare", "10.2900000000000000000000000000000000000000", ""),
    Change("bare", "10.2900000000000000000000000000000000000001", "value_changed"),
    Change("bare", "'NaN'", "type_changed"),
    Change("zero", "0.000000000000000001", "value_changed"),
    Change("much", "much + 1", "value_changed"),
    Change("millis", "millis + 1", "value_changed"),
    Change("epoch", "epoch + 0.001", "value_changed"),
    Change("wei", "wei + 1", "value_changed"),
    Change("wei", "wei + 0.1", "value_changed"),
    Change("wei", "wei * 10", "value_changed"),
    Change("wei", "wei * 1.000", ""),
    Change("big", "big + 1", "value_changed"),
    Change("big", "big - 1", "value_changed"),
    Change("safe", "safe + 1", "value_changed"),
    Change("small", "small + 1", "value_changed"),
    Change("small", "0", "value_changed"),
    Change("small", "NULL", "type_changed"),
    Change("num", "-num", "value_changed"),
    Change("single", "0.10000001", "value_changed"),
    Change("sum", "0.3", "value_changed"),
    Change("sum", "0.30000000000000010", "value_changed"),
    Change("tiny", "1.0000000000000002e-7", "value_changed"),
    Change("tiny", "0", "value_changed"),
    Change("tiny", "-tiny", "value_changed"),
    Change("huge", "1.0000000000000001e21", "value_changed"),
    Change("whole", "5.000000000000001", "value_changed"),
    Change("minus", "0", ""),
    Change("minus", "5e-324", "value_changed"),
    Change("minus", "'-Infinity'", "type_changed"),
    Change("yes", "false", "value_changed"),
    Change("yes", "NULL", "type_changed"),
    # Dates
    Change("at", "at + interval '1 microsecond'", "date_precision"),
    Change("at", "at - interval '1 microsecond'", "value_changed"),
    Change("at", "at + interval '1 hour'", "value_changed"),
    Change("at", "'infinity'", "value_changed"),
    Change("at", "at - interval '4000 years'", "value_changed"),
    Change("exact", "exact + interval '1 microsecond'", "date_precision"),
    Change("exact", "exact + interval '1 second'", "value_changed"),
    Change("fine", "fine + interval '1 microsecond'", "value_changed"),
    Change("fine", "date_trunc('milliseconds', fine)", "date_precision"),
    Change("born", "born - interval '1 microsecond'", "value_changed"),
    Change("naive", "naive + interval '1 microsecond'", "date_precision"),
    Change("naive", "naive + interval '1 hour'", "value_changed"),
    Change("day", "day + 1", "value_changed"),
    Change("day", "'infinity'", "value_changed"),
    Change("clock", "clock + interval '1 microsecond'", "value_changed"),
    Change("span", "span + interval '1 microsecond'", "value_changed"),
    Change("span", "interval '26:03:04.5'", "value_changed"),
    # Documents
    Change("doc", "doc #- '{aa}'", {".aa": "null_missing"}),
    Change("doc", "doc || '{\"c\": null}'", {".c": "null_missing"}),
    Change("doc", "doc || '{\"c\": []}'", {".c": "added"}),
    Change("doc", "doc || '{\"aa\": []}'", {".aa": "empty"}),
    Change("doc", "doc || '{\"aa\": {}}'", {".aa": "empty"}),
    Change("doc", "doc || '{\"aa\": \"\"}'", {".aa": "empty"}),
    Change("doc", "doc || '{\"aa\": false}'", {".aa": "type_changed"}),
    Change("doc", "doc || '{\"aa\": 0}'", {".aa": "type_changed"}),
    Change("doc", "doc || '{\"aa\": \"null\"}'", {".aa": "type_changed"}),
    Change("doc", "doc || '{\"b\": \"2\"}'", {".b": "number_string"}),
    Change("doc", "doc || '{\"b\": \"2.0\"}'", {".b": "number_string"}),
    Change("doc", "doc || '{\"b\": true}'", {".b": "type_changed"}),
    Change("doc", "doc || '{\"b\": [2]}'", {".b": "type_changed"}),
    Change("doc", "doc || '{\"b\": 2.0}'", ""),
    Change("doc", "(doc - 'b') || '{\"B\": 2}'", {".b": "missing", ".B": "added"}),
    Change("doc", "jsonb_set(doc, '{a,z}', '1.5')", ""),
    Change("doc", "jsonb_set(doc, '{a,y}', '1000.0')", ""),
    Change("doc", "jsonb_set(doc, '{a,y}', '1e400')", {".a.y": "value_changed"}),
    Change("doc", "jsonb_set(doc, '{a,list,1,k}', '\"V\"')", {".a.list[1].k": "case"}),
    Change("doc", "jsonb_set(doc, '{a,list,3}', '\"true\"')", {".a.list[3]": "type_changed"}),
    Change("doc", "jsonb_set(doc, '{a,list,4}', 'true')", {".a.list[4]": "type_changed"}),
    Change("doc", "jsonb_set(doc, '{a,list,3}', '1')", {".a.list[3]": "type_changed"}),
    Change("doc", "doc #- '{a,list,2}'", {".a.list[2]": "missing"}),
    Change("doc", "jsonb_insert(doc, '{a,list,0}', 'null')", {".a.list[0]": "added"}),
    Change("doc", """jsonb_set(doc, '{a,list}', '[1, null, {"k": "v"}, true, "true"]')""",
           {".a.list": "order_changed"}),
    Change("doc", "'null'", "type_changed"),
    Change("doc", "'{}'", {".a": "missing", ".aa": "null_missing", ".b": "missing"}),
    Change("doc", "to_jsonb(doc::text)", "type_changed"),
    Change("written", """'{"u": "é", "a": 15e-1, "b": 2}'""", ""),
    Change("written", """'{"b":2,"a":1.50,"b":1,"u":"é"}'""", {".b": "value_changed"}),
    Change("written", """'{"b":2,"a":1.50000000000000000001,"u":"é"}'""", {".a": "value_changed"}),
    Change("written", """'[{"b":2,"a":1.50,"u":"é"}]'""", "type_changed"),
    # Arrays
    Change("none", "NULL", "empty"),
    Change("none", "'{NULL}'", {"[0]": "added"}),
    Change("none", "'{\"\"}'", {"[0]": "added"}),
    Change("tags", "ARRAY['a', 'b', NULL, 'c d', 'a']", "order_changed"),
    Change("tags", "ARRAY['b', 'a', 'NULL', 'c d', 'a']", {"[2]": "type_changed"}),
    Change("tags", "ARRAY['b', 'a', '', 'c d', 'a']", {"[2]": "empty"}),
    Change("tags", "ARRAY['b', 'a', NULL, 'c d']", {"[4]": "missing"}),
    Change("tags", "ARRAY['b', 'a', NULL, 'c d', 'A']", {"[4]": "case"}),
    Change("tags", "ARRAY['b', 'a', NULL, 'c', 'd', 'a']", {"[3]": "value_changed", "[4]": "added"}),
    Change("tags", "ARRAY['b', 'a', NULL, 'c d ', 'a']", {"[3]": "whitespace"}),
    Change("ints", "'{1,2,4}'", {"[2]": "value_changed"}),
    Change("ints", "'{2,1,3}'", "order_changed"),
    Change("ints", "'{1,23}'", {"[1]": "value_changed", "[2]": "missing"}),
    Change("ints", "'{1,2,NULL}'", {"[2]": "type_changed"}),
    Change("ints", "'{{1,2,3}}'", {"[0]": "type_changed", "[1]": "missing", "[2]": "missing"}),
    Change("grid", "'{{1,2},{4,3}}'", {"[1]": "order_changed"}),
    Change("grid", "'{{3,4},{1,2}}'", "order_changed"),
    Change("grid", "'{{1,2},{3,5}}'", {"[1][1]": "value_changed"}),
)  # fmt: skip

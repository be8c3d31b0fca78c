"""The demo marketplace: an escrow marketplace in the style of an Express backend, on MongoDB, Postgres or both.

It stands in for a backend in the middle of its move. Its parts, from the inside out:

- `entities` and `catalog` declare what is stored; `schema` derives the Postgres tables from that.
- `codec` turns a record into a document or a row and back; `store` is the one interface to the data, with
  `mongo_store` and `postgres_store` behind it; `mirror` copies every write to the other store, a little late.
- `dataset` makes the data from a seed, `seed` loads it into both stores.
- `http`, `generic` and the `routes_*` modules answer requests; `app` wires it all.
"""

"""shadowread: a shadow-read verification proxy for moves from MongoDB to Postgres."""

__version__ = "0.1.0"

"""What the budget of memory counts with: constants of the code below it, and what one piece of each thing takes.

Constants stand here a second time because settings import nothing of what keeps to them; a test holds both together.
Sizes of pieces were measured (64-bit CPython 3.11) and rounded up; a test fills each thing and holds it to them.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

# --- the program ---

PROGRAM = 192 * MIB
"""Interpreter, libraries, threads and compiled routes, measured at 135 MiB resident."""
WORKER = 96 * MIB
"""A comparison worker that has worked, without the bodies in its hands."""

# --- clients ---

CLIENT_AT_REST = 8 * KIB
"""A connection between two requests, measured at 5 KiB."""
SENT_AHEAD = (256 + 64) * KIB
"""What a client may have sent before its turn: one reading of its connection, and a head that is not whole."""
HEAD = 64 * KIB
"""The head of a request or response: its fields, and what Python needs to hold them."""
BACKEND_CONNECTIONS = 10_000
"""Requests under way at the primary's backend at once."""
EXCHANGE_BUFFERS = 1536 * KIB
"""A request with its body and the answer, both held up by a slow peer: two high-water marks of 256 KiB, the piece that
passed each (256 KiB at most), and what waits in the transports."""
UPSTREAM_AT_REST = 8 * KIB

# --- verification ---

HELD_FACTOR = 3
"""Bytes for each byte of a body: the table of its ids (measured: 1 to 2) and the values that differ (0.1 to 1.5)."""
BODIES_TO_TRACES = 64 * MIB
REMEMBERED, REMEMBERED_BYTES = 500, 16 * KIB
RECENT, RECENT_BYTES = 4, 32 * KIB
"""Requests of a route. Characters take one byte, fields two objects."""
RULE_SETS, RULES = 4_096, 8 * KIB
CREDENTIALS, CREDENTIAL = 512, 16 * KIB
"""Of 1 KB each, as tokens usually are; one of 8 KB takes sixty times as much."""
EXAMINED_BYTES = 32 * MIB
EXAMINED_PLANS, PLAN_DAMAGES, DAMAGE = 1_000, 500, 256
ROWS_BYTES = 3 * 64 * MIB
"""Of one direct read: what the server sent, and the values made of it."""

# --- ids ---

ID_PAIR = 512
"""Both directions of a pair, two generations of them; measured at 455 bytes."""
FILE_BYTES = 256 * MIB
FILE_FACTOR = 6
"""Bytes of memory for each byte of an ids file while it is read."""
LOOKUPS, LOOKUP_IDS = 64, 50_000
BELIEVED, BELIEVED_PAIR = 100_000, 768

# --- ledger ---

TRACES_WAITING = 64 * MIB
FINDING, SAMPLES = 2 * KIB, 4 * KIB
"""What is new of a finding, and its two samples of 2,000 characters."""
ENTITIES, ENTITY = 50_000, 320
"""Of a kind in a domain: seen, waiting and being written, each once."""
PLACES, PLACE = 20_000, 1536
MINUTES, ROUTE_VERDICTS, COUNT = 1_440, 15, 128
WATCHES, WATCH = 1_000, 512
SQLITE_CONNECTIONS, SQLITE_CACHES = 16, 2 * MIB
"""Connections of the one who writes and of those who read, each with its cache of pages."""

# --- admin site ---

ADMIN_CONNECTIONS, ADMIN_CONNECTION = 256, 1536 * KIB
"""What one reading brings, a head of 128 fields of 8 KiB, and a body of 64 KiB."""
TAIL, ENDED = 1_000, 512
LISTENERS, LISTENER_BATCHES = 50, 40 * 200 * 512
"""Who listens, and what may wait for one of them: batches, exchanges in each, bytes of one."""
SERIES, SERIES_BYTES = 50_000, 512

# --- reload ---

EARLIER = 3

# --- comparison ---

COMPARED_FACTOR = 4
"""Bytes for each byte of a body that is compared: as it came, as it crosses to the worker, and its texts."""
MEMBERS, MEMBER = 1_000_000, 640
"""Members that a body may have, and what a comparison makes of one of nothing but the smallest; of marketplace
documents it takes 12 times the body all in all (`make bench`)."""

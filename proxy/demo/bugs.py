"""The planted bugs of the demo: what they are, where they show, and whether a finding is theirs.

Each is a mistake that real moves from MongoDB to Postgres have made. All touch only what is served from Postgres, or
what is written to it, and each stays inside one domain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Bug:
    """`routes`, `kinds` and `paths` are what a finding must bear to be this bug's; a path has `[*]` for indexes.

    `findable` is false where a comparison of the two sides cannot tell: both read the same store. `stored` bugs are in
    what Postgres holds, so that any reader of it meets them; the others are in the code of the twin that serves it.
    """

    name: str
    domain: str
    routes: tuple[str, ...]
    description: str
    kinds: frozenset[str]
    paths: tuple[str, ...]
    findable: bool = True
    stored: bool = False


def _bug(
    name: str,
    domain: str,
    routes: tuple[str, ...],
    kinds: set[str],
    paths: tuple[str, ...],
    description: str,
    *,
    stored: bool = False,
) -> Bug:
    return Bug(name, domain, routes, description, frozenset(kinds), paths, findable=bool(routes), stored=stored)


BUGS: tuple[Bug, ...] = (
    _bug(
        "selected_offer_wrong_row",
        "marketplace",
        ("GET /api/marketplace/purchase-requests/{id}",),
        {"id_mismatch"},
        ("$.data.selectedOffer.id",),
        "the selected offer's id is resolved to another offer of the same request",
    ),
    _bug(
        "template_max_usage_zero",
        "marketplace",
        ("GET /api/marketplace/request-templates", "GET /api/marketplace/request-templates/{id}"),
        {"type_changed", "value_changed"},
        ("$.data[*].maxUsage", "$.data.maxUsage"),
        "an optional maxUsage that was never set is 0 instead of null",
    ),
    _bug(
        "shop_misses_legacy_id",
        "shop_settings",
        ("GET /api/shops/{sellerId}",),
        {"status"},
        ("status",),
        "the seller lookup knows uuids only: a legacy id answers 404",
    ),
    _bug(
        "quote_rate_as_string",
        "payments",
        ("GET /api/payment/{id}",),
        {"number_string"},
        ("$.data.quote.rate",),
        "the driver hands numerics over as strings and nobody converts the quote's rate",
    ),
    _bug(
        "dual_write_gap",
        "payments",
        ("GET /api/payment/{id}",),
        {"status"},
        ("status",),
        "payments from webhooks reach MongoDB only; pg_dualwrite_gaps tells of them",
        stored=True,
    ),
    _bug(
        "dispute_microseconds",
        "disputes",
        ("GET /api/disputes/{id}",),
        {"date_precision"},
        ("$.data.createdAt",),
        "an open dispute's creation keeps Postgres' microseconds where the client knows milliseconds",
    ),
    _bug(
        "dispute_nulls_last",
        "disputes",
        ("GET /api/disputes",),
        {"order_changed", "id_mismatch"},
        ("$.data", "$.data[*]", "$.data[*].id"),
        "Postgres sorts nulls last, MongoDB sorts them first: another page comes out",
    ),
    _bug(
        "blog_empty_tags_null",
        "blog",
        ("GET /api/blog/posts/{slug}",),
        {"empty"},
        ("$.data.tags",),
        "a post without tags has null for its empty list",
    ),
    _bug(
        "blog_total_counts_deleted",
        "blog",
        ("GET /api/blog/posts",),
        {"value_changed"},
        ("$.pagination.total",),
        "the total counts posts that were deleted",
    ),
    _bug(
        "review_reviewer_not_populated",
        "reviews",
        ("GET /api/reviews/sellers/{sellerId}", "GET /api/reviews/{id}"),
        {"populated"},
        ("$.data[*].reviewerId", "$.data.reviewerId"),
        "reviewerId stays an id where the reviewer was filled in",
    ),
    _bug(
        "notification_ties_reordered",
        "notifications",
        ("GET /api/notifications",),
        {"order_changed"},
        ("$.data", "$.data[*]", "$.data[*].id"),
        "notifications of the same millisecond come in another order",
    ),
    _bug(
        "level_boundary_off_by_one",
        "points",
        ("GET /api/points/users/{userId}",),
        {"value_changed"},
        ("$.data.level.level", "$.data.level.name"),
        "a user with exactly the points of a level is shown one level below",
    ),
    _bug(
        "chat_participant_names_missing",
        "chat",
        ("GET /api/chats/{id}",),
        {"missing"},
        ("$.data.participants[*].name",),
        "the participants' names are not filled in from the users",
    ),
    _bug(
        "release_hold_reads_mongo",
        "release_holds",
        (),
        set(),
        (),
        "the flag `dual` reads MongoDB without a word, so both sides show the same store",
    ),
)

ALL = frozenset(bug.name for bug in BUGS)


def parse_bugs(text: str) -> frozenset[str]:
    """`all`, `none` or names with commas; raises ValueError on an unknown name."""
    if text == "all":
        return ALL
    if text in ("none", ""):
        return frozenset()
    names = frozenset(name.strip() for name in text.split(","))
    if unknown := names - ALL:
        raise ValueError(f"unknown bug {', '.join(sorted(unknown))}; known: {', '.join(sorted(ALL))}")
    return names


def found(bug: Bug, findings: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The finding that is this bug, or None. It must match in domain, route, kind and path pattern alike."""
    for finding in findings:
        if (
            finding["domain"] == bug.domain
            and finding["route"] in bug.routes
            and finding["kind"] in bug.kinds
            and finding["path"] in bug.paths
        ):
            return finding
    return None

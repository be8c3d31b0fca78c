"""Routes about trade: requests, offers, templates, categories, shops, reviews, disputes."""

from __future__ import annotations

from proxy.demo.marketplace.catalog import entity_of
from proxy.demo.marketplace.codec import iso_milliseconds
from proxy.demo.marketplace.entities import Record
from proxy.demo.marketplace.generic import (
    Populate,
    change,
    changing,
    creating,
    listing,
    populate,
    shape,
    showing,
)
from proxy.demo.marketplace.http import Reply, bad_request, detail, json_body, not_found
from proxy.demo.marketplace.market import Call, Route
from proxy.demo.marketplace.store import LEGACY_ID, NEWEST, OLDEST, Order, Where

REQUEST, OFFER, SHOP = entity_of("purchase_request"), entity_of("seller_offer"), entity_of("shop_setting")
REVIEW, DISPUTE, USER = entity_of("review"), entity_of("dispute"), entity_of("user")
NOTIFICATION = entity_of("notification")

BY_PRICE = (Order("price"), Order("seq"))
BY_ORDER = (Order("order"), Order("seq"))
REQUESTS, OFFERS = "/api/marketplace/purchase-requests", "/api/marketplace/offers"
TEMPLATES = "/api/marketplace/request-templates"
PUBLISHED = Where("status", "=", "published")
REVIEWER = Populate("reviewerId", "user")
CATEGORY = Populate("categoryId", "category", ("name", "slug"), name="category")


async def selected_offer(call: Call, items: list[Record]) -> None:
    """Fill the selected offer in, with its seller."""
    for item in items:
        offer_id = item.pop("selectedOfferId")
        offer = None if offer_id is None else await call.store.get(OFFER, offer_id)
        if offer is not None and call.has_bug("selected_offer_wrong_row"):
            offer = (await call.store.find(OFFER, [Where("requestId", "=", item["id"])], OLDEST, limit=1))[0]
        item["selectedOffer"] = offer and shape(OFFER, offer)
        if item["selectedOffer"]:
            await populate(call.store, [item["selectedOffer"]], [Populate("sellerId", "user", name="seller")])


async def offer_made(call: Call, offer: Record) -> None:
    """A new offer counts on its request, and the buyer hears of it."""
    request = await call.desk.load(REQUEST, offer["requestId"], whole=True)
    count = await call.store.count(OFFER, [Where("requestId", "=", request["id"])])
    await change(call, REQUEST, request, offersCount=count)
    desk = call.market.desks["notifications"]
    if (buyer := await desk.store.resolve(USER, request["buyerId"])) is not None:
        notice = desk.new(
            NOTIFICATION, userId=buyer, type="offer", title="A new offer", body=request["title"], isRead=False
        )
        await desk.save(NOTIFICATION, notice)
        call.market.hub.publish(f"user:{buyer}", shape(NOTIFICATION, notice))


async def max_usage(call: Call, items: list[Record]) -> None:
    if call.has_bug("template_max_usage_zero"):
        for item in items:
            item["maxUsage"] = item["maxUsage"] or 0


async def shop_of_seller(call: Call) -> Reply:
    given = call.param("sellerId")
    seller_id = await call.desk.own_id(USER, given)
    if call.has_bug("shop_misses_legacy_id") and LEGACY_ID.match(given):
        raise not_found("shop")
    return detail(await _shop(call, seller_id))


async def change_shop(call: Call) -> Reply:
    body = await json_body(call.request)
    if not isinstance(body.get("isOpen"), bool):
        raise bad_request("INVALID_BODY", "isOpen must be true or false")
    shop = await _shop(call, await call.desk.own_id(USER, call.param("sellerId")), shaped=False)
    return detail(shape(SHOP, await change(call, SHOP, shop, isOpen=body["isOpen"])))


async def _shop(call: Call, seller_id: str, *, shaped: bool = True) -> Record:
    found = await call.store.find(SHOP, [Where("sellerId", "=", seller_id)], limit=1)
    if not found:
        raise not_found("shop")
    return shape(SHOP, found[0]) if shaped else found[0]


async def reviewers(call: Call, items: list[Record]) -> None:
    if not call.has_bug("review_reviewer_not_populated"):
        await populate(call.store, items, [REVIEWER])


async def review_summary(call: Call) -> Reply:
    seller = await call.desk.load(USER, call.param("sellerId"))
    found = await call.store.find(REVIEW, [Where("sellerId", "=", seller["id"]), PUBLISHED])
    ratings = [one["rating"] for one in found]
    # Half a hundredth rounds up, from whole numbers: no store's own average takes part.
    average = (200 * sum(ratings) + len(ratings)) // (2 * len(ratings)) / 100 if ratings else None
    histogram = {str(stars): ratings.count(stars) for stars in range(1, 6)}
    return detail({"sellerId": seller["id"], "count": len(ratings), "average": average, "histogram": histogram})


async def list_disputes(call: Call) -> Reply:
    nulls_last = call.has_bug("dispute_nulls_last")
    handle = listing(
        "dispute",
        filters={"status": "status", "reason": "reason"},
        sorts={"resolvedAt": (Order("resolvedAt", nulls_last=nulls_last), Order("seq"))},
    )
    return await handle(call)


async def microseconds(call: Call, items: list[Record]) -> None:
    if call.has_bug("dispute_microseconds"):
        for item in (one for one in items if one["status"] == "open"):
            created = item["createdAt"]
            item["createdAt"] = iso_milliseconds(created)[:-1] + f"{created.microsecond % 1000:03d}Z"


ROUTES = (
    Route(
        "marketplace",
        "GET",
        REQUESTS,
        listing(
            "purchase_request",
            filters={"status": "status", "categoryId": "categoryId", "buyerId": "buyerId"},
            sorts={"budget": (Order("budgetMin"), Order("seq"))},
            populated=[Populate("buyerId", "user", name="buyer"), CATEGORY],
        ),
    ),
    Route(
        "marketplace",
        "GET",
        f"{REQUESTS}/{{id}}",
        showing(
            "purchase_request",
            populated=[Populate("buyerId", "user", name="buyer"), CATEGORY],
            finish=selected_offer,
        ),
    ),
    Route(
        "marketplace",
        "GET",
        f"{REQUESTS}/{{id}}/offers",
        listing(
            "seller_offer",
            order=BY_PRICE,
            parent=("id", "requestId"),
            populated=[Populate("sellerId", "user", name="seller")],
        ),
    ),
    Route(
        "marketplace",
        "POST",
        f"{REQUESTS}/{{id}}/offers",
        creating(
            "seller_offer",
            ("price", "currency", "deliveryDays", "message"),
            parent=("id", "requestId"),
            mine="sellerId",
            defaults={"status": "pending"},
            after=offer_made,
        ),
        writes=True,
    ),
    Route(
        "marketplace",
        "GET",
        f"{REQUESTS}/{{id}}/delivery-attempts",
        listing("delivery_attempt", order=(Order("attemptNo"), Order("seq")), parent=("id", "requestId")),
    ),
    Route(
        "marketplace",
        "PATCH",
        f"{REQUESTS}/{{id}}",
        changing("purchase_request", ("title", "urgency", "tags")),
        writes=True,
    ),
    Route(
        "marketplace",
        "GET",
        f"{OFFERS}/{{id}}",
        showing("seller_offer", populated=[Populate("sellerId", "user", name="seller")]),
    ),
    Route(
        "marketplace",
        "GET",
        TEMPLATES,
        listing("request_template", filters={"sellerId": "sellerId"}, finish=max_usage),
    ),
    Route(
        "marketplace",
        "GET",
        f"{TEMPLATES}/{{id}}",
        showing("request_template", populated=[CATEGORY], finish=max_usage),
    ),
    Route(
        "marketplace",
        "POST",
        TEMPLATES,
        creating(
            "request_template",
            ("categoryId", "title", "price", "currency", "maxUsage", "images"),
            mine="sellerId",
            defaults={"usageCount": 0, "images": [], "isActive": True},
        ),
        writes=True,
    ),
    Route(
        "categories",
        "GET",
        "/api/categories",
        listing("category", order=BY_ORDER, where=[Where("isActive", "=", True)]),
    ),
    Route(
        "categories",
        "GET",
        "/api/categories/{id}",
        showing("category", populated=[Populate("parentId", "category", ("name", "slug"), name="parent")]),
    ),
    Route(
        "categories",
        "GET",
        "/api/categories/{id}/children",
        listing("category", order=BY_ORDER, parent=("id", "parentId")),
    ),
    Route(
        "categories",
        "PATCH",
        "/api/categories/{id}",
        changing("category", ("description", "icon")),
        writes=True,
    ),
    Route(
        "shop_settings",
        "GET",
        "/api/shops",
        listing("shop_setting", filters={"open": "isOpen"}, order=(Order("shopName"), Order("seq"))),
    ),
    Route("shop_settings", "GET", "/api/shops/{sellerId}", shop_of_seller),
    Route("shop_settings", "PATCH", "/api/shops/{sellerId}", change_shop, writes=True),
    Route(
        "reviews",
        "GET",
        "/api/reviews/sellers/{sellerId}",
        listing("review", parent=("sellerId", "sellerId"), where=[PUBLISHED], order=NEWEST, finish=reviewers),
    ),
    Route("reviews", "GET", "/api/reviews/sellers/{sellerId}/summary", review_summary),
    Route("reviews", "GET", "/api/reviews/{id}", showing("review", finish=reviewers)),
    Route(
        "reviews",
        "POST",
        "/api/reviews/sellers/{sellerId}",
        creating(
            "review",
            ("rating", "comment"),
            parent=("sellerId", "sellerId"),
            mine="reviewerId",
            defaults={"status": "published"},
        ),
        writes=True,
    ),
    Route("disputes", "GET", "/api/disputes", list_disputes),
    Route(
        "disputes",
        "GET",
        "/api/disputes/{id}",
        showing(
            "dispute",
            populated=[
                Populate("buyerId", "user", name="buyer"),
                Populate("sellerId", "user", name="seller"),
                Populate("assignedTo", "user"),
            ],
            finish=microseconds,
        ),
    ),
    Route(
        "disputes",
        "PATCH",
        "/api/disputes/{id}",
        changing("dispute", ("description", "evidence")),
        writes=True,
    ),
)

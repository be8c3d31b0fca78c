"""Routes about money: payments, ledger, quotes, holds, destinations, hardware wallets."""

from __future__ import annotations

import secrets
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from proxy.demo.marketplace.catalog import entity_of
from proxy.demo.marketplace.entities import Record
from proxy.demo.marketplace.flags import Mode
from proxy.demo.marketplace.generic import Populate, change, creating, listing, populate, shape, showing
from proxy.demo.marketplace.http import Reply, bad_request, detail, json_body, not_found
from proxy.demo.marketplace.market import Call, Route
from proxy.demo.marketplace.store import OLDEST, Order, Where

PAYMENT, QUOTE, ENTRY = entity_of("payment"), entity_of("payment_quote"), entity_of("ledger_entry")
USER, DESTINATION = entity_of("user"), entity_of("derived_destination")

BUYER, SELLER = Populate("buyerId", "user", name="buyer"), Populate("sellerId", "user", name="seller")
INTENTS = "/api/payment/request-network/intents"
HELD = Where("holdUntil", ">=", datetime(2000, 1, 1, tzinfo=UTC))
REQUEST_OF_HOLD = Populate("requestId", "purchase_request", ("title", "status"), name="request")
HOLD_FIELDS = ("id", "amount", "currency", "status", "holdReason", "holdUntil", "request", "buyer")
NOT_SHOWN_IN_LISTS = frozenset({"metadata", "txHash"})


async def quoted(call: Call, items: list[Record]) -> None:
    for item in items:
        found = await call.store.find(QUOTE, [Where("paymentId", "=", item["id"])], limit=1)
        item["quote"] = shape(QUOTE, found[0]) if found else None
        if item["quote"] and call.has_bug("quote_rate_as_string"):
            item["quote"]["rate"] = f"{item['quote']['rate']:f}"


async def balance_of_user(call: Call) -> Reply:
    user = await call.desk.load(USER, call.param("userId"))
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for entry in await call.store.find(ENTRY, [Where("userId", "=", user["id"])], OLDEST):
        sign = -1 if entry["kind"] in ("release", "refund", "fee") else 1
        sums[entry["currency"]] += sign * entry["amount"]
    return detail({"userId": user["id"], "balances": dict(sums)})


async def create_intent(call: Call) -> Reply:
    """A payment with its quote and its first ledger entry."""
    body = await json_body(call.request)
    amount, currency = body.get("amount"), body.get("currency", "USDT")
    if not isinstance(amount, int | float) or isinstance(amount, bool) or not 0 < amount < 10**9:
        raise bad_request("INVALID_BODY", "amount must be a positive number")
    if currency not in PAYMENT.field("currency").choices:
        raise bad_request("INVALID_BODY", "There is no such currency")
    seller = await call.desk.load(USER, str(body.get("sellerId", "")))
    exact = Decimal(str(amount)).quantize(Decimal("0.01"))
    payment = call.desk.new(
        PAYMENT,
        buyerId=await call.user_id(),
        sellerId=seller["id"],
        amount=exact,
        fee=(exact * Decimal("0.025")).quantize(Decimal("0.0001")),
        currency=currency,
        status="pending",
        provider="request_network",
        amountBase=str(int(exact * 100) * 10**16),
    )
    await call.desk.save(PAYMENT, payment)
    expires = payment["createdAt"] + timedelta(minutes=15)
    rate = Decimal("0.99912345")
    out = (exact * rate).quantize(Decimal("0.000001"))
    quote = call.desk.new(
        QUOTE,
        paymentId=payment["id"],
        rate=rate,
        amountIn=exact,
        amountOut=out,
        source="chainlink",
        expiresAt=expires,
    )
    await call.desk.save(QUOTE, quote)
    entry = call.desk.new(
        ENTRY,
        paymentId=payment["id"],
        userId=payment["buyerId"],
        kind="deposit",
        amount=exact,
        currency=currency,
    )
    await call.desk.save(ENTRY, entry)
    return detail(
        {**shape(PAYMENT, payment), "quote": shape(QUOTE, quote)},
        201,
        Location=f"/api/payment/{payment['id']}",
    )


async def webhook(call: Call) -> Reply:
    """A payment that a scanner saw on the chain."""
    body = await json_body(call.request)
    amount = body.get("amount")
    if not isinstance(amount, int | float) or isinstance(amount, bool) or not 0 < amount < 10**9:
        raise bad_request("INVALID_BODY", "amount must be a positive number")
    buyer = await call.desk.load(USER, str(body.get("buyerId", "")))
    seller = await call.desk.load(USER, str(body.get("sellerId", "")))
    exact = Decimal(str(amount)).quantize(Decimal("0.01"))
    payment = call.desk.new(
        PAYMENT,
        buyerId=buyer["id"],
        sellerId=seller["id"],
        amount=exact,
        fee=Decimal(0),
        currency="USDC",
        status="confirmed",
        provider="scanner",
        amountBase=str(int(exact * 100) * 10**16),
        txHash="0x" + secrets.token_hex(32),
        paidAt=call.desk.ticker.now(),
    )
    if "dual_write_gap" in call.market.planted and call.desk.mode is Mode.DUAL:
        await call.store.save(PAYMENT, payment)
        await call.desk.mirror.record_gap(PAYMENT, payment["id"], "webhook wrote MongoDB only")
    else:
        await call.desk.save(PAYMENT, payment)
    return detail(shape(PAYMENT, payment), 201, Location=f"/api/payment/{payment['id']}")


async def slim(_call: Call, items: list[Record]) -> None:
    for item in items:
        for name in NOT_SHOWN_IN_LISTS:
            del item[name]


async def list_holds(call: Call) -> Reply:
    page = call.page()
    order = (Order("holdUntil"), Order("seq"))
    found = await call.store.find(PAYMENT, [HELD], order, offset=page.offset, limit=page.limit)
    total = await call.store.count(PAYMENT, [HELD])
    return page.reply(await _holds(call, found), total)


async def one_hold(call: Call) -> Reply:
    payment = await call.desk.load(PAYMENT, call.param("paymentId"))
    if payment["holdUntil"] is None:
        raise not_found("release_hold")
    return detail((await _holds(call, [payment]))[0])


async def extend_hold(call: Call) -> Reply:
    payment = await call.desk.load(PAYMENT, call.param("paymentId"))
    if payment["holdUntil"] is None:
        raise not_found("release_hold")
    later = payment["holdUntil"] + timedelta(hours=1)
    return detail((await _holds(call, [await change(call, PAYMENT, payment, holdUntil=later)]))[0])


async def _holds(call: Call, payments: list[Record]) -> list[Record]:
    items = [shape(PAYMENT, payment) for payment in payments]
    await populate(call.store, items, [REQUEST_OF_HOLD, BUYER])
    return [{name: item[name] for name in HOLD_FIELDS} for item in items]


ROUTES = (
    Route(
        "payments",
        "GET",
        "/api/payment",
        listing(
            "payment",
            filters={"status": "status", "currency": "currency", "buyerId": "buyerId"},
            sorts={"amount": (Order("amount"), Order("seq"))},
            finish=slim,
        ),
    ),
    Route("payments", "GET", "/api/payment/{id}", showing("payment", populated=[BUYER, SELLER], finish=quoted)),
    Route(
        "payments",
        "GET",
        "/api/payment/{id}/ledger",
        listing("ledger_entry", order=OLDEST, parent=("id", "paymentId")),
    ),
    Route("payments", "GET", "/api/payment/users/{userId}/balance", balance_of_user),
    Route(
        "payments",
        "GET",
        INTENTS,
        listing(
            "payment",
            filters={"status": "status"},
            where=[Where("provider", "=", "request_network")],
            finish=slim,
        ),
    ),
    Route("payments", "POST", INTENTS, create_intent, writes=True),
    Route("payments", "POST", "/api/payment/webhook", webhook, writes=True),
    Route("release_holds", "GET", "/api/release-holds", list_holds),
    Route("release_holds", "GET", "/api/release-holds/{paymentId}", one_hold),
    Route("release_holds", "POST", "/api/release-holds/{paymentId}/extend", extend_hold, writes=True),
    Route(
        "derived_destinations",
        "GET",
        "/api/derived-destinations",
        listing("derived_destination", filters={"status": "status", "chain": "chain"}),
    ),
    Route(
        "derived_destinations",
        "GET",
        "/api/derived-destinations/{id}",
        showing("derived_destination", populated=[SELLER]),
    ),
    Route(
        "derived_destinations",
        "GET",
        "/api/derived-destinations/{id}/sweeps",
        listing("derived_sweep", order=OLDEST, parent=("id", "destinationId")),
    ),
    Route(
        "derived_destinations",
        "POST",
        "/api/derived-destinations/{id}/sweeps",
        creating(
            "derived_sweep",
            ("amount", "gasPaid", "txHash"),
            parent=("id", "destinationId"),
            defaults={"status": "sent"},
        ),
        writes=True,
    ),
    Route("trezor", "GET", "/api/trezor/accounts", listing("trezor_account", filters={"chain": "chain"})),
    Route(
        "trezor",
        "GET",
        "/api/trezor/accounts/{id}",
        showing("trezor_account", populated=[Populate("userId", "user", name="owner")]),
    ),
    Route(
        "trezor",
        "GET",
        "/api/trezor/accounts/{id}/addresses",
        listing("trezor_address", order=(Order("index"), Order("seq")), parent=("id", "accountId")),
    ),
    Route(
        "trezor",
        "POST",
        "/api/trezor/accounts/{id}/addresses",
        creating(
            "trezor_address",
            ("address", "index"),
            parent=("id", "accountId"),
            defaults={"isUsed": False, "balance": Decimal(0)},
        ),
        writes=True,
    ),
)

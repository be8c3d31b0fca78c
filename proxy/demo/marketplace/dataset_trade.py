"""The part of the data that belongs to trade: requests, offers, money, disputes, reviews, and the chats about them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from proxy.demo.marketplace import words
from proxy.demo.marketplace.dataset_people import message_times

if TYPE_CHECKING:
    from proxy.demo.marketplace.dataset import Maker
    from proxy.demo.marketplace.entities import Record

CURRENCIES = ("USDT", "USDC", "EUR", "TRY")
GAP_EVERY = 12
"""Every so many payments come from a webhook that knows nothing of Postgres."""


def make(maker: Maker) -> None:
    _categories(maker)
    for _ in range(130):
        _request(maker)
    _templates(maker)
    for number in range(150):
        _payment(maker, number)
    _destinations(maker)
    _trezor(maker)
    _disputes(maker)
    _reviews(maker)
    for number in range(140):
        _chat(maker, number)


def from_webhook_only(payment: Record) -> bool:
    """Whether a payment of the seed is one that a dual write would have missed. Nothing refers to these."""
    return payment["provider"] == "scanner" and payment["requestId"] is None


def _seller(maker: Maker) -> str:
    return str(maker.pick("user", lambda user: user["role"] == "seller")["id"])


def _buyer(maker: Maker) -> str:
    return str(maker.pick("user", lambda user: user["role"] == "buyer")["id"])


def _categories(maker: Maker) -> None:
    for place, name in enumerate(words.GROUPS):
        parent = maker.add(
            "category",
            name=name,
            slug=name.lower(),
            description=f"All about {name.lower()}",
            order=place,
            isActive=True,
        )
        for number in range(5):
            thing = f"{maker.rng.choice(words.ADJECTIVES)} {name} {number}"
            icon = maker.maybe("🎁")
            maker.add(
                "category",
                name=thing,
                slug=thing.replace(" ", "-").lower(),
                icon=icon,
                parentId=parent["id"],
                order=number // 2,
                isActive=number != 4,
            )


def _request(maker: Maker) -> None:
    rng = maker.rng
    city, country = rng.choice(words.CITIES)
    low = maker.money(10, 900)
    currency = rng.choice(CURRENCIES)
    request = maker.add(
        "purchase_request",
        buyerId=_buyer(maker),
        categoryId=maker.pick("category")["id"],
        title=f"{rng.choice(words.ADJECTIVES)} {rng.choice(words.THINGS)}",
        description=f"Looking for one. {rng.choice(words.REMARKS)}",
        status=rng.choice(("open", "negotiating", "shipped", "completed", "cancelled")),
        urgency=rng.choice(("low", "normal", "high")),
        budgetMin=low,
        budgetMax=maker.maybe(low + 100),
        budgetCurrency=currency,
        offersCount=0,
        views=rng.randrange(400),
        tags=rng.sample(words.TAGS, rng.randrange(3)),
        deadlineAt=maker.maybe(maker.at(110_000)),
        deliveryInfo={
            "method": "courier",
            "fee": maker.money(1, 20),
            "estimatedDays": maker.maybe(rng.randrange(1, 9)),
        },
        deliveryAddress=maker.maybe(
            {
                "fullName": rng.choice(words.FIRST),
                "street": rng.choice(words.STREETS),
                "city": city,
                "country": country,
                "postalCode": maker.maybe("10115"),
            }
        ),
        sellerDeliveryInfo=maker.maybe(
            {"carrier": "DHL", "trackingNumber": maker.maybe("JD0146"), "shippedAt": maker.maybe(maker.at())},
            0.4,
        ),
        serviceInfo=maker.maybe(
            {"kind": "repair", "hours": rng.randrange(1, 40), "hourlyRate": maker.money(20, 90)}, 0.2
        ),
        specifications=[{"key": f"spec {n}", "value": rng.choice(words.ADJECTIVES)} for n in range(rng.randrange(5))],
        preferredSellers=[{"sellerId": _seller(maker), "note": maker.maybe("again")} for _ in range(rng.randrange(3))],
    )
    offers = [
        maker.add(
            "seller_offer",
            requestId=request["id"],
            sellerId=_seller(maker),
            # Few distinct prices, so that many offers of a request cost the same.
            price=low + rng.randrange(4) * 5,
            currency=currency,
            deliveryDays=rng.randrange(1, 30),
            message=maker.maybe(rng.choice(words.REMARKS)),
            status="pending",
        )
        for _ in range(rng.randrange(7))
    ]
    request["offersCount"] = len(offers)
    if len(offers) >= 2 and rng.random() < 0.6:
        # Never the first one, which is what a careless lookup by request finds.
        chosen = rng.choice(offers[1:])
        chosen["status"] = "accepted"
        request |= {"selectedOfferId": chosen["id"], "status": "awarded"}
    for number in range(rng.randrange(4) if request["status"] != "open" else 0):
        maker.add(
            "delivery_attempt",
            requestId=request["id"],
            attemptNo=number + 1,
            outcome=rng.choice(("delivered", "absent", "refused")),
            note=maker.maybe("left a card"),
            attemptedAt=maker.at(),
        )


def _templates(maker: Maker) -> None:
    rng = maker.rng
    for number in range(70):
        maker.add(
            "request_template",
            sellerId=_seller(maker),
            categoryId=maker.pick("category")["id"],
            title=f"{rng.choice(words.THINGS)} template {number}",
            price=maker.money(5, 500),
            currency=rng.choice(CURRENCIES),
            maxUsage=maker.maybe(rng.randrange(1, 50), 0.6),
            usageCount=rng.randrange(20),
            images=[f"/static/t{number}-{n}.jpg" for n in range(rng.randrange(3))],
            isActive=rng.random() < 0.9,
        )


def _payment(maker: Maker, number: int) -> None:
    rng = maker.rng
    webhook = number % GAP_EVERY == 5
    held = not webhook and number % 5 == 0
    amount = maker.money(10, 4000)
    request = maker.pick("purchase_request")
    payment = maker.add(
        "payment",
        buyerId=request["buyerId"],
        sellerId=_seller(maker),
        requestId=None if webhook else request["id"],
        amount=amount,
        fee=(amount * Decimal("0.025")).quantize(Decimal("0.0001")),
        currency=rng.choice(CURRENCIES),
        status="held" if held else rng.choice(("pending", "confirmed", "released", "refunded")),
        provider="scanner" if webhook else rng.choice(("request_network", "direct")),
        amountBase=str(int(amount * 100) * 10**16 + rng.randrange(10**6)),
        txHash=maker.maybe(f"0x{rng.getrandbits(256):064x}", 0.8),
        paidAt=maker.maybe(maker.at(), 0.7),
        holdReason=rng.choice(("delivery not confirmed", "dispute")) if held else None,
        holdUntil=maker.at(100_000 + number // 10) if held else None,
        metadata=maker.maybe({"chainId": 137, "confirmations": rng.randrange(30), "gas": {"price": 31.25}}),
    )
    if webhook:
        return
    if number % 2 == 0:
        rate = Decimal(rng.randrange(9 * 10**7, 11 * 10**7)) / 10**8
        out = (amount * rate).quantize(Decimal("0.000001"))
        source = rng.choice(("coingecko", "chainlink"))
        expires = payment["createdAt"] + timedelta(minutes=15)
        maker.add(
            "payment_quote",
            paymentId=payment["id"],
            rate=rate,
            amountIn=amount,
            amountOut=out,
            source=source,
            expiresAt=expires,
        )
    for kind in ("deposit", "hold", "fee", "release")[: rng.randrange(1, 5)]:
        maker.add(
            "ledger_entry",
            paymentId=payment["id"],
            userId=payment["buyerId"],
            kind=kind,
            amount=payment["fee"] if kind == "fee" else amount,
            currency=payment["currency"],
            note=maker.maybe(kind),
        )


def _destinations(maker: Maker) -> None:
    rng = maker.rng
    for number in range(90):
        expected = rng.randrange(10**15, 10**20)
        destination = maker.add(
            "derived_destination",
            sellerId=_seller(maker),
            chain=rng.choice(("ethereum", "tron", "bsc")),
            address=f"0x{rng.getrandbits(160):040x}",
            index=number,
            status=rng.choice(("allocated", "funded", "swept", "expired")),
            expectedAmount=str(expected),
            receivedAmount=maker.maybe(str(expected - rng.randrange(9))),
            expiresAt=maker.maybe(maker.at(90_000)),
        )
        for _ in range(rng.randrange(4)):
            maker.add(
                "derived_sweep",
                destinationId=destination["id"],
                amount=str(expected // 2),
                gasPaid=maker.maybe(Decimal(rng.randrange(10**6)) / 10**8),
                txHash=f"0x{rng.getrandbits(256):064x}",
                status=rng.choice(("sent", "mined", "failed")),
                minedAt=maker.maybe(maker.at()),
            )


def _trezor(maker: Maker) -> None:
    rng = maker.rng
    for number in range(50):
        account = maker.add(
            "trezor_account",
            userId=_seller(maker),
            label=f"cold wallet {number}",
            chain=rng.choice(("bitcoin", "ethereum")),
            fingerprint=f"{rng.getrandbits(32):08x}",
            derivationPath=f"m/84'/0'/{number}'",
            isActive=rng.random() < 0.9,
        )
        for index in range(rng.randrange(1, 9)):
            maker.add(
                "trezor_address",
                accountId=account["id"],
                address=f"bc1q{rng.getrandbits(190):038x}",
                index=index,
                isUsed=rng.random() < 0.5,
                balance=Decimal(rng.randrange(10**9)) / 10**8,
                lastSeenAt=maker.maybe(maker.at()),
            )


def _disputes(maker: Maker) -> None:
    rng = maker.rng
    for number in range(70):
        request = maker.pick("purchase_request")
        status = rng.choice(("open", "review", "resolved", "resolved"))
        resolved = status == "resolved"
        maker.add(
            "dispute",
            requestId=request["id"],
            buyerId=request["buyerId"],
            sellerId=_seller(maker),
            assignedTo=maker.maybe(maker.pick("user", lambda user: user["role"] == "guard")["id"], 0.6),
            reason=rng.choice(("not_delivered", "damaged", "other")),
            status=status,
            description=rng.choice(words.REMARKS),
            amount=maker.money(10, 900),
            currency=rng.choice(CURRENCIES),
            evidence=[f"/static/e{number}-{n}.jpg" for n in range(rng.randrange(3))],
            resolution="refunded in full" if resolved else None,
            resolvedAt=maker.at() if resolved else None,
        )


def _reviews(maker: Maker) -> None:
    rng = maker.rng
    for seller in [user for user in maker.made["user"] if user["role"] == "seller"]:
        for _ in range(rng.randrange(6, 18)):
            maker.add(
                "review",
                sellerId=seller["id"],
                reviewerId=_buyer(maker),
                requestId=maker.maybe(maker.pick("purchase_request")["id"]),
                rating=rng.randrange(1, 6),
                comment=maker.maybe(rng.choice(words.REMARKS), 0.8),
                status="hidden" if rng.random() < 0.1 else "published",
                reply=maker.maybe("Thank you!", 0.3),
            )


def _chat(maker: Maker, number: int) -> None:
    rng = maker.rng
    request = maker.pick("purchase_request")
    members = [request["buyerId"], _seller(maker)]
    if number % 5 == 0:
        members.append(maker.made["user"][number % 3]["id"])
    times = message_times(maker, rng.randrange(1, 12))
    messages: list[dict[str, Any]] = [
        {
            "id": maker.legacy_id(),
            "senderId": rng.choice(members),
            "text": rng.choice(words.REMARKS),
            "sentAt": sent_at,
            "attachments": [],
        }
        for sent_at in times
    ]
    maker.add(
        "chat",
        kind=rng.choice(("direct", "request", "support")),
        requestId=maker.maybe(request["id"], 0.7),
        subject=maker.maybe(request["title"]),
        participants=[
            {
                "userId": member,
                "role": "member" if n else "owner",
                "unread": rng.randrange(4),
                "joinedAt": times[0],
            }
            for n, member in enumerate(members)
        ],
        messages=messages,
        lastMessageAt=datetime.fromisoformat(times[-1]),
    )

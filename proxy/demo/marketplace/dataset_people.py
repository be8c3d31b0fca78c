"""The part of the data that belongs to people: users, sign-in, addresses, shops, messages, posts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from proxy.demo.marketplace import words
from proxy.demo.marketplace.codec import iso_milliseconds

if TYPE_CHECKING:
    from proxy.demo.marketplace.dataset import Maker

USERS = 110


def make(maker: Maker) -> None:
    _levels(maker)
    _users(maker)
    _telegram(maker)
    _notifications(maker)
    _blog(maker)
    _settings(maker)


def _levels(maker: Maker) -> None:
    bounds = [*(minimum for _, minimum in words.LEVELS[1:]), None]
    for number, ((name, minimum), following) in enumerate(zip(words.LEVELS, bounds, strict=True), start=1):
        benefits = [f"{number} % off fees", "priority support"][: number - 1]
        discount = maker.money(number - 1, number)
        maximum = following and following - 1
        maker.add(
            "level_config",
            level=number,
            name=name,
            minPoints=minimum,
            maxPoints=maximum,
            discountPercent=discount,
            benefits=benefits,
            isActive=True,
        )


def _users(maker: Maker) -> None:
    rng = maker.rng
    for number in range(USERS):
        role = "admin" if number < 3 else "guard" if number < 6 else "seller" if number % 3 == 0 else "buyer"
        first, last = rng.choice(words.FIRST), rng.choice(words.LAST)
        # Every fourth user stands exactly on a level's boundary: that is where levels go wrong.
        points = rng.choice(words.LEVELS[1:])[1] if number % 4 == 0 else rng.randrange(3000)
        user = maker.add(
            "user",
            email=f"{first[0].lower()}{number:03d}@example.org",
            firstName=first,
            lastName=maker.maybe(last, 0.9),
            role=role,
            status="active" if number < 80 else rng.choice(("active", "suspended", "pending")),
            points=points,
            balance=maker.money(0, 5000),
            phone=maker.maybe(f"+49170{rng.randrange(10**7):07d}"),
            avatar=maker.maybe(f"avatar-{number}.png", 0.7),
            isEmailVerified=rng.random() < 0.8,
            lastSeenAt=maker.maybe(maker.at(90_000 + number)),
            referrerId=maker.pick("user")["id"] if number > 10 and rng.random() < 0.3 else None,
            preferences={
                "locale": rng.choice(("de", "tr", "en")),
                "theme": rng.choice(("dark", "light")),
                "digest": None,
            },
            passwordHash=f"scrypt:{rng.getrandbits(128):032x}",
        )
        owner = {"userId": user["id"]}
        for key in range(rng.randrange(3)):
            maker.add(
                "passkey",
                **owner,
                name=f"key {key}",
                deviceType=rng.choice(("single", "multi")),
                backedUp=rng.random() < 0.5,
                lastUsedAt=maker.maybe(maker.at(80_000)),
            )
        for _ in range(rng.randrange(1, 4)):
            maker.add(
                "refresh_token",
                **owner,
                tokenHash=f"{rng.getrandbits(160):040x}",
                userAgent=rng.choice(words.AGENTS),
                ip=f"192.0.2.{rng.randrange(1, 255)}",
                expiresAt=maker.at(120_000),
                revokedAt=maker.maybe(maker.at(100_000), 0.2),
            )
        for place in range(rng.randrange(1, 5)):
            city, country = rng.choice(words.CITIES)
            maker.add(
                "address",
                **owner,
                type=rng.choice(("home", "work", "other")),
                label=maker.maybe(f"address {place}"),
                fullName=f"{first} {last}",
                street=f"{rng.choice(words.STREETS)} {rng.randrange(1, 99)}",
                city=city,
                country=country,
                postalCode=maker.maybe(f"{rng.randrange(10**5):05d}", 0.8),
                phone=maker.maybe(f"+351{rng.randrange(10**9):09d}", 0.3),
                isPrimary=place == 0,
            )
        balance = 0
        for _ in range(rng.randrange(6, 14)):
            amount = rng.randrange(-20, 80)
            balance += amount
            maker.add(
                "point_transaction",
                **owner,
                type="spend" if amount < 0 else rng.choice(("earn", "referral", "adjust")),
                amount=amount,
                balanceAfter=balance,
                reason=rng.choice(("purchase", "review written", "friend invited")),
            )
        if role == "seller":
            name = f"{first}'s {rng.choice(words.THINGS)} shop"
            maker.add(
                "shop_setting",
                sellerId=user["id"],
                shopName=name,
                slug=f"shop-{number}",
                description=maker.maybe(f"We sell {rng.choice(words.ADJECTIVES)} things."),
                logoUrl=maker.maybe(f"/static/logo-{number}.svg"),
                isOpen=rng.random() < 0.8,
                reviewsEnabled=rng.random() < 0.9,
                paymentRails=rng.sample(("request_network", "direct", "card"), rng.randrange(4)),
                minOrder=maker.maybe(maker.money(1, 50)),
                policies={
                    "returns": rng.choice((14, 30, None)),
                    "shipping": {"free_over": 99.5, "regions": ["EU", "TR"]},
                },
            )


def _telegram(maker: Maker) -> None:
    rng = maker.rng
    for user in maker.made["user"][:70]:
        telegram_id = rng.randrange(10**8, 10**10)
        maker.add(
            "telegram_link",
            userId=user["id"],
            telegramId=telegram_id,
            username=maker.maybe(user["firstName"].lower() + "_tg"),
            isActive=rng.random() < 0.8,
            linkedAt=maker.at(),
        )
        data = {"step": rng.randrange(4), "from": {"id": telegram_id, "lang": "tr"}}
        maker.add(
            "telegram_session",
            userId=maker.maybe(user["id"], 0.8),
            telegramId=telegram_id,
            state=rng.choice(("pending", "verified", "expired")),
            expiresAt=maker.at(130_000),
            data=maker.maybe(data),
        )


def _notifications(maker: Maker) -> None:
    rng = maker.rng
    for user in maker.made["user"]:
        together = maker.at()
        for number in range(rng.randrange(10, 22)):
            # A batch of one millisecond now and then, for every third user.
            if maker.seq % 4 == 0 or user["seq"] % 3:
                together = maker.at()
            read = rng.random() < 0.6
            maker.add(
                "notification",
                created=together,
                userId=user["id"],
                type=rng.choice(("offer", "payment", "dispute", "system")),
                title=f"Notice {number}",
                body=rng.choice(words.REMARKS),
                link=maker.maybe("/orders"),
                isRead=read,
                readAt=together + timedelta(hours=1) if read else None,
                data=maker.maybe({"n": number, "ratio": number / 8}),
            )


def _blog(maker: Maker) -> None:
    rng = maker.rng
    for number in range(64):
        maker.add(
            "blog_post",
            authorId=maker.pick("user", lambda user: user["role"] in ("admin", "guard"))["id"],
            slug=f"post-{number}",
            title=f"On {rng.choice(words.ADJECTIVES)} {rng.choice(words.THINGS)}s",
            excerpt=maker.maybe("In short: <b>ask</b> first."),
            body="\n\n".join(rng.choice(words.REMARKS) * 3 for _ in range(4)),
            tags=[] if number % 4 == 0 else rng.sample(words.TAGS, rng.randrange(1, 4)),
            coverUrl=f"/api/files/blog/post-{number}.png",
            views=rng.randrange(5000),
            publishedAt=maker.at(),
            isDeleted=number % 7 == 3,
        )


def _settings(maker: Maker) -> None:
    admin = maker.made["user"][0]["id"]
    value = {"ethereum": 12, "tron": 19, "bsc": 15, "bitcoin": 3}
    setting = maker.add("config_setting", key="confirmation-thresholds", value=value, updatedBy=admin)
    older = None
    for number in range(24):
        newer = value | {"ethereum": 12 + number % 5}
        changed_by = maker.maybe(admin, 0.8)
        maker.add(
            "config_history",
            settingId=setting["id"],
            key=setting["key"],
            oldValue=older,
            newValue=newer,
            changedBy=changed_by,
        )
        older = newer


def message_times(maker: Maker, count: int) -> list[str]:
    """Instants of a chat's messages, as they stand inside its blob."""
    start = maker.at()
    return [iso_milliseconds(start + timedelta(seconds=11 * number)) for number in range(count)]

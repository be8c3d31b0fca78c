"""Everything the marketplace stores, declared once for both stores."""

from __future__ import annotations

from types import MappingProxyType

from proxy.demo.marketplace.entities import Entity, child, entity

CURRENCY = "enum(USDT|USDC|EUR|TRY)"

_DECLARED = (
    entity(
        "user",
        "users",
        "email:text firstName:text lastName:text? role:enum(buyer|seller|admin|guard)"
        " status:enum(active|suspended|pending) points:int balance:money phone:text? avatar:text?-"
        " isEmailVerified:bool lastSeenAt:ts? referrerId:ref(user)? preferences:json passwordHash:text-",
        indexes=(("email",), ("seq",), ("points", "seq"), ("role",)),
    ),
    entity(
        "passkey",
        "user_passkeys",
        "userId:ref(user) name:text deviceType:enum(single|multi) backedUp:bool lastUsedAt:ts?",
        indexes=(("userId", "seq"),),
    ),
    entity(
        "refresh_token",
        "user_refresh_tokens",
        "userId:ref(user) tokenHash:text- userAgent:text ip:text expiresAt:ts revokedAt:ts?",
        indexes=(("userId", "seq"),),
    ),
    entity(
        "telegram_link",
        "telegram_links",
        "userId:ref(user) telegramId:int username:text? isActive:bool linkedAt:ts",
        indexes=(("userId",), ("seq",)),
    ),
    entity(
        "telegram_session",
        "telegram_sessions",
        "userId:ref(user)? telegramId:int state:enum(pending|verified|expired) expiresAt:ts data:json?",
        indexes=(("seq",),),
    ),
    entity(
        "category",
        "categories",
        "name:text slug:text description:text? icon:text? parentId:ref(category)? order:int isActive:bool",
        indexes=(("parentId", "seq"), ("seq",)),
    ),
    entity(
        "purchase_request",
        "purchase_requests",
        "buyerId:ref(user) categoryId:ref(category) title:text description:text"
        " status:enum(open|negotiating|awarded|shipped|completed|cancelled) urgency:enum(low|normal|high)"
        f" budgetMin:money budgetMax:money? budgetCurrency:{CURRENCY} selectedOfferId:ref(seller_offer)?"
        " offersCount:int views:int tags:texts deadlineAt:ts?",
        children=(
            child("deliveryInfo", "purchase_request_delivery_info", "method:text fee:money estimatedDays:int?"),
            child(
                "deliveryAddress",
                "purchase_request_delivery_address",
                "fullName:text street:text city:text country:text postalCode:text?",
            ),
            child(
                "sellerDeliveryInfo",
                "purchase_request_seller_delivery_info",
                "carrier:text trackingNumber:text? shippedAt:ts?",
            ),
            child("serviceInfo", "purchase_request_service_info", "kind:text hours:int hourlyRate:money"),
            child("specifications", "purchase_request_specifications", "key:text value:text", many=True),
            child(
                "preferredSellers",
                "purchase_request_preferred_sellers",
                "sellerId:ref(user) note:text?",
                many=True,
            ),
        ),
        indexes=(("seq",), ("buyerId", "seq"), ("categoryId", "seq"), ("budgetMin", "seq")),
    ),
    entity(
        "delivery_attempt",
        "delivery_attempts",
        "requestId:ref(purchase_request) attemptNo:int outcome:enum(delivered|absent|refused) note:text?"
        " attemptedAt:ts",
        indexes=(("requestId", "seq"),),
    ),
    entity(
        "seller_offer",
        "seller_offers",
        f"requestId:ref(purchase_request) sellerId:ref(user) price:money currency:{CURRENCY} deliveryDays:int"
        " message:text? status:enum(pending|accepted|rejected|withdrawn)",
        indexes=(("requestId", "seq"), ("sellerId", "seq")),
    ),
    entity(
        "request_template",
        "request_templates",
        f"sellerId:ref(user) categoryId:ref(category) title:text price:money currency:{CURRENCY} maxUsage:int?"
        " usageCount:int images:texts isActive:bool",
        indexes=(("seq",), ("sellerId", "seq")),
    ),
    entity(
        "payment",
        "payments",
        f"buyerId:ref(user) sellerId:ref(user) requestId:ref(purchase_request)? amount:money fee:money"
        f" currency:{CURRENCY} status:enum(pending|confirmed|held|released|refunded)"
        " provider:enum(request_network|direct|scanner)"
        " amountBase:text txHash:text? paidAt:ts? holdReason:text? holdUntil:ts? metadata:json?",
        indexes=(("seq",), ("buyerId", "seq"), ("status", "seq"), ("provider", "seq"), ("holdUntil", "seq")),
    ),
    entity(
        "payment_quote",
        "payment_quotes",
        "paymentId:ref(payment) rate:money amountIn:money amountOut:money source:text expiresAt:ts",
        indexes=(("paymentId",),),
    ),
    entity(
        "ledger_entry",
        "funds_ledger_entries",
        f"paymentId:ref(payment) userId:ref(user) kind:enum(deposit|hold|release|refund|fee) amount:money"
        f" currency:{CURRENCY} note:text?",
        indexes=(("paymentId", "seq"), ("userId", "seq")),
    ),
    entity(
        "derived_destination",
        "derived_destinations",
        "sellerId:ref(user) chain:enum(ethereum|tron|bsc) address:text index:int"
        " status:enum(allocated|funded|swept|expired) expectedAmount:text receivedAmount:text? expiresAt:ts?",
        indexes=(("seq",), ("status", "seq"), ("chain", "seq")),
    ),
    entity(
        "derived_sweep",
        "derived_destination_sweeps",
        "destinationId:ref(derived_destination) amount:text gasPaid:money? txHash:text status:enum(sent|mined|failed)"
        " minedAt:ts?",
        indexes=(("destinationId", "seq"),),
    ),
    entity(
        "trezor_account",
        "trezor_accounts",
        "userId:ref(user) label:text chain:enum(bitcoin|ethereum) fingerprint:text derivationPath:text isActive:bool",
        indexes=(("seq",),),
    ),
    entity(
        "trezor_address",
        "trezor_derived_addresses",
        "accountId:ref(trezor_account) address:text index:int isUsed:bool balance:money lastSeenAt:ts?",
        indexes=(("accountId", "seq"),),
    ),
    entity(
        "point_transaction",
        "point_transactions",
        "userId:ref(user) type:enum(earn|spend|referral|adjust) amount:int balanceAfter:int reason:text",
        indexes=(("userId", "seq"),),
    ),
    entity(
        "notification",
        "notifications",
        "userId:ref(user) type:enum(offer|payment|dispute|system) title:text body:text link:text? isRead:bool"
        " readAt:ts? data:json?",
        indexes=(("userId", "seq"),),
    ),
    entity(
        "dispute",
        "disputes",
        "requestId:ref(purchase_request) buyerId:ref(user) sellerId:ref(user) assignedTo:ref(user)?"
        " reason:enum(not_delivered|damaged|other) status:enum(open|review|resolved) description:text"
        f" amount:money currency:{CURRENCY} evidence:texts resolution:text? resolvedAt:ts?",
        indexes=(("seq",), ("status", "seq"), ("resolvedAt", "seq")),
    ),
    entity(
        "blog_post",
        "blog_posts",
        "authorId:ref(user) slug:text title:text excerpt:text? body:text tags:texts coverUrl:text? views:int"
        " publishedAt:ts isDeleted:bool-",
        indexes=(("slug",), ("seq",)),
    ),
    entity(
        "chat",
        "chats",
        "kind:enum(direct|request|support) requestId:ref(purchase_request)? subject:text?"
        " participants:json(userId=user) messages:json(id=message,senderId=user) lastMessageAt:ts",
        indexes=(("participants.userId",),),
    ),
    entity(
        "address",
        "addresses",
        "userId:ref(user) type:enum(home|work|other) label:text? fullName:text street:text city:text country:text"
        " postalCode:text? phone:text? isPrimary:bool",
        indexes=(("userId", "seq"),),
    ),
    entity(
        "level_config",
        "level_configs",
        "level:int name:text minPoints:int maxPoints:int? discountPercent:money benefits:texts isActive:bool",
        indexes=(("level",),),
    ),
    entity(
        "shop_setting",
        "shop_settings",
        "sellerId:ref(user) shopName:text slug:text description:text? logoUrl:text? isOpen:bool reviewsEnabled:bool"
        " paymentRails:texts minOrder:money? policies:json",
        indexes=(("sellerId",), ("seq",)),
    ),
    entity(
        "review",
        "reviews",
        "sellerId:ref(user) reviewerId:ref(user) requestId:ref(purchase_request)? rating:int comment:text?"
        " status:enum(published|hidden) reply:text?",
        indexes=(("sellerId", "seq"),),
    ),
    entity("config_setting", "config_settings", "key:text value:json updatedBy:ref(user)?", indexes=(("key",),)),
    entity(
        "config_history",
        "config_setting_history",
        "settingId:ref(config_setting) key:text oldValue:json? newValue:json changedBy:ref(user)?",
        indexes=(("seq",),),
    ),
)

ENTITIES = MappingProxyType({declared.name: declared for declared in _DECLARED})
"""By name, in an order in which most references point backwards."""


def entity_of(name: str) -> Entity:
    return ENTITIES[name]

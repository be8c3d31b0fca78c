"""The texts that the demo's data is made of."""

from __future__ import annotations

FIRST = (
    "Ada",
    "Béla",
    "Chen",
    "Dilek",
    "Emre",
    "Farah",
    "Goran",
    "Hana",
    "Ivo",
    "Jale",
    "Kofi",
    "Leyla",
    "Mira",
    "Nils",
)
LAST = (
    "Aydın",
    "Brandt",
    "Castro",
    "Demir",
    "Eriksen",
    "Fischer",
    "García",
    "Hoxha",
    "Ito",
    "Jansen",
    "Kaya",
    "Łuczak",
)
CITIES = (
    ("Berlin", "DE"),
    ("İzmir", "TR"),
    ("Porto", "PT"),
    ("Kraków", "PL"),
    ("Lyon", "FR"),
    ("Graz", "AT"),
)
STREETS = ("Lindenallee", "Gül Sokak", "Rua das Flores", "ul. Długa", "Rue Émile Zola", "Am Ring")
THINGS = (
    "camera",
    "e-bike",
    "watch",
    "laptop",
    "espresso machine",
    "guitar",
    "drone",
    "synthesizer",
    "tent",
    "lens",
)
ADJECTIVES = ("vintage", "refurbished", "new", "compact", "professional", "signed", "rare", "sealed")
GROUPS = ("Electronics", "Music", "Outdoor", "Home", "Services", "Collectibles")
TAGS = ("escrow", "guide", "security", "payments", "sellers", "news", "crypto")
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0)",
    "TelegramBot (like TwitterBot)",
)
LEVELS = (
    ("Newcomer", 0),
    ("Bronze", 100),
    ("Silver", 250),
    ("Gold", 500),
    ("Platinum", 1000),
    ("Diamond", 2500),
)
REMARKS = (
    "Fast & friendly.",
    "Item as described – thanks!",
    "Took a while.",
    'Said "new", was new.',
    "👍 great seller",
)

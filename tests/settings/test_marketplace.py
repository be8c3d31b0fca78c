"""`config/marketplace.yaml`: all 18 domains, ready for the real backend and for the demo."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.settings import load_settings

ROOT = Path(__file__).parents[2]
FILE = ROOT / "config/marketplace.yaml"
SETTINGS = load_settings(FILE, {})

FLAGS = {
    "users": {"REPO_USER": "pg", "AUTH_STORE": "postgres"},
    "payments": {"REPO_PAYMENT": "pg"},
    "marketplace": {"REPO_MARKETPLACE": "pg"},
    "derived_destinations": {"REPO_DERIVED_DESTINATION": "pg"},
    "trezor": {"REPO_TREZOR": "pg"},
    "points": {"REPO_POINTS": "pg"},
    "notifications": {"REPO_NOTIFICATION": "pg", "NOTIFICATION_STORE": "postgres"},
    "disputes": {"REPO_DISPUTE": "pg", "DISPUTE_STORE": "postgres"},
    "blog": {"REPO_BLOG": "pg", "BLOG_STORE": "postgres"},
    "chat": {"REPO_CHAT": "pg", "CHAT_STORE": "postgres"},
    "release_holds": {"REPO_RELEASE_HOLD": "pg", "RELEASE_HOLD_STORE": "postgres"},
    "addresses": {"ADDRESS_STORE": "postgres"},
    "categories": {"CATEGORY_STORE": "postgres"},
    "level_config": {"LEVEL_CONFIG_STORE": "postgres"},
    "shop_settings": {"SHOP_SETTINGS_STORE": "postgres"},
    "reviews": {"REVIEW_STORE": "postgres"},
    "config_settings": {"CONFIG_STORE": "postgres"},
    "telegram": {"AUTH_STORE": "postgres"},
}


def test_the_18_domains_with_the_flags_that_flip_them() -> None:
    assert {name: domain.flags for name, domain in SETTINGS.domains.items()} == FLAGS


@pytest.mark.parametrize("name", FLAGS)
def test_a_domain_is_complete(name: str) -> None:
    domain = SETTINGS.domains[name]
    assert domain.stage == "shadow"
    assert domain.routes
    assert domain.tables
    assert domain.rollback_plan == ROOT / f"config/rollback/{name}.md"
    plan = domain.rollback_plan.read_text()
    assert len([line for line in plan.splitlines() if line.strip()]) >= 8
    for flag in domain.flags:
        assert f"`{flag}" in plan, f"the plan does not say what becomes of {flag}"


def test_no_plan_is_left_without_its_domain() -> None:
    assert {path.stem for path in (ROOT / "config/rollback").iterdir()} == set(FLAGS)


def test_the_domains_that_must_not_flip_say_why() -> None:
    blocked = {name: " ".join(domain.blockers) for name, domain in SETTINGS.domains.items() if domain.blockers}
    assert set(blocked) == {"payments", "chat", "release_holds"}
    assert "normalized" in blocked["chat"]
    assert "no dual-write wrapper" in blocked["release_holds"]


def test_personal_data_and_credentials_are_redacted() -> None:
    wanted = ("password", "token", "refreshToken", "email", "phone", "fullName", "street", "postalCode", "ip")
    assert {f"$..{name}" for name in wanted} <= set(SETTINGS.redact)


def test_there_is_no_rule_that_forgives_anything() -> None:
    for claim in SETTINGS.claims():
        assert SETTINGS.compare_layers(claim.domain, claim.pattern.text) == [{}, {}, {}]


@pytest.mark.parametrize(
    ("method", "path", "domain"),
    [
        ("GET", "/api/user", "users"),
        ("POST", "/api/users/search", "users"),
        ("GET", "/api/payment/request-network/intents", "payments"),
        ("GET", "/api/notifications/unread/count", "notifications"),
        ("HEAD", "/api/files/covers/a.png", "blog"),
        ("GET", "/api/admin/settings/confirmation-thresholds", "config_settings"),
        ("GET", "/api/health", None),
        ("GET", "/api/chats/65f0c0ffee65f0c0ffee65f0/socket", None),
        ("GET", "/api/stream/notifications", None),
        ("POST", "/api/users", None),
    ],
)
def test_who_claims_a_request(method: str, path: str, domain: str | None) -> None:
    match = SETTINGS.router().match(method, path)
    assert (match.domain if match else None) == domain


def test_the_environment_drives_it() -> None:
    env = {
        "PRIMARY_URL": "http://127.0.0.1:1",
        "SHADOW_URL": "http://127.0.0.1:2",
        "PG_URL": "postgresql://u:p@h/d",
        "SHADOWREAD_LEDGER": "sqlite:////tmp/l.db",
        "SHADOWREAD_LISTEN": "127.0.0.1:0",
        "SHADOWREAD_ADMIN_LISTEN": "0.0.0.0:9",
        "SHADOWREAD_ADMIN_TOKEN": "123",
        "SHADOWREAD_MIN_COMPARISONS": "200",
        "SHADOWREAD_MAX_UPPER_BOUND": "0.02",
        "SHADOWREAD_SETTLE_DELAY": "50ms",
    }
    settings = load_settings(FILE, env)
    assert (settings.primary.url, settings.shadow.url) == ("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert settings.postgres is not None
    assert settings.postgres.dsn.get_secret_value() == "postgresql://u:p@h/d"
    assert settings.ledger.url == "sqlite:////tmp/l.db"
    assert (str(settings.listen), str(settings.admin.listen)) == ("127.0.0.1:0", "0.0.0.0:9")
    assert settings.admin.token.get_secret_value() == "123"
    assert (settings.gate_of("users").min_comparisons, settings.gate_of("users").max_upper_bound) == (
        200,
        0.02,
    )
    assert settings.settle.delay == 0.05

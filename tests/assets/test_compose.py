"""The deployment: what can be said of a compose file and of the image's recipe without an engine to run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.settings import Settings, load_settings
from tests.assets.support import CONFIG, yaml

FILE = CONFIG / "compose.yaml"
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)")
LOOPBACK = re.compile(r"127\.0\.0\.1:\$\{\w+:-\d+\}:\d+")
NO_HEALTH = {
    "shadowread": "the image has its own",
    "collector": "its image has neither a shell nor a client",
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml(FILE)
    return content


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def test_what_is_referred_to_is_there(compose: dict[str, Any], services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert set(service.get("networks", ())) <= compose["networks"].keys(), name
        assert set(service.get("secrets", ())) <= compose["secrets"].keys(), name
        assert set(service.get("depends_on", ())) <= services.keys(), name
        for source, *_ in (mount.split(":") for mount in service.get("volumes", ())):
            assert (CONFIG / source).exists() if source.startswith("./") else source in compose["volumes"], name
    used = {mount.split(":")[0] for service in services.values() for mount in service.get("volumes", ())}
    assert set(compose["volumes"]) <= used
    assert set(compose["secrets"]) == {secret for service in services.values() for secret in service.get("secrets", ())}
    build = services["shadowread"]["build"]
    assert (CONFIG / build["context"] / build["dockerfile"]).is_file()


def test_every_variable_is_explained_and_none_is_unused() -> None:
    asked = set(VARIABLE.findall("\n".join(line for line in FILE.read_text().splitlines() if not line.startswith("#"))))
    lines = (CONFIG / ".env.example").read_text().splitlines()
    offered = {line.split("=")[0] for line in lines if line and not line.startswith("#")}
    assert asked == offered


def test_every_port_is_published_on_loopback_alone(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert len(ports) >= 4
    assert [port for port in ports if not LOOPBACK.fullmatch(port)] == []
    assert "ports" not in services["ledger"]


def test_every_container_is_confined(compose: dict[str, Any], services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"].split(":")[0] not in {"0", "root"}, name
        assert not {"privileged", "network_mode", "pid", "cap_add"} & service.keys(), name
        assert "mem_limit" in service, name
        # What is mounted of the host cannot be changed from inside.
        assert all(mount.endswith(":ro") for mount in service.get("volumes", ()) if mount.startswith("./")), name
    assert compose["networks"]["evidence"] == {"internal": True}
    assert services["ledger"]["networks"] == ["evidence"]


def test_health_is_looked_at(services: dict[str, dict[str, Any]]) -> None:
    assert {name for name, service in services.items() if "healthcheck" not in service} == NO_HEALTH.keys()
    for service in services.values():
        for needed, how in service.get("depends_on", {}).items():
            assert how["condition"] == "service_healthy"
            assert needed not in NO_HEALTH
    assert "HEALTHCHECK" in (CONFIG.parent / "Dockerfile").read_text()


def test_images_are_of_a_release(services: dict[str, dict[str, Any]]) -> None:
    images = {name: service["image"] for name, service in services.items() if "build" not in service}
    assert all(re.fullmatch(r"[\w./-]+:v?\d+(\.\d+)*", image) for image in images.values()), images


def test_no_secret_stands_in_the_files_or_in_the_environment(services: dict[str, dict[str, Any]]) -> None:
    told = [f"{key}={value}" for service in services.values() for key, value in service.get("environment", {}).items()]
    secret = [one for one in told if re.search("PASSWORD|TOKEN|SECRET|DSN|URL=.*@", one)]
    assert all("_FILE=/run/secrets/" in one for one in secret), secret
    # Neither in the repository nor in the image.
    assert {"config/.env", "config/secrets/"} <= set((CONFIG.parent / ".gitignore").read_text().splitlines())
    ignored = (CONFIG.parent / ".dockerignore").read_text().splitlines()
    assert ignored.index("!config") < min(ignored.index("config/.env"), ignored.index("config/secrets"))


@pytest.fixture
def deployed(services: dict[str, dict[str, Any]], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """What the container's own way in does with its secrets and its environment, as far as `config show`."""
    secrets = {"admin_token": "t" * 40, "ledger_password": "p" * 40, "pg_url": "postgresql://reader@db:5432/shop"}
    for name, text in secrets.items():
        (tmp_path / name).write_text(f"{text}\n")
    service = services["shadowread"]
    given = {"PRIMARY_URL": "http://one.test:5001", "SHADOW_URL": "http://two.test:5002", "TRACE_LINK": ""}
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **{key: given.get(key, str(value)) for key, value in service["environment"].items()},
        "SHADOWREAD_CONFIG": str(CONFIG / "deploy.yaml"),
    }
    program, options, script, name = service["entrypoint"]
    # Compose takes two dollars for one; the files stand elsewhere here.
    script = script.replace("$$", "$").replace("/run/secrets", str(tmp_path))
    return subprocess.run(
        [program, options, script, name, "config", "show"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_container_finds_its_configuration(deployed: subprocess.CompletedProcess[str]) -> None:
    assert deployed.returncode == 0, deployed.stderr
    assert "http://two.test:5002" in deployed.stdout
    assert "t" * 40 not in deployed.stdout
    assert "p" * 40 not in deployed.stdout


def test_the_configuration_is_one_for_a_deployment(services: dict[str, dict[str, Any]]) -> None:
    environment = {
        "SHADOWREAD_ADMIN_TOKEN": "t" * 40, "PRIMARY_URL": "http://one.test", "SHADOW_URL": "http://two.test",
        "PG_URL": "postgresql://reader@db/shop", "LEDGER_URL": "postgresql://shadowread:secret@ledger:5432/shadowread",
    }  # fmt: skip
    settings: Settings = load_settings(CONFIG / "deploy.yaml", environment)
    published = {port.rsplit(":", 1)[1] for port in services["shadowread"]["ports"]}
    assert published == {str(settings.listen.port), str(settings.admin.listen.port)}
    assert {settings.listen.host, settings.admin.listen.host} == {"0.0.0.0"}  # noqa: S104 - within a container
    assert [domain.rollback_plan and domain.rollback_plan.is_file() for domain in settings.domains.values()] == [True]
    target = next(mount.split(":")[1] for mount in services["shadowread"]["volumes"] if mount.startswith("state:"))
    assert str(settings.ledger.journal) == target
    assert services["shadowread"]["hostname"] == "shadowread", (
        "or each container would be another machine to the ledger"
    )

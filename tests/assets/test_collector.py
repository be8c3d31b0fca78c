"""The collector's configuration holds together, and listens where the deployment sends."""

from __future__ import annotations

from urllib.parse import urlsplit

from tests.assets.support import CONFIG, yaml

CONTENT = yaml(CONFIG / "otel-collector.yaml")
SHADOWREAD = yaml(CONFIG / "compose.yaml")["services"]["shadowread"]["environment"]


def test_pipelines_name_what_there_is() -> None:
    service = CONTENT["service"]
    assert set(service["extensions"]) == CONTENT["extensions"].keys()
    used: dict[str, set[str]] = {"receivers": set(), "processors": set(), "exporters": set()}
    for pipeline in service["pipelines"].values():
        for part, names in pipeline.items():
            assert set(names) <= CONTENT[part].keys()
            used[part] |= set(names)
        assert pipeline["processors"][0] == "memory_limiter"
        assert pipeline["processors"][-1] == "batch"
    assert used["receivers"] == CONTENT["receivers"].keys()
    assert used["processors"] == CONTENT["processors"].keys()
    # The one that is a place to put one's own backend in is not used as it stands.
    assert CONTENT["exporters"].keys() - used["exporters"] == {"otlphttp/backend"}


def test_nothing_is_sampled_again() -> None:
    assert [name for name in CONTENT["processors"] if "sampl" in name] == []


def test_it_listens_where_the_proxy_sends() -> None:
    sent = urlsplit(SHADOWREAD["OTEL_EXPORTER_OTLP_ENDPOINT"])
    heard = urlsplit(f"//{CONTENT['receivers']['otlp']['protocols']['http']['endpoint']}")
    assert (sent.hostname, sent.port) == ("collector", heard.port)
    assert SHADOWREAD["OTEL_METRICS_EXPORTER"] == "none", "they are scraped"


def test_it_scrapes_the_admin_port_with_its_token() -> None:
    (job,) = CONTENT["receivers"]["prometheus"]["config"]["scrape_configs"]
    (own,) = (
        one
        for one in yaml(CONFIG / "prometheus/prometheus.yml")["scrape_configs"]
        if one["job_name"] == job["job_name"]
    )
    assert job["static_configs"] == own["static_configs"]
    assert job["authorization"] == own["authorization"]

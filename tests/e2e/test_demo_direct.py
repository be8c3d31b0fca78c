"""`shadowread demo --direct`: the same demo without the Postgres twin, verified by SQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.demo.bugs import ALL, BUGS
from tests.demo.trees import command_line, tree, wait_for
from tests.e2e.test_demo import check_identity, run, start

ENOUGH = 60
pytestmark = pytest.mark.slow


def test_what_is_wrong_in_postgres_is_found_and_the_other_domains_are_clean(tmp_path: Path) -> None:
    done = run(tmp_path, "--duration", "20", "--direct")
    check_identity(done.told)
    stored = {bug.name for bug in BUGS if bug.stored}
    assert {bug["bug"] for bug in done.told["planted"] if bug["found"]} == stored
    assert set(done.told["not_visible"]) == ALL - stored
    buggy = {bug.domain for bug in BUGS if bug.stored}
    for domain in done.told["domains"]:
        # On a machine that is busy with other things a read may run into its time limit.
        assert domain["verdicts"].get("shadow_error", 0) <= domain["observed"] // 20, domain
        if domain["name"] not in buggy:
            assert domain["verdicts"].get("diff", 0) == 0, domain
            assert domain["comparisons"] >= ENOUGH, domain
    assert done.traffic["failures"] == 0, done.traffic


def test_without_bugs_there_is_no_difference_although_writes_run(tmp_path: Path) -> None:
    done = run(tmp_path, "--duration", "12", "--direct", "--healthy")
    check_identity(done.told)
    assert done.told["planted"] == []
    assert {d["name"]: d["verdicts"]["diff"] for d in done.told["domains"] if d["verdicts"].get("diff", 0)} == {}
    assert all(domain["comparisons"] > 0 for domain in done.told["domains"])
    assert done.traffic["failures"] == 0, done.traffic
    assert done.traffic["classes"]["write"] > 0, done.traffic


def test_no_twin_is_started(tmp_path: Path) -> None:
    process = start(tmp_path, "--direct", "--healthy", "--duration", "60")
    try:

        def running() -> list[str]:
            return [command_line(pid) for pid, _ in tree(process.pid)]

        wait_for(
            lambda: process.poll() is not None or any("demo.traffic" in part for part in running()),
            "traffic did not start",
            60,
        )
        assert process.poll() is None, process.communicate()
        assert len([part for part in running() if "proxy.demo.marketplace" in part]) == 1
        assert any("direct.yaml" in part for part in running())
    finally:
        process.terminate()
        process.communicate(timeout=60)

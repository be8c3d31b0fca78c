"""`config show` says how much memory the configuration may take."""

from __future__ import annotations

import json
from pathlib import Path

from tests.admin.recorded import configure
from tests.cli.conftest import Run

IDS = [{"entity": "user", "legacy": "a" * 24, "uuid": "11111111-1111-4111-8111-111111111111"}]


def test_the_budget_stands_behind_the_configuration(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ids.json").write_text(json.dumps(IDS))
    config = configure(tmp_path)
    config.write_text(config.read_text() + "\nids: {sources: [{file: ids.json}]}\n")
    text = run("config", "show", "-c", config).output
    told = json.loads(run("config", "show", "-c", config, "--json").output)["memory_budget"]
    lines = text.partition("# The memory that one proxy may take")[2].splitlines()
    assert lines
    assert all(line.startswith("#") for line in lines[1:])
    total = f"{told['total'] / 1024**2:,.1f} MiB"
    *_, everything, reloading = lines
    assert everything.split("  ")[0] == "# all"
    assert total in everything
    assert f"{(told['while_reloading'] - told['total']) / 1024**2:,.1f} MiB" in reloading
    for line in told["lines"]:
        row = next(one for one in lines if one.startswith(f"#   {line['what']} "))
        assert f"{line['bytes'] / 1024**2:,.1f} MiB" in row
        assert (line["setting"] or "") in row
    assert sum(line["bytes"] for line in told["lines"]) == told["total"]
    # By its size, not by the largest file that may be read.
    assert next(line for line in told["lines"] if line["what"] == "pairs of ids.json")["bytes"] < 1_000


def test_a_lower_limit_lowers_it(run: Run, tmp_path: Path) -> None:
    config = configure(tmp_path)
    before = json.loads(run("config", "show", "-c", config, "--json").output)["memory_budget"]["total"]
    config.write_text(config.read_text() + "\nlimits: {clients: 100}\n")
    after = json.loads(run("config", "show", "-c", config, "--json").output)["memory_budget"]["total"]
    assert after < before / 2

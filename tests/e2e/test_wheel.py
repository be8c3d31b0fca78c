"""The wheel holds all of the product and nothing else, and works from any folder of an environment of its own."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PARTS = ("comparators", "proxy", "config", "pyproject.toml", "README.md")


def sources() -> set[str]:
    """Every file that a wheel must hold, as it is named in the checkout."""
    found = set()
    for part in ("comparators", "proxy", "config"):
        for path in (ROOT / part).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found.add(path.relative_to(ROOT).as_posix())
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is written into the checkout, with the pinned setuptools."""
    copy = tmp_path_factory.mktemp("source")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, copy / part)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", "."], cwd=copy, check=True
    )
    (built,) = (copy / "dist").glob("shadowread-*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A virtual environment with the wheel; what the product depends on is borrowed from the one that tests."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, symlinks=True)
    (own,) = (folder / "lib").glob("python3*/site-packages")
    (own / "borrowed.pth").write_text("\n".join(site.getsitepackages()))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--quiet",
        "--python",
        str(folder / "bin/python"),
    ]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--force-reinstall", str(wheel)], check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
def test_the_wheel_holds_every_source_and_configuration_file(wheel: Path) -> None:
    names = set()
    for name in zipfile.ZipFile(wheel).namelist():
        first, _, rest = name.partition("/data/share/shadowread/")
        if ".dist-info/" not in name:
            names.add(rest if first.endswith(".data") else name)
    assert names == sources()


@pytest.mark.slow
def test_an_installed_wheel_runs_from_another_folder(environment: Path, tmp_path: Path) -> None:
    env = {"PATH": os.defpath, "HOME": str(tmp_path)}
    told = subprocess.run(
        [environment / "bin" / "shadowread", "--help"],
        cwd=tmp_path,
        env=env,
        text=True,
        capture_output=True,
        check=True,
    )
    assert "serve" in told.stdout
    code = "from proxy.demo import assets as it; print(it.__file__, it.config_file('marketplace.yaml'))"
    told = subprocess.run(
        [environment / "bin" / "python", "-c", code],
        cwd=tmp_path,
        env=env,
        text=True,
        capture_output=True,
        check=True,
    )
    assert [Path(place).is_relative_to(environment) for place in told.stdout.split()] == [True, True]


def test_every_requirement_is_pinned_to_what_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    pinned = {canonicalize_name(name): pin for name, pin in pins.items()}
    for requirement in map(Requirement, wanted):
        assert pinned.get(canonicalize_name(requirement.name), "none") in requirement.specifier, requirement


def test_running_it_needs_no_part_of_the_demo_and_of_the_tests() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    unwanted = {canonicalize_name(Requirement(line).name) for lines in extras.values() for line in lines}
    waiting = [Requirement(line) for line in project["dependencies"]]
    needed: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in needed:
            continue
        needed.add(name)
        for line in requires(name) or ():
            further = Requirement(line)
            chosen = [{"extra": extra} for extra in requirement.extras] or [{"extra": ""}]
            if further.marker is None or any(further.marker.evaluate(extra) for extra in chosen):
                waiting.append(further)
    assert needed.isdisjoint(unwanted)
    assert {"aiohttp", "asyncpg", "greenlet"} <= needed

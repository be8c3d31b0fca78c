"""The command that asks again: what a real shell makes of it is what was asked, and it holds no secret."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from proxy.admin.curl import curl

TAG, OTHER = "[redacted 1a2b3c4d]", "[redacted 9f8e7d6c]"


async def words(command: str, folder: Path, **variables: str) -> list[str]:
    """The arguments that a shell hands to `curl`."""
    fake = folder / "curl"
    fake.write_text('#!/bin/sh\nfor word in "$@"; do printf "%s\\0" "$word"; done\n')
    fake.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", **variables}
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", command, env=environment, stdout=asyncio.subprocess.PIPE, cwd=folder
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode("utf-8").split("\0")[:-1]


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "it's",
        "''",
        "'",
        "a'b''c",
        "$(touch pwned)",
        "`touch pwned`",
        "$HOME",
        "\\",
        "a\\'b",
        '"; touch pwned #',
        "ü*?[x]{a,b}~!",
    ],
)
async def test_a_shell_gives_curl_what_was_asked(tmp_path: Path, text: str) -> None:
    made = curl(
        "http://127.0.0.1:5001", "GET", f"/{text}?q={text}&r", [("X-Text", text), ("Authorization", f"Bearer {TAG}")]
    )
    found = await words(made.command, tmp_path, AUTHORIZATION="s3cret 'x' $y")
    # A mark of a fragment would end what curl sends.
    asked = text.replace("#", "%23")
    assert f"http://127.0.0.1:5001/{asked}?q={asked}&r" in found
    assert [found[n + 1] for n, word in enumerate(found) if word == "--header"] == [
        f"X-Text: {text}",
        "Authorization: Bearer s3cret 'x' $y",
    ]
    assert not (tmp_path / "pwned").exists()


def test_what_is_hidden_becomes_variables_that_bear_its_name() -> None:
    made = curl(
        "http://127.0.0.1:5001",
        "GET",
        "/a?token=%5Bredacted%201a2b3c4d%5D&page=2",
        [("Authorization", OTHER), ("X-Api-Key", TAG), ("Cookie", f"a={TAG}; b=[redacted 00000000]")],
    )
    assert made.variables == ("TOKEN", "AUTHORIZATION", "COOKIE")
    assert "redacted" not in made.command
    assert "'http://127.0.0.1:5001/a?token='\"${TOKEN}\"'&page=2'" in made.command
    # One tag is one secret, whatever it stands in.
    assert "'X-Api-Key: '\"${TOKEN}\"" in made.command


@pytest.mark.parametrize("name", ["PATH", "home", "LD_PRELOAD", "IFS", "1st", "bash_env", "seconds"])
def test_variables_that_mean_something_to_the_shell_are_not_taken(name: str) -> None:
    (variable,) = curl("http://h", "GET", "/", [(name, TAG)]).variables
    assert variable.startswith("HIDDEN_")


def test_fields_of_the_connection_and_fields_that_cannot_be_typed_are_left_out() -> None:
    made = curl("http://h", "GET", "/", [("Host", "x"), ("Content-Length", "3"), ("X-Bad", "a\x1bb"), ("X-Empty", "")])
    assert "Host" not in made.command
    assert "Length" not in made.command
    assert "\x1b" not in made.command
    assert made.notes == ("The field X-Bad has characters that cannot be typed and is left out.",)
    assert "'X-Empty;'" in made.command


def test_what_a_page_would_show_as_something_else_is_encoded() -> None:
    made = curl("http://h", "GET", "/a\u202eb\x85?c#d", [("X-Bidi", "a\u202eb")])
    assert "'http://h/a%E2%80%AEb%C2%85?''c%23d'" in made.command.replace("?c", "?''c")
    assert len(made.notes) == 1


def test_methods_with_bodies_say_that_the_body_is_not_kept() -> None:
    made = curl("http://h", "POST", "/search", [])
    assert "--request POST" in made.command
    assert "body.json" in made.notes[0]
    assert "--head" in curl("http://h", "HEAD", "/", []).command

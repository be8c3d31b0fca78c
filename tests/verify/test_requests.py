"""A verification read carries the caller's credentials and trace context, and nothing that would make it partial."""

from __future__ import annotations

from proxy.verify.requests import read_request

CLIENT = (
    (b"Host", b"shop.test"),
    (b"Authorization", b"Bearer t"),
    (b"Cookie", b"s=1"),
    (b"traceparent", b"00-a-b-01"),
    (b"If-None-Match", b'"x"'),
    (b"If-Modified-Since", b"x"),
    (b"If-Match", b"x"),
    (b"If-Unmodified-Since", b"x"),
    (b"If-Range", b"x"),
    (b"Range", b"bytes=0-"),
    (b"Connection", b"keep-alive, X-Hop"),
    (b"X-Hop", b"1"),
    (b"Expect", b"100-continue"),
    (b"Accept-Encoding", b"br"),
    (b"X-Shadow-Read", b"0"),
    (b"X-Many", b"1"),
    (b"X-Many", b"2"),
)


def test_only_end_to_end_unconditional_fields_go_along() -> None:
    request = read_request("GET", "/a?b=%20", CLIENT)
    assert request.target == "/a?b=%20"
    assert request.headers == (
        (b"Host", b"shop.test"),
        (b"Authorization", b"Bearer t"),
        (b"Cookie", b"s=1"),
        (b"traceparent", b"00-a-b-01"),
        (b"X-Many", b"1"),
        (b"X-Many", b"2"),
        (b"Accept-Encoding", b"identity"),
        (b"X-Shadow-Read", b"1"),
    )

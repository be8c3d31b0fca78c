"""One port that several processes listen on: the kernel gives each new connection to one of them.

With a listener each (SO_REUSEPORT) 32 connections that come at once spread evenly over two processes; of a listener
that both share, the process that wakes up first takes all 32.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Any


class Port:
    """An address that is held for processes to listen on with SO_REUSEPORT. Free it with `close`."""

    def __init__(self, host: str, held: list[socket.socket], closing: ExitStack) -> None:
        self.host = host
        """What the processes are to listen on, as they are to be told."""
        self._held = held
        self._closing = closing

    @classmethod
    def reserve(cls, host: str, port: int) -> Port:
        """Hold all addresses of `host`; with `port` 0 the first one, on any free port.

        Raises OSError when another process listens there.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        every = list(dict.fromkeys((family, kind, proto, address) for family, kind, proto, _, address in found))
        with ExitStack() as stack:
            held = []
            for family, kind, proto, address in every[: None if port else 1]:
                # Another proxy that shares its port would not keep this one from sharing it, too: it is to be alone.
                with _bound(family, kind, proto, address) as alone:
                    free = alone.getsockname()
                held.append(stack.enter_context(_bound(family, kind, proto, free, share=True)))
            return cls(host if port else held[0].getsockname()[0], held, stack.pop_all())

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first one (IPv6 without its scope)."""
        name = self._held[0].getsockname()
        return name[0], name[1]

    def close(self) -> None:
        self._closing.close()


def _bound(family: int, kind: int, proto: int, address: Any, *, share: bool = False) -> socket.socket:
    made = socket.socket(family, kind, proto)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        raise OSError(error.errno, f"cannot listen on {address[0]}:{address[1]}: {error.strerror}") from error
    return made

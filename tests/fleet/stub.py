"""A worker that does what its first message names instead of its settings; for faults that a real one does not show."""

from __future__ import annotations

import socket
import sys
import time
from typing import Any

import msgspec


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    mode = _receive(channel)["settings"]
    match mode:
        case b"fails":
            _send(channel, {"type": "Failed", "reason": "no room in the inn"})
            return
        case b"dies":
            _send(channel, {"type": "Serving"})
            sys.exit(3)
        case b"babbles":
            _send(channel, {"type": "Serving"})
            channel.sendall((5).to_bytes(4, "big") + b"\xc1\xc1\xc1\xc1\xc1")
            time.sleep(60)
        case b"boasts":
            _send(channel, {"type": "Serving"})
            channel.sendall(b"\xff\xff\xff\xff")
            time.sleep(60)
        case _:
            _send(channel, {"type": "Serving"})
            _obey(channel)


def _obey(channel: socket.socket) -> None:
    while (said := _receive(channel)) is not None:
        match said["type"]:
            case "Quiet":
                beat = {"ended": 0, "skipped": 0, "busy": len(said["domains"])}
                domains = dict.fromkeys(said["domains"], beat)
                _send(channel, {"type": "Beat", "quiet": said["version"], "domains": domains, "ended": [], "missed": 0})
            case "WhichRecent":
                requests = [("GET", f"/{number}", (), b"") for number in range(2)]
                _send(channel, {"type": "Recents", "domain": said["domain"], "requests": requests})
            case "Reload" if said["settings"] == b"deadly":
                sys.exit(1)
            case "Reload":
                refused = "not these" if said["settings"] == b"bad" else None
                _send(channel, {"type": "Reloaded", "number": said["number"], "refused": refused})
            case "Stop":
                return


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    content = msgspec.msgpack.encode(message)
    channel.sendall(len(content).to_bytes(4, "big") + content)


def _receive(channel: socket.socket) -> Any:
    head = channel.recv(4, socket.MSG_WAITALL)
    if len(head) < 4:
        return None
    return msgspec.msgpack.decode(channel.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))


if __name__ == "__main__":
    main()

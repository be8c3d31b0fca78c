"""`python -m proxy.fleet FD`: a worker, started by `shadowread serve --workers N` and by nobody else."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

from proxy.fleet.loops import loop_factory
from proxy.fleet.worker import run


def main() -> int:
    """Serve over the socket that was handed down."""
    connected = socket.socket(fileno=int(sys.argv[1]))
    connected.set_inheritable(False)
    # Ctrl-C and a closed terminal reach every process of the group; what is to be done about it the parent says.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(run(connected, os.environ))


if __name__ == "__main__":
    sys.exit(main())

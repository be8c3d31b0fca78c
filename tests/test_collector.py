"""What a process that serves leaves to the garbage collector. In a process of its own: it is set once, for good."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from proxy import collector

SERVING = """
import asyncio, gc, logging, os, signal, sys
from pathlib import Path
from proxy.app import serve
from proxy.settings import load_settings

class Look(logging.Handler):
    def emit(self, record):
        if record.getMessage().startswith("serving http"):
            gc.collect()
            print(gc.get_freeze_count(), len(gc.get_objects()), *gc.get_threshold(), flush=True)
            os.kill(os.getpid(), signal.SIGTERM)

logging.basicConfig(handlers=[Look()], level=logging.INFO)
asyncio.run(serve(load_settings(Path(sys.argv[1]), {})))
"""


def test_what_serves_never_looks_again_through_what_it_was_started_with(tmp_path: Path) -> None:
    config = tmp_path / "shadowread.yaml"
    config.write_text(
        "listen: 127.0.0.1:0\n"
        "admin: {listen: '127.0.0.1:0'}\n"
        "primary: {url: http://127.0.0.1:9}\n"
        f"ledger: {{url: 'sqlite:///{tmp_path}/shadowread.db'}}\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", SERVING, str(config)], capture_output=True, text=True, check=True, timeout=60
    )
    frozen, watched, *thresholds = map(int, ran.stdout.split())
    assert thresholds == [collector.YOUNG, collector.OLDER, collector.OLDEST]
    # The program has some hundred thousand objects; what is still walked through is what came after the start.
    assert frozen > 100_000
    assert watched < frozen / 20

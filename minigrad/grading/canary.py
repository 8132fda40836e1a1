"""Before the first submission: something that tries to get out, and says how far it came.

What it reaches, a student's code could reach.  So nothing is graded behind walls that do not hold, unless somebody insists.
"""

from __future__ import annotations

import inspect
import json
import os
import socket
import tempfile
from pathlib import Path

from ..classroom.sealed import wire
from .processes import Gone, Unsafe, Zygote

SECONDS = 20


def canary(secret: str, outside: str, port: int, grader: int) -> list[str]:  # pragma: no cover, it is behind the walls
    """Runs in the sealed process, with nothing but what it imports; -> what it could do."""
    import os
    import socket
    import subprocess

    def fork():
        if not os.fork():
            os._exit(0)

    attempts = {
        "read a file": lambda: open(secret).read(),
        "write a file": lambda: open(outside, "w").write("x"),
        "connect": lambda: socket.create_connection(("127.0.0.1", port), 1),
        "start a process": fork,
        "run a program": lambda: subprocess.run(["true"], check=True),
        "signal the grader": lambda: os.kill(grader, 0),
        "see the grader's environment": lambda: open(f"/proc/{grader}/environ").read(),
    }
    could = []
    for name, attempt in attempts.items():
        try:
            attempt()
            could.append(name)
        except Exception:
            pass
    return could


def escapes(zygote: Zygote) -> list[str]:
    """What the canary could do from the process in which a submission would run; [] if the walls hold."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        secret, outside = Path(folder, "secret"), Path(folder, "outside")
        secret.write_text("secret", encoding="utf-8")
        child = zygote.copy()
        try:
            child.send(
                "J", json.dumps({"cells": [(0, inspect.getsource(canary))], "names": ["canary"]}).encode(), SECONDS
            )
            child.receive(SECONDS)
            probe = "def call(answer, *args):\n    return answer(*args)"
            about = {"name": "canary", "probe": probe, "probe name": "call", "takes": [], "returns": []}
            args = wire.encode((str(secret), str(outside), server.getsockname()[1], os.getpid()))
            child.send("T", wire.joined([json.dumps(about).encode(), args]), SECONDS)
            (said,) = wire.split(child.receive(SECONDS)[1])
            if said[:1] != b"V":
                raise Unsafe(f"The canary fell silent: {said[:200]!r}. Nothing is known of the walls.")
            could = wire.decode(said[1:])[0]
        except Gone as gone:
            if gone.kind == "Lost":
                raise  # nothing that it did: the zygote sends another
            raise Unsafe(f"The canary did not come back: {gone.message or gone.kind}.") from None
        finally:
            child.stop()
        return could + ["write a file"] * (outside.exists() and "write a file" not in could)


def must_hold(zygote: Zygote) -> None:
    """The trial of a zygote: Unsafe if something came through."""
    if could := escapes(zygote):
        walls = ", ".join(zygote.layers) or "none"
        raise Unsafe(
            f"A student's code could {', '.join(could)} here (walls that stand: {walls}). Grade on Linux 5.13 or newer; or, "
            "for submissions that you trust as your own code, with --unsafe-no-sandbox."
        )

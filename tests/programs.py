"""Programs in processes of their own, as `python` runs them, but without each loading torch anew: they are forked
from a server that has loaded it once (programs_server.py). What is under test, gammatune, each loads itself."""

import atexit
import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SERVER = Path(__file__).with_name("programs_server.py")


def run(*arguments: str | Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """What `python *arguments` comes to in that directory: a file, -c or -m, and -W before it."""
    with tempfile.TemporaryDirectory() as home:
        out, err = Path(home, "out"), Path(home, "err")
        words = [str(argument) for argument in arguments]
        order = {"words": words, "cwd": str(cwd), "env": dict(os.environ), "out": str(out), "err": str(err)}
        status = _ask(order)
        return subprocess.CompletedProcess(words, status, out.read_text(), err.read_text())


def _ask(order: dict[str, object]) -> int:
    process = _server()
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())
    except BaseException:  # a test that took too long: the next one gets another server
        _server.cache_clear()
        process.kill()
        raise


@functools.cache
def _server() -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, str(SERVER)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)  # it ends where nothing more is asked
    return process

"""Our own load generator (tests/bench/client) for what wrk can't: it gets ready, begins on a word, tells in JSON."""

import json
import os
import pathlib
import subprocess

from load import CONNECTIONS, HOST, LoadFailed
from machine import LOAD_CORE, ROOT, on_core

PROGRAM = pathlib.Path(os.environ.get(
    "SEKIMORI_BENCH_CLIENT", ROOT / "target" / "release" / "examples" / "bench_client"))


class Client:
    """One run of a mode. It is ready on return; use it by `with`, so that it doesn't outlive a failure."""

    def __init__(self, mode, core=LOAD_CORE, **options):
        self.mode = mode
        command = [PROGRAM, mode, *(f"{name}={value}" for name, value in options.items())]
        with on_core(core):
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.PIPE, text=True)
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise

    @classmethod
    def towards(cls, mode, port, tls, **options):
        """Towards the app's host at `port`."""
        return cls(mode, port=port, host=HOST, ca=tls / "ca.pem", **options)

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            raise LoadFailed(f"{self.mode}: {self.process.stderr.read()}")
        return line.strip()

    def _wait_until_ready(self):
        if (line := self._line()) != "ready":
            raise LoadFailed(f"{self.mode}: {line} instead of ready")

    def go_on(self):
        """To the next stop of a mode that has several."""
        self._word()
        self._wait_until_ready()

    def go(self):
        """Begins, and gives what was found."""
        self.begin()
        return self.told()

    def begin(self):
        self._word()

    def told(self):
        """What was found, once it is over."""
        told = json.loads(self._line())
        if self.process.wait(60):
            raise LoadFailed(f"{self.mode}: {self.process.stderr.read()}")
        return told

    def _word(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()


def paced(port, tls, requests, rate, seconds, body):
    return Client.towards("paced", port, tls, requests=requests, rate=rate, seconds=seconds, body=body,
                          connections=CONNECTIONS)


def http2(port, tls, requests, seconds, body):
    return Client.towards("http2", port, tls, requests=requests, seconds=seconds, body=body, at_once=CONNECTIONS)

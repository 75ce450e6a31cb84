"""HAProxy and Pingora as proxies to compare with: TLS 1.3, one thread, kept connections to the upstream, no log."""

import pathlib
import signal
import socket
import subprocess

from hospital import free_port, wait_until
from machine import ROOT, on_core

PINGORA = ROOT / "target" / "pingora" / "release" / "bench-pingora"

HAPROXY = """\
global
  nbthread 1
  maxconn 8192
  ssl-default-bind-options ssl-min-ver TLSv1.3 ssl-max-ver TLSv1.3
defaults
  mode http
  timeout connect 5s
  timeout client 75s
  timeout server 75s
  timeout http-keep-alive 75s
frontend door
  bind 127.0.0.1:{port} ssl crt {pem} alpn h2,http/1.1
  default_backend chart
backend chart
  http-reuse always
  server chart 127.0.0.1:{upstream}
"""


class Other:
    """One proxy on one core, in front of the upstream; it offers HTTP/2 and HTTP/1.1. `command()` says how it starts."""

    def __init__(self, folder, core, tls, upstream):
        self.folder, self.tls, self.upstream = pathlib.Path(folder), tls, upstream.plain
        self.folder.mkdir()
        self.port, self.log = free_port(), self.folder / "log"
        command = self.command()
        with on_core(core), self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.pid = self.process.pid
        wait_until(self._answers, f"{command[0]} answers")

    def _answers(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            # Pingora lets those finish who are connected.
            self.process.kill()
            self.process.wait(5)


class Haproxy(Other):
    """HAProxy of Debian's package."""

    def command(self):
        pem, file = self.folder / "tls.pem", self.folder / "haproxy.cfg"
        pem.touch(0o600)
        pem.write_bytes((self.tls / "tls.pem").read_bytes() + (self.tls / "tls.key").read_bytes())
        file.write_text(HAPROXY.format(port=self.port, pem=pem, upstream=self.upstream))
        return ["/usr/sbin/haproxy", "-db", "-f", file]


class Pingora(Other):
    """Pingora with rustls (tests/bench/pingora)."""

    def command(self):
        return [PINGORA, f"127.0.0.1:{self.port}", f"127.0.0.1:{self.upstream}", self.tls / "tls.pem",
                self.tls / "tls.key"]

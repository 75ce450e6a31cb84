"""HAProxy as a proxy to compare with: TLS 1.3, one thread, kept connections to the upstream, no log."""

import pathlib
import signal
import socket
import subprocess

from hospital import free_port, wait_until
from machine import on_core

CONFIGURATION = """\
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


class Haproxy:
    """One HAProxy on one core, in front of the upstream; it offers HTTP/2 and HTTP/1.1."""

    def __init__(self, folder, core, tls, upstream):
        folder = pathlib.Path(folder)
        folder.mkdir()
        self.port = free_port()
        pem = folder / "tls.pem"
        pem.touch(0o600)
        pem.write_bytes((tls / "tls.pem").read_bytes() + (tls / "tls.key").read_bytes())
        file, self.log = folder / "haproxy.cfg", folder / "haproxy.log"
        file.write_text(CONFIGURATION.format(port=self.port, pem=pem, upstream=upstream.plain))
        with on_core(core), self.log.open("wb") as log:
            self.process = subprocess.Popen(["haproxy", "-db", "-f", file], stdout=log, stderr=log)
        self.pid = self.process.pid
        wait_until(self._answers, f"HAProxy answers: {self.log.read_text()}")

    def _answers(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

"""nginx as canned upstream, as the proxy to compare with, and as the proxy that asks before it forwards."""

import http.client
import os
import pathlib
import signal
import subprocess

from hospital import free_port, wait_until
from machine import on_core

SMALL, LARGE = 1024, 64 * 1024

MAIN = """\
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  default_type text/html;
  charset utf-8;
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  client_header_buffer_size 4k;
  ssl_certificate {certificate};
  ssl_certificate_key {key};
  ssl_protocols TLSv1.3;
{servers}
}}
"""

UPSTREAM = """\
  open_file_cache max=16;
  server {{
    listen 127.0.0.1:{plain} backlog=1024;
    listen 127.0.0.1:{port} ssl backlog=1024;
    root {folder};
    location / {{ return 200 '{page}'; }}
    location ~ ^/(admin)?$ {{
      add_header Set-Cookie "WARDSESSION=$request_id; Path=/; HttpOnly";
      return 200 '{page}';
    }}
    location /ws/ {{
      proxy_pass http://127.0.0.1:{echo};
      proxy_http_version 1.1;
      proxy_set_header Connection "upgrade";
      proxy_set_header Upgrade $http_upgrade;
      proxy_read_timeout 1h;
    }}
    location ~ ^/patients/[^/]+/files/ {{ try_files /large =404; }}
  }}
  server {{
    listen 127.0.0.1:{status};
    location / {{ stub_status; }}
  }}
"""

# What a careful administrator writes: kept connections, and buffers that hold a page so that none goes to disk.
FORWARDING = """\
  upstream chart {{
    server 127.0.0.1:{upstream};
    keepalive 256;
    keepalive_requests 1000000000;
  }}
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_buffer_size 8k;
  proxy_buffers 16 8k;
  proxy_max_temp_file_size 0;
"""

PROXY = FORWARDING + """\
  server {{
    listen 127.0.0.1:{port} ssl http2 backlog=1024;
    location / {{ proxy_pass http://chart; }}
  }}
"""

ASKING_PROXY = FORWARDING + """\
  upstream responder {{
    server 127.0.0.1:{responder};
    keepalive 256;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} ssl backlog=1024;
    location / {{
      auth_request /ask;
      proxy_pass http://chart;
    }}
    location = /ask {{
      internal;
      proxy_pass_request_body off;
      proxy_set_header Connection "";
      proxy_set_header Content-Length "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Original-URI $request_uri;
      proxy_pass http://responder;
    }}
  }}
  server {{
    listen 127.0.0.1:{responder} backlog=1024;
    location / {{ return 204; }}
  }}
"""


class Nginx:
    """One nginx with one worker on one core. `servers` is the template of its server blocks."""

    def __init__(self, folder, core, tls, servers, **ports):
        folder = pathlib.Path(folder)
        folder.mkdir()
        self.folder = folder
        self.log = folder / "error.log"
        file = folder / "nginx.conf"
        file.write_text(MAIN.format(
            folder=folder, user="user root;" if os.geteuid() == 0 else "", certificate=tls / "tls.pem",
            key=tls / "tls.key", servers=servers.format(folder=folder, page=page(SMALL), **ports)))
        with on_core(core):
            self.process = subprocess.Popen(["nginx", "-c", file, "-e", self.log, "-g", "daemon off;"])
        self.pid = self.process.pid
        wait_until(lambda: (folder / "nginx.pid").exists() or self.process.poll() is not None, "nginx starts")
        assert self.process.poll() is None, self.log.read_text()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


class Upstream(Nginx):
    """Gives a page of 1 KiB on every path, 64 KiB on `/patients/{id}/files/…`, and on `/ws/…` the WebSocket server
    at the port `echo`; counts what it was asked."""

    def __init__(self, folder, core, tls, echo):
        self.plain, self.port, self.status = free_port(), free_port(), free_port()
        super().__init__(folder, core, tls, UPSTREAM, plain=self.plain, port=self.port, status=self.status,
                         echo=echo)
        (self.folder / "large").write_bytes(b"0123456789abcdef" * (LARGE // 16))
        self.asked_by_us = 0

    def requests(self):
        """Requests to the page's ports since the start."""
        connection = http.client.HTTPConnection("127.0.0.1", self.status, timeout=10)
        connection.request("GET", "/")
        text = connection.getresponse().read().decode()
        connection.close()
        self.asked_by_us += 1
        return int(text.splitlines()[2].split()[2]) - self.asked_by_us


class Proxy(Nginx):
    """TLS in front of the upstream with kept connections, and nothing asked."""

    def __init__(self, folder, core, tls, upstream):
        self.port = free_port()
        super().__init__(folder, core, tls, PROXY, port=self.port, upstream=upstream.plain)


class AskingProxy(Nginx):
    """The same with `auth_request` to a responder that says yes to everybody, in the same worker."""

    def __init__(self, folder, core, tls, upstream):
        self.port = free_port()
        super().__init__(folder, core, tls, ASKING_PROXY, port=self.port, responder=free_port(),
                         upstream=upstream.plain)


def page(size):
    """A small chart page of exactly that many bytes, without signs that nginx would read."""
    head = "<!doctype html><html lang=ja><title>chart</title><table>"
    return (head + "<tr><td>BT 36.8<td>BP 118/76<td>SpO2 98" * size)[:size - 8] + "</table>"

"""Bytes on a socket, exactly as given."""

import socket
import ssl

from web import Answer


class Raw:
    """One TLS (or plain) connection to the gateway."""

    def __init__(self, port, ca_file=None, server_name=None, timeout=5):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        if ca_file:
            context = ssl.create_default_context(cafile=ca_file)
            self.socket = context.wrap_socket(self.socket, server_hostname=server_name)
        self.reader = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
        return self

    def head(self):
        """Status and headers of the next answer; None when the peer closed."""
        line = self.reader.readline()
        if not line:
            return None
        status = int(line.split(b" ")[1])
        headers = []
        while (line := self.reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name.strip().lower(), value.strip()))
        return status, headers

    def answer(self, bodyless=False):
        """Status, headers and body of the next answer; `bodyless` if it answers HEAD."""
        got = self.head()
        if got is None:
            return None
        status, headers = got
        fields = dict(headers)
        if bodyless or status in (204, 304):
            body = b""
        elif fields.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.reader.readline(), 16):
                body += self.reader.read(size)
                self.reader.readline()
            assert self.reader.readline() == b"\r\n", "trailers"
        elif "content-length" in fields:
            body = self.reader.read(int(fields["content-length"]))
        else:
            body = b""
        return status, headers, body

    def answers(self):
        """All answers until the peer closes."""
        found = []
        while (answer := self.answer()) is not None:
            found.append(answer)
        return found

    def closed(self):
        """True when the peer has ended the connection."""
        try:
            return self.reader.read(1) == b""
        except (ConnectionError, ssl.SSLError):
            return True

    def close(self):
        self.socket.close()


class Door:
    """Raw requests to one app of a hospital, with somebody's session cookie."""

    def __init__(self, hospital, app, cookie):
        self.hospital, self.cookie = hospital, f"__Host-sk={cookie}"
        self.host = f"{app}.sekimori.localhost"
        self.authority = f"{self.host}:{hospital.https}"
        self.origin = f"https://{self.authority}"

    def open(self):
        return Raw(self.hospital.https, self.hospital.ca, self.host)

    def text(self, line, *headers, body=b"", host=None):
        """A request as bytes. A `Cookie` among the headers stands instead of the session's."""
        lines = [f"{line} HTTP/1.1", f"Host: {host or self.authority}", *headers]
        if not any(header.lower().startswith("cookie:") for header in headers):
            lines.append(f"Cookie: {self.cookie}")
        body = body.encode() if isinstance(body, str) else body
        if body and not any(header.lower().startswith("content-length") for header in headers):
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def ask(self, line, *headers, body=b"", host=None):
        """One request on a connection of its own."""
        return self.exchange(self.text(line, *headers, body=body, host=host), line.startswith("HEAD "))

    def exchange(self, data, bodyless=False):
        raw = self.open()
        try:
            got = raw.send(data).answer(bodyless)
            assert got, f"closed without an answer: {data[:200]}"
            return Answer(*got, self.origin)
        finally:
            raw.close()

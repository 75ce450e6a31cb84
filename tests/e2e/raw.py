"""Bytes on a socket, exactly as given."""

import socket
import ssl


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

    def answer(self):
        """Status, headers and body of the next answer."""
        got = self.head()
        if got is None:
            return None
        status, headers = got
        fields = dict(headers)
        if fields.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.reader.readline(), 16):
                body += self.reader.read(size)
                self.reader.readline()
            self.reader.readline()
        elif "content-length" in fields:
            body = self.reader.read(int(fields["content-length"]))
        else:
            body = b""
        return status, headers, body

    def closed(self):
        """True when the peer has ended the connection."""
        try:
            return self.reader.read(1) == b""
        except (ConnectionError, ssl.SSLError):
            return True

    def close(self):
        self.socket.close()

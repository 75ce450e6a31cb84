"""An upstream that writes down every byte it is sent, and answers as a test tells it to."""

import socket
import threading


class Upstream:
    """A threaded HTTP/1.1 server on 127.0.0.1. `answer(request, connection)` may be replaced, and
    `receive(request, reader)`, which takes the body in before the request counts as seen. With `tls`, an
    `SSLContext`, it speaks that."""

    def __init__(self, answer=None, port=0, tls=None):
        self.requests, self.tls = [], tls
        self.answer = answer or self.plain
        self.receive = Request.take_body
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port = self._listener.getsockname()[1]
        self._open = {}
        threading.Thread(target=self._accept, daemon=True).start()

    @staticmethod
    def plain(request, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")

    def wait_for(self, condition, seconds=5):
        """Waits until `condition(requests)` holds."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self.requests), seconds), \
                f"not seen at the upstream within {seconds} s; seen: {[r.line for r in self.requests]}"

    def has_open(self, clients):
        """Whether a connection of these clients is open."""
        return any(client in clients for client in self._open.values())

    def close(self):
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits to accept, so that nobody more is accepted
        self._listener.close()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open[connection] = connection.getpeername()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if self.tls:
                client = self._open.pop(connection)
                connection = self.tls.wrap_socket(connection, server_side=True)
                self._open[connection] = client
        except OSError:
            return connection.close()
        reader = connection.makefile("rb")
        try:
            while (request := Request.read(reader)) is not None:
                request.client = self._open[connection]
                self.receive(request, reader)
                with self._changed:
                    self.requests.append(request)
                    self._changed.notify_all()
                if self.answer(request, connection) == "close":
                    break
        except OSError:
            pass
        finally:
            self._open.pop(connection, None)
            connection.close()


class Request:
    """One request as it came: `head` are its bytes up to the blank line, `body` what followed, unframed.
    `client` tells one connection from another."""

    def __init__(self, head: bytes):
        self.head, self.body, self.trailers = head, b"", []
        self.client = None
        lines = head.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.method, self.target, self.version = (self.line.split(" ") + ["", ""])[:3]
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:] if line]

    def all(self, name: str) -> list:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str):
        return next(iter(self.all(name)), None)

    @classmethod
    def read(cls, reader):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline()
            if not line:
                return None
            head += line
        return cls(head)

    def take_body(self, reader):
        if (self.get("transfer-encoding") or "").lower() == "chunked":
            while size := int(reader.readline().split(b";")[0], 16):
                self.body += reader.read(size)
                reader.readline()
            while line := reader.readline().strip():
                self.trailers.append(line.decode("latin-1"))
        else:
            self.body = reader.read(int(self.get("content-length") or 0))

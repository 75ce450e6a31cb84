"""WebSockets by hand (RFC 6455): a client that goes through the gateway, and an upstream that echoes."""

import base64
import hashlib
import os
import struct
import threading

from raw import Raw

TEXT, CLOSE = 0x1, 0x8
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept(key):
    return base64.b64encode(hashlib.sha1(key.encode() + MAGIC).digest()).decode()


def frame(opcode, payload, masked):
    """One whole frame of less than 64 KiB."""
    length, masking = len(payload), 0x80 if masked else 0
    head = bytes([0x80 | opcode])
    head += bytes([masking | length]) if length < 126 else struct.pack(">BH", masking | 126, length)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def read_frame(reader):
    """Opcode and payload of the next frame; None when the peer closed without one."""
    head = reader.read(2)
    if len(head) < 2:
        return None
    length = head[1] & 0x7F
    if length == 126:
        length = struct.unpack(">H", reader.read(2))[0]
    mask = reader.read(4) if head[1] & 0x80 else bytes(4)
    payload = reader.read(length)
    return head[0] & 0xF, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


class Echo:
    """An upstream's answer that speaks WebSocket; `codes` are the close codes it was told, None where the
    connection just ended."""

    def __init__(self):
        self.codes = []
        self._changed = threading.Condition()

    def __call__(self, request, connection):
        connection.sendall((f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Accept: {accept(request.get('sec-websocket-key'))}\r\n\r\n").encode())
        reader, code = connection.makefile("rb"), None
        try:
            while (got := read_frame(reader)) is not None:
                opcode, payload = got
                if opcode == CLOSE:
                    code = struct.unpack(">H", payload[:2])[0]
                    break
                connection.sendall(frame(opcode, b"echo " + payload, masked=False))
        except OSError:
            pass
        with self._changed:
            self.codes.append(code)
            self._changed.notify_all()
        return "close"

    def wait_for_end(self, seconds=5):
        with self._changed:
            assert self._changed.wait_for(lambda: self.codes, seconds), "the upstream's socket is still open"
        return self.codes[-1]


class WebSocket:
    """A client's socket at `url`; `status` and `answer` are what the handshake got."""

    def __init__(self, web, host, path, origin):
        self.raw = Raw(web.port, web.ca_file, host)
        key = base64.b64encode(os.urandom(16)).decode()
        cookies = "; ".join(f"{name}={value}" for name, value in web.cookies.get(host, {}).items())
        fields = {"Host": f"{host}:{web.port}", "Connection": "Upgrade", "Upgrade": "websocket",
                  "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key, "Cookie": cookies, "Origin": origin,
                  "Sec-Fetch-Mode": "websocket", "Sec-Fetch-Dest": "websocket", "Sec-Fetch-Site": "same-origin"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
        self.raw.send(f"GET {path} HTTP/1.1\r\n{lines}\r\n")
        self.status, self.headers = self.raw.head()
        assert self.status != 101 or dict(self.headers)["sec-websocket-accept"] == accept(key)

    def say(self, text):
        """Sends a text and gives the answer to it."""
        self.raw.send(frame(TEXT, text.encode(), masked=True))
        opcode, payload = read_frame(self.raw.reader)
        assert opcode == TEXT, (opcode, payload)
        return payload.decode()

    def close_code(self):
        """Waits for the end; the close code that came before it, None if none did."""
        code = None
        while (got := read_frame(self.raw.reader)) is not None:
            if got[0] == CLOSE:
                code = struct.unpack(">H", got[1][:2])[0]
        return code

"""A time server that is as wrong as a test wants it."""

import socket
import struct
import threading
import time


class TimeServer:
    """An NTP server (RFC 5905) that is as wrong as it is told to be."""

    def __init__(self):
        self.ahead, self.head, self.stratum, self.silent = 0.0, 0x24, 2, False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                question, whom = self.socket.recvfrom(512)
            except OSError:
                return
            if self.silent or len(question) != 48 or question[0] != 0x23:
                continue
            now = int((time.time() + self.ahead + 2_208_988_800) * 2**32) % 2**64
            answer = struct.pack(">BBbb", self.head, self.stratum, 6, -20) + bytes(20) + question[40:] + struct.pack(">QQ", now, now)
            self.socket.sendto(answer, whom)

    def settings(self, every="1s"):
        """How a hospital asks it."""
        return {"clock": {"servers": f'["127.0.0.1:{self.port}"]', "check_every": f'"{every}"'}}

    def close(self):
        self.socket.close()

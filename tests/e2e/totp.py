"""What a verification code app does (RFC 6238: SHA-1, six digits, 30 s)."""

import base64
import hashlib
import hmac
import struct


class Totp:
    def __init__(self, key: str):
        """`key` is the seed in base32, as the enrolment page shows it for typing."""
        plain = key.replace(" ", "")
        self.seed = base64.b32decode(plain + "=" * (-len(plain) % 8))

    def at(self, seconds: float) -> str:
        digest = hmac.new(self.seed, struct.pack(">Q", int(seconds) // 30), hashlib.sha1).digest()
        start = digest[-1] & 15
        return f"{(struct.unpack('>I', digest[start:start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"

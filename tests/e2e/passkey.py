"""A software passkey (WebAuthn Level 3, ES256, attestation "none") that can also be made to lie."""

import base64
import hashlib
import json
import os
import struct

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

USER_PRESENT, USER_VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Passkey:
    """One credential. `register` and `sign` take the page's options and give what a browser posts."""

    def __init__(self, origin: str):
        self.origin = origin
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = os.urandom(32)
        self.counter = 0
        self.rp_id = None

    def register(self, options: dict, flags=USER_PRESENT | USER_VERIFIED) -> dict:
        options = options.get("publicKey", options)
        self.rp_id = options["rp"]["id"]
        client = self._client_data("webauthn.create", options["challenge"], self.origin)
        data = self._authenticator_data(self.rp_id, flags | ATTESTED, self._next())
        data += bytes(16) + struct.pack(">H", len(self.id)) + self.id + self._cose_key()
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._credential({
            "clientDataJSON": b64(client),
            "attestationObject": b64(attestation),
            "transports": ["internal"],
        })

    def sign(self, options: dict, *, flags=USER_PRESENT | USER_VERIFIED, counter=None, origin=None,
             rp_id=None, challenge=None, break_signature=False) -> dict:
        options = options.get("publicKey", options)
        client = self._client_data(
            "webauthn.get", challenge or options["challenge"], origin or self.origin)
        counter = self._next() if counter is None else counter
        data = self._authenticator_data(rp_id or options.get("rpId") or self.rp_id, flags, counter)
        signature = self.key.sign(
            data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        if break_signature:
            signature = signature[:-1] + bytes([signature[-1] ^ 1])
        return self._credential({
            "clientDataJSON": b64(client),
            "authenticatorData": b64(data),
            "signature": b64(signature),
            "userHandle": None,
        })

    def _next(self) -> int:
        self.counter += 1
        return self.counter

    def _credential(self, response: dict) -> dict:
        return {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key",
                "response": response, "extensions": {}}

    @staticmethod
    def _client_data(kind: str, challenge: str, origin: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": origin,
                           "crossOrigin": False}).encode()

    @staticmethod
    def _authenticator_data(rp_id: str, flags: int, counter: int) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + struct.pack(">BI", flags, counter)

    def _cose_key(self) -> bytes:
        point = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"),
                            -3: point.y.to_bytes(32, "big")})

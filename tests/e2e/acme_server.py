"""A certificate authority that speaks as much ACME (RFC 8555) as the gateway needs, and looks for itself whether a host
is its client's, by TLS-ALPN-01 (RFC 8737). It believes nothing that isn't signed, and no nonce twice."""

import base64
import datetime
import hashlib
import http.server
import json
import secrets
import socket
import ssl
import threading
import time

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from authority import PEM, Authority, named

ACME_IDENTIFIER = ObjectIdentifier("1.3.6.1.5.5.7.1.31")
DAY = 86_400
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Refused(Exception):
    def __init__(self, kind, detail, status=403):
        super().__init__(detail)
        self.kind, self.detail, self.status = kind, detail, status


def key_of(jwk):
    numbers = [int.from_bytes(unb64(jwk[name])) for name in "xy"]
    return ec.EllipticCurvePublicNumbers(*numbers, ec.SECP256R1()).public_key()


def thumbprint(jwk):
    """RFC 7638."""
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return b64(hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest())


class AcmeServer:
    """`door` is the port at which it looks for hosts. `ahead` gives the seconds by which the client's clock is ahead.
    `misled` makes it expect another proof than the one it asks for; `elsewhere` is where its directory sends clients."""

    def __init__(self, folder, door, ahead=lambda: 0, life=90):
        self.authority = Authority(folder, "acme")
        self.door, self.ahead, self.life = door, ahead, life
        self.misled, self.elsewhere = False, None
        self.accounts, self.orders, self.nonces, self.asked, self.looked = {}, {}, set(), [], []
        self.issued = []
        chain, key, _ = self.authority.issue("acme-host", ["localhost"], ExtendedKeyUsageOID.SERVER_AUTH, until=365)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(chain, key)
        self.port, self._server = 0, None
        self.open()

    @property
    def origin(self):
        return f"https://localhost:{self.port}"

    @property
    def directory(self):
        return f"{self.origin}/directory"

    def open(self):
        acme = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                acme._get(self)

            do_HEAD = do_GET

            def do_POST(self):
                acme._post(self)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def close(self):
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    # Answers

    def _say(self, handler, status, body, *headers, kind="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        nonce = secrets.token_urlsafe(16)
        self.nonces.add(nonce)
        handler.send_response(status)
        for name, value in (("Replay-Nonce", nonce), ("Content-Type", kind), ("Content-Length", str(len(data))), *headers):
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(data)

    def _get(self, handler):
        self.asked.append(handler.path)
        if handler.path == "/directory":
            base = self.elsewhere or self.origin
            self._say(handler, 200, {"newNonce": f"{base}/nonce", "newAccount": f"{base}/accounts",
                                     "newOrder": f"{base}/orders", "revokeCert": f"{base}/no", "keyChange": f"{base}/no"})
        else:
            self._say(handler, 200 if handler.path == "/nonce" else 404, b"")

    def _post(self, handler):
        self.asked.append(handler.path)
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        try:
            account, payload = self._verified(handler, json.loads(body))
            first, *rest = handler.path.strip("/").split("/")
            {"accounts": self._account, "orders": self._order, "authorizations": self._authorization,
             "challenges": self._challenge, "finalize": self._finalize, "certificates": self._certificate,
             }[first](handler, account, payload, *rest)
        except Refused as refused:
            self._say(handler, refused.status, {"type": f"urn:ietf:params:acme:error:{refused.kind}", "detail": refused.detail},
                      kind="application/problem+json")

    def _verified(self, handler, jws):
        header = json.loads(unb64(jws["protected"]))
        if handler.headers["Content-Type"] != "application/jose+json" or header["alg"] != "ES256":
            raise Refused("malformed", "no JWS by ES256", 400)
        if header["url"] != self.origin + handler.path or ("jwk" in header) == ("kid" in header):
            raise Refused("unauthorized", "signed for another address")
        if header["nonce"] not in self.nonces:
            raise Refused("badNonce", "used or unknown", 400)
        self.nonces.remove(header["nonce"])
        jwk = header.get("jwk") or self.accounts.get(header["kid"])
        if not jwk or ("jwk" in header) != (handler.path == "/accounts"):
            raise Refused("accountDoesNotExist", "nobody", 400)
        raw = unb64(jws["signature"])
        signature = utils.encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        try:
            signed = f"{jws['protected']}.{jws['payload']}".encode()
            key_of(jwk).verify(signature, signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Refused("unauthorized", "a wrong signature") from None
        return jwk, json.loads(unb64(jws["payload"])) if jws["payload"] else None

    # What is asked for

    def _account(self, handler, jwk, payload):
        if not payload.get("termsOfServiceAgreed") or not all(c.startswith("mailto:") for c in payload["contact"]):
            raise Refused("userActionRequired", "agree, and say whom to write to")
        place = f"{self.origin}/accounts/{thumbprint(jwk)}"
        self.accounts[place] = jwk
        self._say(handler, 201, {"status": "valid", "contact": payload["contact"]}, ("Location", place))

    def _order(self, handler, jwk, payload, number=None):
        if number is None:
            number = str(len(self.orders))
            self.orders[number] = {"hosts": [i["value"] for i in payload["identifiers"]], "jwk": jwk, "status": "pending",
                                   "proved": {}, "tokens": {}, "chain": None}
            return self._say(handler, 201, self._shown(number), ("Location", f"{self.origin}/orders/{number}"))
        self._say(handler, 200, self._shown(number))

    def _shown(self, number):
        order = self.orders[number]
        shown = {"status": order["status"], "identifiers": [{"type": "dns", "value": host} for host in order["hosts"]],
                 "authorizations": [f"{self.origin}/authorizations/{number}/{host}" for host in order["hosts"]],
                 "finalize": f"{self.origin}/finalize/{number}"}
        return {**shown, "certificate": f"{self.origin}/certificates/{number}"} if order["chain"] else shown

    def _authorization(self, handler, jwk, _payload, number, host):
        order = self.orders[number]
        token = order["tokens"].setdefault(host, secrets.token_urlsafe(32))
        challenge = {"type": "tls-alpn-01", "url": f"{self.origin}/challenges/{number}/{host}", "token": token,
                     "status": order["proved"].get(host, "pending")}
        others = [{"type": kind, "url": f"{self.origin}/no", "token": token, "status": "pending"} for kind in ("http-01", "dns-01")]
        self._say(handler, 200, {"status": order["proved"].get(host, "pending"),
                                 "identifier": {"type": "dns", "value": host}, "challenges": [*others, challenge]})

    def _challenge(self, handler, jwk, _payload, number, host):
        order = self.orders[number]
        token = "another" if self.misled else order["tokens"][host]
        found = self.look(host, hashlib.sha256(f"{token}.{thumbprint(order['jwk'])}".encode()).digest())
        order["proved"][host] = "valid" if found else "invalid"
        if not found:
            order["status"] = "invalid"
        elif order["status"] == "pending" and all(order["proved"].get(name) == "valid" for name in order["hosts"]):
            order["status"] = "ready"
        self._say(handler, 200, {"type": "tls-alpn-01", "url": f"{self.origin}{handler.path}", "token": order["tokens"][host],
                                 "status": order["proved"][host]})

    def look(self, host, digest):
        """RFC 8737 section 3, by a connection of its own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["acme-tls/1"])
        try:
            with socket.create_connection(("127.0.0.1", self.door), 5) as plain:
                with context.wrap_socket(plain, server_hostname=host) as line:
                    protocol, shown = line.selected_alpn_protocol(), x509.load_der_x509_certificate(line.getpeercert(True))
                    after = line.recv(1)
        except (OSError, ssl.SSLError) as error:
            self.looked.append((host, str(error)))
            return False
        names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        proof = shown.extensions.get_extension_for_oid(ACME_IDENTIFIER)
        right = (protocol == "acme-tls/1" and list(names) == [x509.DNSName(host)] and proof.critical and after == b""
                 and proof.value.value == b"\x04\x20" + digest and shown.issuer == shown.subject)
        self.looked.append((host, right))
        return right

    def _finalize(self, handler, jwk, payload, number):
        order = self.orders[number]
        request = x509.load_der_x509_csr(unb64(payload["csr"]))
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if order["status"] != "ready" or jwk != order["jwk"]:
            raise Refused("orderNotReady", "nothing is proved")
        if not request.is_signature_valid or set(names.get_values_for_type(x509.DNSName)) != set(order["hosts"]):
            raise Refused("badCSR", "not what was proved", 400)
        if b64(request.public_key().public_bytes(PEM, _SPKI)) == b64(key_of(jwk).public_bytes(PEM, _SPKI)):
            raise Refused("badCSR", "the account's own key", 400)
        order["chain"] = self._sign(request, order["hosts"])
        order["status"] = "valid"
        self._say(handler, 200, self._shown(number), ("Location", f"{self.origin}/orders/{number}"))

    def _sign(self, request, hosts):
        now = time.time()
        until = now + self.ahead() + self.life * DAY
        certificate = (x509.CertificateBuilder().subject_name(named("acme client")).issuer_name(named("acme"))
                       .public_key(request.public_key()).serial_number(x509.random_serial_number())
                       .not_valid_before(_moment(now - 60)).not_valid_after(_moment(until))
                       .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), False)
                       .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
                       .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.key.public_key()), False)
                       .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
                       .sign(self.authority.key, hashes.SHA256()))
        self.issued.append(certificate)
        return certificate.public_bytes(PEM) + self.authority.certificate.public_bytes(PEM)

    def _certificate(self, handler, jwk, _payload, number):
        self._say(handler, 200, self.orders[number]["chain"], kind="application/pem-certificate-chain")


def _moment(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)

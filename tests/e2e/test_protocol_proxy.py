"""Behind a load balancer: whom a connection is from is its word if it is listed, and nobody else's (H-13, H-23, A8)."""

import ipaddress
import socket
import ssl
import struct

import pytest

from conftest import NURSE
from hospital import DOMAIN, Hospital, wait_until
from raw import Door

BALANCER, OTHER, WARD = "127.0.0.2", "127.0.0.3", "10.9.8.7"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def first(address, port=40000):
    family = "TCP6" if ":" in address else "TCP4"
    here = "::1" if ":" in address else "127.0.0.1"
    return f"PROXY {family} {address} {here} {port} 443\r\n".encode()


def second(address, port=40000, extra=b""):
    packed = ipaddress.ip_address(address).packed
    body = packed + bytes(len(packed)) + struct.pack(">HH", port, 443) + extra
    return SIGNATURE + bytes([0x21, 0x11 if len(packed) == 4 else 0x21]) + struct.pack(">H", len(body)) + body


@pytest.fixture(scope="module")
def behind(tmp_path_factory, recorder):
    """A hospital behind a balancer at 127.0.0.2, whose ward is 10.0.0.0/8 and 2001:db8::/32. 127.0.0.1 is the ward too,
    so that its people can log in."""
    made = Hospital(tmp_path_factory.mktemp("behind"), {"recorder": recorder.port},
                    {"server": {"proxy_protocol_from": f'["{BALANCER}/32"]'},
                     "limits": {"connections_per_address": "8", "header_timeout": '"2s"'}})
    text = made.file.read_text()
    assert '"127.0.0.0/8", "::1/128"' in text
    made.file.write_text(text.replace('"127.0.0.0/8", "::1/128"', '"127.0.0.1/32", "10.0.0.0/8", "2001:db8::/32"'))
    made.prepare().start().open_desk()
    made.nurse = made.hire(NURSE)
    made.nurse.login(f"https://recorder.{DOMAIN}:{made.https}/")
    yield made
    made.stop()


class Line:
    """A connection that begins with `header`, in the clear."""

    def __init__(self, hospital, header, source=BALANCER, port=None, secure=True):
        plain = socket.create_connection(("127.0.0.1", port or hospital.https), 5, (source, 0))
        plain.sendall(header)
        if secure:
            plain = ssl.create_default_context(cafile=hospital.ca).wrap_socket(
                plain, server_hostname=f"recorder.{DOMAIN}")
        self.socket = plain

    def ask(self, text):
        self.socket.sendall(text)
        reader = self.socket.makefile("rb")
        status = int(reader.readline().split()[1])
        headers = {}
        while (line := reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, headers


def door_of(behind):
    return Door(behind, "recorder", behind.nurse.cookie("recorder"))


@pytest.mark.parametrize("header, address, zone, status", [
    (first(WARD), WARD, "ward", 200),
    (second(WARD), WARD, "ward", 200),
    (second(WARD, extra=b"\x04\x00\x10" + bytes(16)), WARD, "ward", 200),
    (first("2001:db8::5"), "2001:db8::5", "ward", 200),
    (second("2001:db8::5"), "2001:db8::5", "ward", 200),
    (second("::ffff:10.9.8.7"), WARD, "ward", 200),
    (first("192.168.1.1"), "192.168.1.1", "unknown", 403),
    # What the balancer asks for itself comes from where it is.
    (SIGNATURE + b"\x20\x00\x00\x00", BALANCER, "unknown", 403),
    (b"PROXY UNKNOWN\r\n", BALANCER, "unknown", 403),
])
def test_req_h13_a_listed_balancers_word_is_the_clients_address(header, address, zone, status, behind, seen):
    got, headers = Line(behind, header).ask(door_of(behind).text("GET /pages/a", "X-Forwarded-For: 10.1.1.1"))
    assert got == status
    (record,) = [r for r in behind.records() if r.get("request") == headers["x-request-id"]]
    assert (record["from"]["address"], record["from"]["zone"]) == (address, zone)
    node = f'"[{address}]"' if ":" in address else address
    expected = [(address, f"for={node};proto=https")] if status == 200 else []
    assert [(r.get("x-forwarded-for"), r.get("forwarded")) for r in seen.requests] == expected


@pytest.mark.parametrize("header", [
    b"",
    b"PROXY TCP4 10.9.8.7\r\n",
    b"PROXY TCP4 10.9.8.7 127.0.0.1 40000 443\n\r\n",
    b"PROXY UDP4 10.9.8.7 127.0.0.1 40000 443\r\n",
    SIGNATURE + b"\x21\x11\x00\x04\x0a\x09\x08\x07",
    SIGNATURE + b"\x21\x31\x00\x00",
    b"GET / HTTP/1.1\r\n\r\n",
])
@pytest.mark.parametrize("secure", [True, False])
def test_req_h13_from_a_listed_balancer_the_header_must_be_there(header, secure, behind, seen):
    before = behind.records()[-1]["seq"]
    with pytest.raises((ssl.SSLError, ConnectionError)):
        line = Line(behind, header, port=None if secure else behind.http, secure=secure)
        line.socket.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        if line.socket.recv(1) == b"":
            raise ConnectionError
    found = wait_until(lambda: [r for r in behind.records("edge.malformed") if r["seq"] > before], "it is on record")
    assert found[-1]["why"]["reason"] == "proxy-header" and found[-1]["from"]["address"] == BALANCER
    assert seen.requests == []


def test_req_h23_a_header_that_does_not_come_is_closed(behind):
    before = behind.records()[-1]["seq"]
    slow = socket.create_connection(("127.0.0.1", behind.https), 5, (BALANCER, 0))
    slow.sendall(b"PROXY TCP4 10.")
    slow.settimeout(6)
    assert slow.recv(1) == b""
    assert wait_until(lambda: [r for r in behind.records("edge.malformed") if r["seq"] > before], "it is on record")


@pytest.mark.parametrize("header", [first(WARD), second(WARD)])
@pytest.mark.parametrize("source", [OTHER, "127.0.0.1"])
def test_req_h13_and_atk_a08_from_anywhere_else_no_header_is_believed(header, source, behind, seen):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Line(behind, header, source=source)
    # On the plain port it is no HTTP either.
    plain = Line(behind, header, source=source, port=behind.http, secure=False).socket
    plain.sendall(b"GET / HTTP/1.1\r\nHost: recorder.sekimori.localhost\r\n\r\n")
    assert b" 308 " not in plain.makefile("rb").read()
    assert seen.requests == []


def test_the_plain_port_redirects_whoever_the_balancer_introduces(behind):
    line = Line(behind, first(WARD), port=behind.http, secure=False)
    status, headers = line.ask(f"GET /a HTTP/1.1\r\nHost: recorder.{DOMAIN}\r\n\r\n".encode())
    assert (status, headers["location"]) == (308, f"https://recorder.{DOMAIN}:{behind.https}/a")


def test_req_h23_connections_are_counted_by_whom_they_are_from(behind, seen):
    text = door_of(behind).text("GET /pages/a")
    held = [Line(behind, first("10.0.0.1")) for _ in range(8)]
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Line(behind, first("10.0.0.1"))
    others = [Line(behind, second(f"10.0.0.{n}")).ask(text)[0] for n in range(2, 12)]
    assert others == [200] * 10
    assert {line.ask(text)[0] for line in held} == {200}


def test_the_header_comes_before_http_2_too(behind, seen):
    from http2 import Door2, Http2

    two = Door2(door_of(behind))

    class Introduced(ssl.SSLContext):
        """Says the header before the handshake."""

        def wrap_socket(self, sock, **more):
            sock.sendall(second(WARD))
            return super().wrap_socket(sock, **more)

    context = Introduced(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(behind.ca)
    line = Http2(behind.https, behind.ca, f"recorder.{DOMAIN}", address=BALANCER, context=context)
    assert line.send(line.head(1, two.fields("GET /pages/a"))).answer(1).status == 200
    assert seen.requests[0].get("x-forwarded-for") == WARD

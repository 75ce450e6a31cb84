"""HTTP/2 to clients, frame by frame: the stages see one reading of every request, and nobody takes more of the
gateway than its limits give (H-08, H-10 … H-12, H-23, H-26, H-27, H-33; A7, A13, A14)."""

import hashlib
import os
import signal
import socket
import ssl
import threading
import time

import pytest
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, PingFrame, SettingsFrame

from conftest import NURSE
from hospital import DOMAIN, Hospital, wait_until
from http2 import (
    CALM,
    CANCEL,
    CONNECT_PROTOCOL,
    MAX_STREAMS,
    PREFACE,
    PROTOCOL,
    REFUSED,
    WINDOW,
    Door2,
    Http2,
)
from raw import Door
from web import Answer

MIB = 1 << 20


@pytest.fixture()
def two(door):
    return Door2(door)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory, recorder):
    """A hospital without patience, whose nurse is logged in."""
    made = Hospital(tmp_path_factory.mktemp("hasty"), {"recorder": recorder.port},
                    {"limits": {"header_timeout": '"1s"', "idle_timeout": '"2s"'}})
    made.prepare().start().open_desk()
    made.nurse = made.hire(NURSE)
    made.nurse.login(f"https://recorder.{DOMAIN}:{made.https}/")
    yield made
    made.stop()


@pytest.fixture()
def hurried(hasty, seen):
    return Door2(Door(hasty, "recorder", hasty.nurse.cookie("recorder")))


def last_seq(hospital):
    return hospital.records()[-1]["seq"]


def since(hospital, seq, event):
    return [record for record in hospital.records(event) if record["seq"] > seq]


def close_of(hospital, seq):
    return wait_until(lambda: since(hospital, seq, "request.close"), "the end is on record")[0]


# One reading


def test_req_h11_a_request_over_http_2_reaches_the_upstream_as_http_1_1_with_the_same_bytes(two, seen):
    body = os.urandom(1000)
    answer = two.ask("POST /write/a%20b?c=%zz&d", ("x-one", "1"), ("x-one", "2"), ("x-latin", "caf\xe9"),
                     ("accept", "*/*"), ("content-length", "1000"), body=body)
    assert (answer.status, answer.body) == (200, b"ok")
    (request,) = seen.requests
    assert request.line == "POST /write/a%20b?c=%zz&d HTTP/1.1" and request.body == body
    assert request.all("x-one") == ["1", "2"] and request.get("x-latin") == "caf\xe9"
    assert request.all("host") == [two.authority] == [request.get("x-forwarded-host")]
    assert request.get("content-length") == "1000" and request.get("transfer-encoding") is None
    assert all(not name.startswith(":") for name, _ in request.headers)
    assert request.get("via").startswith("2.0 ")


MALFORMED = {
    "Connection": [("connection", "close")],
    "Connection naming ours": [("connection", "sekimori-assertion")],
    "Keep-Alive": [("keep-alive", "timeout=5")],
    "Proxy-Connection": [("proxy-connection", "keep-alive")],
    "Transfer-Encoding": [("transfer-encoding", "chunked")],
    "Upgrade": [("upgrade", "h2c")],
    "Upgrade to WebSocket": [("upgrade", "websocket"), ("sec-websocket-version", "13")],
    "TE that isn't trailers": [("te", "gzip")],
    "a late pseudo-header field": [("x", "1"), (":path", "/forbidden")],
    "two paths": [(":path", "/forbidden")],
    "two methods": [(":method", "POST")],
    "two schemes": [(":scheme", "https")],
    "two authorities": [(":authority", "chart.sekimori.localhost")],
    "a pseudo-header field of answers": [(":status", "200")],
    "a length of another body": [("content-length", "5")],
    "unequal lengths": [("content-length", "0"), ("content-length", "5")],
    "a signed length": [("content-length", "+0")],
    "a length that isn't one": [("content-length", "0x0")],
    "a length of 2^64": [("content-length", "18446744073709551616")],
}
# What no field can be ends the connection: its header compression can't be relied on any more.
IMPOSSIBLE = {
    "upper case in a name": [("X-Upper", "1")],
    "a space in a name": [("x y", "1")],
    "a colon in a name": [("x:y", "1")],
    "a line end in a name": [("x\r\ny", "1")],
    "no name": [("", "1")],
    "a line end in a value": [("x", "1\r\nremote-user: root")],
    "a bare CR": [("x", "1\rremote-user: root")],
    "a bare LF": [("x", "1\nremote-user: root")],
    "NUL": [("x", "a\0b")],
    "DEL": [("x", "a\x7fb")],
    "an unknown pseudo-header field": [(":proto", "x")],
}


def refused_on_record(hospital, before, again, reason="http2-protocol"):
    """What strangers cause is written a few times a second, and else counted: it is sent again until it is written."""
    records = wait_until(lambda: since(hospital, before, "edge.malformed") or (again(), [])[1], "it is on record", 12)
    assert {record["why"]["reason"] for record in records} == {reason}
    assert {record["from"]["address"] for record in records} == {"127.0.0.1"}


@pytest.mark.parametrize("name", MALFORMED)
def test_req_h11_what_is_malformed_is_a_stream_error_on_record_and_its_neighbours_live(name, hospital, two, seen):
    before = last_seq(hospital)
    line = two.open()
    assert line.send(line.head(1, two.fields("GET /pages/a") + MALFORMED[name])).answer(1) == PROTOCOL
    assert line.send(line.head(3, two.fields("GET /pages/after"))).answer(3).status == 200
    assert line.away is None
    line.close()
    assert [request.target for request in seen.requests] == ["/pages/after"]
    refused_on_record(hospital, before, lambda: two.wrong(two.fields("GET /pages/a") + MALFORMED[name]))


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_req_h11_what_no_field_can_be_ends_the_connection_and_is_on_record(name, hospital, two, seen):
    before = last_seq(hospital)
    assert two.wrong(two.fields("GET /pages/a") + IMPOSSIBLE[name]) == PROTOCOL
    assert seen.requests == []
    refused_on_record(hospital, before, lambda: two.wrong(two.fields("GET /pages/a") + IMPOSSIBLE[name]))


@pytest.mark.parametrize("missing", [":method", ":scheme", ":path"])
def test_req_h11_a_request_has_all_its_pseudo_header_fields(missing, two, seen):
    fields = [field for field in two.fields("GET /pages/a") if field[0] != missing]
    assert two.wrong(fields) == PROTOCOL
    assert two.wrong([(n, "" if n == missing else v) for n, v in two.fields("GET /pages/a")]) in (PROTOCOL, 400, 405)
    assert seen.requests == []


@pytest.mark.parametrize("parts", [[b"abcdef"], [b"abc", b"def"], [b"abc"], [b""]])
def test_req_h11_a_body_that_is_not_as_long_as_it_said_is_no_request(parts, hospital, two, seen):
    """What is too long or too short is found when it comes; the upstream never gets a whole request of it."""
    before = last_seq(hospital)
    whole = []

    def receive(request, reader):
        request.body = reader.read(5)
        whole.append(len(request.body) == 5)

    seen.receive = receive
    line = two.open()
    line.send(line.head(1, two.fields("POST /write/a") + [("content-length", "5")], end=False))
    line.send(*[line.data(1, part, end=part is parts[-1]) for part in parts])
    got = line.answer(1)
    assert got == PROTOCOL or (isinstance(got, Answer) and got.status == 502), got
    line.close()
    if since(hospital, before, "request.open"):
        assert close_of(hospital, before)["outcome"] in ("aborted", "failed")
    assert not any(whole)


def frame(kind, stream, payload=b"", flags=0):
    """A frame of any kind, whether there is such a kind or not."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK, PADDED, PRIORITIZED = 0x1, 0x4, 0x1, 0x8, 0x20

# Frames where or as none may be (RFC 9113 5.1, 6): what follows them can't be read with any certainty.
OUT_OF_PLACE = {
    "DATA before any request": lambda head: frame(DATA, 3, b"x"),
    "DATA of the connection": lambda head: frame(DATA, 0, b"x"),
    "a request of the connection": lambda head: frame(HEADERS, 0, head, END_STREAM | END_HEADERS),
    "a request with a number of ours": lambda head: frame(HEADERS, 2, head, END_STREAM | END_HEADERS),
    "a request numbered backwards": lambda head: frame(HEADERS, 5, head, END_STREAM | END_HEADERS)
    + frame(HEADERS, 3, head, END_STREAM | END_HEADERS),
    "CONTINUATION of nothing": lambda head: frame(CONTINUATION, 3, head, END_HEADERS),
    "something amid a head": lambda head: frame(HEADERS, 3, head[:4], END_STREAM) + frame(PING, 0, bytes(8)),
    "another's CONTINUATION": lambda head: frame(HEADERS, 3, head[:4], END_STREAM) + frame(CONTINUATION, 5, head[4:], END_HEADERS),
    "a head that is padding alone": lambda head: frame(HEADERS, 3, b"\xff" + head, END_STREAM | END_HEADERS | PADDED),
    "compression that is none": lambda head: frame(HEADERS, 3, b"\xff\xff\xff\xff\xff", END_STREAM | END_HEADERS),
    "a table beyond its bound": lambda head: frame(HEADERS, 3, b"\x3f\xe1\xff\xff\x03" + head, END_STREAM | END_HEADERS),
    "PUSH_PROMISE of a client": lambda head: frame(PUSH_PROMISE, 3, (2).to_bytes(4, "big") + head, END_HEADERS),
    "a reset of nothing": lambda head: frame(RST_STREAM, 3, bytes(4)),
    "a reset of the connection": lambda head: frame(RST_STREAM, 0, bytes(4)),
    "a short reset": lambda head: frame(HEADERS, 3, head, END_HEADERS) + frame(RST_STREAM, 3, bytes(3)),
    "SETTINGS of a stream": lambda head: frame(SETTINGS, 3),
    "SETTINGS of a length that is none": lambda head: frame(SETTINGS, 0, bytes(5)),
    "SETTINGS agreed to with settings": lambda head: frame(SETTINGS, 0, bytes(6), ACK),
    "a window beyond its bound": lambda head: frame(SETTINGS, 0, b"\0\x04\x80\0\0\0"),
    "a frame size below its bound": lambda head: frame(SETTINGS, 0, b"\0\x05\0\0\0\x01"),
    "a push that is neither yes nor no": lambda head: frame(SETTINGS, 0, b"\0\x02\0\0\0\x02"),
    "PING of a stream": lambda head: frame(PING, 3, bytes(8)),
    "a short PING": lambda head: frame(PING, 0, bytes(7)),
    "GOAWAY of a stream": lambda head: frame(GOAWAY, 3, bytes(8)),
    "no more window": lambda head: frame(WINDOW_UPDATE, 0, bytes(4)),
    "a short window": lambda head: frame(WINDOW_UPDATE, 0, bytes(3)),
    "more window than there is": lambda head: frame(WINDOW_UPDATE, 0, b"\x7f\xff\xff\xff"),
    "a window of nothing": lambda head: frame(WINDOW_UPDATE, 3, b"\0\0\0\x01"),
    "a frame beyond its bound": lambda head: frame(DATA, 0, bytes(16385)),
}


@pytest.mark.parametrize("name", OUT_OF_PLACE)
def test_req_h11_a_frame_that_is_out_of_place_ends_the_connection(name, two, seen):
    line = two.open().until_settled()
    head = line.block(two.fields("GET /pages/out-of-place"))
    line.raw(OUT_OF_PLACE[name](head))
    code = line.end()
    assert code not in (None, 0), f"closed with {code}"
    # One that was whole before it may have been asked; never what came with or after it.
    assert len(seen.requests) <= ("backwards" in name or "short reset" in name)
    assert two.ask("GET /pages/a").status == 200


@pytest.mark.parametrize("frames", [
    frame(0xFA, 0, b"whatever"), frame(0xFA, 1, b"whatever"), frame(SETTINGS, 0, b"\xaa\xaa\0\0\0\x01"),
    frame(PRIORITY, 1, b"\0\0\0\0\x0f"), frame(PING, 0, bytes(8), 0xFE & ~ACK),
])
def test_req_h11_what_must_be_ignored_is_ignored(frames, two, seen):
    line = two.open().until_settled()
    assert line.raw(frames).send(line.head(1, two.fields("GET /pages/a"))).answer(1).status == 200
    assert line.away is None and len(seen.requests) == 1


@pytest.mark.parametrize("fields, status", [
    # (pseudo-header fields changed, more fields) and what they get
    (({}, [("host", "{a}")]), 200),
    (({":authority": "{A}"}, []), 200),
    (({}, [("host", "chart.sekimori.localhost:{p}")]), 400),
    (({}, [("host", "{a}"), ("host", "{a}")]), 400),
    (({}, [("host", "")]), 400),
    (({}, [("host", "{h}:1")]), 400),
    (({":authority": None}, []), 400),
    (({":authority": None}, [("host", "{a}")]), 400),
    (({":authority": "user@{a}"}, []), 400),
    (({":authority": "evil.example"}, []), 421),
    (({":authority": "nowhere.sekimori.localhost:{p}"}, []), 421),
    (({":authority": "{h}:1"}, []), 421),
    (({":authority": "{h}.:{p}"}, []), 421),
    (({":authority": "127.0.0.1:{p}"}, []), 421),
    (({":scheme": "http"}, []), 400),
    (({":scheme": "ftp"}, []), 400),
    (({":path": "pages/a"}, []), PROTOCOL),
    (({":path": "*"}, []), 400),
    (({":path": "?x"}, []), 400),
    (({":path": "https://{a}/pages/a"}, []), PROTOCOL),
    (({":path": "//{a}/pages/a"}, []), 400),
    (({":path": "/pages/../forbidden"}, []), 400),
    (({":path": "/pages/%2e%2e/forbidden"}, []), 400),
])
def test_req_h08_and_atk_a07_a14_authority_names_one_host_of_ours_and_the_path_is_one(fields, status, hospital, two, seen):
    def fill(text):
        return (text.replace("{a}", two.authority).replace("{A}", two.authority.replace("recorder", "Recorder"))
                .replace("{h}", two.host).replace("{p}", str(hospital.https)))

    changed, more = fields
    asked = [(name, fill(changed.get(name, value))) for name, value in two.fields("GET /pages/a")
             if changed.get(name, value) is not None]
    assert two.wrong(asked + [(name, fill(value)) for name, value in more]) == status
    assert [request.all("host") for request in seen.requests] == ([[two.authority]] if status == 200 else [])


@pytest.mark.parametrize("path", ["/pages/a b", "/pages/a\r\nX: y", "/pages/a\nb", "/pages/a\tb", "/pages/a\0b", "/pages/a HTTP/1.1\r\nremote-user: root\r\n\r\n"])
def test_req_h12_no_path_becomes_a_second_line(path, two, seen):
    assert two.wrong(two.fields("GET " + path)) in (PROTOCOL, 400)
    assert seen.requests == []


@pytest.mark.parametrize("field", [("x", " a"), ("x", "a "), ("x", "\ta"), ("x", "a\t"), ("origin", " https://x")])
def test_req_h12_a_value_that_http_1_1_could_not_say_is_refused(field, two, seen):
    assert two.wrong(two.fields("GET /pages/a") + [field]) == 400
    assert seen.requests == []


def test_req_h12_equal_lengths_are_not_said_twice(two, seen):
    assert two.ask("POST /write/a", ("content-length", "2"), ("content-length", "2"), body=b"ab").status == 400
    assert seen.requests == []


def test_req_h11_the_crumbs_of_a_cookie_are_one(two, seen):
    session = two.door.cookie
    crumbs = [("cookie", "x=1"), ("cookie", session), ("cookie", "theme=dark"), ("cookie", "theme2=a")]
    assert two.ask("GET /pages/a", *crumbs, cookie=False).status == 200
    assert seen.requests[0].all("cookie") == ["theme=dark"]
    # Two sessions in two crumbs are as ambiguous as in one field.
    assert two.ask("GET /pages/a", ("cookie", session), ("cookie", session), cookie=False).status == 401


def test_atk_a10_no_header_that_speaks_for_us_gets_through_http_2(two, seen):
    forged = ["sekimori-assertion", "remote-user", "x-forwarded-for", "forwarded", "x_forwarded_user", "x-real-ip",
              "client-cert", "x-original-url", "x-http-method-override", "early-data", "authorization"]
    assert two.ask("GET /pages/a", *[(name, "evil") for name in forged]).status == 200
    assert not any("evil" in value for _, value in seen.requests[0].headers)
    assert seen.requests[0].all("remote-user") == ["000102"]


def test_req_h10_trailers_stay_behind_in_both_directions_of_http_2(two, seen):
    def with_trailer(request, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-After\r\n\r\n"
                           b"2\r\nok\r\n0\r\nX-After: 1\r\nSet-Cookie: __Host-sk=evil\r\n\r\n")

    seen.answer = with_trailer
    line = two.open()
    line.send(line.head(1, two.fields("POST /write/a", ("te", "trailers")), end=False), line.data(1, b"abc", end=False),
              line.head(1, [("remote-user", "root"), ("sekimori-assertion", "x")]))
    answer = line.answer(1)
    assert (answer.status, answer.body, line.trailers) == (200, b"ok", {})
    (request,) = seen.requests
    assert (request.body, request.trailers, request.all("remote-user")) == (b"abc", [], ["000102"])
    # What poses as another request's head is a trailer too.
    line.send(line.head(3, two.fields("POST /write/b"), end=False), line.head(3, [(":path", "/forbidden"), ("x", "1")]))
    line.answer(3)
    assert [request.target for request in seen.requests] == ["/write/a", "/write/b"]
    assert seen.requests[1].get("x") is None


# What isn't offered


def test_req_h26_connect_and_extended_connect_are_not_offered(two, seen):
    line = two.open()
    line.until_settled()
    assert CONNECT_PROTOCOL not in line.settings
    websocket = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/ws"),
                 (":authority", two.authority), ("sec-websocket-version", "13"), ("cookie", two.door.cookie),
                 ("origin", two.origin)]
    assert line.send(line.head(1, websocket, end=False)).answer(1) == PROTOCOL
    tunnel = [(":method", "CONNECT"), (":authority", two.authority), ("cookie", two.door.cookie)]
    assert line.send(line.head(3, tunnel, end=False)).answer(3).status in (400, 405)
    assert line.send(line.head(5, two.fields("GET /ws", ("sec-websocket-version", "13"), ("origin", two.origin),
                                             ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")))).answer(5).status == 200
    assert [(request.line, request.get("upgrade")) for request in seen.requests] == [("GET /ws HTTP/1.1", None)]


@pytest.mark.parametrize("method, status", [("TRACE", 405), ("BREW", 405), ("get", 405), ("DELETE", 405), ("OPTIONS", 405)])
def test_req_h09_methods_are_the_same_over_http_2(method, status, two, seen):
    assert two.ask(f"{method} /pages/a").status == status
    assert seen.requests == []


def test_the_protocol_is_chosen_by_alpn_and_a_client_without_http_is_no_client(hospital, two):
    def agreed(*offered):
        context = ssl.create_default_context(cafile=hospital.ca)
        if offered:
            context.set_alpn_protocols(offered)
        with socket.create_connection(("127.0.0.1", hospital.https), 5) as plain:
            with context.wrap_socket(plain, server_hostname=two.host) as secure:
                return secure.selected_alpn_protocol()

    assert agreed("h2", "http/1.1") == agreed("http/1.1", "h2") == agreed("h2") == "h2"
    assert agreed("http/1.1") == "http/1.1" and agreed() is None
    with pytest.raises(ssl.SSLError):
        agreed("h3")


def test_what_was_agreed_is_what_is_spoken(hospital, two):
    before = last_seq(hospital)

    def speak():
        line = Http2(hospital.https, hospital.ca, two.host, greet=False, take=False)
        line.raw(b"GET /pages/a HTTP/1.1\r\nHost: " + two.authority.encode() + b"\r\n\r\n").end()
        assert line.heads == {}

    speak()
    refused_on_record(hospital, before, speak, "http2-preface")


# Answers


def test_req_h01_answers_over_http_2_have_no_connection_fields(two, seen):
    def hop_by_hop(request, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: X-Foo, keep-alive\r\nX-Foo: 1\r\nKeep-Alive: timeout=9\r\n"
                           b"Proxy-Connection: keep-alive\r\nUpgrade: foo/2\r\nX-Kept: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
                           b"2\r\nok\r\n0\r\n\r\n")

    seen.answer = hop_by_hop
    for answer in (two.ask("GET /pages/a"), two.ask("GET /pages/../a"), two.ask("GET /forbidden"),
                   two.ask("GET /pages/a", authority="evil.example")):
        names = {name for name, _ in answer.headers}
        assert not names & {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te", "x-foo"}
        assert all(name == name.lower() for name in names)


@pytest.mark.parametrize("line, text", [
    ("HEAD /pages/a", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    ("GET /pages/a", "HTTP/1.1 204 No Content\r\n\r\n"),
    ("GET /pages/a", 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "x"\r\n\r\n'),
])
def test_req_h20_head_204_and_304_have_no_body_over_http_2(line, text, two, seen):
    seen.answer = lambda request, connection: connection.sendall(text.encode())
    answer = two.ask(line)
    assert (answer.status, answer.body) == (int(text.split()[1]), b"")


@pytest.mark.parametrize("text", ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
                                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"])
def test_req_h20_a_body_that_breaks_off_is_a_reset_and_not_an_end(text, hospital, two, seen):
    def half(request, connection):
        connection.sendall(text.encode())
        return "close"

    before = last_seq(hospital)
    seen.answer = half
    line = two.open()
    got = line.send(line.head(1, two.fields("POST /write/a"))).answer(1)
    # The reset may overtake the head.
    assert isinstance(got, int) and (1 not in line.heads or line.heads[1][0] == (":status", "200")), got
    assert close_of(hospital, before)["outcome"] == "aborted"
    seen.answer = seen.plain
    assert line.send(line.head(3, two.fields("GET /pages/b"))).answer(3).body == b"ok"


def test_many_requests_share_one_connection_and_each_gets_its_own_answer(two, seen):
    def echo(request, connection):
        body = request.target.encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    seen.answer = echo
    line = two.open()
    streams = range(1, 201, 2)
    line.send(*[line.head(stream, two.fields(f"GET /pages/{stream}")) for stream in streams])
    for stream in streams:
        answer = line.answer(stream)
        assert (answer.status, answer.body) == (200, b"/pages/%d" % stream)
    assert len({answer for answer in (request.get("x-request-id") for request in seen.requests)}) == 100


def test_one_slow_answer_holds_up_none_of_its_neighbours(two, seen):
    gate = threading.Event()

    def slow(request, connection):
        if request.target == "/pages/slow":
            gate.wait(10)
        seen.plain(request, connection)

    seen.answer = slow
    line = two.open()
    line.send(line.head(1, two.fields("GET /pages/slow")), line.head(3, two.fields("GET /pages/quick")))
    assert line.answer(3).status == 200 and 1 not in line.ended
    gate.set()
    assert line.answer(1).status == 200


def test_a_client_of_another_make_speaks_with_it(hospital, two, seen):
    """The library h2 keeps its own account of states and windows, and complains of a peer that breaks the rules."""
    import h2.connection
    import h2.events

    body, answer = os.urandom(3 * MIB), os.urandom(3 * MIB)
    seen.answer = lambda request, connection: connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
    peer = h2.connection.H2Connection()
    context = ssl.create_default_context(cafile=hospital.ca)
    context.set_alpn_protocols(["h2"])
    got, status, ended = b"", None, False
    with context.wrap_socket(socket.create_connection(("127.0.0.1", hospital.https), 10), server_hostname=two.host) as line:
        peer.initiate_connection()
        peer.send_headers(1, two.fields("PUT /write/a"))
        sent = 0
        while not ended:
            while sent < len(body) and (room := min(peer.local_flow_control_window(1), peer.max_outbound_frame_size)):
                peer.send_data(1, body[sent:sent + room], end_stream=sent + room >= len(body))
                sent += room
            line.sendall(peer.data_to_send())
            for event in peer.receive_data(line.recv(65536)):
                if isinstance(event, h2.events.ResponseReceived):
                    status = dict(event.headers)[b":status"]
                elif isinstance(event, h2.events.DataReceived):
                    got += event.data
                    peer.acknowledge_received_data(event.flow_controlled_length, 1)
                ended = ended or isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated))
    assert (status, got == answer, seen.requests[0].body == body) == (b"200", True, True)


def test_the_portal_speaks_http_2_too(hospital, two):
    line = Http2(hospital.https, hospital.ca, f"auth.{DOMAIN}")
    page = [(":method", "GET"), (":scheme", "https"), (":authority", f"auth.{DOMAIN}:{hospital.https}"), (":path", "/login"),
            ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("accept-language", "en")]
    answer = line.send(line.head(1, page)).answer(1)
    assert answer.status == 200 and "<form" in answer.text


# Flow


def settled(count):
    last = [count(), time.monotonic()]

    def still():
        if (now := count()) != last[0]:
            last[:] = [now, time.monotonic()]
        return time.monotonic() - last[1] > 0.33

    wait_until(still, "it stalls", 20)
    return count()


def test_req_h33_an_upload_over_http_2_streams_and_a_slow_upstream_closes_the_window(hospital, two, seen):
    size, frame = 32 * MIB, 16 * 1024
    gate, got, expected = threading.Event(), hashlib.sha256(), hashlib.sha256()

    def slow(request, reader):
        gate.wait(20)
        for _ in range(size // MIB):
            got.update(reader.read(MIB))

    seen.receive = slow
    before = last_seq(hospital)
    line = two.open()
    line.until_settled()
    windows = {0: 65535, 1: line.settings[WINDOW]}
    line.send(line.head(1, two.fields("PUT /write/large", ("content-length", str(size))), end=False))
    sent, block = 0, os.urandom(frame)
    stalled = []
    while sent < size:
        while min(windows[s] + line.windows.get(s, 0) for s in windows) < frame:
            if not gate.is_set():
                try:
                    line.next(0.5)
                except TimeoutError:
                    stalled.append(sent)
                    gate.set()
            else:
                line.next()
        line.send(line.data(1, block, end=sent + frame == size))
        expected.update(block)
        sent += frame
        for s in windows:
            windows[s] -= frame
    assert line.answer(1, 20).status == 200
    assert got.digest() == expected.digest()
    # Its own windows and the kernel's buffers, and no more.
    assert stalled and stalled[0] < 12 * MIB, stalled
    close = close_of(hospital, before)
    assert (close["outcome"], close["detail"]["bytes_in"]) == ("ok", size)


def test_req_h33_a_client_that_leaves_no_window_stops_the_upstream(two, seen):
    sent, size = [0], 64

    def large(request, connection):
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size * MIB}\r\n\r\n".encode())
        for _ in range(size):
            connection.sendall(bytes(MIB))
            sent[0] += 1

    seen.answer = large
    line = two.open(take=False)
    line.send(line.head(1, two.fields("GET /pages/large")))
    assert line.begun(1)
    assert settled(lambda: sent[0]) < 16
    line.take = line.gives_room = True
    line.send(line.window(0, 2 * MIB), line.window(1, 2 * MIB))
    answer = line.answer(1, 30)
    assert len(answer.body) == size * MIB


def test_a_client_that_takes_a_request_back_ends_it_at_the_upstream_and_on_record(hospital, two, seen):
    closed, asked = threading.Event(), threading.Event()

    def endless(request, connection):
        asked.set()
        if request.target != "/write/head":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx")
        assert connection.recv(10) == b""
        closed.set()
        return "close"

    seen.answer = endless
    line = two.open()
    for stream, target in ((1, "/write/head"), (3, "/write/body")):
        before = last_seq(hospital)
        asked.clear(), closed.clear()
        line.send(line.head(stream, two.fields(f"POST {target}")))
        assert asked.wait(5)
        if stream == 3:
            assert line.begun(3)
        line.send(line.reset(stream))
        assert closed.wait(2), "the upstream's connection is closed"
        assert close_of(hospital, before)["outcome"] == "aborted"
    seen.answer = seen.plain
    assert line.send(line.head(5, two.fields("GET /pages/a"))).answer(5).status == 200


def test_an_upload_taken_back_is_no_whole_request(hospital, two, seen):
    read = []

    def receive(request, reader):
        read.append(reader.read(10))

    seen.receive = receive
    before = last_seq(hospital)
    line = two.open()
    line.send(line.head(1, two.fields("PUT /write/a", ("content-length", "10")), end=False), line.data(1, b"12345", end=False))
    wait_until(lambda: since(hospital, before, "request.open"), "it is on record")
    line.send(line.reset(1))
    assert close_of(hospital, before)["outcome"] in ("aborted", "failed")
    wait_until(lambda: read, "the upstream's connection is closed")
    assert len(read[0]) < 10


def test_req_h27_a_lock_resets_streams_of_http_2_within_a_second_and_the_connection_lives(hospital, nurse, seen):
    two, closed = Door2(Door(hospital, "recorder", nurse.cookie("recorder"))), threading.Event()

    def open_end(request, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        connection.recv(100)
        closed.set()
        return "close"

    seen.answer = open_end
    line = two.open()
    line.send(line.head(1, two.fields("GET /stream")))
    line.until(lambda: b"data: 1" in line.bodies.get(1, b""), "the first event")
    page = nurse.web.open(hospital.origin() + "/")
    assert nurse.web.submit(page, page.form("/lock")).status == 200
    assert isinstance(line.answer(1, 1.5), int) and b"data: 2" not in line.bodies[1]
    assert closed.wait(1.5), "the upstream's end is closed too"
    assert line.send(line.head(3, two.fields("GET /pages/a"))).answer(3).status == 423


def test_a_stop_lets_requests_end_and_takes_no_new_ones(tmp_path, recorder, seen, started):
    made = started(Hospital(tmp_path / "hospital", {"recorder": recorder.port})).open_desk()
    nurse = made.hire(NURSE)
    nurse.login(f"https://recorder.{DOMAIN}:{made.https}/")
    two, gate = Door2(Door(made, "recorder", nurse.cookie("recorder"))), threading.Event()

    def held(request, connection):
        gate.wait(10)
        seen.plain(request, connection)

    seen.answer = held
    line, idle = two.open(), two.open()
    line.send(line.head(1, two.fields("GET /pages/held")))
    seen.wait_for(lambda requests: any(request.target == "/pages/held" for request in requests))
    idle.until_settled()
    made.process.send_signal(signal.SIGTERM)
    line.until(lambda: line.away is not None, "GOAWAY")
    assert line.away == idle.end() == 0
    wait_until(lambda: not made.listens(), "no new connection is taken")
    gate.set()
    assert line.answer(1).status == 200
    assert line.end() == 0
    assert made.process.wait(10) == 0


# Limits


def test_req_h23_a_head_too_large_is_431_and_a_far_too_large_one_ends_the_connection(two, seen):
    line = two.open()
    large = two.fields("GET /pages/a") + [(f"x-{i}", "v" * 1000) for i in range(36)]
    assert sum(len(name) + len(value) + 32 for name, value in large) > 32 * 1024
    block = line.block(large)
    parts = [block[i:i + 16384] for i in range(0, len(block), 16384)]
    line.send(HeadersFrame(1, parts[0], flags=["END_STREAM"]),
              *[ContinuationFrame(1, part) for part in parts[1:-1]],
              ContinuationFrame(1, parts[-1], flags=["END_HEADERS"]))
    assert line.begun(1)[0] == (":status", "431")
    assert line.send(line.head(3, two.fields("GET /pages/a"))).answer(3).status == 200
    # A small block that unpacks to a large head: 40,000 times one entry of the dynamic table.
    bomb = two.open()
    block = bomb.block(two.fields("GET /pages/a") + [("x-bomb", "v" * 3000)])
    index = bytes([0x80 | 62])
    bomb.send(HeadersFrame(1, block + index * 12000, flags=["END_STREAM", "END_HEADERS"]))
    assert bomb.end() == CALM
    assert [request.target for request in seen.requests] == ["/pages/a"]


def test_req_h23_a_target_too_long_is_414_and_too_many_fields_are_refused(two, seen):
    assert two.ask("GET /pages/" + "a" * 8200).status == 414
    assert two.ask("GET /pages/a", *[(f"x-{i}", "v") for i in range(101)]).status == 400
    assert seen.requests == []


def test_req_h23_a_flood_of_continuations_ends_the_connection(hospital, two, seen):
    before = last_seq(hospital)

    def flood():
        line = two.open().until_settled()
        line.send(HeadersFrame(1, line.block(two.fields("GET /pages/a")), flags=["END_STREAM"]),
                  *[ContinuationFrame(1, b"") for _ in range(8)])
        return line.end()

    assert flood() == CALM
    refused_on_record(hospital, before, flood, "http2-calm")
    assert seen.requests == []


def test_req_h23_a_flood_of_requests_taken_back_ends_the_connection(two, seen):
    """CVE-2023-44487: the upstream's share of it stays small."""
    line = two.open()
    line.until_settled()
    flood = b""
    for stream in range(1, 4001, 2):
        flood += line.head(stream, two.fields("GET /pages/a")).serialize() + line.reset(stream).serialize()
    try:
        line.raw(flood)
    except OSError:
        pass
    assert line.end() == CALM
    assert len(seen.requests) < 200
    assert two.ask("GET /pages/a").status == 200


def test_req_h23_a_flood_of_malformed_requests_ends_the_connection(two, seen):
    line, refused = two.open(), 0
    while line.away is None:
        stream = 2 * refused + 1
        assert line.send(line.head(stream, two.fields("GET /pages/a") + [("te", "gzip")])).answer(stream) in (PROTOCOL, CALM)
        refused += 1
    assert line.away == CALM and 50 < refused <= 110
    assert seen.requests == []


@pytest.mark.parametrize("frames", [
    lambda line: PingFrame(0, b"12345678"),
    lambda line: SettingsFrame(0, settings={WINDOW: 65535}),
    lambda line: line.window(0, 1),
    lambda line: DataFrame(1, b""),
])
def test_req_h23_a_flood_of_small_frames_costs_its_own_connection_alone(frames, two, seen):
    line = two.open()
    line.send(line.head(1, two.fields("POST /write/a"), end=False))
    try:
        for _ in range(20):
            line.send(*[frames(line) for _ in range(500)])
    except OSError:
        pass
    assert two.ask("GET /pages/a").status == 200
    line.close()


def test_req_h23_more_requests_at_once_than_the_limit_are_turned_away(two, seen):
    gate = threading.Event()

    def held(request, connection):
        gate.wait(20)
        seen.plain(request, connection)

    seen.answer = held
    line = two.open()
    line.until_settled()
    most = line.settings[MAX_STREAMS]
    assert 100 <= most <= 256
    streams = list(range(1, 2 * most + 20, 2))
    line.send(*[line.head(stream, two.fields("GET /pages/a")) for stream in streams])
    assert {line.answer(stream) for stream in streams[most:]} == {REFUSED}
    gate.set()
    assert {line.answer(stream, 20).status for stream in streams[:most]} == {200}


def test_req_h23_requests_of_one_address_are_counted_over_streams_and_connections(tmp_path, started):
    made = started(Hospital(tmp_path / "hospital", {"recorder": 1}, {"limits": {"requests_per_second": "5"}}))
    host = f"recorder.{DOMAIN}"
    fields = [(":method", "GET"), (":scheme", "https"), (":authority", f"{host}:{made.https}"), (":path", "/pages/a")]
    statuses = []
    for _ in range(2):
        line = Http2(made.https, made.ca, host, address="127.0.0.9")
        line.send(*[line.head(stream, fields) for stream in range(1, 21, 2)])
        statuses += [line.answer(stream).status for stream in range(1, 21, 2)]
        line.close()
    assert statuses.count(401) <= 8 and statuses.count(429) >= 12, statuses


# Clocks


def test_req_h23_a_client_that_never_greets_is_closed(hasty, hurried):
    before, began = last_seq(hasty), time.monotonic()
    silent, slow = (hurried.open(greet=False, take=False) for _ in range(2))
    slow.raw(PREFACE[:10])
    for line in (silent, slow):
        line.end(6)
    assert 0.8 < time.monotonic() - began < 5
    records = wait_until(lambda: since(hasty, before, "edge.malformed"), "the slow one is on record")
    assert [record["why"]["reason"] for record in records] == ["head-slow"]


@pytest.mark.parametrize("part", ["a frame", "a head"])
def test_req_h23_a_head_that_does_not_end_is_closed(part, hasty, hurried, seen):
    before = last_seq(hasty)
    line = hurried.open().until_settled()
    head = HeadersFrame(1, line.block(hurried.fields("GET /pages/a")), flags=["END_STREAM"])
    line.raw(head.serialize()[:20] if part == "a frame" else head.serialize())
    # Amid a head nothing else may be sent, so the gateway's PING stays without an answer.
    line.take = False
    line.end(6)
    assert line.over and line.heads == {} and seen.requests == []
    records = wait_until(lambda: since(hasty, before, "edge.malformed"), "it is on record")
    assert records[-1]["why"]["reason"] == "head-slow"


def test_req_h23_a_connection_that_asks_nothing_is_closed_in_good_order(hurried, seen):
    line = hurried.open()
    assert line.send(line.head(1, hurried.fields("GET /pages/a"))).answer(1).status == 200
    assert line.end(8) == 0


def test_req_h23_a_client_that_is_gone_is_noticed(hurried):
    line = hurried.open(take=False)
    line.end(8)
    assert line.over


def test_req_h23_an_answer_that_the_client_leaves_no_window_for_is_given_up(hasty, hurried, seen):
    ended = threading.Event()

    def large(request, connection):
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + bytes(8_000_000))
        except OSError:
            pass
        ended.set()
        return "close"

    seen.answer = large
    line = hurried.open(settings={WINDOW: 0})
    line.send(line.head(1, hurried.fields("GET /pages/large")))
    assert line.begun(1)
    # It answers pings and asks other things meanwhile: only the stalled answer ends.
    assert line.answer(1, 10) in (CANCEL, 2)
    assert ended.wait(5), "the upstream is let go"
    assert line.away is None
    line.close()


def test_req_h23_answers_left_in_the_buffers_end_the_connection_even_if_it_goes_on_asking(hasty, hurried, seen):
    """Windows of one byte: each answer is handed over whole and stays."""
    line = hurried.open(settings={WINDOW: 1})
    line.gives_room = False
    line.send(line.head(1, hurried.fields("GET /pages/a")))
    assert line.begun(1)
    stream, deadline = 3, time.monotonic() + 12
    while not line.over and time.monotonic() < deadline:
        try:
            line.send(line.head(stream, hurried.fields("HEAD /pages/a"))).answer(stream)
        except OSError:
            break
        stream += 2
        threading.Event().wait(0.2)
    assert line.over, "still open after 12 s"

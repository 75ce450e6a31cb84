"""Bytes on sockets: one reading of every request and of every answer, or none (the H rows, A1 to A14)."""

import itertools
import json
import os
import posixpath
import re
import socket
import ssl
import subprocess
import threading
import urllib.parse

import pytest

from hospital import DOMAIN, wait_until
from raw import Door, Raw
from websocket import CLOSE, TEXT, Echo, frame, read_frame

SMUGGLED = b"GET /pages/smuggled HTTP/1.1\r\nHost: recorder.sekimori.localhost\r\n\r\n"


def last_seq(hospital):
    return hospital.records()[-1]["seq"]


def since(hospital, seq, event=None):
    return [record for record in hospital.records(event) if record["seq"] > seq]


def nothing_reached(door, seen):
    """What was refused is not on its way either: the next request is the first that the upstream sees."""
    assert door.ask("GET /pages/after").status == 200
    assert [request.target for request in seen.requests] == ["/pages/after"]
    seen.requests.clear()


# Framing of requests


FRAMINGS = {
    "CL.TE": (["Content-Length: {all}", "Transfer-Encoding: chunked"], b"0\r\n\r\n" + SMUGGLED, 200),
    "TE.CL": (
        ["Transfer-Encoding: chunked", "Content-Length: 4"],
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
        200,
    ),
    "CL 0 and TE": (["Content-Length: 0", "Transfer-Encoding: chunked"], b"2\r\nab\r\n0\r\n\r\n" + SMUGGLED, 200),
    "TE.TE": (["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], b"0\r\n\r\n" + SMUGGLED, 400),
    "TE twice": (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], b"0\r\n\r\n" + SMUGGLED, 400),
    "TE of a second coding": (["Transfer-Encoding: gzip, chunked"], b"0\r\n\r\n" + SMUGGLED, 400),
    "TE that ends in no chunked": (["Transfer-Encoding: chunked, gzip"], b"0\r\n\r\n" + SMUGGLED, 400),
    "TE unknown": (["Transfer-Encoding: xchunked", "Content-Length: 0"], SMUGGLED, 400),
    "TE with a vertical tab": (["Transfer-Encoding: \x0bchunked", "Content-Length: 0"], SMUGGLED, 400),
    "TE with a space before the colon": (["Transfer-Encoding : chunked", "Content-Length: 0"], SMUGGLED, 400),
    "TE folded": (["Transfer-Encoding:\r\n chunked", "Content-Length: 0"], SMUGGLED, 400),
    "two lengths": (["Content-Length: 0", "Content-Length: {all}"], SMUGGLED, 400),
    "list of lengths": (["Content-Length: 0, 0"], SMUGGLED, 400),
    "signed length": (["Content-Length: +0"], SMUGGLED, 400),
    "hexadecimal length": (["Content-Length: 0x0"], SMUGGLED, 400),
    "length of 2^64": (["Content-Length: 18446744073709551616"], SMUGGLED, 400),
    "bad chunk size": (["Transfer-Encoding: chunked"], b"0x2\r\nab\r\n0\r\n\r\n" + SMUGGLED, None),
    "chunk size of 2^64": (["Transfer-Encoding: chunked"], b"10000000000000000\r\nab\r\n0\r\n\r\n" + SMUGGLED, None),
    "bare CR in a value": (["X-A: b\rTransfer-Encoding: chunked", "Content-Length: 0"], SMUGGLED, 400),
    "NUL in a value": (["X-A: \0b", "Content-Length: 0"], SMUGGLED, 400),
    "folded line": (["X-A: b", " c: d", "Content-Length: 0"], SMUGGLED, 400),
}


@pytest.mark.parametrize("name", FRAMINGS)
def test_req_h03_and_atk_a13_doubtful_framing_is_one_decision_one_upstream_request_and_the_last(
    name, hospital, door, seen
):
    headers, body, status = FRAMINGS[name]
    before = last_seq(hospital)
    raw = door.open().send(door.text("POST /write/one", *[h.replace("{all}", str(len(body))) for h in headers]) + body)
    answers = raw.answers()
    assert raw.closed()
    assert len(answers) == 1 if status else len(answers) <= 1, answers
    if status:
        assert answers[0][0] == status, answers
    reached = list(seen.requests)
    assert [r.target for r in reached] in ([], ["/write/one"])
    if status == 200:
        assert len(reached) == 1 and (reached[0].get("content-length") is None) != (
            reached[0].get("transfer-encoding") is None
        )
    decided = [r for r in since(hospital, before) if r["event"] in ("request.open", "request.permit", "request.deny")]
    assert len(decided) == {200: 1, 400: 0}.get(status, len(decided)) <= 1, decided
    assert not any("smuggled" in json.dumps(record) for record in since(hospital, before))


def test_req_h01_pipelined_requests_are_each_decided(door, seen):
    raw = door.open().send(
        door.text("GET /pages/1") + door.text("GET /forbidden") + door.text("GET /pages/2", "Connection: close")
    )
    assert [answer[0] for answer in raw.answers()] == [200, 403, 200]
    assert [request.target for request in seen.requests] == ["/pages/1", "/pages/2"]


# Hosts


@pytest.mark.parametrize(
    "line, host, status",
    [
        ("GET /pages/a", [], 400),
        ("GET /pages/a", ["{a}", "{a}"], 400),
        ("GET /pages/a", ["{a}", "evil.example"], 400),
        ("GET /pages/a", [""], 400),
        ("GET /pages/a", ["{h}:"], 400),
        ("GET /pages/a", ["{h}:+1"], 400),
        ("GET /pages/a", ["{h}:99999"], 400),
        ("GET /pages/a", ["user@{a}"], 400),
        ("GET /pages/a", ["{a}/pages"], 400),
        ("GET /pages/a", ["{a}, {a}"], 400),
        ("GET /pages/a", ["[::1]"], 400),
        ("GET /pages/a", ["{a}#"], 400),
        ("GET /pages/a", ["chart.sekimori.localhost\\@{a}"], 400),
        ("GET /pages/a", ["nowhere.sekimori.localhost"], 421),
        ("GET /pages/a", ["evil.example"], 421),
        ("GET /pages/a", ["127.0.0.1"], 421),
        ("GET /pages/a", ["localhost"], 421),
        ("GET /pages/a", ["{h}.:{p}"], 421),
        ("GET /pages/a", ["{h}.evil.example"], 421),
        ("GET /pages/a", ["{h}:1"], 421),
        ("GET http://{a}/pages/a", ["{a}"], 400),
        ("GET ftp://{a}/pages/a", ["{a}"], 400),
        ("GET https://chart.sekimori.localhost:{p}/pages/a", ["{a}"], 400),
        ("GET https://{a}/pages/a", ["chart.sekimori.localhost:{p}"], 400),
        ("GET https://user@{a}/pages/a", ["{a}"], 400),
        ("GET {a}", ["{a}"], 400),
        ("GET pages/a", ["{a}"], 400),
        ("GET *", ["{a}"], 400),
        ("OPTIONS *", ["{a}"], 400),
    ],
)
def test_req_h08_and_atk_a14_a_request_names_one_host_of_ours_or_goes_nowhere(line, host, status, hospital, door, seen):
    def fill(text):
        return text.replace("{a}", door.authority).replace("{h}", door.host).replace("{p}", str(hospital.https))

    head = [f"{fill(line)} HTTP/1.1", *[f"Host: {fill(h)}" for h in host], f"Cookie: {door.cookie}", "", ""]
    assert door.exchange("\r\n".join(head)).status == status
    nothing_reached(door, seen)


def test_req_h08_an_absolute_target_that_agrees_is_forwarded_as_path(door, seen):
    assert door.ask(f"GET https://{door.authority}/pages/a?b=c").status == 200
    assert door.ask("GET /pages/b", host=door.authority.replace("recorder", "Recorder")).status == 200
    assert [(r.line, r.all("host")) for r in seen.requests] == [
        ("GET /pages/a?b=c HTTP/1.1", [door.authority]),
        ("GET /pages/b HTTP/1.1", [door.authority]),
    ]


def test_atk_a14_an_app_is_reached_by_its_own_host_whatever_the_handshake_named(hospital, door, seen):
    raw = Raw(hospital.https, hospital.ca, f"chart.{DOMAIN}").send(door.text("GET /pages/a"))
    assert raw.answer()[0] == 200
    # The recorder's cookie is nobody at the portal and at another app.
    for host in (f"chart.{DOMAIN}:{hospital.https}", f"pacs.{DOMAIN}:{hospital.https}"):
        assert door.ask("GET /patients", host=host).status in (401, 421)
    assert [request.target for request in seen.requests] == ["/pages/a"]


def test_atk_a14_a_name_that_is_not_ours_gets_no_certificate(hospital):
    for name in ("evil.example", f"nowhere.{DOMAIN}", None):
        context = ssl.create_default_context(cafile=hospital.ca)
        context.check_hostname = False
        with pytest.raises(ssl.SSLError):
            with socket.create_connection(("127.0.0.1", hospital.https), 5) as plain:
                context.wrap_socket(plain, server_hostname=name)


# Methods


@pytest.mark.parametrize("method", ["TRACE", "BREW", "PROPFIND", "get", "DELETE", "POST", "OPTIONS", "CONNECT", "PRI"])
def test_req_h09_methods_that_the_app_does_not_list_are_refused(method, door, seen):
    answer = door.ask(f"{method} /pages/a")
    assert answer.status == 405, answer.text
    assert "GET" in answer.header("allow")
    nothing_reached(door, seen)


def test_req_h09_connect_opens_no_tunnel(hospital, door, seen):
    for target in (f"127.0.0.1:{hospital.http}", door.authority):
        raw = door.open().send(door.text(f"CONNECT {target}") + SMUGGLED)
        answers = raw.answers()
        assert answers[0][0] in (400, 405) and all(answer[0] != 200 for answer in answers)
    nothing_reached(door, seen)


# Targets


def test_req_h17_the_target_reaches_the_upstream_byte_for_byte(door, seen):
    targets = [
        "/pages/a%20b",
        "/pages/%E5%B1%B1",
        "/pages/%e5%b1%b1",
        "/pages/~a.b-c_d",
        "/pages/a+b",
        "/pages/a%2Bb",
        "/pages/a%23b",
        "/pages/a%3Fb",
        "/pages/a:b@c!$&'()*,=",
        "/pages/...",
        "/pages/a..b",
        "/pages/.a",
        "/pages/a/",
        "/pages/A/b",
        "/pages/%41",
        "/pages/a?",
        "/pages/a?b",
        "/pages/a?b=c&b=d",
        "/pages/a?path=/forbidden",
        "/pages/a?/../../forbidden",
        "/pages/a?x=%00%2f%zz%",
        "/pages/a??#".rstrip("#"),
        "/pages/a?x=//;y",
        "/pages/a?x=\\..\\",
        "/pages/a?{x}|^`",
        "/pages/a?https://evil.example/",
        "/?q",
    ]
    raw = door.open()
    for target in targets:
        assert raw.send(door.text(f"GET {target}")).answer()[0] == 200, target
    assert [request.line for request in seen.requests] == [f"GET {target} HTTP/1.1" for target in targets]


TRICKS = [
    "../",
    "..;/",
    "..;x=y/",
    "%2e%2e/",
    ".%2e/",
    "%2E%2E/",
    "%2e%2e%2f",
    "..%2f",
    "..%2F",
    "..%5c",
    "..%5C",
    "..\\",
    "%252e%252e/",
    "%252e%252e%252f",
    "%25%32%65%25%32%65/",
    "%c0%ae%c0%ae/",
    "..%c0%af",
    "..%e0%80%af",
    "./../",
    "/../",
    "//",
    "x//../",
    "%2f",
    "%5c",
    "\\",
    "%00",
    "%0a",
    "%0d%0a",
    "%7f",
    "%",
    "%1",
    "%zz",
    "%u002e%u002e/",
    ";/",
    "x;y/",
    ";..;/",
    "..;..;/",
    ".;/../",
    "%2e/",
    "./",
    "%ff",
    "x/%2e%2e/",
    "..%00/",
    "%09",
    "\t",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_req_h17_and_atk_a01_a02_a06_an_ambiguous_path_is_400_and_reaches_nobody(trick, door, seen):
    for target in (f"/pages/{trick}forbidden", f"/{trick}forbidden", f"/pages/x{trick}/forbidden"):
        assert door.ask(f"GET {target}").status == 400, target
    nothing_reached(door, seen)


def readings(target):
    """What servers of different make have taken a path for."""
    decoders = [lambda p: p, urllib.parse.unquote, lambda p: urllib.parse.unquote(urllib.parse.unquote(p))]
    parameters = [lambda p: p, lambda p: re.sub(r";[^/]*", "", p)]
    slashes = [lambda p: p, lambda p: p.replace("\\", "/")]
    folds = [lambda p: p, lambda p: posixpath.normpath(re.sub("/+", "/", p))]
    ends = [lambda p: p, lambda p: p.split("\0")[0], lambda p: p.split("#")[0]]
    path = target.split("?")[0]
    for steps in itertools.product(decoders, parameters, slashes, ends, folds):
        for order in (steps, (steps[1], steps[0], *steps[2:])):
            read = path
            for step in order:
                read = step(read)
            yield "/".join(part.rstrip(". ") for part in read.lower().split("/"))


def test_req_h17_no_server_reads_another_action_out_of_a_path_that_passed(door, seen):
    pieces = [
        "pages",
        "..",
        ".",
        "",
        "forbidden",
        "FORBIDDEN",
        "forbidden.",
        "%66orbidden",
        "%2e%2e",
        "..;x",
        "x%2f..",
        "%5c..",
        "a%20",
        "%2566orbidden",
        "patients",
    ]
    raw, passed = door.open(), 0
    for parts in itertools.chain(
        itertools.product(pieces, repeat=1),
        itertools.product(pieces, repeat=2),
        itertools.product(["pages"], pieces, pieces),
    ):
        target = "/" + "/".join(parts)
        status, headers, _ = raw.send(door.text(f"GET {target}")).answer()
        if "close" in dict(headers).get("connection", ""):
            raw = door.open()
        assert status in (200, 400, 403, 404), (target, status)
        if status == 200:
            passed += 1
            for reading in readings(target):
                assert not (reading + "/").startswith("/forbidden/"), (target, reading)
    assert passed > 20 and len(seen.requests) == passed


@pytest.mark.parametrize(
    "target",
    [
        "/forbidden?path=/pages/a",
        "/forbidden?/pages/a",
        "/forbidden/pages/a",
        "/forbidden/",
        "/forbidden?/.sekimori/assets/x",
        "/forbidden%3F/pages/a",
        "/Forbidden",
        "/FORBIDDEN/a",
    ],
)
def test_atk_a03_a05_a_permitted_path_anywhere_else_opens_nothing(target, door, seen):
    assert door.ask(f"GET {target}").status in (400, 403)
    nothing_reached(door, seen)


def test_atk_a04_decision_and_upstream_see_the_same_rest_of_a_fragment(hospital, door, seen):
    before = last_seq(hospital)
    for target in ("/forbidden#/pages/a", "/forbidden#?x", "/pages/..#/forbidden"):
        assert door.ask(f"GET {target}").status in (400, 403), target
    nothing_reached(door, seen)
    assert door.ask("GET /pages/a#/../../forbidden").status in (200, 400)
    reached = [request.target for request in seen.requests]
    assert reached in ([], ["/pages/a"])
    permitted = [
        r["what"]["target"] for r in since(hospital, before, "request.permit") if r["what"]["target"] != "/pages/after"
    ]
    assert permitted == reached


def test_atk_a05_the_reserved_prefix_in_any_spelling_is_never_forwarded(door, seen):
    for path in (
        "/.sekimori",
        "/.sekimori/",
        "/.sekimori/enter",
        "/.sekimori/assets/none",
        "/.sekimori/x?/pages/a",
        "/.SEKIMORI/enter",
        "/%2esekimori/enter",
        "/.sekimor%69/enter",
        "/.sekimori;x/enter",
        "/.sekimori./",
    ):
        answer = door.ask(f"GET {path}")
        assert answer.status in (400, 404, 410) or answer.header("location") == "/", path
    nothing_reached(door, seen)


def test_atk_a06_and_a11_no_session_cookie_of_wrong_form_passes_without_a_person(hospital, door, seen):
    good = door.cookie.split("=", 1)[1]
    wrong = [
        "",
        "__Host-sk=",
        "__Host-sk=x",
        f"__Host-sk={good}x",
        f"__Host-sk={good[:-1]}",
        f'__Host-sk="{good}"',
        f"__Host-sk={good.swapcase()}",
        f"__Host-sk={good}; __Host-sk={good}",
        f"__Host-sk=x; __Host-sk={good}",
        f"__host-sk={good}",
        f"sk={good}",
        f"__Host-sk-bind={good}",
        "__Host-sk=\xff\xfe",
        "__Host-sk=" + "A" * 4000,
        "__Host-sk=%00",
        "=; ;;=",
        f"__Host-sk%3D{good}",
    ]
    for cookie in wrong:
        assert door.ask("GET /pages/a", f"Cookie: {cookie}").status == 401, cookie
    assert door.ask("GET /pages/a", "Cookie: a=b", f"Cookie: {door.cookie}", "Cookie: c").status == 200
    assert [request.target for request in seen.requests] == ["/pages/a"]


@pytest.mark.parametrize(
    "path",
    [
        "/healthz",
        "/readyz",
        "/metrics",
        "/health",
        "/ping",
        "/status",
        "/pages/a",
        "/favicon.ico",
        "/robots.txt",
        "/.well-known/security.txt",
    ],
)
def test_atk_a12_no_probe_and_no_user_agent_gets_past_the_door(path, hospital, door, seen):
    for agent in ("kube-probe/1.30", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "Prometheus/2"):
        assert door.ask(f"GET {path}", "Cookie: a=b", f"User-Agent: {agent}").status == 401
        portal = f"auth.{DOMAIN}:{hospital.https}"
        if path != "/pages/a":
            assert door.ask(f"GET {path}", "Cookie: a=b", f"User-Agent: {agent}", host=portal).status == 404
    nothing_reached(door, seen)


# Bodies and expectations


def test_req_h10_trailers_stay_behind_in_both_directions(door, seen):
    def with_trailer(request, connection):
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-After\r\n\r\n"
            b"2\r\nok\r\n0\r\nX-After: 1\r\nSet-Cookie: __Host-sk=evil\r\n\r\n"
        )

    seen.answer = with_trailer
    body = b"3\r\nabc\r\n0\r\nX-Forwarded-User: root\r\nSekimori-Assertion: x\r\nRemote-User: root\r\n\r\n"
    # `Raw.answer` fails on trailers.
    answer = door.ask(
        "POST /write/a", "Transfer-Encoding: chunked", "Trailer: X-Forwarded-User", "Content-Length: 90", body=body
    )
    assert (answer.status, answer.body, answer.header("trailer")) == (200, b"ok", None)
    (request,) = seen.requests
    assert request.body == b"abc" and request.trailers == []
    assert request.get("x-forwarded-user") is None and request.get("trailer") is None
    assert request.all("remote-user") == ["000102"]


def test_req_h19_a_client_that_expects_100_is_told_to_go_on(door, seen):
    raw = door.open().send(door.text("POST /write/a", "Expect: 100-continue", "Content-Length: 5"))
    assert raw.answer()[0] == 100
    assert raw.send(b"hello").answer()[0] == 200
    (request,) = seen.requests
    assert request.body == b"hello" and request.get("expect") is None


def test_req_h19_what_is_refused_is_refused_before_its_body_is_sent(door, seen):
    raw = door.open().send(door.text("POST /forbidden", "Expect: 100-continue", "Content-Length: 100000000"))
    assert raw.answer()[0] == 403
    nothing_reached(door, seen)


@pytest.mark.parametrize("expectation", ["200-ok", "100-continue, x", "x=y"])
def test_req_h19_another_expectation_is_417(expectation, door, seen):
    assert door.ask("POST /write/a", f"Expect: {expectation}", body=b"ab").status == 417
    nothing_reached(door, seen)


# Answers of the upstream


def say(text, close=False):
    def answer(request, connection):
        connection.sendall(text if isinstance(text, bytes) else text.encode("latin-1"))
        return "close" if close else None

    return answer


NONSENSE = {
    "both framings": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "both, the other way": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "two codings": "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 20\r\n\r\nok",
    "no number": "HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nok",
    "no HTTP": "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "NUL": "HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 2\r\n\r\nok",
    "bare CR": "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b=c\r\nContent-Length: 2\r\n\r\nok",
    "a head without end": "HTTP/1.1 200 OK\r\n" + "X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 3000,
    "101 unasked": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "101 to WebSocket unasked": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_req_h20_and_h30_a_doubtful_answer_is_502_in_general_words_and_its_connection_is_dropped(
    name, hospital, door, seen
):
    seen.answer = say(NONSENSE[name])
    raw = door.open().send(door.text("POST /write/a", body=b"x"))
    status, _, body = raw.answer()
    assert status == 502
    words = body.decode().lower()
    for detail in ("127.0.0.1", str(seen.port), "hyper", "parse", "chunked", "recorder."):
        assert detail not in words, words
    poisoned = seen.requests[0].client
    # The client's connection is good for another request, and that one meets another upstream connection.
    seen.answer = seen.plain
    assert raw.send(door.text("GET /pages/next")).answer()[2] == b"ok"
    assert seen.requests[-1].client != poisoned
    closed = since(hospital, 0, "request.close")[-1]
    assert closed["outcome"] == "failed" and closed["detail"]["status"] == 502


@pytest.mark.parametrize(
    "line, text",
    [
        ("HEAD /pages/a", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("GET /pages/a", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET /pages/a", 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "x"\r\n\r\n'),
        ("DELETE /write/a", "HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)
def test_req_h20_head_204_and_304_have_no_body(line, text, door, seen):
    seen.answer = say(text)
    raw = door.open().send(door.text(line))
    status, headers, _ = raw.answer(bodyless=True)
    assert status == int(text.split()[1])
    assert "transfer-encoding" not in dict(headers)
    seen.answer = seen.plain
    assert raw.send(door.text("GET /pages/next")).answer()[2] == b"ok"


def test_req_h20_interim_answers_do_not_end_the_exchange(door, seen):
    seen.answer = say(
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    )
    raw = door.open().send(door.text("GET /pages/a"))
    while (answer := raw.answer())[0] < 200:
        pass
    assert (answer[0], answer[2]) == (200, b"ok")
    seen.answer = seen.plain
    assert raw.send(door.text("GET /pages/b")).answer()[2] == b"ok"


def test_req_h20_h21_extra_bytes_after_an_answer_never_meet_the_next_request(door, seen):
    seen.answer = say(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    )
    raw = door.open()
    for _ in range(5):
        assert raw.send(door.text("GET /pages/a")).answer()[2] == b"ok"
    clients = [request.client for request in seen.requests]
    assert len(set(clients)) == len(clients)


def test_req_h20_a_body_that_breaks_off_does_not_look_complete(hospital, door, seen):
    for text in (
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ):
        seen.answer = say(text, close=True)
        raw = door.open().send(door.text("POST /write/a", body=b"x"))
        status, headers = raw.head()
        assert status == 200
        rest = raw.reader.read()
        assert rest in (b"half", b"4\r\nhalf\r\n", b""), rest
        wait_until(lambda: since(hospital, 0, "request.close")[-1]["outcome"] == "aborted", "the abort is on record")


# Connections to the upstream


def test_req_h21_a_clean_connection_is_used_again_and_carries_several_persons_requests(hospital, nurse, door, seen):
    seen.requests.clear()
    hers, raw = Door(hospital, "recorder", nurse.cookie("recorder")), door.open()
    other = hers.open()
    for _ in range(4):
        assert raw.send(door.text("GET /pages/a")).answer()[0] == 200
        assert other.send(hers.text("GET /pages/b")).answer()[0] == 200
    assert len({request.client for request in seen.requests}) == 1
    # Each request says for itself whose it is.
    assert {(request.target, request.get("remote-user")) for request in seen.requests} == {
        ("/pages/a", "000102"), ("/pages/b", nurse.staff_no)}
    assert len({request.get("sekimori-assertion") for request in seen.requests}) == 2


def test_req_h21_authentication_that_binds_a_connection_is_not_offered(door, seen):
    seen.answer = say(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\n"
        'WWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'
    )
    # Nor is any other: what the browser would answer is not passed on for this app.
    assert door.ask("GET /pages/a").all("www-authenticate") == []


@pytest.mark.parametrize(
    "line, times",
    [
        ("GET /pages/a", 2),
        ("HEAD /pages/a", 2),
        ("POST /write/a", 1),
        ("PUT /write/a", 1),
        ("DELETE /write/a", 1),
        ("PATCH /write/a", 1),
    ],
)
def test_req_h22_a_read_on_a_stale_connection_is_repeated_once_and_a_write_never(line, times, door, seen):
    def close_the_second(request, connection):
        if request.target == "/pages/first":
            return seen.plain(request, connection)
        return "close"

    seen.answer = close_the_second
    raw = door.open().send(door.text("GET /pages/first"))
    assert raw.answer()[0] == 200
    assert raw.send(door.text(line)).answer(line.startswith("HEAD"))[0] == 502
    asked = [request for request in seen.requests if request.target != "/pages/first"]
    assert [request.line for request in asked] == [f"{line} HTTP/1.1"] * times
    assert asked[0].client == seen.requests[0].client, "the pooled connection was tried first"


def test_req_h22_the_repeated_read_succeeds(door, seen):
    stale = []

    def stale_once(request, connection):
        if request.target == "/pages/second" and not stale:
            stale.append(request.client)
            return "close"
        return seen.plain(request, connection)

    seen.answer = stale_once
    raw = door.open().send(door.text("GET /pages/first"))
    assert raw.answer()[0] == 200
    assert raw.send(door.text("GET /pages/second")).answer()[2] == b"ok"
    assert [request.target for request in seen.requests] == ["/pages/first", "/pages/second", "/pages/second"]
    assert seen.requests[2].client != stale[0]


def test_req_h22_a_read_with_a_body_is_not_repeated(door, seen):
    seen.answer = lambda request, connection: "close"
    assert door.ask("GET /pages/a", body=b"x").status == 502
    assert len(seen.requests) == 1


# Upgrades


def test_req_h24_h2c_is_never_forwarded(door, seen):
    upgrades = [
        ("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"),
        ("Upgrade: h2c", "Connection: Upgrade"),
        ("Upgrade: h2c",),
        ("Upgrade: h2c, x", "Connection: upgrade"),
        ("HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA", "Connection: HTTP2-Settings"),
    ]
    for headers in upgrades:
        assert door.ask("GET /pages/a", *headers).status in (200, 400), headers
    for request in seen.requests:
        assert not {name.lower() for name, _ in request.headers} & {"upgrade", "http2-settings", "connection"}
    raw = door.open().send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"))
    assert all(answer[0] >= 400 for answer in raw.answers())


KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
HANDSHAKE = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}"]


def switched(accept=ACCEPT, upgrade="websocket", extra=""):
    return (
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: {upgrade}\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n{extra}\r\n"
    )


def test_req_h25_a_right_handshake_opens_a_socket_and_frames_go_both_ways(hospital, door, seen):
    seen.answer = Echo()
    before = last_seq(hospital)
    raw = door.open().send(door.text("GET /ws", *HANDSHAKE, f"Origin: {door.origin}"))
    status, headers = raw.head()
    assert status == 101 and dict(headers)["sec-websocket-accept"] == ACCEPT
    assert [r["what"]["target"] for r in since(hospital, before, "request.open")] == ["/ws"]
    raw.send(frame(TEXT, b"ping", masked=True))
    assert read_frame(raw.reader) == (TEXT, b"echo ping")
    raw.send(frame(CLOSE, b"\x03\xe8", masked=True))
    assert seen.answer.wait_for_end() == 1000
    assert raw.socket.recv(100) == b"" or raw.closed()
    wait_until(lambda: since(hospital, before, "request.close"), "the socket's end is on record")


@pytest.mark.parametrize(
    "headers, status",
    [
        ([h for h in HANDSHAKE if "Version" not in h], 400),
        ([h.replace("13", "12") for h in HANDSHAKE], 400),
        ([h for h in HANDSHAKE if "Key" not in h], 400),
        ([h.replace(KEY, "c2hvcnQ=") for h in HANDSHAKE], 400),
        ([*HANDSHAKE, f"Sec-WebSocket-Key: {KEY}"], 400),
        ([h.replace("Connection: Upgrade", "Connection: close") for h in HANDSHAKE], 400),
        ([*HANDSHAKE, "Upgrade: h2c"], 400),
        ([*HANDSHAKE, "Content-Length: 5"], 400),
        ([*HANDSHAKE, "Origin: https://evil.example"], 403),
        ([*HANDSHAKE, "Origin: null"], 403),
        (HANDSHAKE, 403),
    ],
)
def test_req_h25_and_atk_a22_a_wrong_or_foreign_handshake_reaches_nobody(headers, status, door, seen):
    own = [] if any(h.startswith("Origin") for h in headers) or status == 403 else [f"Origin: {door.origin}"]
    body = b"hello" if "Content-Length: 5" in headers else b""
    assert door.ask("GET /ws", *headers, *own, body=body).status == status
    nothing_reached(door, seen)


@pytest.mark.parametrize(
    "reply",
    [
        switched(accept="AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        switched(upgrade="h2c"),
        switched(extra="Sec-WebSocket-Protocol: x\r\n"),
        switched().replace("Sec-WebSocket-Accept", "X"),
        switched().replace("Connection: Upgrade\r\n", ""),
        switched(extra=f"Sec-WebSocket-Accept: {ACCEPT}\r\n"),
    ],
)
def test_req_h25_a_101_that_does_not_answer_the_handshake_is_502(reply, door, seen):
    smuggled = []

    def wrong(request, connection):
        connection.sendall(reply.encode())
        connection.settimeout(2)
        smuggled.append(connection.recv(1000))
        return "close"

    seen.answer = wrong
    raw = door.open().send(door.text("GET /ws", *HANDSHAKE, f"Origin: {door.origin}"))
    assert raw.answer()[0] == 502
    raw.send(b"GET /forbidden/tunnel HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: smuggled, "the upstream's connection is closed")
    assert smuggled == [b""]


def test_req_h25_a_refused_upgrade_is_an_ordinary_answer(door, seen):
    """The reverse proxy must not take a failed handshake for a tunnel (websocket-smuggle)."""
    seen.answer = say("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno")
    raw = door.open().send(door.text("GET /ws", *HANDSHAKE, f"Origin: {door.origin}") + door.text("GET /forbidden"))
    assert [raw.answer()[0], raw.answer()[0]] == [426, 403]
    assert [request.target for request in seen.requests] == ["/ws"]


# Locks


def test_req_h27_a_lock_closes_streams_and_sockets_within_a_second(hospital, nurse, seen):
    door, closed = Door(hospital, "recorder", nurse.cookie("recorder")), threading.Event()
    seen.requests.clear()

    def open_end(request, connection):
        if request.target == "/ws":
            connection.sendall(switched().encode())
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        connection.recv(100)
        if request.target == "/stream":
            closed.set()
        return "close"

    seen.answer = open_end
    stream = door.open().send(door.text("GET /stream"))
    assert stream.head()[0] == 200
    assert b"data: 1" in stream.reader.read(14)
    web_socket = door.open().send(door.text("GET /ws", *HANDSHAKE, f"Origin: {door.origin}"))
    assert web_socket.head()[0] == 101
    page = nurse.web.open(hospital.origin() + "/")
    assert nurse.web.submit(page, page.form("/lock")).status == 200
    for raw in (stream, web_socket):
        raw.socket.settimeout(1.5)
    opcode, payload = read_frame(web_socket.reader)
    assert (opcode, payload[:2]) == (CLOSE, (1008).to_bytes(2, "big"))
    assert b"data: 2" not in stream.reader.read()
    assert closed.wait(1.5), "the upstream's end is closed too"
    assert door.ask("GET /pages/a").status == 423
    assert [request.target for request in seen.requests] == ["/stream", "/ws"]


# The plain port


def plain(hospital, text):
    raw = Raw(hospital.http)
    answer = raw.send(text).answer(bodyless=text.startswith("HEAD"))
    assert raw.closed(), "one answer and no more"
    return answer and (answer[0], dict(answer[1]))


def test_the_plain_port_answers_get_with_308_and_nothing_else(hospital, seen):
    host = f"recorder.{DOMAIN}"
    for line, target in (("GET", "/pages/a?b=//c"), ("HEAD", "/"), ("GET", "//evil.example/"), ("GET", "/\\evil")):
        status, headers = plain(hospital, f"{line} {target} HTTP/1.1\r\nHost: {host}:{hospital.http}\r\n\r\n")
        assert (status, headers["location"]) == (308, f"https://{host}:{hospital.https}{target}")
        assert "set-cookie" not in headers
    for line, name, status in (
        ("POST /write/a", host, 405),
        ("PUT /", host, 405),
        ("OPTIONS /", host, 405),
        ("TRACE /", host, 405),
        ("CONNECT x:1", host, 405),
        ("GET /", "evil.example", 421),
        ("GET /", "", 400),
        ("GET http://evil.example/", host, 400),
        ("GET *", host, 400),
        ("GET /", "a b", 400),
    ):
        assert plain(hospital, f"{line} HTTP/1.1\r\nHost: {name}\r\n\r\n")[0] == status, line
    for text in ("GET / HTTP/1.1\r\n\r\n", f"GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n"):
        assert plain(hospital, text)[0] == 400
    upgrade = f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAAA\r\n\r\n"
    assert plain(hospital, upgrade)[0] == 308
    assert seen.requests == []


# TLS


def shake(hospital, change):
    context = ssl.create_default_context(cafile=hospital.ca)
    change(context)
    with socket.create_connection(("127.0.0.1", hospital.https), 5) as plain_socket:
        with context.wrap_socket(plain_socket, server_hostname=f"recorder.{DOMAIN}") as secure:
            return secure.version(), secure.cipher()[0], secure.selected_alpn_protocol()


def only(version, ciphers="ALL:@SECLEVEL=0"):
    def change(context):
        context.set_ciphers(ciphers)
        context.minimum_version = context.maximum_version = version

    return change


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_req_a13n_3_tls_1_0_and_1_1_are_refused_by_the_gateway(version, hospital):
    with pytest.raises(ssl.SSLError) as refused:
        shake(hospital, only(version))
    assert refused.value.reason in ("TLSV1_ALERT_PROTOCOL_VERSION", "SSLV3_ALERT_HANDSHAKE_FAILURE")


@pytest.mark.parametrize(
    "cipher",
    [
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA384",
        "ECDHE-ECDSA-AES128-SHA256",
        "AES128-SHA",
        "AES128-GCM-SHA256",
        "DHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-NULL-SHA",
        "AECDH-AES128-SHA",
        "ECDHE-ECDSA-CAMELLIA128-SHA256",
        "ECDHE-ECDSA-ARIA128-GCM-SHA256",
        "ECDHE-ECDSA-AES128-CCM",
    ],
)
def test_req_a13n_3_tls_1_2_without_ephemeral_keys_or_authenticated_encryption_is_refused(cipher, hospital):
    with pytest.raises(ssl.SSLError) as refused:
        shake(hospital, only(ssl.TLSVersion.TLSv1_2, f"{cipher}:@SECLEVEL=0"))
    assert "ALERT_HANDSHAKE_FAILURE" in refused.value.reason


def test_req_a13n_3_what_is_spoken_is_tls_1_3_and_the_strong_suites_of_1_2(hospital):
    assert shake(hospital, lambda context: None)[0] == "TLSv1.3"
    for cipher in ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"):
        assert shake(hospital, only(ssl.TLSVersion.TLSv1_2, cipher))[:2] == ("TLSv1.2", cipher)
    assert shake(hospital, lambda context: context.set_alpn_protocols(["h2", "http/1.1"]))[2] == "h2"


def test_req_h32_no_early_data_is_offered(hospital, tmp_path):
    """A ticket that allows early data would say `Max Early Data` above nought."""
    said = subprocess.run(
        [
            "openssl",
            "s_client",
            "-connect",
            f"127.0.0.1:{hospital.https}",
            "-servername",
            f"recorder.{DOMAIN}",
            "-CAfile",
            hospital.ca,
            "-tls1_3",
            "-ign_eof",
        ],
        input=b"GET / HTTP/1.0\r\n\r\n",
        capture_output=True,
        timeout=10,
        env={k: v for k, v in os.environ.items() if not k.startswith("SSL_CERT")},
    ).stdout.decode()
    tickets = re.findall(r"Max Early Data: (\d+)", said)
    assert tickets and set(tickets) == {"0"}, said[-2000:]

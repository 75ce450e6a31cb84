"""What the upstream is told and what comes back: headers, identity, cookies, addresses, large bodies, patients."""

import contextlib
import gzip
import hashlib
import itertools
import json
import os
import re
import threading
import time
import urllib.parse

import jwt
import pytest

from conftest import NURSE, PHYSICIAN
from hospital import DOMAIN, wait_until
from raw import Door, Raw
from web import Answer

OURS = {
    "host",
    "via",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-request-id",
    "sekimori-assertion",
    "remote-user",
    "remote-name",
    "remote-groups",
}


def told(hospital, answer, event=None):
    """What the journal says about the request of an answer."""
    request = answer.header("x-request-id")
    return [r for r in hospital.records(event) if r.get("request") == request]


def reply(*headers, body=b"ok", status="200 OK"):
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""])

    def answer(request, connection):
        connection.sendall(head.encode("latin-1") + body)

    return answer


# Headers to the upstream


def test_the_upstream_sees_the_clients_bytes_and_our_headers_and_nothing_else(hospital, door, seen):
    sent = [
        ("Accept", "text/html;q=0.9, */*"),
        ("User-Agent", "Test/1.0 (a; b)"),
        ("X-App", "  kept".strip()),
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("X-Latin", "caf\xe9"),
        ("X-Empty", ""),
        ("Range", "bytes=0-1"),
        ("If-None-Match", 'W/"x"'),
        ("Origin", "https://elsewhere.example"),
        ("Content-Type", "text/plain; charset=x"),
    ]
    body = bytes(range(256)) * 4
    answer = door.ask("POST /write/a?q=%zz", *[f"{name}: {value}" for name, value in sent], body=body)
    assert answer.status == 200
    (request,) = seen.requests
    assert request.line == "POST /write/a?q=%zz HTTP/1.1" and request.body == body
    theirs = [(name.lower(), value) for name, value in request.headers if name.lower() not in OURS]
    assert sorted(theirs) == sorted(
        [*((name.lower(), value) for name, value in sent), ("content-length", str(len(body)))]
    )
    assert {name: len(request.all(name)) for name in OURS} == dict.fromkeys(OURS, 1)
    assert request.get("host") == request.get("x-forwarded-host") == door.authority
    assert (request.get("x-forwarded-for"), request.get("x-forwarded-proto")) == ("127.0.0.1", "https")
    assert request.get("forwarded") == "for=127.0.0.1;proto=https"
    assert request.get("x-request-id") == answer.header("x-request-id")
    assert request.get("remote-user") == PHYSICIAN
    assert urllib.parse.unquote(request.get("remote-name")) == "九十九　真理"
    assert set(request.get("remote-groups").split(",")) == {"physician", "tester"}


SPOKEN_FOR = [
    "Sekimori-Assertion",
    "Remote-User",
    "Remote-Name",
    "Remote-Groups",
    "Remote-Email",
    "X-Remote-User",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-Prefix",
    "X-Forwarded-Port",
    "Forwarded",
    "X-Real-IP",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Original-URI",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "Client-Cert",
    "Client-Cert-Chain",
    "X-SSL-Client-CN",
    "X-SSL-Client-Verify",
    "SSL-Client-Cert",
    "X-Client-Cert",
    "X-Request-Id",
    "X-Gateway-User",
    "X-User",
    "X-Auth-Request-User",
    "X-Authenticated-User",
    "X-WebAuth-User",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Client-IP",
    "Early-Data",
    "Authorization",
    "Proxy-Authorization",
    "Proxy",
]


def spellings(name):
    return [
        name,
        name.lower(),
        name.upper(),
        name.swapcase(),
        name.replace("-", "_"),
        name.replace("-", "_").upper(),
        name.replace("-", "_", 1),
    ]


def forged(seen):
    """What the upstream's own framework might read the forged value out of."""
    return [(name, value) for request in seen.requests for name, value in request.headers if "evil" in value]


@pytest.mark.parametrize("name", SPOKEN_FOR)
def test_req_h13_to_h16_and_atk_a08_a10_no_spelling_of_a_header_that_speaks_for_us_gets_through(name, door, seen):
    for spelling in dict.fromkeys(spellings(name)):
        assert door.ask("GET /pages/a", f"{spelling}: evil", f"{spelling}: evil2").status == 200, spelling
    assert forged(seen) == []
    assert all(len(request.all(own)) == 1 for request in seen.requests for own in OURS)


def test_req_h02_and_atk_a10_nobody_names_our_headers_away(door, seen):
    named = ", ".join(sorted(OURS))
    for connection in (
        [f"Connection: {named}"],
        [f"Connection: close, {named.title()}"],
        [f"Connection: {name}" for name in sorted(OURS)],
        [f"Connection: {named.replace('-', '_')}"],
        ["Connection: Sekimori-Assertion", "Sekimori-Assertion: evil"],
        ["Proxy-Connection: Remote-User"],
    ):
        assert door.ask("GET /pages/a", *connection).status == 200, connection
    for request in seen.requests:
        assert {name: len(request.all(name)) for name in OURS} == dict.fromkeys(OURS, 1), request.head
    assert forged(seen) == []


def test_req_h01_hop_by_hop_fields_and_what_connection_names_stay_behind_both_ways(door, seen):
    hop = [
        "Connection: X-Foo, keep-alive",
        "Connection: x-bar",
        "X-Foo: 1",
        "X-Bar: 1",
        "Keep-Alive: timeout=9",
        "Proxy-Connection: keep-alive",
        "TE: trailers",
        "Upgrade: foo/2",
        "Trailer: X-T",
    ]
    seen.answer = reply(
        "Connection: X-Foo",
        "X-Foo: 1",
        "Connection: x-bar",
        "X-Bar: 1",
        "Keep-Alive: timeout=9",
        "Proxy-Connection: keep-alive",
        "Upgrade: foo/2",
        "Proxy-Authenticate: Basic",
        "X-Kept: 1",
    )
    answer = door.ask("GET /pages/a", *hop)
    gone = {
        "connection",
        "x-foo",
        "x-bar",
        "keep-alive",
        "proxy-connection",
        "te",
        "upgrade",
        "trailer",
        "transfer-encoding",
        "proxy-authenticate",
    }
    assert answer.status == 200 and answer.header("x-kept") == "1"
    assert not gone & {name for name, _ in answer.headers}
    (request,) = seen.requests
    assert not gone & {name.lower() for name, _ in request.headers}


@pytest.mark.parametrize(
    "value",
    [
        "a",
        "::1%eth0",
        "192.0.2.1",
        "192.0.2.1, 127.0.0.1",
        "unknown",
        '"[::1]"',
        ",,,",
        "é",
        ", ".join(["192.0.2.7"] * 600),
        ", ".join(["192.0.2.7"] * 930),
    ],
)
def test_atk_a08_a09_what_a_client_says_of_where_it_is_changes_nothing(value, hospital, door, seen):
    names = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-Host")
    # As many as go into a head: what is too large is 431 (H-23).
    said = [f"{name}: {value}" for name in names[: 28_000 // len(value)]]
    for target, status in (("/pages/a", 200), ("/forbidden", 403)):
        answer = door.ask(
            f"GET {target}", *said, "X-Forwarded-Proto: http", "X-Original-URL: /pages/a", "X-Forwarded-Uri: /pages/a"
        )
        assert answer.status == status
        (record,) = told(hospital, answer)
        assert (record["from"]["zone"], record["from"]["address"], record["what"]["target"]) == (
            "ward",
            "127.0.0.1",
            target,
        )
    (request,) = seen.requests
    assert (request.get("x-forwarded-for"), request.get("forwarded")) == ("127.0.0.1", "for=127.0.0.1;proto=https")


def test_req_h18_via_is_appended_and_a_request_that_was_here_before_is_a_loop(door, seen):
    assert door.ask("GET /pages/a", "Via: 1.0 fred, 1.1 p.example").status == 200
    hops = ", ".join(seen.requests[0].all("via"))
    assert re.fullmatch(r"1\.0 fred, 1\.1 p\.example, 1\.1 \S+", hops)
    ours = hops.rsplit(" ", 1)[1]
    assert "127.0.0.1" not in ours
    seen.requests.clear()
    for again in (f"1.1 {ours}", f"1.0 fred, 1.1 {ours.upper()}", f"HTTP/1.1 {ours} (x), 1.1 other"):
        assert door.ask("GET /pages/a", f"Via: {again}").status == 508
    assert seen.requests == []


# The signed word on who asks


@pytest.fixture(scope="module")
def jwks(hospital):
    answer = hospital.web().fetch(hospital.origin() + "/.sekimori/jwks.json", headers={"Sec-Fetch-Site": "none"})
    assert answer.status == 200
    return answer.json


def test_req_h14_the_assertion_is_verified_by_another_library_against_the_published_key(hospital, door, seen, jwks):
    door.ask("GET /pages/a")
    (request,) = seen.requests
    token = request.get("sekimori-assertion")
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "ES256"
    (key,) = [key for key in jwks["keys"] if key["kid"] == header["kid"]]
    assert not {"d", "p", "q", "k"} & set(key), "only the public half"
    checks = {
        "algorithms": ["ES256"],
        "audience": "recorder",
        "issuer": hospital.origin(),
        "options": {"require": ["exp", "iat", "nbf", "sub", "aud", "iss", "jti"], "strict_aud": True},
    }
    claims = jwt.decode(token, jwt.PyJWK(key).key, **checks)
    assert claims["sub"] == PHYSICIAN and claims["name"] == "九十九　真理"
    assert set(claims["roles"]) == {"physician", "tester"} == set(request.get("remote-groups").split(","))
    assert 0 < claims["exp"] - time.time() <= 60 and claims["exp"] - claims["iat"] <= 60
    assert claims["acr"] == "aal2" and claims["amr"]
    assert claims["sid"] not in door.cookie
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, jwt.PyJWK(key).key, **{**checks, "audience": "chart"})
    head, body, signature = token.split(".")
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(
            ".".join([head, body, signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")]),
            jwt.PyJWK(key).key,
            **checks,
        )


def test_req_h14_each_app_gets_an_assertion_for_itself_and_each_person_his_own(hospital, door, nurse, seen):
    Door(hospital, "recorder", nurse.cookie("recorder")).ask("GET /pages/a")
    door.ask("GET /pages/a")
    claims = [jwt.decode(r.get("sekimori-assertion"), options={"verify_signature": False}) for r in seen.requests[-2:]]
    assert [c["sub"] for c in claims] == [NURSE, PHYSICIAN] == [r.get("remote-user") for r in seen.requests[-2:]]
    assert claims[0]["sid"] != claims[1]["sid"] and claims[0]["jti"] != claims[1]["jti"]
    # The key is the portal's to show, nowhere else.
    assert door.ask("GET /.sekimori/jwks.json").status == 404


# Cookies


def jar(answer):
    """Name to value, and name to attributes, as a browser reads them."""
    values, attributes = {}, {}
    for line in answer.all("set-cookie"):
        pair, *rest = [part.strip() for part in line.split(";")]
        name, _, value = pair.partition("=")
        values[name], attributes[name] = value, [part.lower() for part in rest]
    return values, attributes


def given(door, seen, *set_cookies):
    """The cookies that a browser holds after the upstream set these."""
    seen.answer = reply(*[f"Set-Cookie: {cookie}" for cookie in set_cookies])
    values, attributes = jar(door.ask("GET /pages/set"))
    seen.answer = seen.plain
    return values, attributes


def sent_with(door, seen, *cookies, target="/pages/a"):
    """What the upstream gets of a browser's cookies, and the answer."""
    seen.requests.clear()
    answer = door.ask(f"GET {target}", f"Cookie: {'; '.join([door.cookie, *cookies])}")
    return seen.requests[-1].get("cookie"), answer


def test_atk_a48_an_upstreams_cookie_is_renamed_sealed_and_comes_back_to_it_as_it_was(door, seen):
    values, attributes = given(
        door,
        seen,
        "JSESSIONID=abc.1; Path=/pages; HttpOnly; Domain=sekimori.localhost",
        "__Host-s=2; Secure; Path=/",
        "plain=3",
        "theme=dark; Max-Age=60; Domain=.localhost",
    )
    sealed = {name: value for name, value in values.items() if name != "theme"}
    assert values["theme"] == "dark" and "httponly" not in attributes["theme"]
    assert len(sealed) == 3 and all(
        re.fullmatch(r"(__Host-)?sk\.[\w-]+\.(JSESSIONID|s|plain)", name) for name in sealed
    )
    assert sum(name.startswith("__Host-") for name in sealed) == 1
    assert not any("abc" in value for value in sealed.values())
    for name in values:
        assert not any(a.startswith("domain") for a in attributes[name]) and "secure" in attributes[name]
        assert name == "theme" or "httponly" in attributes[name]
    back, answer = sent_with(door, seen, *[f"{name}={value}" for name, value in values.items()])
    assert sorted(back.split("; ")) == ["JSESSIONID=abc.1", "__Host-s=2", "plain=3", "theme=dark"]
    assert answer.all("set-cookie") == []


def test_atk_a48_another_person_with_the_formers_cookies_sends_none_of_them(hospital, door, nurse, seen):
    values, _ = given(door, seen, "JSESSIONID=physicians; HttpOnly", "__Secure-t=1; Secure; HttpOnly")
    held = [f"{name}={value}" for name, value in values.items()]
    second = Door(hospital, "recorder", nurse.cookie("recorder"))
    back, answer = sent_with(second, seen, *held, "JSESSIONID=physicians")
    assert back is None
    cleared, attributes = jar(answer)
    assert set(cleared) == set(values) and all("max-age=0" in attributes[name] for name in cleared)
    # The nurse gets one of her own, beside his.
    own, _ = given(second, seen, "JSESSIONID=nurses; HttpOnly")
    assert not set(own) & set(values)
    assert sent_with(second, seen, *held, *[f"{n}={v}" for n, v in own.items()])[0] == "JSESSIONID=nurses"


def test_atk_a48_the_same_persons_next_session_begins_without_the_last_ones_cookies(hospital, nurse, seen):
    first = Door(hospital, "recorder", nurse.cookie("recorder"))
    values, _ = given(first, seen, "JSESSIONID=morning; HttpOnly")
    nurse.web = hospital.web()
    nurse.login(f"{first.origin}/")
    second = Door(hospital, "recorder", nurse.cookie("recorder"))
    assert second.cookie != first.cookie
    assert sent_with(second, seen, *[f"{name}={value}" for name, value in values.items()])[0] is None


def test_atk_a48_a_sealed_cookie_opens_under_its_own_name_only_and_unchanged(door, seen):
    values, _ = given(door, seen, "admin=0; HttpOnly", "other=1; HttpOnly")
    (name, value), (other, _) = values.items()
    line = name.rsplit(".", 1)[0]
    flipped = value[:10] + ("A" if value[10] != "A" else "B") + value[11:]
    for cookie in (
        f"{name}={flipped}",
        f"{other}={value}",
        f"__Host-{name}={value}",
        f"{line}.new={value}",
        f"{name}={value[:-4]}",
        f"{name}=",
        f"{line}.admin=1",
        "admin=1",
        f"sk.x.admin={value}",
    ):
        assert sent_with(door, seen, cookie)[0] is None, cookie
    assert sent_with(door, seen, f"{name}={value}")[0] == "admin=0"


@pytest.mark.parametrize(
    "cookie",
    [
        "__Host-sk=evil; Path=/; Secure",
        "__Host-sk-bind=evil; Path=/; Secure",
        "__host-SK=evil",
        "sk.x.y=evil",
        "__Host-sk.x.y=evil; Secure; Path=/",
        "SK.X.Y=evil",
        "__Secure-sk=evil; Secure",
        "=evil",
        "__Host-sk",
        "a b=evil",
        "; a=evil",
        "__Host-sk =evil",
    ],
)
def test_req_h31_an_upstream_sets_none_of_our_cookies(cookie, door, seen):
    values, _ = given(door, seen, cookie, "a=good")
    assert [name.rsplit(".", 1)[-1] for name in values] == ["a"], values
    assert all("evil" not in value for value in values.values())


def test_req_h31_our_cookies_are_never_sent_upstream(door, seen):
    assert sent_with(door, seen, "__Host-sk-bind=AAAA")[0] is None
    assert sent_with(door, seen, "__Host-sk-bind=AAAA", "theme=dark", "b=1")[0] == "theme=dark"
    token = door.cookie.split("=", 1)[1]
    assert all(token.encode() not in request.head for request in seen.requests)


def test_req_h31_count_and_size_of_an_upstreams_cookies_are_bounded(door, seen):
    values, _ = given(door, seen, *[f"c{i}=1" for i in range(60)])
    assert 0 < len(values) <= 32
    values, _ = given(door, seen, "big=" + "x" * 5000, "small=1")
    assert [name.rsplit(".", 1)[-1] for name in values] == ["small"]


# Addresses and other headers of answers


@pytest.mark.parametrize(
    "header, value, ours",
    [
        ("Location", "http://127.0.0.1:{up}/a?b=c#d", "{o}/a?b=c#d"),
        ("Location", "HTTP://127.0.0.1:{up}", "{o}"),
        ("Location", "//127.0.0.1:{up}/a", "{o}/a"),
        ("Location", "http://{h}/a", "{o}/a"),
        ("Location", "http://{a}/a", "{o}/a"),
        ("Location", "http://{h}:{up}/a", "{o}/a"),
        ("Location", "/a/../b", "/a/../b"),
        ("Location", "a", "a"),
        (
            "Location",
            "https://elsewhere.example/?x=http://127.0.0.1:{up}/",
            "https://elsewhere.example/?x=http://127.0.0.1:{up}/",
        ),
        ("Location", "http://127.0.0.1:{up}@evil.example/", "http://127.0.0.1:{up}@evil.example/"),
        ("Location", "http://127.0.0.1:{up}.evil.example/", "http://127.0.0.1:{up}.evil.example/"),
        ("Content-Location", "http://127.0.0.1:{up}/a", "{o}/a"),
        ("Refresh", "5; url=http://127.0.0.1:{up}/a", "5; url={o}/a"),
        ("Refresh", "5; URL='http://127.0.0.1:{up}/a'", "5; url={o}/a"),
        ("Refresh", "5", "5"),
        ("Link", "<http://127.0.0.1:{up}/a>; rel=next, </b>; rel=prev", "<{o}/a>; rel=next, </b>; rel=prev"),
        ("Access-Control-Allow-Origin", "http://127.0.0.1:{up}", "{o}"),
    ],
)
def test_addresses_that_name_the_upstream_come_to_name_the_app(header, value, ours, door, seen):
    def fill(text):
        return (
            text.replace("{up}", str(seen.port))
            .replace("{h}", door.host)
            .replace("{a}", door.authority)
            .replace("{o}", door.origin)
        )

    seen.answer = reply(f"{header}: {fill(value)}", status="302 Found")
    answer = door.ask("GET /pages/a")
    assert (answer.status, answer.all(header)) == (302, [fill(ours)])


def test_req_h35_nothing_of_an_authenticated_answer_is_stored_but_what_the_app_calls_static(door, seen):
    seen.answer = reply(
        "Cache-Control: public, max-age=600",
        "Expires: Thu, 01 Jan 2099 00:00:00 GMT",
        "Pragma: x",
        "Age: 1",
        'ETag: "x"',
    )
    answer = door.ask("GET /pages/a")
    assert (
        answer.all("cache-control") == ["no-store"]
        and answer.header("expires") is None
        and answer.header("age") is None
    )
    for path in ("/logo.png", "/patients/1/static/a.css", "/pages/static/a"):
        assert door.ask(f"GET {path}").all("cache-control") == ["no-store"], path
    static = door.ask("GET /static/a.css")
    assert static.all("cache-control") == ["public, max-age=600"] and static.header("etag") == '"x"'
    assert door.ask("GET /forbidden").header("cache-control") == "no-store"


def test_req_h36_what_would_outlive_the_session_is_dropped(door, seen):
    gone = [
        'Alt-Svc: h3=":443"',
        'Clear-Site-Data: "*"',
        "Strict-Transport-Security: max-age=1",
        "NEL: {}",
        "Report-To: {}",
        "Service-Worker-Allowed: /",
        "Sekimori-Assertion: x",
        "Remote-User: x",
        "X-Request-Id: x",
    ]
    seen.answer = reply(*gone, "Content-Security-Policy: default-src 'none'", "X-App: kept")
    answer = door.ask("GET /pages/a")
    names = {name for name, _ in answer.headers}
    assert not {line.split(":")[0].lower() for line in gone} - {"x-request-id", "strict-transport-security"} & names
    assert answer.header("x-request-id") != "x" and len(answer.all("x-request-id")) == 1
    # Ours, and not the upstream's.
    assert answer.all("strict-transport-security") == ["max-age=31536000"]
    assert answer.header("x-app") == "kept" and answer.header("content-security-policy")


@pytest.mark.parametrize("value", ["script", "Script", "SCRIPT"])
def test_req_h36_a_service_worker_script_is_refused(value, hospital, door, seen):
    answer = door.ask("GET /static/worker.js", f"Service-Worker: {value}")
    assert answer.status == 403 and seen.requests == []
    (record,) = told(hospital, answer, "request.deny")
    assert record["why"]["reason"] == "service-worker"


def test_req_h30_an_upstream_that_is_not_there_is_502_in_general_words_and_the_log_says_why(hospital, physician, seen):
    chart = Door(hospital, "chart", "")
    page = physician.web.open(f"{chart.origin}/patients")
    assert page.status == 502
    for detail in ("127.0.0.1", "9101", "refused", "hyper", "tcp", "Traceback", "panicked"):
        assert detail not in page.text, detail
    assert page.header("x-request-id") and page.header("cache-control") == "no-store"
    assert "no answer from the upstream" in hospital.log() and "refused" in hospital.log().lower()


# Large bodies


MIB = 1 << 20
BLOCK = os.urandom(MIB)
LARGE = 300


@contextlib.contextmanager
def bounded_memory(hospital):
    """The gateway's peak during the block is at most 64 MiB above what it held before."""
    process = f"/proc/{hospital.process.pid}"

    def kib(name):
        with open(f"{process}/status") as file:
            return int(re.search(rf"{name}:\s+(\d+) kB", file.read())[1])

    with open(f"{process}/clear_refs", "w") as file:
        file.write("5")
    before = kib("VmRSS")
    yield
    assert kib("VmHWM") - before <= 64 * 1024, f"{before} kB before, {kib('VmHWM')} kB at the peak"


def settled(count):
    """Waits until `count()` doesn't move for a third of a second, and gives it."""
    last = [count(), time.monotonic()]

    def still():
        if (now := count()) != last[0]:
            last[:] = [now, time.monotonic()]
        return time.monotonic() - last[1] > 0.33

    wait_until(still, "it stalls", 20)
    return count()


def test_req_h33_a_large_upload_streams_and_a_slow_upstream_stops_the_client(hospital, door, seen):
    gate, got, sent = threading.Event(), hashlib.sha256(), [0]

    def slow(request, reader):
        gate.wait(20)
        for _ in range(LARGE):
            got.update(reader.read(MIB))

    def send():
        for _ in range(LARGE):
            raw.send(BLOCK)
            sent[0] += 1

    seen.receive = slow
    with bounded_memory(hospital):
        raw = door.open().send(door.text("PUT /write/large", f"Content-Length: {LARGE * MIB}"))
        raw.socket.settimeout(30)
        sending = threading.Thread(target=send)
        sending.start()
        assert settled(lambda: sent[0]) < 48
        gate.set()
        sending.join()
        status, headers, _ = raw.answer()
    assert status == 200
    expected = hashlib.sha256()
    for _ in range(LARGE):
        expected.update(BLOCK)
    assert got.digest() == expected.digest()
    closed = wait_until(
        lambda: [r for r in hospital.records("request.close") if r["request"] == dict(headers)["x-request-id"]],
        "closed",
    )
    assert closed[0]["outcome"] == "ok" and closed[0]["detail"]["bytes_in"] == LARGE * MIB


def test_req_h33_a_large_download_streams_and_a_slow_reader_stops_the_upstream(hospital, door, seen):
    sent = [0]

    def large(request, connection):
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {LARGE * MIB}\r\n\r\n".encode())
        for _ in range(LARGE):
            connection.sendall(BLOCK)
            sent[0] += 1

    seen.answer = large
    with bounded_memory(hospital):
        raw = door.open().send(door.text("GET /pages/large"))
        raw.socket.settimeout(30)
        status, headers = raw.head()
        assert status == 200 and dict(headers)["content-length"] == str(LARGE * MIB)
        assert settled(lambda: sent[0]) < 48
        for _ in range(LARGE):
            assert raw.reader.read(MIB) == BLOCK
    assert sent[0] == LARGE


def test_req_h33_more_than_two_gibibytes_go_each_way_in_flat_memory(hospital, door, seen):
    """Past where a signed number of 32 bits ends."""
    blocks = 2 * 1024 + 1
    sizes = []

    def receive(request, reader):
        request.take_body(reader) if request.method == "GET" else sizes.append(sum(
            len(reader.read(MIB)) for _ in range(blocks)))

    def answer(request, connection):
        if request.method == "PUT":
            return seen.plain(request, connection)
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {blocks * MIB}\r\n\r\n".encode())
        for _ in range(blocks):
            connection.sendall(BLOCK)

    seen.receive, seen.answer = receive, answer
    with bounded_memory(hospital):
        raw = door.open().send(door.text("PUT /write/large", f"Content-Length: {blocks * MIB}"))
        raw.socket.settimeout(30)
        for _ in range(blocks):
            raw.send(BLOCK)
        stored = Answer(*raw.answer(), door.origin)
        assert stored.status == 200 and sizes == [blocks * MIB]
        status, headers = raw.send(door.text("GET /pages/large")).head()
        assert (status, dict(headers)["content-length"]) == (200, str(blocks * MIB))
        assert sum(raw.reader.read(MIB) == BLOCK for _ in range(blocks)) == blocks
    (closed,) = wait_until(lambda: told(hospital, stored, "request.close"), "its end is on record")
    assert (closed["outcome"], closed["detail"]["bytes_in"]) == ("ok", blocks * MIB)


# Whose chart


def patient(hospital, answer, event):
    records = wait_until(lambda: told(hospital, answer, event), f"{event} is on record")
    return records[0]["what"].get("patient")


FORM = "Content-Type: application/x-www-form-urlencoded"
JSON = "Content-Type: application/json"


@pytest.mark.parametrize(
    "target, number",
    [
        ("/patients/000777", "000777"),
        ("/patients/000777/labs/2026?x=000778", "000777"),
        ("/patients/%E5%B1%B1", "山"),
        ("/search?pid=000778", "000778"),
        ("/search?q=a&pid=%30%300778&x", "000778"),
        ("/search?pid=1&pid=1", "1"),
        ("/search?pid=1&pid=2", "unknown"),
        ("/search?q=000778", "unknown"),
        ("/search", "unknown"),
        ("/search?pid=", "unknown"),
        ("/search?pid=%zz", "unknown"),
        ("/search?pid=" + "1" * 65, "unknown"),
        ("/pages/a?pid=1", None),
    ],
)
def test_the_patient_of_a_path_or_query_is_on_record(target, number, hospital, door, seen):
    answer = door.ask(f"GET {target}")
    assert answer.status == 200 and patient(hospital, answer, "request.permit") == number
    assert seen.requests[0].target == target


@pytest.mark.parametrize(
    "target, headers, body, number",
    [
        ("/forms/order", [FORM], b"note=a+b%20c&patient_id=000779&x=%zz&y", "000779"),
        ("/forms/order", [FORM + "; charset=utf-8"], b"patient_id=%30%30%30779", "000779"),
        ("/forms/order", [FORM], b"patient_id=1&patient_id=2", "unknown"),
        ("/forms/order", [FORM], b"other=1", "unknown"),
        ("/forms/order", [FORM], b"", "unknown"),
        (
            "/forms/order",
            ["Content-Type: multipart/form-data; boundary=x"],
            b"--x\r\n\r\npatient_id=1\r\n--x--",
            "unknown",
        ),
        ("/forms/order", [], b"patient_id=1", "unknown"),
        ("/forms/order", [FORM, "Content-Encoding: gzip"], gzip.compress(b"patient_id=000779"), "unknown"),
        ("/forms/order", [FORM, "Content-Encoding: br"], b"patient_id=000779", "unknown"),
        ("/forms/order", [FORM], b"patient_id=000779&x=" + b"y" * (65536 - 20), "000779"),
        ("/json/order", [JSON], b' {"patient" :\t{"id":"000780", "x":1.0e2}, "z":"\\u5c71"}\n', "000780"),
        ("/json/order", ["Content-Type: application/fhir+json; charset=utf-8"], b'{"patient":{"id":780}}', "780"),
        ("/json/order", [JSON], b'{"patient":{"id":null}}', "unknown"),
        ("/json/order", [JSON], b'{"patient":{"id":"7"', "unknown"),
        ("/json/order", ["Content-Type: text/plain"], b'{"patient":{"id":"7"}}', "unknown"),
        ("/json/order", [JSON, "Content-Encoding: gzip"], gzip.compress(b'{"patient":{"id":"7"}}'), "unknown"),
    ],
)
def test_the_patient_of_a_body_is_on_record_and_the_same_bytes_go_on(
    target, headers, body, number, hospital, door, seen
):
    answer = door.ask(f"POST {target}", *headers, body=body)
    assert answer.status == 200 and patient(hospital, answer, "request.open") == number
    (request,) = seen.requests
    assert request.body == body and request.get("content-length") == str(len(body))


def test_a_held_body_is_whole_before_the_upstream_sees_a_byte(door, seen):
    body = b"patient_id=000781&x=1"
    raw = door.open().send(
        door.text("POST /forms/order", FORM, "Transfer-Encoding: chunked") + b"8\r\n" + body[:8] + b"\r\n"
    )
    # Another request goes through meanwhile, and is the first.
    assert door.ask("GET /pages/a").status == 200
    assert [request.target for request in seen.requests] == ["/pages/a"]
    rest = body[8:]
    raw.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(rest), rest))
    assert raw.answer()[0] == 200
    assert (seen.requests[1].target, seen.requests[1].body) == ("/forms/order", body)


def test_req_h23_a_form_beyond_64_kib_is_413_and_reaches_nobody(hospital, door, seen):
    body = b"patient_id=000779&x=" + b"y" * 65536
    chunked = (
        b"".join(b"1000\r\n" + body[i : i + 4096].ljust(4096, b"z") + b"\r\n" for i in range(0, len(body), 4096))
        + b"0\r\n\r\n"
    )
    for answer in (
        door.ask("POST /forms/order", FORM, body=body),
        door.exchange(door.text("POST /forms/order", FORM, "Transfer-Encoding: chunked") + chunked),
        door.exchange(door.text("POST /json/order", JSON, "Content-Length: 70000")),
    ):
        assert answer.status == 413
        denied = told(hospital, answer, "request.deny")
        assert denied[0]["why"]["reason"] == "too-large"
    assert seen.requests == []


@pytest.mark.parametrize(
    "headers, number",
    [
        (["X-Patient-Id: 000782"], "000782"),
        (["X-Patient-Id: 1", "X-Patient-Id: 2"], "unknown"),
        ([], "unknown"),
        (["X-Patient-Id:"], "unknown"),
    ],
)
def test_the_patient_of_an_answers_header_is_on_record(headers, number, hospital, door, seen):
    seen.answer = reply(*headers)
    answer = door.ask("GET /answers/header")
    assert answer.status == 200 and patient(hospital, answer, "request.permit") == number


ANSWER = b'{"patient":[{"id":"000783"}],"pad":"%s"}'


@pytest.mark.parametrize(
    "headers, body, number",
    [
        ([JSON], ANSWER % b"", "000783"),
        ([JSON], ANSWER % (b"x" * 60000), "000783"),
        ([JSON], ANSWER % (b"x" * 66000), "unknown"),
        ([JSON, "Content-Encoding: gzip"], gzip.compress(ANSWER % b""), "unknown"),
        ([JSON, "Content-Encoding: br"], ANSWER % b"", "unknown"),
        (["Content-Type: text/html"], ANSWER % b"", "unknown"),
        ([JSON], b'{"patient":[]}', "unknown"),
        ([JSON], b"{", "unknown"),
    ],
)
def test_the_patient_of_an_answers_json_stands_in_the_close_record(headers, body, number, hospital, door, seen):
    seen.answer = reply(*headers, body=body)
    answer = door.ask("GET /answers/json")
    assert answer.body == body and patient(hospital, answer, "request.close") == number


def test_a_denial_is_on_record_with_person_action_and_reason(hospital, door, seen):
    answer = door.ask("GET /forbidden/1")
    (record,) = told(hospital, answer)
    assert (answer.status, record["event"], record["outcome"]) == (403, "request.deny", "denied")
    assert record["who"]["staff_no"] == PHYSICIAN and record["what"]["action"] == "forbidden"
    assert record["why"]["reason"] == "no-role" and record["detail"]["status"] == 403
    (no_action,) = told(hospital, door.ask("GET /nothing/here"))
    assert no_action["why"]["reason"] == "no-action"
    assert seen.requests == []


# Where a login comes back to


def leads_home(location, page):
    """Whether a browser (WHATWG URL) would stay on the page's own origin."""
    text = re.sub(r"[\t\r\n]", "", location.strip("".join(map(chr, range(33)))))
    there = urllib.parse.urlsplit(urllib.parse.urljoin(page, text.replace("\\", "/")))
    return f"{there.scheme}://{there.netloc}" == "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(page))


HOSTS = [
    "evil.example",
    "evil.example/",
    "user@evil.example",
    "evil.example:443",
    "evil.example%2f..",
    "evil%2eexample",
    "\u3002evil",
    "evil.example#",
    "evil.example?",
    "[::1]",
    "2130706433",
    "recorder.sekimori.localhost.evil.example",
    "recorder.sekimori.localhost@evil.example",
]
PREFIXES = [
    "",
    "/",
    "//",
    "///",
    "////",
    "/\\",
    "\\",
    "\\\\",
    "/\t/",
    "/%09/",
    "/%0d%0a/",
    "/%2f",
    "%2f%2f",
    "/%5c",
    "https:",
    "https:/",
    "https://",
    "https:\\\\",
    "//https://",
    "/.//",
    "/..//",
    "/;@",
    "javascript://",
    "data:",
    "/?//",
    "/@",
    "http://",
    " //",
    "\x0b//",
    "/\x00/",
]
PAYLOADS = [prefix + host for prefix, host in itertools.product(PREFIXES, HOSTS)]


def raw_ask(raw, target, host, *headers):
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {host}",
        "Sec-Fetch-Mode: navigate",
        "Sec-Fetch-Dest: document",
        "Sec-Fetch-Site: none",
        "Sec-Fetch-User: ?1",
        *headers,
        "",
        "",
    ]
    return raw.send("\r\n".join(lines).encode("utf-8")).answer()


class Redirects:
    """Kept raw connections to the recorder and the portal, with the cookies of one browser."""

    def __init__(self, hospital, cookies):
        self.hospital, self.cookies, self.lines = hospital, cookies, {}

    def ask(self, name, target, *headers):
        host = f"{name}.{DOMAIN}"
        raw = self.lines.get(name) or Raw(self.hospital.https, self.hospital.ca, host)
        got = raw_ask(raw, target, f"{host}:{self.hospital.https}", *headers)
        self.lines[name] = None if got is None or dict(got[1]).get("connection") == "close" else raw
        return got


def test_req_h34_and_atk_a15_a_login_returns_to_the_host_it_began_on_whatever_the_address_says(
    hospital, physician, seen
):
    assert len(PAYLOADS) > 300
    browser = Redirects(hospital, {})
    portal = physician.web.cookies[f"auth.{DOMAIN}"]
    session = "; ".join(f"{name}={value}" for name, value in portal.items())
    bind = physician.web.cookies[f"recorder.{DOMAIN}"]["__Host-sk-bind"]
    app, auth = hospital.origin("recorder"), hospital.origin()
    followed = 0
    for payload in itertools.chain(PAYLOADS, (f"/pages/a?next={p}" for p in PAYLOADS[::7])):
        answer = browser.ask("recorder", payload, f"Cookie: __Host-sk-bind={bind}")
        if answer is None or answer[0] in (400, 404, 421):
            continue
        assert answer[0] == 303, (payload, answer)
        location = dict(answer[1])["location"]
        assert re.fullmatch(re.escape(f"{auth}/login?i=") + r"[\w-]+", location), (payload, location)
        answer = browser.ask("auth", location.removeprefix(auth), f"Cookie: {session}")
        location = dict(answer[1]).get("location", "")
        assert answer[0] == 303 and location.startswith(f"{app}/.sekimori/enter?code="), (payload, answer)
        answer = browser.ask("recorder", location.removeprefix(app), f"Cookie: __Host-sk-bind={bind}")
        location = dict(answer[1])["location"]
        assert answer[0] == 303 and leads_home(location, f"{app}/.sekimori/enter"), (payload, location)
        followed += 1
    assert followed > 60
    assert seen.requests == []


NAMES = [
    "next",
    "url",
    "rd",
    "return",
    "returnTo",
    "return_url",
    "redirect",
    "redirect_uri",
    "target",
    "continue",
    "i",
    "to",
    "from",
    "r",
]


def test_req_h34_and_atk_a15_no_parameter_of_the_portal_leads_elsewhere(hospital, physician):
    browser = Redirects(hospital, {})
    portal = physician.web.cookies[f"auth.{DOMAIN}"]
    session = "; ".join(f"{name}={value}" for name, value in portal.items())
    payloads = [p for p in PAYLOADS if p.isascii() and p.isprintable() and " " not in p][::5]
    for page, cookie in itertools.product(
        ("/login", "/lock", "/enrol", "/", "/cli", "/sessions"), (f"Cookie: {session}", "X-None: 1")
    ):
        for start in range(0, len(payloads), 12):
            query = "&".join(f"{name}={p}" for name, p in zip(itertools.cycle(NAMES), payloads[start : start + 12]))
            answer = browser.ask(
                "auth", f"{page}?{query}".replace("#", ""), cookie, f"Referer: https://{payloads[start]}"
            )
            assert answer[0] in (200, 303, 400, 401, 403, 410), answer
            location = dict(answer[1]).get("location", "/")
            assert leads_home(location, hospital.origin() + page), (page, query, location)
            assert "evil" not in dict(answer[1]).get("refresh", "")
    for payload in payloads:
        answer = browser.ask(
            "recorder", f"/.sekimori/enter?code=AAAA&target={payload}&next={payload}&lang={payload}".replace("#", "")
        )
        assert answer[0] in (303, 400, 410) and leads_home(
            dict(answer[1]).get("location", "/"), hospital.origin("recorder")
        ), answer


@pytest.mark.parametrize("form", ["/logout", "/lock"])
def test_atk_a15_logout_and_lock_lead_to_the_portal_itself(form, hospital, nurse):
    payloads = [p for p in PAYLOADS if p.isascii() and p.isprintable() and " " not in p][: len(NAMES)]
    page = nurse.web.open(hospital.origin() + "/")
    action = page.form(form)
    action["action"] += "?" + "&".join(f"{n}={p}" for n, p in zip(NAMES, payloads) if "#" not in p)
    answer = nurse.web.submit(
        page, action, dict(zip(NAMES, payloads)), follow=False, headers={"Referer": "https://evil.example/"}
    )
    assert answer.status in (200, 303, 403), answer.text
    assert leads_home(answer.header("location") or "/", hospital.origin() + form)
    assert "evil" not in (answer.header("refresh") or "") and "evil.example" not in answer.text

"""Whom the gateway calls: the members of its configuration, and nobody whose address a client or an upstream names (A44)."""

import base64
import json
import socket
import subprocess

import pytest

from conftest import NURSE
from hospital import BINARIES, DOMAIN, Hospital
from raw import Door
from upstream import Upstream
from web import FETCH

API = "/.sekimori/api/v1/"


class Trap:
    """Listens where nobody has a reason to call."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.authority = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.url = f"http://{self.authority}/pages/a"

    def callers(self, seconds=0.3):
        """How many have connected so far; one more is awaited for a moment."""
        found = 0
        self.listener.settimeout(seconds)
        try:
            while True:
                self.listener.accept()[0].close()
                found += 1
        except TimeoutError:
            return found


@pytest.fixture()
def trap():
    made = Trap()
    yield made
    # It would have heard.
    socket.create_connection(made.listener.getsockname()[:2], 5).close()
    assert made.callers() == 1
    made.listener.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A hospital with one upstream, which tests give its answers, and a registrar."""
    works = Upstream()
    made = Hospital(tmp_path_factory.mktemp("site"), {"works": works.port})
    made.prepare().start().open_desk()
    made.works, made.person = works, made.hire(NURSE)
    yield made
    made.stop()
    works.close()


@pytest.fixture()
def door(site):
    site.works.answer = Upstream.plain
    site.person.web = site.web()
    site.person.login(f"https://works.{DOMAIN}:{site.https}/")
    site.works.requests.clear()
    return Door(site, "works", site.person.cookie("works"))


def forged(url):
    """A token that says where its key is to be fetched."""
    parts = [{"alg": "ES256", "typ": "JWT", "jku": url, "x5u": url, "kid": url}, {"iss": url, "sub": "900001", "aud": url}]
    text = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*text, "AAAA"])


def test_atk_a44_no_address_that_a_request_names_is_called(site, door, trap):
    url, authority = trap.url, trap.authority
    for line, host in ((f"GET {url}", None), (f"GET {url}", authority), ("GET /pages/a", authority),
                       (f"CONNECT {authority}", authority), (f"GET //{authority}/pages/a", None),
                       (f"GET /pages/{url}", None), (f"OPTIONS {url}", None)):
        assert door.ask(line, host=host).status in (400, 404, 405, 421), line
    for name in ("Referer", "Origin", "From", "Destination", "Forwarded", "X-Forwarded-Host", "X-Forwarded-Server",
                 "X-Original-URL", "X-Rewrite-URL", "X-Host", "X-Wap-Profile", "Profile", "True-Client-IP", "Contact",
                 "X-Callback", "Link", "Report-To", "SourceMap", "Proxy"):
        value = f"host={authority}" if name == "Forwarded" else authority if name.endswith(("Host", "IP")) else url
        assert door.ask("GET /pages/a", f"{name}: {value}").status == 200, name
    for name in ("url", "uri", "next", "request_uri", "jwks_uri", "callback", "target"):
        assert door.ask(f"GET /pages/a?{name}={url}").status == 200
    assert {request.target.split("?")[0] for request in site.works.requests} == {"/pages/a"}
    assert trap.callers() == 0


def test_atk_a44_nor_any_that_the_portal_and_the_api_are_told(site, door, trap):
    url = trap.url
    names = "&".join(f"{name}={url}" for name in ("next", "return", "return_to", "rd", "redirect_uri", "request_uri",
                                                  "post_logout_redirect_uri", "client_metadata", "logo_uri", "issuer"))
    web = site.web()
    for path in ("/", "/login", "/lock", "/enrol", "/.sekimori/jwks.json", "/cli"):
        web.open(f"{site.origin()}{path}?{names}")
    site.person.web = site.web()
    page = site.person.go()
    site.person.web.submit(page, page.form("/login/passkey"), {"credential": json.dumps(
        {"id": url, "rawId": url, "type": "public-key", "response": {"clientDataJSON": url, "attestationObject": url}})})
    for token in (forged(url), url):
        answer = web.fetch(f"{site.origin()}{API}session", headers={"Authorization": f"Bearer {token}"})
        assert answer.status == 401
    site.refresh_cli()
    officer = site.officer.web

    def post(path, body, kind="application/json"):
        return officer.fetch(site.origin() + API + path, "POST", body=body, headers={**FETCH, "Content-Type": kind})

    asked = {"staff_no": NURSE, "method": "GET"}
    assert post("policy/test", json.dumps({**asked, "url": url})).status in (200, 422)
    for address in (url, f"https://works.{DOMAIN}:{site.https}/pages/{url}"):
        post("policy/test", json.dumps({**asked, "url": address}))
    post("session/token", json.dumps({"code": url}))
    post("enrolment", json.dumps({"staff_no": "000124", "method": url, "evidence": url}))
    post("hr/import", url.encode(), "text/csv")
    assert trap.callers() == 0


def test_atk_a44_nor_any_to_which_an_upstream_refers(site, door, trap):
    moved = (f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {trap.url}\r\nLink: <{trap.url}>; rel=preload\r\n"
             f"Refresh: 0; url={trap.url}\r\nAlt-Svc: h2=\"{trap.authority}\"\r\nContent-Location: {trap.url}\r\n"
             "Content-Type: text/html\r\nContent-Length: 0\r\n\r\n").encode()
    site.works.answer = lambda request, connection: connection.sendall(moved)
    answer = door.ask("GET /pages/a")
    assert (answer.status, answer.header("location")) == (307, trap.url), "the browser may go there"
    # Where the gateway itself asks: whose image it is, and the goodbye to the app.
    assert door.ask("GET /images/ab12").status == 307
    assert site.records("request.permit")[-1]["what"]["patient"] == "unknown"
    site.person.press("/logout")
    site.works.wait_for(lambda requests: any(request.target.startswith("/bye") for request in requests))
    assert [request.target for request in site.works.requests] == ["/pages/a", "/owners/ab12", "/images/ab12", "/bye?all=1"]
    assert trap.callers() == 0


def test_atk_a44_nor_any_to_which_a_probed_application_refers(trap):
    page = (f"<title>x</title><script src='{trap.url}.js'></script><a href='{trap.url}'>a</a><img src='{trap.url}'>"
            f"<iframe src='{trap.url}'></iframe><link rel=stylesheet href='{trap.url}'><base href='{trap.url}'>"
            f"<meta http-equiv=refresh content='0; url={trap.url}'>").encode()

    def answer(request, connection):
        if request.target == "/":
            head = f"HTTP/1.1 302 Found\r\nLocation: {trap.url}\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n\r\n"
        else:
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n\r\n"
        connection.sendall(head.encode() + page)

    application = Upstream(answer)
    try:
        for start in ("", "inner/"):
            subprocess.run([BINARIES / "sekimorictl", "app", "probe", f"http://127.0.0.1:{application.port}/{start}",
                            "--name", "x", "--host", f"x.{DOMAIN}"], capture_output=True, timeout=60)
    finally:
        application.close()
    assert application.requests and trap.callers() == 0

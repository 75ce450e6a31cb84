"""Upstreams as they are: over TLS, with passwords of their own, several of a kind, with downloads and logouts."""

import base64
import hashlib
import json
import shutil
import ssl
import types

import pytest

from conftest import NURSE
from hospital import DOMAIN, Hospital, certificates, wait_until
from raw import Door
from upstream import Upstream
from web import NAVIGATION

PASSWORD = "open, sesame: 開け".encode().hex()


def say(body, *headers, status="200 OK"):
    """An upstream's answer to every request."""
    body = body if isinstance(body, bytes) else body.encode()
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return lambda request, connection: connection.sendall("\r\n".join(lines).encode() + body)


@pytest.fixture(scope="module")
def yard(tmp_path_factory):
    """A hospital with upstreams of every kind, and those upstreams."""
    folder = tmp_path_factory.mktemp("yard")
    plain, first, second = Upstream(), Upstream(), Upstream()
    made = Hospital(folder, {"works": plain.port, "yard": None})
    secrets = folder / "secrets"
    secrets.mkdir()
    certificates(secrets, ["localhost", "works.internal.example"])
    keyed = Upstream(tls=context(secrets))
    mutual = Upstream(tls=context(secrets, demands=True))
    rules = folder / "policy" / "yard.toml"
    text = rules.read_text()
    for old, new in {"https://localhost:1": f"https://localhost:{keyed.port}",
                     "https://127.0.0.1:1": f"https://127.0.0.1:{mutual.port}",
                     '"http://127.0.0.1:1", "http://127.0.0.1:2"':
                         f'"http://127.0.0.1:{first.port}", "http://127.0.0.1:{second.port}"'}.items():
        assert old in text
        text = text.replace(old, new)
    rules.write_text(text)
    made.make_key()
    seal(made, "keyed", PASSWORD)
    seal(made, "key", (secrets / "tls.key").read_text())
    (secrets / "tls.key").unlink()
    made.prepare().start().open_desk()
    pair = [first, second]
    yield types.SimpleNamespace(hospital=made, secrets=secrets, works=plain, keyed=keyed, mutual=mutual, pair=pair)
    made.stop()
    for upstream in (plain, keyed, mutual, *pair):
        upstream.close()


def context(folder, demands=False):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "tls.pem", folder / "tls.key")
    if demands:
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(folder / "ca.pem")
    return tls


def seal(hospital, name, secret):
    key = hospital.folder / "var" / "master.key"
    hospital.ctl("secret", "seal", str(hospital.folder / "secrets" / name), "--key", str(key), client=False,
                 stdin=secret)


@pytest.fixture(scope="module")
def worker(yard):
    return yard.hospital.hire(NURSE)


@pytest.fixture()
def door(yard, worker):
    """Opens the door of an app as the nurse, with its upstreams silent so far."""
    for upstream in (yard.works, yard.keyed, yard.mutual, *yard.pair):
        upstream.requests.clear()
        upstream.answer = Upstream.plain

    def go(app):
        worker.web = yard.hospital.web()
        worker.login(f"https://{app}.{DOMAIN}:{yard.hospital.https}/")
        door = Door(yard.hospital, app, worker.cookie(app))
        for upstream in (yard.works, yard.keyed, yard.mutual, *yard.pair):
            upstream.requests.clear()
        return door

    return go


def reload(hospital):
    """Swaps the configuration in, or tells what the gateway says against it."""
    before = len(hospital.records("config.load")) + len(hospital.records("config.reject"))
    hospital.reload()
    wait_until(lambda: len(hospital.records("config.load")) + len(hospital.records("config.reject")) > before,
               "the reload is on record")
    return hospital.records()[-1]


# TLS and credentials

def test_an_upstream_over_tls_is_spoken_to_and_gets_the_gateways_own_password(yard, door):
    answer = door("keyed").ask("GET /x", "Authorization: Basic bWU6bWU=")
    assert answer.status == 200
    request = yard.keyed.requests[-1]
    assert request.all("authorization") == ["Basic " + base64.b64encode(f"gate:{PASSWORD}".encode()).decode()]
    assert len(request.all("sekimori-assertion")) == 1


def test_an_upstream_that_demands_a_certificate_is_shown_the_gateways(yard, door):
    assert door("mutual").ask("GET /x").status == 200
    assert yard.mutual.requests[-1].line == "GET /x HTTP/1.1"


def test_a_secret_is_sealed_on_disk_and_stands_in_no_log_and_no_record(yard, door):
    door("keyed").ask("GET /secret")
    hospital = yard.hospital
    shown = [hospital.log(), *(json.dumps(record) for record in hospital.records())]
    assert all(PASSWORD not in text and "Basic " not in text for text in shown)
    for file in yard.secrets.iterdir():
        assert PASSWORD not in file.read_text() and "PRIVATE KEY" not in file.read_text(), file
        assert file.suffix == ".pem" or file.stat().st_mode & 0o777 == 0o600, file


def test_a_401_to_the_gateways_own_password_is_no_login_prompt_but_a_502_on_record(yard, door):
    go = door("keyed")
    yard.keyed.answer = say("who are you?", 'WWW-Authenticate: Basic realm="orthanc"', status="401 Unauthorized")
    answer = go.ask("GET /x")
    assert answer.status == 502 and answer.header("www-authenticate") is None
    assert "who are you" not in answer.text
    record = yard.hospital.records("request.permit")[-1]
    assert (record["outcome"], record["detail"]["fault"]) == ("failed", "upstream-auth")


def test_an_upstream_that_somebody_else_certifies_is_not_believed(yard, door, tmp_path):
    go, ours = door("keyed"), yard.secrets / "ca.pem"
    kept = ours.read_bytes()
    try:
        certificates(tmp_path, ["localhost"])
        shutil.copy(tmp_path / "ca.pem", ours)
        assert reload(yard.hospital)["event"] == "config.load"
        assert go.ask("GET /x").status == 502
        assert yard.keyed.requests == []
    finally:
        ours.write_bytes(kept)
        reload(yard.hospital)
    assert go.ask("GET /x").status == 200


def test_a_new_password_is_sealed_and_swapped_in_without_a_restart(yard, door):
    go = door("keyed")
    try:
        seal(yard.hospital, "keyed", "another\n")
        assert reload(yard.hospital)["event"] == "config.load"
        assert go.ask("GET /x").status == 200
        assert yard.keyed.requests[-1].get("authorization") == "Basic " + base64.b64encode(b"gate:another").decode()
    finally:
        seal(yard.hospital, "keyed", PASSWORD)
        reload(yard.hospital)


@pytest.mark.parametrize("name, how, why", [
    ("in the clear", lambda file: file.write_text(PASSWORD), "secret seal"),
    ("under another name", lambda file: shutil.copy(file.with_name("key"), file), "another name"),
    ("open to all", lambda file: file.chmod(0o644), "open to others"),
    ("gone", lambda file: file.unlink(), "is not there"),
])
def test_a_secret_that_does_not_open_is_told_by_the_check_and_refused_by_the_reload(yard, name, how, why):
    file = yard.secrets / "keyed"
    try:
        how(file)
        told = yard.hospital.ctl("config", "check", str(yard.hospital.file), client=False, expect=1)
        assert len(told) == 1 and "yard.toml" in told[0] and why in told[0], told
        assert reload(yard.hospital)["event"] == "config.reject"
    finally:
        file.unlink(missing_ok=True)
        seal(yard.hospital, "keyed", PASSWORD)
        reload(yard.hospital)


# Members

def test_requests_go_to_the_first_member_and_to_the_next_while_it_is_down(yard, door):
    go, (first, second) = door("pair"), yard.pair
    assert go.ask("GET /a").status == 200 and [r.line for r in first.requests if "/health" not in r.line]
    port = first.port
    first.close()
    # Not one request fails, whatever it is, and each is delivered once.
    for n in range(6):
        assert go.ask(f"POST /b/{n}", body="x").status == 200
        assert go.ask(f"GET /b/{n}").status == 200
    lines = [request.line for request in second.requests if "/health" not in request.line]
    assert sorted(lines) == sorted(f"{m} /b/{n} HTTP/1.1" for n in range(6) for m in ("POST", "GET"))
    yard.pair[0] = first = Upstream(port=port)
    wait_until(lambda: go.ask("GET /c").status == 200
               and any(r.line.startswith("GET /c") for r in first.requests), "the first member is asked again")


def test_a_member_that_says_it_is_ill_gets_no_requests_until_it_is_well(yard, door):
    go, (first, second) = door("pair"), yard.pair
    well = first.answer
    ill = say("no", status="503 Service Unavailable")
    first.answer = lambda request, connection: (ill if "/health" in request.line else well)(request, connection)
    wait_until(lambda: go.ask("GET /d").status == 200
               and any(r.line.startswith("GET /d") for r in second.requests), "the second member is asked")
    first.requests.clear()
    assert go.ask("GET /e").status == 200
    assert not any(r.line.startswith("GET /e") for r in first.requests)
    watched = wait_until(lambda: [r for r in first.requests if "/health" in r.line], "it is watched")[0]
    assert watched.get("sekimori-assertion") is None and watched.get("cookie") is None
    first.answer = well
    wait_until(lambda: go.ask("GET /f").status == 200
               and any(r.line.startswith("GET /f") for r in first.requests), "the first member is asked again")


# Carrying data out

REPORT = ("Content-Type: application/pdf", 'Content-Disposition: attachment; filename="report.pdf"')


def test_req_s22_what_is_carried_out_is_recorded_with_its_bytes_and_their_hash(yard, door):
    go, body = door("works"), b"%PDF-1.7 " + bytes(range(256)) * 4000
    yard.works.answer = say(body, *REPORT)
    answer = go.ask("GET /pages/report", *(f"{k}: {v}" for k, v in NAVIGATION.items()))
    assert answer.status == 200 and answer.body == body and "attachment" in answer.header("content-disposition")
    record = yard.hospital.records("request.close")[-1]
    assert record["detail"]["export"] is True and record["outcome"] == "ok"
    assert record["detail"]["bytes_out"] == len(body)
    assert record["detail"]["sha256"] == hashlib.sha256(body).hexdigest()
    # Of an action that is for exporting, an answer to a script counts too.
    yard.works.answer = say('{"rows": []}', "Content-Type: application/json")
    assert go.ask("GET /exports/rows", "Sec-Fetch-Mode: cors").status == 200
    assert yard.hospital.records("request.close")[-1]["detail"]["export"] is True
    assert go.ask("GET /pages/rows", "Sec-Fetch-Mode: cors").status == 200
    assert "export" not in yard.hospital.records("request.permit")[-1]["detail"]


def test_req_s22_inline_shows_what_can_be_shown_and_deny_lets_nothing_be_saved(yard, door):
    go = door("works")
    yard.works.answer = say(b"%PDF-1.7", *REPORT)
    answer = go.ask("GET /shown/report")
    assert (answer.status, answer.header("content-disposition"), answer.body) == (200, "inline", b"%PDF-1.7")
    answer = go.ask("GET /kept/report")
    assert answer.status == 403 and b"%PDF" not in answer.body
    record = yard.hospital.records("request.permit")[-1]
    assert (record["outcome"], record["detail"]["fault"], record["what"]["action"]) == ("denied", "download", "kept")
    yard.works.answer = say(b"PK\3\4", "Content-Type: application/zip")
    assert go.ask("GET /shown/all.zip").status == 403
    yard.works.answer = say("<p>a page</p>", "Content-Type: text/html")
    assert go.ask("GET /kept/page").status == 200


def test_a_reader_is_told_in_words_that_saving_is_not_allowed(yard, door, worker):
    door("works")
    yard.works.answer = say(b"%PDF-1.7", *REPORT)
    page = worker.web.open(f"https://works.{DOMAIN}:{yard.hospital.https}/kept/report")
    assert page.status == 403 and "Saving this as a file is not allowed here" in page.text


def test_a_read_is_recorded_with_the_bytes_of_its_answer(yard, door):
    go = door("works")
    yard.works.answer = say("x" * 1234, "Content-Type: text/html")
    go.ask("GET /pages/a")
    assert yard.hospital.records("request.permit")[-1]["detail"]["bytes_out"] == 1234
    go.ask("HEAD /pages/a")
    assert yard.hospital.records("request.permit")[-1]["detail"]["bytes_out"] == 0


# What outlasts a session

def test_req_h36_an_app_may_have_service_workers_and_another_may_not(yard, door):
    worker_script, lasting = "Service-Worker: script", ["Service-Worker-Allowed: /", 'Clear-Site-Data: "cache"']
    go = door("works")
    yard.works.answer = say("self", *lasting)
    assert go.ask("GET /pages/sw.js", worker_script).status == 403 and yard.works.requests == []
    answer = go.ask("GET /pages/sw.js")
    assert answer.header("service-worker-allowed") is None and answer.header("clear-site-data") == '"cache"'
    go = door("keyed")
    yard.keyed.answer = say("self", *lasting)
    answer = go.ask("GET /sw.js", worker_script)
    assert answer.status == 200 and yard.keyed.requests
    assert answer.header("service-worker-allowed") == "/" and answer.header("clear-site-data") is None


def farewell(hospital, before):
    return wait_until(lambda: hospital.records("app.logout")[before:], "the app was told", 5)[0]


def test_atk_a48_the_apps_own_session_ends_when_the_persons_does(yard, door, worker):
    go, hospital = door("works"), yard.hospital
    yard.works.answer = say("hello", "Set-Cookie: JSESSIONID=tomcat-1; Path=/; HttpOnly")
    sealed = go.ask("GET /pages/a").header("set-cookie").split(";")[0]
    assert "tomcat-1" not in sealed
    go.ask("GET /pages/b", f"Cookie: {go.cookie}; {sealed}")
    yard.works.requests.clear()
    before = len(hospital.records("app.logout"))
    worker.press("/logout")
    record = farewell(hospital, before)
    request = next(r for r in yard.works.requests if "/bye" in r.line)
    assert request.line == "POST /bye?all=1 HTTP/1.1" and request.get("cookie") == "JSESSIONID=tomcat-1"
    assert request.get("x-request-id") == record["request"] and request.get("content-length") == "0"
    assert (record["outcome"], record["what"]["app"], record["what"]["target"]) == ("ok", "works", "/bye")
    assert record["who"]["staff_no"] == NURSE and record["detail"]["cookies"] is True
    assert "tomcat-1" not in json.dumps(hospital.records())


def test_atk_a48_a_killed_session_ends_at_the_app_and_a_silent_app_is_on_record(yard, door, worker):
    door("works").ask("GET /pages/a")
    hospital = yard.hospital
    yard.works.answer = say("", status="500 Oops")
    before = len(hospital.records("app.logout"))
    session = hospital.ctl("session", "list", "--staff-no", NURSE)["sessions"][0]
    hospital.ctl("session", "kill", session["id"])
    record = farewell(hospital, before)
    assert (record["outcome"], record["why"]["reason"]) == ("failed", "upstream-status")


# Whose it is

def test_who_saw_whose_image_is_found_by_asking_the_upstream_once(yard, door):
    go, hospital = door("works"), yard.hospital

    def owner(request, connection):
        is_owner = request.target.startswith("/owners/")
        known = request.target == "/owners/ab12"
        body = json.dumps({"patient": {"id": "P0042"}}) if known else "no"
        kind = "application/json" if is_owner else "image/png"
        say(body, f"Content-Type: {kind}", status="200 OK" if known or not is_owner else "404 Not Found")(
            request, connection)

    yard.works.answer = owner
    for path in ("/images/ab12", "/images/ab12/frames/1", "/images/zz"):
        assert go.ask(f"GET {path}").status == 200
    seen = [record["what"]["patient"] for record in hospital.records("request.permit")[-3:]]
    assert seen == ["P0042", "P0042", "unknown"]
    lines = [request.target for request in yard.works.requests]
    assert lines == ["/owners/ab12", "/images/ab12", "/images/ab12/frames/1", "/owners/zz", "/images/zz"]
    found = hospital.ctl("audit", "search", "--patient", "P0042")["records"]
    assert {line["record"]["what"]["target"] for line in found} == {"/images/ab12", "/images/ab12/frames/1"}

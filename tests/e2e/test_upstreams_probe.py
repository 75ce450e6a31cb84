"""`sekimorictl app probe`, and a site that the gateway has never seen put behind it with what it says."""

import html
import json
import subprocess
import time
import tomllib

import pytest

from conftest import NURSE
from demo import Demo
from hospital import BINARIES, DOMAIN, Hospital, Staff, certificates, wait_until
from upstream import Upstream
from web import Web

HOST = f"intranet.{DOMAIN}"
SCRIPT = """
document.cookie = 'theme=' + theme; navigator.serviceWorker.register('/sw.js');
new WebSocket(`wss://${location.host}/live`); setInterval(load, 5000);
fetch('/api/notes', { method: 'POST', body: note }); fetch('/api/notes/1', { method: 'DELETE' });
"""


class Site:
    """A static site and an API, as somebody wrote it who knew nothing of gateways."""

    def __init__(self):
        self.notes = ["first"]
        self.upstream = Upstream(self.answer)
        self.origin = f"http://127.0.0.1:{self.upstream.port}"

    def page(self):
        return f"""<!doctype html><title>院内ポータル</title><script src="/static/app.js"></script>
            <a href="{self.origin}/news.html">news</a> <a href="/logout">leave</a> <a href="files;v=2/list.html">files</a>
            <a href="/notes/1/delete">delete</a> <a href="patients/42">P. 42</a> <a href="mailto:x@example.jp">mail</a>
            <iframe src="https://weather.example/today"></iframe>
            <form method="post" action="/api/notes"><input name="note"><input type="file" name="scan"></form>"""

    def answer(self, request, connection):
        path = request.target.split("?")[0]
        headers, status, body, kind = [], "200 OK", "", "text/html; charset=utf-8"
        if path == "/":
            status, headers = "302 Found", [f"Location: {self.origin}/index.html"]
        elif path == "/index.html":
            body = self.page()
            headers = ["Set-Cookie: SID=1; HttpOnly; Domain=example.jp", "Set-Cookie: theme=dark",
                       "X-Frame-Options: SAMEORIGIN", "Strict-Transport-Security: max-age=1", "Keep-Alive: timeout=3",
                       f"Content-Security-Policy: connect-src 'self' {self.origin}"]
        elif path == "/static/app.js":
            body, kind = SCRIPT, "text/javascript"
        elif path == "/news.html":
            body, kind = "<p>ニュース</p>".encode("cp932"), "text/html; charset=Shift_JIS"
        elif path == "/api/notes" and request.method == "POST":
            self.notes.append(request.body.decode())
            status, body, kind = "201 Created", "{}", "application/json"
        elif path == "/api/notes":
            body, kind = json.dumps(self.notes), "application/json"
        else:
            status = "404 Not Found"
        body = body if isinstance(body, bytes) else body.encode()
        head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", *headers, f"Content-Length: {len(body)}", "", ""]
        connection.sendall("\r\n".join(head).encode() + body)


@pytest.fixture(scope="module")
def site():
    made = Site()
    yield made
    made.upstream.close()


def probe(*arguments, expect=0, output="json"):
    ran = subprocess.run([BINARIES / "sekimorictl", "--output", output, "app", "probe", *arguments],
                         capture_output=True, text=True, timeout=60)
    assert ran.returncode == expect, ran.stdout + ran.stderr
    return json.loads(ran.stdout or ran.stderr) if output == "json" else ran.stdout


@pytest.fixture(scope="module")
def probed(site):
    site.upstream.requests.clear()
    return probe(site.origin, "--name", "intranet", "--host", HOST)


def test_the_probe_says_in_words_what_an_application_will_need(probed, site):
    said = {}
    for finding in probed["findings"]:
        said.setdefault(finding["about"], []).append(finding["found"] + " -> " + finding["advice"])
    for about, words in {
        "start": "院内ポータル", "transport": "plain HTTP", "absolute addresses": site.origin,
        "other hosts": "https://weather.example", "cookies": "SID", "cookies of scripts": "theme -> list them in `client_cookies`",
        "cookies for several hosts": "SID", "WebSocket": "/static/app.js", "service worker": "service_workers",
        "timers": "human = true", "frames": "https://weather.example/today", "framing by others": "SAMEORIGIN",
        "content security policy": site.origin, "headers": "strict-transport-security", "encoding": "shift_jis",
        "paths": "path_parameters", "uploads": "for files", "logout": "/logout", "patients": "patient",
        "connection": "3 s",
    }.items():
        assert any(words in line for line in said.get(about, [])), f"{about}: {said.get(about)}"


def test_the_probe_looks_and_touches_nothing(probed, site):
    asked = site.upstream.requests
    assert 3 <= len(asked) <= 30
    assert {request.method for request in asked} == {"GET"}
    assert not any(word in request.target for request in asked for word in ("logout", "delete"))
    assert all(request.get("cookie") is None and request.body == b"" for request in asked)


def test_the_policy_of_the_probe_is_a_whole_file(probed):
    rules = tomllib.loads(probed["policy"])
    app = rules["app"][0]
    assert (app["name"], app["host"], app["start"]) == ("intranet", HOST, "/index.html")
    assert app["title"]["ja"] == "院内ポータル" and app["client_cookies"] == ["theme"]
    assert app["path_parameters"] == ["v"] and app["cache_static"] == ["/static/{*rest}"]
    assert app["keep_alive"] == "1500ms"
    assert {action["name"]: action["methods"] for action in app["action"]} == {
        "view": ["GET"], "write": ["POST", "DELETE"]}


def test_a_site_and_its_api_stand_behind_the_gateway_with_the_probes_own_file(tmp_path, site):
    """As the README says: probe, look over, check, reload, ask the policy, use it."""
    made = Hospital(tmp_path)
    certificates(tmp_path / "var", [f"auth.{DOMAIN}", f"chart.{DOMAIN}", HOST])
    try:
        made.prepare().start().open_desk()
        file = tmp_path / "policy" / "intranet.toml"
        shown = probe(site.origin, "--name", "intranet", "--host", HOST, "--policy", str(file), output="table")
        assert str(file) in shown and "[[app]]" not in shown
        probe(site.origin, "--name", "intranet", "--policy", str(file), expect=2)
        assert made.ctl("config", "check", str(made.file), client=False)["ok"]
        made.reload()
        wait_until(lambda: made.records("config.load"), "the reload is on record")
        url = f"https://{HOST}:{made.https}"
        told = made.ctl("policy", "test", "--as", NURSE, "--url", f"{url}/api/notes", "--method", "POST", "--zone", "ward")
        assert told["decision"] == "permit", told
        nurse = made.hire(NURSE)
        page = nurse.login(url + "/")
        assert page.status == 200 and "院内ポータル" in page.text and page.url.endswith("/index.html")
        assert nurse.web.fetch(url + "/static/app.js").text == SCRIPT
        sent = nurse.web.fetch(url + "/api/notes", "POST", body=b"second", headers={"Origin": url})
        assert sent.status == 201
        assert nurse.web.fetch(url + "/api/notes").json == ["first", "second"]
        assert nurse.web.fetch(url + "/news.html").body == "<p>ニュース</p>".encode("cp932")
        launcher = nurse.web.open(made.origin() + "/")
        assert "intranet" in html.unescape(launcher.text)
    finally:
        made.stop()


def test_the_same_works_with_the_demo_and_no_domain(tmp_path, site):
    demo = Demo(tmp_path)
    ran = subprocess.run([BINARIES / "sekimori", "demo", "--prepare", "--var", demo.var, "--https", str(demo.https)],
                         capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran.stderr
    probe(site.origin, "--name", "intranet", "--host", HOST, "--policy", str(demo.var / "policy" / "intranet.toml"))
    try:
        demo.start()
        demo.web, demo.now = lambda: Web(demo.var / "ca.pem", demo.https), time.time
        nurse = Staff(demo, NURSE).enrol(demo.codes()[NURSE])
        page = nurse.login(demo.origin("intranet") + "/")
        assert page.status == 200 and "院内ポータル" in page.text
        assert nurse.web.fetch(demo.origin("intranet") + "/api/notes").json[0] == "first"
    finally:
        demo.stop()


def test_what_cannot_be_probed_is_said_so(site):
    assert "upstream" in probe("ftp://127.0.0.1/", expect=2)["error"]
    assert probe("http://127.0.0.1:9/", expect=4)["error"]
    refused = Upstream(lambda request, connection: connection.sendall(
        b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Basic realm="x"\r\n'
        b"Content-Length: 0\r\n\r\n"))
    try:
        told = probe(f"http://127.0.0.1:{refused.port}/")
        advice = {finding["found"]: finding["advice"] for finding in told["findings"] if finding["about"] == "login"}
        assert any("Windows logon" in found for found in advice)
        assert any("upstream_auth" in text for text in advice.values())
        assert "# upstream_auth" in told["policy"] and tomllib.loads(told["policy"])
    finally:
        refused.close()

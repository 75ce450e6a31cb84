"""The portal from outside: every route with and without authority, and the pages as a person sees them."""

import re
import urllib.parse

import pytest

from browser import Person, browsing, look
from conftest import CLERK, NURSE
from hospital import DOMAIN, ROOT, Staff
from web import FETCH, NAVIGATION

SOME = "0199a6f0-4d1e-7c3a-9b1e-2f6d0c8a1b77"
API = "/.sekimori/api/v1/"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

# Who may use what, as somebody thought about it: a new route is red until it is here.
ANYONE = {"GET /login", "GET /lock", "GET /enrol", "GET /.sekimori/jwks.json", "GET /.sekimori/assets/{part}",
          "GET /.sekimori/enter", "POST /login/name", "POST /login/passkey", "POST /login/password",
          "POST /login/key", "POST /login/totp", "POST /enrol/start", "POST /enrol/passkey", "POST /enrol/password",
          "POST /enrol/key", "POST /enrol/totp", "POST /enrol/finish", f"POST {API}session/token"}
# Of a session that proved itself within five minutes.
FRESH = {"GET /cli", "POST /cli", "GET /password", "POST /password", "GET /authenticators/add",
         "POST /authenticators/add", "GET /authenticators/{part}/end", "POST /authenticators/{part}/end"}
HOLDER = FRESH | {
    "GET /", "GET /sessions", "POST /login/onward", "POST /lock", "POST /logout", "POST /unlock/passkey",
    "POST /unlock/password", "POST /sessions/end", "POST /sessions/end-others", "GET /authenticators",
    "GET /authenticators/{part}", "POST /authenticators/{part}/label", "GET /notices", "POST /notices/seen",
    "POST /.sekimori/lock"}
REGISTRAR = {f"POST {API}hr/import", f"POST {API}enrolment"}
AUDITOR = {f"GET {API}audit/tail", f"GET {API}audit/records/{{part}}", f"GET {API}audit/search"}
SYSADMIN = {f"GET {API}session/all", f"POST {API}session/{{part}}/end", f"POST {API}policy/test"}
PROGRAM = {f"GET {API}session"}
ROUTES = sorted(ANYONE | HOLDER | REGISTRAR | AUDITOR | SYSADMIN | PROGRAM)


@pytest.fixture(scope="module")
def people(ward):
    """Somebody without any right to the API, and a registrar who has them all."""
    return {"clerk": ward.hire(CLERK), "registrar": ward.officer}


@pytest.fixture(params=["clerk", "registrar"])
def somebody(request, ward, people):
    """The same checks for both, logged in at the portal and at an app."""
    person = people[request.param]
    person.web = ward.web()
    person.login(ward.origin("recorder") + "/")
    return person


def address(ward, route):
    """Method and address of a route, on the host that has it."""
    method, path = route.split(" ")
    host = "recorder" if path in ("/.sekimori/enter", "/.sekimori/lock") else "auth"
    return method, ward.origin(host) + path.replace("{part}", SOME)


def ask(web, ward, route, headers, body=None):
    method, url = address(ward, route)
    return web.request(method, url, headers=headers, follow=False, body=body if method == "POST" else None)


def is_page(route):
    return "/.sekimori/" not in route or "enter" in route


# Every route


def test_atk_a37_this_list_has_every_route_there_is():
    table = (ROOT / "gateway" / "portal" / "src" / "routes" / "table.txt").read_text()
    assert {" ".join(line.split(" ")[1:3]) for line in table.splitlines()} == set(ROUTES)


def test_atk_a37_without_a_session_no_route_gives_more_than_a_way_to_log_in(ward):
    for route in ROUTES:
        browser = {**NAVIGATION, "Sec-Fetch-Site": "same-origin", **FORM} if is_page(route) else FETCH
        got = ask(ward.web(), ward, route, browser, b"t=x")
        if route in ANYONE:
            assert got.status in (200, 403, 404, 410, 422, 303), route
            assert not any(line.startswith("__Host-sk=") for line in got.all("set-cookie")), route
        elif is_page(route):
            assert got.status == 303 and got.header("location").startswith(("/login", "/lock")), route
        else:
            assert got.status == 401 and got.header("content-type") == "application/problem+json", route
        program = ask(ward.web(), ward, route, {"Authorization": "Bearer " + "A" * 43}, b"{}")
        assert route in ANYONE or program.status in (303, 401, 403), route


def test_atk_a28_what_wants_a_fresh_proof_asks_for_it_again_after_five_minutes(ward, somebody):
    web = somebody.web
    fresh = FRESH | {f"POST {API}hr/import", f"POST {API}enrolment", f"POST {API}session/{{part}}/end"}
    token = web.open(ward.origin() + "/").form("/lock")["fields"]["t"]
    body = urllib.parse.urlencode({"t": token, "kind": "passkey"}).encode()
    ward.forward(290)
    web.open(ward.origin() + "/")
    ward.forward(12)
    for route in sorted(HOLDER - {"POST /lock", "POST /logout", "POST /.sekimori/lock"} | fresh):
        headers = {**NAVIGATION, "Sec-Fetch-Site": "same-origin", **FORM} if is_page(route) else FETCH
        got = ask(web, ward, route, headers, body)
        if not is_page(route):
            allowed = {401, 403} if somebody is not ward.officer else {401}
            assert got.status in allowed and (got.status == 403 or "max_age=300" in got.header("www-authenticate"))
        elif route in fresh:
            asked = got.header("location") or ""
            assert got.status == 303 and asked.startswith("/login?i="), route
            assert "再認証" in web.open(ward.origin() + asked + "&lang=ja").text, route
        else:
            assert got.status != 303 or not got.header("location").startswith("/login?i="), route


def test_atk_a37_the_api_is_for_those_whom_the_policy_names(ward, people):
    for person in people.values():
        person.web = ward.web()
        person.login()
        for route in sorted(REGISTRAR | AUDITOR | SYSADMIN | PROGRAM):
            got = ask(person.web, ward, route, FETCH, b"{}")
            if person is people["registrar"] or route in PROGRAM:
                assert got.status in (200, 404, 422), route
            else:
                assert (got.status, got.json["reason"]) == (403, "no-role"), route
                deny = ward.journaled("request.deny")[-1]
                assert (deny["who"]["staff_no"], deny["what"]["app"]) == (CLERK, "sekimori"), route


def test_atk_a37_there_is_nothing_beside_the_routes(ward, people):
    web = people["registrar"].web
    for path in ("/admin", "/debug", "/metrics", "/healthz", "/status", "/actuator", "/.env", "/.git/config", "/api",
                 "/server-status", "/.sekimori", "/.sekimori/", "/.sekimori/api", "/.sekimori/api/v1",
                 "/.sekimori/api/v1/", "/.sekimori/api/v2/session", "/.sekimori/debug", "/.sekimori/state",
                 "/login/", "/Login", "/%6cogin"):
        for host in ("auth", "recorder"):
            if host == "recorder" and not path.startswith("/.sekimori"):
                continue
            assert web.fetch(ward.origin(host) + path).status in (400, 404), (host, path)
    for route in ROUTES:
        method, url = address(ward, route)
        for other in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} - {method}:
            got = web.request(other, url, headers=FETCH, follow=False)
            twin = f"{other} {route.split(' ')[1]}" in ROUTES
            assert twin or got.status in (400, 404, 405, 501), (route, other)
    for path in ("login", "sessions", "lock/", "api/v1/session", "jwks.json"):
        assert web.fetch(f"{ward.origin('recorder')}/.sekimori/{path}").status == 404, "on app hosts"


# From somewhere else


def strangers(ward):
    """What a browser says of a request that another page has made."""
    app, chart = ward.origin("recorder"), f"https://chart.{DOMAIN}:{ward.https}"
    for site, origin in (("same-site", app), ("same-site", chart), ("cross-site", "https://evil.example"),
                         ("cross-site", "null"), ("same-site", None), ("cross-site", None), ("none", None)):
        yield {"Sec-Fetch-Site": site, **({"Origin": origin} if origin else {})}
    # A browser without fetch metadata says it by Origin alone.
    yield {"Origin": app}
    yield {"Origin": "null"}
    yield {"Origin": ward.origin() + ".evil.example"}
    yield {"Origin": f"http://auth.{DOMAIN}:{ward.https}"}
    yield {}


MODES = [{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1"},
         {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty"}]


def test_atk_a45_a46_no_other_origin_drives_a_route(ward, somebody):
    web = somebody.web
    page = web.open(ward.origin() + "/")
    token = page.form("/lock")["fields"]["t"]
    body = urllib.parse.urlencode({"t": token, "name": NURSE, "secret": "x", "credential": "{}"}).encode()
    before = len(ward.journaled())
    for route in [route for route in ROUTES if route.startswith("POST") and not route.endswith("session/token")]:
        for stranger in strangers(ward):
            if route == "POST /.sekimori/lock" and stranger == {"Origin": ward.origin("recorder")}:
                continue  # its own origin there
            for mode in MODES if "Sec-Fetch-Site" in stranger else [{}]:
                got = ask(web, ward, route, {**FORM, **mode, **stranger}, body)
                assert got.status == 403, (route, stranger, mode)
    assert web.open(ward.origin() + "/").status == 200, "still logged in and not locked"
    new = {r["event"] for r in ward.journaled()[before:]} - {"request.permit", "request.deny", "handshake.enter"}
    assert new == set(), "nothing else happened"
    # The same with the page's own words: the token in the form is good for its own session alone.
    assert web.submit(page, {"action": "/lock", "fields": {"t": "A" * 43}}, follow=False).status == 403
    assert web.submit(page, {"action": "/lock", "fields": {}}, follow=False).status == 403
    assert web.submit(page, page.form("/lock"), follow=False).status == 303


def test_atk_a46_what_an_app_page_reads_of_the_portal_is_nothing(ward, people):
    person = people["registrar"]
    person.web = ward.web()
    person.login(ward.origin("recorder") + "/")
    for route in [route for route in ROUTES if route.startswith("GET")]:
        for origin in (ward.origin("recorder"), "https://evil.example", "null"):
            got = ask(person.web, ward, route, {**FETCH, "Sec-Fetch-Site": "same-site", "Origin": origin})
            for name in ("access-control-allow-origin", "access-control-allow-credentials", "timing-allow-origin"):
                assert got.header(name) is None, route
            if "assets" not in route:
                assert got.header("cross-origin-resource-policy") == "same-origin", route
            if route.startswith(f"GET {API}"):
                assert got.status == 403, "the portal's cookie counts for the portal's pages alone"


def test_atk_a46_an_app_hosts_token_is_worth_nothing_at_the_portal(ward, somebody):
    thief = ward.web()
    thief.cookies[f"auth.{DOMAIN}"] = dict(somebody.web.cookies[f"recorder.{DOMAIN}"])
    for route in sorted((HOLDER | REGISTRAR | AUDITOR | SYSADMIN | PROGRAM) - {"POST /.sekimori/lock"}):
        headers = {**NAVIGATION, "Sec-Fetch-Site": "same-origin", **FORM} if is_page(route) else FETCH
        got = ask(thief, ward, route, headers, b"t=x")
        assert got.status in (303, 401, 403), route
        assert got.status != 303 or got.header("location").startswith("/login"), route


# What every answer carries


def test_req_c46_every_answer_of_ours_keeps_a_browser_to_our_rules(ward, somebody):
    for route in ROUTES:
        headers = {**NAVIGATION, "Sec-Fetch-Site": "same-origin"} if is_page(route) else FETCH
        if route in ("POST /logout", "POST /lock", "POST /.sekimori/lock"):
            headers = {**headers, "Sec-Fetch-Site": "cross-site"}
        got = ask(somebody.web, ward, route, headers, b"{}")
        policy = got.header("content-security-policy")
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy, route
        assert "max-age=63072000" in got.header("strict-transport-security"), route
        assert got.header("x-content-type-options") == "nosniff", route
        assert got.header("referrer-policy") == "no-referrer", route
        assert got.header("cache-control") == "no-store" or route.endswith(("jwks.json", "assets/{part}")), route
        assert got.header("server") is None and got.header("x-powered-by") is None
    pages = somebody.web.open(ward.origin() + "/").text + Staff(ward, NURSE).go().text
    scripts = set(re.findall(r'(?:src|href)="(/\.sekimori/assets/[^"]+)"', pages))
    assert any("passkey" in script for script in scripts)
    for script in scripts:
        asset = somebody.web.open(ward.origin() + script)
        assert asset.status == 200 and asset.header("cache-control").startswith("public")
        for forbidden in ("localStorage", "sessionStorage", "document.cookie", "innerHTML", "eval(", "http://"):
            assert forbidden not in asset.text or script.endswith(".svg"), (script, forbidden)


def test_a_frame_that_needs_a_login_or_an_unlock_shows_one_button(ward, people, seen):
    framed = {**NAVIGATION, "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "same-origin"}
    person, url = people["clerk"], ward.origin("recorder") + "/pages/part"
    person.web = ward.web()
    person.login(ward.origin("recorder") + "/")
    person.press("/lock")
    for web, status in ((ward.web(), 401), (person.web, 423)):
        got = web.request("GET", url, headers=framed, follow=False)
        assert got.status == status and got.text.count("<a ") == 1 and 'target="_blank"' in got.text
        policy = got.header("content-security-policy")
        assert f"frame-ancestors 'self' https://*.{DOMAIN}:{ward.https};" in policy + ";"
        assert "<form" not in got.text and "pages/part" not in got.text


# The pages as people see them


@pytest.fixture(scope="module")
def browser(ward):
    with browsing(ward) as browser:
        yield browser


def send(page, action):
    """Sends a form that a script has put into the page; the answer."""
    with page.expect_navigation() as sent:
        page.evaluate("""(action) => {
            const form = document.createElement("form");
            form.method = "post"; form.action = action;
            document.body.append(form); form.submit(); }""", action)
    return sent.value


def wide(text):
    """As a Japanese keyboard types it when nobody has switched it over."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


@pytest.mark.parametrize(("locale", "staff_no"), [("ja-JP", "000221"), ("en-GB", "000231")])
def test_a_nurse_enrols_works_locks_and_unlocks_in_a_browser(ward, browser, seen, locale, staff_no):
    person = Person(browser, ward, staff_no, locale)
    page, portal, app = person.page, ward.origin(), ward.origin("recorder")
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if "Content Security Policy" in line.text else None)

    def see(name, page=page):
        found = look(page, f"{name}-{locale[:2]}")
        assert found["lang"] == locale[:2]
        return found

    code = ward.issue(staff_no)
    page.goto(portal + "/enrol")
    see("01-enrol")
    page.fill("#staff_no", staff_no)
    page.fill("#code", "AAAAA-AAAAA")
    page.click("button.main")
    see("02-enrol-wrong")
    page.fill("#staff_no", wide(staff_no))
    page.fill("#code", wide(code).lower())
    page.click("button.main")
    see("03-is-this-you")
    page.click("a.main[href*='by=passkey']")
    see("04-enrol-passkey")
    page.click("#passkey button.main")
    page.wait_for_selector("form[action^='/enrol/finish']")
    see("05-second")
    page.click("a.main[href*='by=password']")
    see("06-password")
    page.goto(page.url.replace("by=password", "by=totp"))
    see("07-codes")
    page.go_back()
    page.goto(page.url.split("&")[0])
    page.click("form[action^='/enrol/finish'] button")
    see("08-enrolled")
    page.goto(app + "/pages/work?bed=3")
    see("09-login")
    page.fill("#name", wide(staff_no))
    person.away()
    page.click("button.main")
    page.wait_for_selector("#passkey")
    see("10-login-passkey")
    assert staff_no in page.inner_text("main"), "a slip of the finger is seen"
    person.away(False)
    page.reload()
    page.wait_for_url(lambda url: url == app + "/pages/work?bed=3", timeout=10000)
    assert page.inner_text("body") == "ok"
    page.goto(portal + "/")
    see("11-launcher")
    page.goto(portal + "/sessions")
    see("12-sessions")
    page.goto(app + "/forbidden")
    see("13-denied")
    page.goto(portal + "/nothing-here")
    see("14-no-such-page")
    page.goto(portal + "/cli")
    see("15-cli")
    form = person.context.new_page()
    form.goto(app + "/pages/form")
    page.goto(portal + "/")
    page.click("form[action='/lock'] button")
    page.wait_for_url("**/lock?i=*")
    assert see("16-locked")["tall"] <= 0, "the lock page is seen at one glance"
    send(form, "/write/order")
    see("17-not-delivered", form)
    assert not any(request.method == "POST" for request in seen.requests)
    form.close()
    page.goto(app + "/pages/work?bed=4")
    assert page.url.startswith(portal + "/lock?i="), "and the app is locked too"
    page.click("a[href*='by=password']")
    see("18-locked-password")
    page.fill("#secret", "not my password 1")
    page.click("button.main")
    see("19-not-unlocked")
    page.click(".links a")
    person.passkey()
    page.wait_for_url(lambda url: url == app + "/pages/work?bed=4", timeout=10000)
    page.goto(portal + "/")
    page.click("form[action='/logout'] button")
    see("20-logged-out")
    page.goto(app + "/pages/work")
    page.fill("#name", "000999")
    page.click("button.main")
    page.click("a[href*='by=password']")
    page.fill("#secret", "whatever it is 1")
    page.click("button.main")
    see("21-not-logged-in")
    assert "000999" in page.inner_text("main") and "1234" in page.inner_text("footer"), "what to check, whom to call"
    assert errors == []
    person.close()


def test_atk_a46_a_script_on_an_app_page_drives_no_portal_route(ward, browser, seen):
    """The page of a hospital app, with somebody else's script in it, in a real browser with real cookies."""
    person = Person(browser, ward, "000203").enrol(ward.issue("000203"))
    seen.answer = lambda request, connection: connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<h1>app</h1>   ")
    app, portal = ward.origin("recorder"), ward.origin()
    person.login(app + "/")
    person.page.wait_for_selector("h1")
    before = len(ward.journaled())
    there = [address(ward, route) for route in ROUTES]
    posts, gets = ([url for method, url in there if method == wanted and url.startswith(portal)]
                   for wanted in ("POST", "GET"))
    told = person.page.evaluate("""async ([posts, gets]) => {
        const told = [];
        for (const mode of ["cors", "no-cors"]) {
            for (const [method, urls] of [["POST", posts], ["GET", gets]]) {
                for (const url of urls) {
                    try {
                        const answer = await fetch(url, {method, mode, credentials: "include",
                            body: method === "POST" ? new URLSearchParams({t: "x", name: "900001"}) : undefined});
                        const text = await answer.text();
                        if (answer.type !== "opaque" || text) told.push(url);
                    } catch { /* the browser was told to keep it from us */ }
                }
            }
        }
        return told; }""", [posts, gets])
    assert [url for url in told if "/assets/" not in url] == []
    frames = person.page.evaluate("""async (urls) => {
        const seen = [];
        for (const url of urls) {
            const frame = document.createElement("iframe");
            const loaded = new Promise((done) => { frame.onload = done; setTimeout(done, 2000); });
            frame.src = url;
            document.body.append(frame);
            await loaded;
            try { seen.push(frame.contentDocument.title); } catch { }
            const form = document.createElement("form");
            form.method = "post"; form.action = url; form.target = frame.name = "f";
            document.body.append(form);
        }
        return seen; }""", [portal + "/", portal + "/lock", portal + "/login"])
    assert [title for title in frames if title] == []
    assert person.page.goto(portal + "/").status == 200 and "/login" not in person.page.url
    assert person.page.locator("form[action='/lock']").count() == 1, "neither locked nor logged out"
    new = {r["event"] for r in ward.journaled()[before:]} - {"request.permit", "request.deny", "handshake.enter"}
    assert new <= {"cli.login"}, "nothing but a code that was none"
    person.close()


def test_atk_a45_a_form_on_an_app_page_is_not_taken_for_ours(ward, browser, seen):
    person = Person(browser, ward, "000202").enrol(ward.issue("000202"))
    seen.answer = lambda request, connection: connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<h1>app</h1>   ")
    app, portal = ward.origin("recorder"), ward.origin()
    person.login(app + "/")
    for path in ("/lock", "/logout", "/sessions/end", "/cli"):
        person.page.goto(app + "/")
        assert send(person.page, portal + path).status == 403, path
    person.page.goto(portal + "/")
    assert person.page.locator("form[action='/lock']").count() == 1
    person.close()

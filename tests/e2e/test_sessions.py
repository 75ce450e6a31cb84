"""Sessions: active, locked, ended, by the server's clock; and what each of that reaches."""

import concurrent.futures
import json
import signal
import time
import urllib.parse

import pytest

from conftest import NURSE
from hospital import DEMO, DOMAIN, Staff, options, wait_until
from raw import Raw
from web import NAVIGATION, Web
from websocket import Echo, WebSocket

PASSWORD = "hoshi to yama 88 bansho"
APP = f"recorder.{DOMAIN}"
BY_SCRIPT = {name: value for name, value in NAVIGATION.items() if name != "Sec-Fetch-User"}


@pytest.fixture(scope="module")
def hired(ward):
    """A nurse with every authenticator there is."""
    return ward.hire("000132", PASSWORD)


@pytest.fixture()
def nurse(ward, hired, seen):
    """The same, just logged in at the recorder in a new browser, and nothing seen there yet."""
    hired.web = ward.web()
    hired.login(ward.origin("recorder") + "/")
    seen.requests.clear()
    return hired


@pytest.fixture()
def app(ward):
    return ward.origin("recorder")


def again(person):
    """The same person at another browser."""
    other = Staff(person.hospital, person.staff_no)
    other.passkey, other.password, other.totp = person.passkey, person.password, person.totp
    return other


def replayed(web, **cookies):
    """A browser that has kept the cookies from before."""
    copy = Web(web.ca_file, web.port)
    copy.cookies = {host: dict(jar) for host, jar in web.cookies.items()}
    return copy


def state(web, hospital):
    """What a script of the app is told: `active`, `locked`, or `none`."""
    status = web.fetch(hospital.origin("recorder") + "/pages/state").status
    return {200: "active", 423: "locked", 401: "none"}[status]


def on_record(ward, event, person, reason):
    """Waits until the person's newest record of an event gives that reason: the clock's own acts come by themselves."""
    def found():
        own = [r["why"]["reason"] for r in ward.journaled(event) if r["who"].get("staff_no") == person.staff_no]
        return own[-1:] == [reason]
    wait_until(found, f"{event} for {reason}")


# Locked by the clock


def test_req_s01_a_session_is_locked_at_five_minutes_and_nothing_gets_through(ward, nurse, seen, app):
    ward.forward(298)
    assert nurse.web.fetch(app + "/pages/1").status == 200
    ward.forward(2)
    for answer in (nurse.web.fetch(app + "/pages/2"), nurse.web.fetch(app + "/write/2", "POST", body="x"),
                   nurse.web.fetch(app + "/api-that-is-not-there")):
        assert answer.status == 423 and answer.header("content-type") == "application/problem+json"
        assert answer.json["type"] == "urn:sekimori:problem:locked" and answer.header("cache-control") == "no-store"
    assert [r.target for r in seen.requests] == ["/pages/1"]
    on_record(ward, "session.lock", nurse, "idle")


def test_req_h28_only_a_person_keeps_a_session_awake(ward, nurse, seen, app):
    for _ in range(4):
        ward.forward(70)
        assert nurse.web.fetch(app + "/pages/poll").status == 200
        assert nurse.web.fetch(app + "/write/poll", "POST", body="x", headers={"Origin": app}).status == 200
        assert nurse.web.request("GET", app + "/pages/reload", headers=BY_SCRIPT, follow=False).status == 200
        assert nurse.web.fetch(ward.origin() + "/.sekimori/api/v1/session").status == 200
        # A script can claim a user's act without navigating; it is not one.
        assert nurse.web.fetch(app + "/pages/claim", headers={"Sec-Fetch-User": "?1"}).status == 200
    ward.forward(20)
    assert state(nurse.web, ward) == "locked"


def test_req_h28_a_click_or_an_order_keeps_it_awake(ward, nurse, app):
    for act in ("click", "order", "portal page"):
        ward.forward(290)
        if act == "click":
            assert nurse.web.open(app + "/pages/next").status == 200
        elif act == "order":
            assert nurse.web.fetch(app + "/forms/order", "POST", body="patient_id=P1", headers={
                "Origin": app, "Content-Type": "application/x-www-form-urlencoded"}).status == 200
        else:
            assert nurse.web.open(ward.origin() + "/").status == 200
        ward.forward(290)
        assert state(nurse.web, ward) == "active", act
        nurse.web.open(app + "/")


def test_req_c08_the_way_back_leads_to_where_the_work_was(ward, nurse, seen, app):
    there = app + "/pages/%E8%A8%98%E9%8C%B2?tab=2&q=a+b"
    for unlock in (nurse.unlock, nurse.unlock_by_password):
        ward.forward(300)
        page = nurse.web.open(there)
        assert page.status == 200 and page.url.startswith(ward.origin() + "/lock?i=")
        assert "三枝" in page.text and "pages" not in page.text, "who locked it, never what was looked at"
        seen.requests.clear()
        back = unlock(page)
        assert (back.text, [r.target for r in seen.requests]) == ("ok", [there.removeprefix(app)])
    unlocked = ward.journaled("session.unlock")[-2:]
    assert [r["detail"]["method"] for r in unlocked] == ["pop", "pwd"]


def test_req_c08_a_code_alone_a_wrong_password_and_another_person_do_not_unlock(ward, nurse, app):
    stranger = ward.hire("000133")
    page = nurse.press("/lock")
    form = page.form("/unlock/passkey")
    query = urllib.parse.urlsplit(form["action"]).query
    ward.forward(30)
    for step, fields, wanted in (
            ("/unlock/password", {"secret": "wrong wrong 1"}, (422,)), ("/unlock/password", {"secret": ""}, (422,)),
            ("/unlock/password", {"secret": nurse.code()}, (422,)), ("/unlock/passkey", {"credential": "{}"}, (422,)),
            ("/unlock/totp", {"secret": nurse.code()}, (404,)),
            ("/login/totp", {"secret": nurse.code()}, (410, 422, 303))):
        odd = {"action": f"{step}?{query}", "fields": {"t": form["fields"]["t"]}}
        got = nurse.web.submit(page, odd, fields, follow=False)
        assert got.status in wanted, step
        assert state(nurse.web, ward) == "locked", step
    page = nurse.web.open(page.url)
    got = nurse.web.submit(page, page.form("/unlock/passkey"), {
        "credential": json.dumps(stranger.passkey.sign(options(page)))})
    assert got.status == 422 and state(nurse.web, ward) == "locked"
    assert nurse.unlock(got).url == ward.origin() + "/" and nurse.web.open(app + "/").text == "ok"


def test_a_form_sent_into_a_locked_session_gets_a_423_page_and_is_not_delivered(ward, nurse, seen, app):
    ward.forward(300)
    got = nurse.web.request("POST", app + "/write/order", body=b"x=1", follow=False, headers={
        **NAVIGATION, "Sec-Fetch-Site": "same-origin", "Origin": app,
        "Content-Type": "application/x-www-form-urlencoded"})
    assert got.status == 423 and got.header("location") is None and got.header("refresh") is None
    assert "was not delivered" in got.text and 'target="_blank"' in got.text and seen.requests == []
    assert nurse.unlock(nurse.web.open(got.link("/lock?i="))).status == 200


def test_a_session_locked_for_half_an_hour_is_over(ward, nurse, app):
    ward.forward(300)
    assert state(nurse.web, ward) == "locked"
    ward.forward(1798)
    assert state(nurse.web, ward) == "locked"
    ward.forward(2)
    assert state(nurse.web, ward) == "none"
    assert "/login?i=" in nurse.web.open(app + "/").url
    on_record(ward, "session.end", nurse, "locked-too-long")


def test_req_c06_twelve_hours_after_login_it_is_over_however_busy(ward, nurse, app):
    started = ward.now()
    while ward.now() - started < 12 * 3600 - 300:
        ward.forward(295)
        assert nurse.web.open(app + "/pages/busy").text == "ok"
    ward.forward(12 * 3600 - (ward.now() - started) - 2)
    assert state(nurse.web, ward) == "active"
    ward.forward(2)
    assert state(nurse.web, ward) == "none"
    on_record(ward, "session.end", nurse, "absolute")


# Locked and ended by people


def test_atk_a18_dead_tokens_stay_dead(ward, nurse, app):
    def dead(old):
        for host in ("auth", "recorder"):
            answer = old.request("GET", ward.origin(host) + "/", headers=BY_SCRIPT, follow=False)
            assert answer.status == 303 and "/login?i=" in answer.header("location")
        assert state(old, ward) == "none"

    before_lock = replayed(nurse.web)
    page = nurse.press("/lock")
    assert state(before_lock, ward) == "locked"
    nurse.unlock(page)
    dead(before_lock)
    nurse.web.open(app + "/")
    before_login = replayed(nurse.web)
    other = again(nurse)
    other.web.cookies = {f"auth.{DOMAIN}": dict(nurse.web.cookies[f"auth.{DOMAIN}"])}
    other.press("/logout")
    dead(before_login)
    assert state(nurse.web, ward) == "none"
    nurse.login(app + "/")
    before_end = replayed(nurse.web)
    sessions = nurse.web.open(ward.origin() + "/sessions")
    nurse.web.submit(sessions, sessions.form("/sessions/end"))
    dead(before_end)


def test_atk_a18_a_login_that_another_tab_finishes_replaces_the_session(ward, hired, seen, app):
    nurse, colleague = again(hired), ward.hire("000134")
    page = nurse.go(app + "/")
    colleague.web = nurse.web
    colleague.login(app + "/")
    before = replayed(nurse.web)
    assert state(before, ward) == "active"
    nurse.onward(nurse.touch(page, "/login/passkey"))
    assert (state(before, ward), state(nurse.web, ward)) == ("none", "active")
    on_record(ward, "session.end", colleague, "replaced")


def test_a_second_login_locks_the_first_and_unlocking_there_locks_the_second(ward, nurse, app):
    other = again(nurse)
    other.login(app + "/")
    assert (state(nurse.web, ward), state(other.web, ward)) == ("locked", "active")
    reason = ward.journaled("session.lock")[-1]["why"]["reason"]
    assert reason == "other-station"
    assert nurse.unlock(nurse.web.open(app + "/")).text == "ok"
    assert (state(nurse.web, ward), state(other.web, ward)) == ("active", "locked")


def test_req_s02_an_app_page_may_lock_the_screen_and_no_stranger_may(ward, nurse, app):
    lock = app + "/.sekimori/lock"
    chart = f"https://chart.{DOMAIN}:{ward.https}"
    for site, origin in (("cross-site", "https://evil.example"), ("same-site", chart), ("none", "")):
        headers = {"Sec-Fetch-Site": site, **({"Origin": origin} if origin else {})}
        assert nurse.web.fetch(lock, "POST", headers=headers).status == 403
    assert nurse.web.fetch(lock).status == 405 and state(nurse.web, ward) == "active"
    assert nurse.web.fetch(lock, "POST", headers={"Origin": app}).status == 204
    assert state(nurse.web, ward) == "locked"
    nurse.unlock(nurse.web.open(app + "/"))
    gone = nurse.web.request("POST", lock, follow=False, headers={
        **NAVIGATION, "Sec-Fetch-Site": "same-origin", "Origin": app})
    assert (gone.status, gone.header("location")) == (303, ward.origin() + "/lock")
    assert ward.journaled("session.lock")[-1]["why"]["reason"] == "user"


def test_atk_a11_no_odd_cookie_gets_through_and_none_without_a_name(ward, nurse, seen, app):
    good = nurse.cookie("recorder")
    pair = f"__Host-sk={good}"
    odd = ["", "__Host-sk=", "__Host-sk=x", f"__Host-sk={'A' * 43}", f'__Host-sk="{good}"', f"{pair}A",
           f"__Host-sk={good[:-1]}", f"{pair}; {pair}", f"__Host-sk=x; {pair}", f"{pair}; __Host-sk=",
           f"__host-sk={good}", f"__Secure-sk={good}",
           f"__Host-sk={good}%00", f"x{pair}", f"__Host-sk={good},", f"__Host-sk={'A' * 3000}"]
    for cookie in odd:
        answer = nurse.web.fetch(app + "/pages/odd", headers={"Cookie": cookie})
        assert answer.status in (400, 401), cookie
    assert seen.requests == []
    assert nurse.web.fetch(app + "/pages/good", headers={"Cookie": f"theme=dark; {pair}; other=1"}).status == 200
    request, = seen.requests
    assert request.get("remote-user") == nurse.staff_no and len(request.all("sekimori-assertion")) == 1


# Streams


def events(request, connection):
    """An endless stream of server-sent events; ends when the gateway hangs up."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"d\r\ndata: a beat\n\r\n")
        time.sleep(0.02)


def stream(web, path="/stream"):
    """A stream that has begun to flow."""
    raw = Raw(web.port, web.ca_file, APP)
    cookie = "; ".join(f"{name}={value}" for name, value in web.cookies[APP].items())
    raw.send(f"GET {path} HTTP/1.1\r\nHost: {APP}:{web.port}\r\nCookie: {cookie}\r\nAccept: text/event-stream\r\n\r\n")
    assert raw.head()[0] == 200
    assert b"beat" in raw.reader.readline() + raw.reader.readline()
    return raw


def kill(ward, nurse):
    newest = ward.ctl("session", "list", "--staff-no", nurse.staff_no)["sessions"][0]
    ward.ctl("session", "kill", newest["id"])


CUTS = {
    "lock": lambda ward, nurse: nurse.press("/lock"),
    "logout": lambda ward, nurse: nurse.press("/logout"),
    "kill": kill,
    "second login": lambda ward, nurse: again(nurse).login(),
    "idle": lambda ward, nurse: ward.forward(300),
}


@pytest.mark.parametrize("cut", CUTS)
def test_req_h27_lock_and_end_reach_open_sockets_and_streams_within_a_second(ward, hired, seen, app, cut):
    ward.refresh_cli()
    nurse = again(hired)
    nurse.login(app + "/")
    echo = seen.answer = Echo()
    socket = WebSocket(nurse.web, APP, "/ws", app)
    assert socket.status == 101 and socket.say("one") == "echo one"
    seen.answer = events
    flowing = stream(nurse.web)
    before = len(ward.journaled("request.close"))
    CUTS[cut](ward, nurse)
    begun = time.monotonic()
    assert socket.close_code() == 1008
    rest = flowing.reader.read()
    assert time.monotonic() - begun < 1
    assert not rest.endswith(b"0\r\n\r\n"), "a cut stream must not look complete (H-13)"
    assert echo.wait_for_end() == 1008
    wait_until(lambda: len(ward.journaled("request.close")) >= before + 2, "both are closed on record")


def test_socket_traffic_is_no_human_act(ward, nurse, seen, app):
    seen.answer = Echo()
    socket = WebSocket(nurse.web, APP, "/ws", app)
    for _ in range(4):
        ward.forward(74)
        assert socket.say("beat") == "echo beat"
    ward.forward(4)
    assert socket.close_code() == 1008


def test_atk_a22_a_socket_from_a_foreign_page_is_refused(ward, nurse, seen, app):
    seen.answer = Echo()
    for origin in ("https://evil.example", f"https://chart.{DOMAIN}:{ward.https}", ward.origin(), app + ".evil.example",
                   f"http://{APP}:{ward.https}", f"https://{APP}", "null", None):
        assert WebSocket(nurse.web, APP, "/ws", origin).status == 403, origin
    assert WebSocket(ward.web(), APP, "/ws", app).status == 401
    assert seen.requests == []
    nurse.press("/lock")
    assert WebSocket(nurse.web, APP, "/ws", app).status == 423
    assert seen.requests == []


# The handshake


def code_for(person, app):
    """An unused handshake code for a person who is logged in at the portal, and its address."""
    jar = person.web.cookies.get(APP, {})
    jar.pop("__Host-sk", None)
    away = person.web.request("GET", app + "/pages/h", headers=NAVIGATION, follow=False)
    sent = person.web.request("GET", away.header("location"), headers=NAVIGATION, follow=False)
    assert sent.status == 303 and sent.header("location").startswith(app + "/.sekimori/enter?code=")
    return sent.header("location")


def test_a_handshake_code_is_for_one_browser_on_one_host_once_for_thirty_seconds(ward, nurse, seen, app):
    def enter(web, place):
        return web.request("GET", place, headers=NAVIGATION, follow=False)

    def refused(web, place, reason):
        answer = enter(web, place)
        assert (answer.status, answer.header("location")) == (303, "/.sekimori/enter"), "no code is left in the address"
        assert not any(line.startswith("__Host-sk=") for line in answer.all("set-cookie"))
        assert ward.journaled("handshake.refuse")[-1]["why"]["reason"] == reason

    place = code_for(nurse, app)
    nurse.web.fetch(place)
    assert "__Host-sk" not in nurse.web.cookies[APP], "only a navigation enters"
    good = enter(nurse.web, place)
    assert (good.status, good.header("location")) == (303, "/pages/h") and state(nurse.web, ward) == "active"
    nurse.web.cookies[APP].pop("__Host-sk")
    refused(nurse.web, place, "unknown-or-used")
    refused(ward.web(), code_for(nurse, app), "other-browser")
    refused(nurse.web, code_for(nurse, app).replace(APP, f"chart.{DOMAIN}"), "other-host")
    late = code_for(nurse, app)
    ward.forward(30)
    refused(nurse.web, late, "too-late")
    stolen = code_for(nurse, app)
    refused(ward.web(), stolen, "other-browser")
    refused(nurse.web, stolen, "unknown-or-used")
    unused = code_for(nurse, app)
    nurse.press("/lock")
    refused(nurse.web, unused, "not-active")
    assert enter(nurse.web, app + "/.sekimori/enter").status == 410


def test_ten_tabs_that_open_at_once_all_arrive(ward, hired, seen, app):
    nurse = again(hired)
    nurse.web.open(app + "/")  # the browser has a binder from its last visit
    waiting = [nurse.web.open(f"{app}/pages/tab-{n}") for n in range(10)]
    asked = nurse.web.submit(waiting[0], waiting[0].form("/login/name"), {"name": nurse.staff_no})
    nurse.touch(asked, "/login/passkey")

    def tab(page):
        copy = replayed(nurse.web)
        arrived = copy.open(page.url)
        return arrived.status, arrived.text, arrived.url, copy.cookies[APP]["__Host-sk"]

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        arrived = list(pool.map(tab, waiting[1:] + [nurse.web.open(app + "/pages/tab-10")]))
    assert {(status, text) for status, text, *_ in arrived} == {(200, "ok")}
    assert {url for _, _, url, _ in arrived} >= {f"{app}/pages/tab-{n}" for n in range(1, 10)}
    for *_, token in arrived:
        nurse.web.cookies[APP]["__Host-sk"] = token
        assert state(nurse.web, ward) == "active", "whichever cookie was last, it is good"


# Restart


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_sessions_outlive_the_server_in_the_right_state(ward, hired, seen, app, how):
    active, locked, gone = people = [ward.hire(number, PASSWORD) for number in ("000135", "000136", "000137")]
    for person in people:
        person.login(app + "/")
    lock_page = locked.press("/lock")
    before = replayed(gone.web)
    gone.press("/logout")
    half_way = Staff(ward, "000138").go(app + "/pages/later")
    ward.stop(how)
    ward.start()
    assert [state(p.web, ward) for p in (active, locked, gone)] == ["active", "locked", "none"]
    assert state(before, ward) == "none"
    assert locked.unlock_by_password(lock_page).status == 200 and state(replayed(active.web), ward) == "active"
    assert locked.web.open(app + "/").text == "ok"
    assert "/login?i=" in half_way.url and active.web.open(active.hospital.origin() + "/sessions").status == 200
    ward.forward(300)
    assert state(active.web, ward) == "locked", "the last act was kept"
    ward.stop(how)
    ward.forward(1800)
    ward.start()
    assert state(active.web, ward) == "none"
    on_record(ward, "session.end", active, "locked-too-long")


def test_a_login_that_was_under_way_goes_on_after_a_restart(ward, hired, seen, app):
    nurse = again(hired)
    page = nurse.go(app + "/pages/after")
    ward.stop()
    ward.start()
    assert nurse.onward(nurse.touch(page, "/login/passkey")).text == "ok"
    assert [r.target for r in seen.requests] == ["/pages/after"]


# The command line


def test_what_was_under_way_at_the_stop_is_answered_and_on_record_before_it(ward):
    """An import whose file is still coming when the server is told to stop."""
    ward.refresh_cli()
    bearer = (ward.folder / "var" / "cli-session").read_text()
    file = (DEMO / "hr.csv").read_bytes()
    raw = Raw(ward.https, ward.ca, f"auth.{DOMAIN}", timeout=20)
    raw.send("\r\n".join([
        "POST /.sekimori/api/v1/hr/import HTTP/1.1", f"Host: auth.{DOMAIN}:{ward.https}",
        f"Authorization: Bearer {bearer}", "Content-Type: text/csv", f"Content-Length: {len(file)}", "", ""]))
    raw.send(file[:-1])
    wait_until(lambda: any(r["what"].get("action") == "hr" for r in ward.records("request.permit")),
               "the import was let in")
    before = len(ward.records("hr.import"))
    ward.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not ward.listens(), "no new connections")
    raw.send(file[-1:])
    status, _, body = raw.answer()
    assert status == 200, body
    ward.process.wait(30)
    events = [r["event"] for r in ward.records()]
    assert events.count("hr.import") == before + 1
    last = len(events) - 1 - events[::-1].index("hr.import")
    assert last < len(events) - 1 - events[::-1].index("process.stop")
    ward.start()


def test_the_command_line_logs_in_once_with_a_code_and_says_how_it_went(ward, tmp_path):
    registrar = ward.officer
    ward.refresh_cli()
    session_file = ward.folder / "var" / "cli-session"
    assert session_file.stat().st_mode & 0o777 == 0o600
    code = registrar.cli_code()
    assert ward.ctl("login", "--code", code)["logged in"] is True
    for bad in (code, "AAAA", "A" * 43):
        assert "code" in ward.ctl("login", "--code", bad, expect=3)["error"]
    late = registrar.cli_code()
    ward.forward(601)
    assert ward.ctl("login", "--code", late, expect=3)
    assert ward.ctl("hr", "import", str(tmp_path / "nothing.csv"), expect=2)
    elsewhere = tmp_path / "cli.toml"
    elsewhere.write_text(f'api = "https://auth.{DOMAIN}:1"\nca = "{ward.ca}"\n')
    assert ward.ctl("--client", str(elsewhere), "audit", "tail", client=False, expect=4)
    elsewhere.write_text(f'api = "{ward.origin()}"\nca = "{ward.ca}"\n')
    nobody = ward.ctl("--client", str(elsewhere), "audit", "tail", client=False, expect=3)
    assert "sekimorictl login" in nobody["error"], "nobody is logged in there"


def test_atk_a28_the_command_line_changes_something_only_in_the_five_minutes_after_a_proof(ward):
    ward.refresh_cli()
    ward.ctl("enrolment", "issue", "000139", "--evidence", "staff card")
    ward.forward(200)
    assert ward.officer.web.open(ward.origin() + "/cli").url.endswith("/cli")
    ward.forward(101)
    for change in (["enrolment", "issue", "000139", "--evidence", "staff card"],
                   ["session", "kill", "0199a6f0-4d1e-7c3a-9b1e-2f6d0c8a1b77"]):
        assert "older than this act allows" in ward.ctl(*change, expect=3)["error"]
    assert ward.ctl("audit", "tail") and ward.ctl("session", "list")["sessions"], "looking goes on"
    stale = ward.officer.web.open(ward.origin() + "/cli")
    assert "/login?i=" in stale.url, "the portal asks for a proof before it shows a code"
    page = ward.officer.touch(stale, "/login/passkey")
    assert page.url.endswith("/cli") and page.form("/cli")
    ward.refresh_cli()
    assert ward.issue("000139")


def test_the_command_line_is_over_with_its_session_and_awake_over_its_lock(ward):
    ward.refresh_cli()
    page = ward.officer.press("/lock")
    assert ward.ctl("audit", "tail"), "a program is not a station"
    ward.officer.press("/logout", page)
    assert ward.ctl("audit", "tail", expect=3)
    ward.refresh_cli()


def test_sessions_are_listed_and_killed_from_the_command_line(ward, hired, app):
    ward.refresh_cli()
    nurse = again(hired)
    nurse.login(app + "/")
    listed = ward.ctl("session", "list", "--staff-no", nurse.staff_no)["sessions"]
    assert listed and all(row["staff_no"] == nurse.staff_no for row in listed)
    newest = listed[0]
    assert newest["state"] == "active" and newest["zone"] == "ward"
    everyone = ward.ctl("session", "list")["sessions"]
    assert {row["staff_no"] for row in everyone} >= {nurse.staff_no, "900001"}
    assert ward.ctl("session", "kill", newest["id"]) == {"ended": True}
    assert state(nurse.web, ward) == "none"
    assert ward.ctl("session", "kill", newest["id"]) == {"ended": False}
    assert ward.ctl("session", "kill", "no-id", expect=3)
    end = [r for r in ward.journaled("session.end") if r["why"]["reason"] == "killed"][-1]
    assert end["who"]["staff_no"] == "900001" and end["what"]["id"] == newest["session"]
    assert not any("token" in key for key in newest), "nothing in the list opens anything (A35)"


def test_the_command_line_reads_the_journal_and_that_is_recorded(ward, hired, app):
    ward.refresh_cli()
    again(hired).login(app + "/")
    newest = ward.ctl("audit", "tail", "--lines", "5")["records"]
    assert [line["seq"] for line in newest] == list(range(newest[0]["seq"], newest[0]["seq"] + 5))
    wanted = ["--event", "session.start", "--staff-no", hired.staff_no, "--limit", "3"]
    found = ward.ctl("audit", "search", *wanted)["records"]
    assert len(found) == 3
    assert {line["record"]["event"] for line in found} == {"session.start"}
    assert {line["record"]["who"]["staff_no"] for line in found} == {hired.staff_no}
    shown = ward.ctl("audit", "show", str(found[0]["seq"]))
    assert shown == found[0] and shown["intact"]
    assert ward.ctl("audit", "show", "999999999", expect=3)
    reads = ward.journaled("audit.read")[-3:]
    assert {(r["who"]["staff_no"], r["outcome"]) for r in reads} == {("900001", "ok")}
    assert ward.ctl("audit", "verify", str(ward.journal), client=False)


def test_the_command_line_tells_what_the_policy_would_decide(ward, app):
    ward.refresh_cli()
    asked = ["policy", "test", "--as", NURSE, "--url", app + "/"]
    assert ward.ctl(*asked)["decision"] == "permit"
    assert ward.ctl(*asked, "--method", "DELETE", expect=1)["decision"] != "permit"
    assert ward.ctl("policy", "test", "--as", NURSE, "--url", app + "/forbidden", expect=1)["decision"] == "deny"
    assert ward.ctl("policy", "test", "--as", "000999", "--url", app + "/", expect=3)

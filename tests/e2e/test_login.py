"""Login at AAL2, from the desk's code to the app: what opens the door, and what must not."""

import base64
import concurrent.futures
import json
import os
import re
import urllib.parse

import pytest

from conftest import NURSE
from hospital import DOMAIN, Hospital, Staff, options
from passkey import USER_PRESENT, USER_VERIFIED, Passkey, b64
from web import NAVIGATION

PORTAL = f"auth.{DOMAIN}"
PASSWORD = "yuki no asa wa 7ji kara"


@pytest.fixture()
def recorder_host(ward):
    return ward.origin("recorder")


@pytest.fixture(scope="module")
def nurse(ward):
    """Has a passkey. Each test brings a browser of its own."""
    return ward.hire(NURSE)


@pytest.fixture(scope="module")
def typist(ward):
    """Has a password and codes, and no passkey."""
    return Staff(ward, "000124").enrol_password(ward.issue("000124"), PASSWORD)


def fresh(person):
    """The same person at a browser that nobody has used."""
    person.web = person.hospital.web()
    return person


def nobody(web, hospital):
    """Is the browser logged in nowhere?"""
    for host in ("auth", "recorder"):
        answer = web.request("GET", hospital.origin(host) + "/", follow=False,
                             headers={"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"})
        if not (answer.status == 303 and "/login?i=" in answer.header("location")):
            return False
    return True


def odd(web, page, step, fields):
    """Posts to some step of the page's interaction, with the page's own form token."""
    form = page.form("/login/passkey")
    place = urllib.parse.urlsplit(form["action"])
    return web.submit(page, {"action": f"{step}?{place.query}", "fields": {"t": form["fields"]["t"]}}, fields)


def words(page):
    """The page without what differs from request to request and from name to name."""
    text = re.sub(r'(value|data-options|href|action|data-renew)="[^"]*"', r'\1=""', page.text)
    text = re.sub(r"<strong><bdi>[^<]*</bdi></strong>", "WHAT WAS TYPED", text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "REQUEST", text)
    headers = sorted((name.lower(), value) for name, value in page.headers
                     if name.lower() not in ("date", "x-request-id", "set-cookie", "content-length"))
    return page.status, headers, text


# From the desk to the app


def test_a_registrar_is_bootstrapped_enrols_and_logs_in_and_it_is_on_record(ward):
    begun = ["enrolment.start", "authenticator.bind", "account.activate", "login.ok", "session.start"]
    story = [r["event"] for r in ward.journaled()
             if r["event"] in begun and r["who"].get("staff_no") == "900001"]
    assert story[:5] == begun
    made = ward.journaled("hr.person")[:2] + ward.journaled("account.create")[:2]
    assert [r["change"]["after"]["staff_no"] for r in made] == ["900001", "900002"] * 2
    assert {r["who"]["kind"] for r in made} == {"operator"}
    assert [r["detail"]["method"] for r in ward.journaled("proofing.record")[:2]] == ["by operating system user"] * 2


def test_a_passkey_login_leads_to_where_the_person_was_going(ward, nurse, seen, recorder_host):
    there = "/pages/%E5%B1%B1?tab=2&b=1+1%2B1"
    page = fresh(nurse).login(recorder_host + there)
    assert (page.status, page.text) == (200, "ok")
    assert [r.target for r in seen.requests] == [there], "one request, byte for byte"
    started = ward.journaled("session.start")[-1]
    assert (started["who"]["staff_no"], started["who"]["aal"], started["who"]["amr"]) == (NURSE, "aal2", ["pop"])
    assert started["from"]["zone"] == "ward" and started["from"]["address"] == "127.0.0.1"


def test_a_password_and_a_code_lead_to_the_same_place(ward, typist, seen, recorder_host):
    ward.forward(30)
    page = fresh(typist).login_by_password(recorder_host + "/pages/2")
    assert (page.status, page.text) == (200, "ok")
    who = ward.journaled("session.start")[-1]["who"]
    assert (who["aal"], sorted(who["amr"])) == ("aal2", ["otp", "pwd"])


def test_req_c26_each_code_is_good_once(ward, typist):
    def last_step(code):
        fresh(typist)
        page = typist.web.open(typist.go().link("by=password"))
        page = typist.web.submit(page, page.form("/login/password"), {"secret": PASSWORD})
        return typist.web.submit(page, page.form("/login/totp"), {"secret": code})

    ward.forward(60)
    code = typist.code()
    assert last_step(code).status == 200
    again = last_step(code)
    assert again.status == 422 and nobody(typist.web, ward)
    assert ward.journaled("login.fail")[-1]["why"]["reason"] == "used-before"
    ward.forward(30)
    assert last_step(typist.code()).status == 200


def test_the_code_that_proved_the_app_at_enrolment_is_used_up(ward):
    person = Staff(ward, "000125").enrol_password(ward.issue("000125"), PASSWORD)
    used = person.totp.at(ward.now())
    page = person.web.open(person.go().link("by=password"))
    page = person.web.submit(page, page.form("/login/password"), {"secret": PASSWORD})
    assert person.web.submit(page, page.form("/login/totp"), {"secret": used}).status == 422


# What the page tells a stranger


def test_atk_a40_wrong_passwords_and_unknown_names_read_the_same(ward, typist, nurse):
    def tried(name, step, field, value):
        stranger = Staff(ward, name)
        page = stranger.web.open(stranger.go().link("by=password"))
        form = page.form("/login/password")
        query = urllib.parse.urlsplit(form["action"]).query
        form = {**form, "action": f"{step}?{query}"}
        return words(stranger.web.submit(page, form, {field: value}))

    bound, without, unknown, no_number = typist.staff_no, nurse.staff_no, "000999", "だれか <b>"
    for step, field, value in (("/login/password", "secret", "not the password 1"),
                               ("/login/totp", "secret", "000000"), ("/login/passkey", "credential", "{}")):
        expected = tried(bound, step, field, value)
        assert expected[0] == 422 and 'role="alert"' in expected[2]
        for name in (without, unknown, no_number):
            assert tried(name, step, field, value) == expected, (name, step)
    reasons = {r["why"]["reason"] for r in ward.journaled("login.fail")[-12:]}
    assert {"wrong", "not-bound", "unknown-name"} <= reasons, "the record knows what the page doesn't tell"
    assert "だれか" not in json.dumps([r["who"] for r in ward.journaled("login.fail")], ensure_ascii=False), \
        "what was typed may have been a password"


def test_atk_a40_the_passkey_page_looks_the_same_for_a_name_that_has_none(ward, nurse):
    def asked(name):
        page = Staff(ward, name).go()
        return words(page), options(page)["publicKey"]

    (known_words, known), (unknown_words, unknown) = asked(nurse.staff_no), asked("000998")
    assert known_words == unknown_words
    assert known.keys() == unknown.keys() and known["rpId"] == unknown["rpId"] == DOMAIN
    assert known["userVerification"] == unknown["userVerification"] == "required"
    for name in ("000990", "000991", "000992", "000993", "000994", "000995", "000996"):
        assert {tuple(sorted(c)) for c in asked(name)[1]["allowCredentials"]} == {("id", "type")}, name
    again = asked("000998")[1]
    assert again["allowCredentials"] == unknown["allowCredentials"], "made-up passkeys stay the same"
    assert again["challenge"] != unknown["challenge"]


# Forged assertions


def forgeries(hospital):
    port = hospital.https
    origins = ["https://evil.example", f"https://{PORTAL}", f"https://{PORTAL}:1", f"http://{PORTAL}:{port}",
               f"https://recorder.{DOMAIN}:{port}", f"https://evil{PORTAL}:{port}",
               f"https://{PORTAL}:{port}.evil.example",
               f"https://sub.{PORTAL}:{port}", f"https://{PORTAL}:{port}/", f"https://{PORTAL.upper()}:{port}", "null"]
    yield "signature", {"break_signature": True}
    yield "user-not-verified", {"flags": USER_PRESENT}
    yield "user-not-present", {"flags": USER_VERIFIED}
    yield "counter", {"counter": 1}
    yield "counter", {"counter": 0}
    yield "challenge", {"challenge": b64(os.urandom(32))}
    for domain in ("evil.example", PORTAL, "localhost", f"evil{DOMAIN}"):
        yield "rp-id", {"rp_id": domain}
    for origin in origins:
        yield "origin", {"origin": origin}


def test_atk_a29_forged_assertions_get_the_same_words_and_none_logs_in(ward, nurse):
    fresh(nurse).login()
    fresh(nurse).login()
    started, seen_words = len(ward.journaled("session.start")), set()
    for reason, lie in forgeries(ward):
        page = fresh(nurse).go()
        counter = nurse.passkey.counter
        answer = nurse.passkey.sign(options(page), **lie)
        got = nurse.web.submit(page, page.form("/login/passkey"), {"credential": json.dumps(answer)})
        nurse.passkey.counter = counter
        assert got.status == 422 and nobody(nurse.web, ward), lie
        assert ward.journaled("login.fail")[-1]["why"]["reason"] == reason, lie
        seen_words.add(str(words(got)))
    assert len(seen_words) == 1, "what was wrong with it shows"
    assert len(ward.journaled("session.start")) == started
    assert fresh(nurse).login().status == 200, "the honest one still does"


def test_an_assertion_is_good_for_its_own_question_once(ward, nurse):
    page = fresh(nurse).go()
    first, later = nurse.passkey.sign(options(page)), None
    nurse.web.open(page.url)  # asks anew: the first question is void
    stale = nurse.web.submit(page, page.form("/login/passkey"), {"credential": json.dumps(first)})
    assert stale.status == 422 and nobody(nurse.web, ward)
    later = nurse.passkey.sign(options(stale))
    captured = json.dumps(later)
    assert nurse.web.submit(stale, stale.form("/login/passkey"), {"credential": captured}).status == 200
    thief = Staff(ward, nurse.staff_no)
    page = thief.go()
    replayed = thief.web.submit(page, page.form("/login/passkey"), {"credential": captured})
    assert replayed.status == 422 and nobody(thief.web, ward)


def test_a_question_is_good_for_five_minutes_and_a_login_for_ten(ward, nurse):
    page = fresh(nurse).go()
    answer = nurse.passkey.sign(options(page))
    ward.forward(301)
    late = nurse.web.submit(page, page.form("/login/passkey"), {"credential": json.dumps(answer)})
    assert late.status == 422 and nobody(nurse.web, ward)
    assert ward.journaled("login.fail")[-1]["why"]["reason"] == "challenge-expired"
    ward.forward(300)
    answer = nurse.passkey.sign(options(late))
    over = nurse.web.submit(late, late.form("/login/passkey"), {"credential": json.dumps(answer)})
    assert over.status == 410 and "/login" in over.link("/login") and nobody(nurse.web, ward)


def test_somebody_elses_passkey_opens_nothing(ward, nurse, typist):
    page = fresh(typist).go()
    answer = nurse.passkey.sign(options(page))
    got = typist.web.submit(page, page.form("/login/passkey"), {"credential": json.dumps(answer)})
    stranger = Passkey(ward.origin()).sign(options(got))
    assert got.status == 422
    assert typist.web.submit(got, got.form("/login/passkey"), {"credential": json.dumps(stranger)}).status == 422
    assert nobody(typist.web, ward)


# Steps


def test_atk_a26_no_odd_post_skips_a_step(ward, typist, nurse):
    for person in (typist, nurse):
        fresh(person)
        for step in ("/login/passkey", "/login/password", "/login/totp"):
            for fields in ({}, {"secret": "", "credential": ""},
                           {"secret": PASSWORD, "credential": "{}", "name": "900001"}):
                page = person.go()
                if step == "/login/password" and person is typist:
                    fields = {**fields, "secret": ""}
                got = odd(person.web, page, step, fields)
                assert got.status == 422 and nobody(person.web, ward), (step, fields)
    # Before a name was given, and with no interaction at all.
    page = fresh(typist).web.open(ward.origin("recorder") + "/")
    form = page.form("/login/name")
    query = urllib.parse.urlsplit(form["action"]).query
    for step in ("/login/passkey", "/login/password", "/login/totp"):
        for where in (query, "i=", "i=AAAA", ""):
            got = typist.web.submit(page, {"action": f"{step}?{where}", "fields": form["fields"]},
                                    {"secret": PASSWORD, "credential": "{}"}, follow=False)
            assert got.status in (303, 403, 410) and nobody(typist.web, ward), (step, where)


def test_atk_a27_one_factor_twice_stays_one_factor(ward, typist):
    ward.forward(60)
    page = fresh(typist).go()
    for _ in range(2):
        ward.forward(30)
        after = odd(typist.web, page, "/login/totp", {"secret": typist.code()})
        assert after.status == 200 and nobody(typist.web, ward)
    page = fresh(typist).go()
    for _ in range(2):
        odd(typist.web, page, "/login/password", {"secret": PASSWORD})
        assert nobody(typist.web, ward)
    ward.forward(30)
    assert odd(typist.web, page, "/login/totp", {"secret": typist.code()}).status == 200
    assert not nobody(typist.web, ward), "both together do"


def test_atk_a27_a_factor_proved_for_one_name_does_not_count_for_the_next(ward, typist):
    page = fresh(typist).go()
    odd(typist.web, page, "/login/password", {"secret": PASSWORD})
    odd(typist.web, page, "/login/name", {"name": NURSE})
    ward.forward(60)
    odd(typist.web, page, "/login/totp", {"secret": typist.code()})
    assert nobody(typist.web, ward)


def test_atk_a16_a_login_gives_a_new_token_whatever_cookie_was_there(ward, nurse):
    fresh(nurse).login()
    old = nurse.cookie("auth")
    victim = Staff(ward, nurse.staff_no)
    victim.passkey = nurse.passkey
    planted = b64(os.urandom(32))
    victim.web.cookies[PORTAL] = {"__Host-sk": planted}
    victim.login()
    assert victim.cookie("auth") not in (planted, old)


def test_atk_a16_a_login_begun_in_one_browser_is_not_finished_in_another(ward, nurse):
    attacker = Staff(ward, nurse.staff_no)
    page = attacker.go(ward.origin("recorder") + "/")
    query = urllib.parse.urlsplit(page.form("/login/passkey")["action"]).query
    fresh(nurse)
    sent = nurse.web.open(f"{ward.origin()}/login?{query}")
    assert "/login/name" in sent.text, "begins a login of its own"
    answer = nurse.passkey.sign(options(page))
    got = nurse.web.submit(sent, {"action": f"/login/passkey?{query}", "fields": sent.form("/login/name")["fields"]},
                           {"credential": json.dumps(answer)})
    assert got.status == 403 and nobody(nurse.web, ward)
    assert nobody(attacker.web, ward)


def test_atk_a17_no_session_is_given_twice_or_left_to_the_next_person(ward, nurse):
    colleague, web, given = ward.hire("000127"), ward.web(), []
    for _ in range(5):
        for person in (nurse, colleague):
            person.web = web
            person.login(ward.origin("recorder") + "/")
            person.unlock(person.press("/lock"))
            person.web.open(ward.origin("recorder") + "/")
            person.press("/logout")
    for line in web.set_cookies:
        name, value = line.split(";")[0].split("=", 1)
        given += [value] if name == "__Host-sk" and value else []
    assert len(given) == len(set(given)) >= 40
    # Whoever is there now, no token of before is anybody's.
    colleague.login(ward.origin("recorder") + "/")
    for token in given:
        thief = ward.web()
        thief.cookies = {f"{host}.{DOMAIN}": {"__Host-sk": token} for host in ("auth", "recorder")}
        assert nobody(thief, ward)
    # None is made of another, of a counter or of the time: each of the 256 bits falls either way.
    numbers = [int.from_bytes(base64.urlsafe_b64decode(token + "=")) for token in given]
    for bit in range(256):
        assert {number >> bit & 1 for number in numbers} == {0, 1}, bit


def test_atk_a33_a_token_of_one_kind_is_worth_nothing_as_another(ward, nurse):
    fresh(nurse).login(ward.origin("recorder") + "/")
    portal, app = nurse.cookie("auth"), nurse.cookie("recorder")
    cli = nurse.cli_code()
    binder = nurse.web.cookies[PORTAL]["__Host-sk-bind"]
    waiting = Staff(ward, "000126").go(ward.origin("recorder") + "/")
    interaction = urllib.parse.parse_qs(urllib.parse.urlsplit(waiting.url).query)["i"][0]
    for host, good in (("auth", portal), ("recorder", app)):
        for token in {portal, app, cli, binder, interaction} - {good}:
            web = ward.web()
            web.cookies = {f"{h}.{DOMAIN}": {"__Host-sk": token} for h in ("auth", "recorder")}
            answer = web.request("GET", ward.origin(host) + "/", headers=NAVIGATION, follow=False)
            assert answer.status == 303 and "/login" in answer.header("location"), host
    web = nurse.web
    for token in (portal, app, interaction, binder):
        body = json.dumps({"code": token})
        answer = web.fetch(ward.origin() + "/.sekimori/api/v1/session/token", "POST", body=body, headers={"Cookie": ""})
        assert answer.status == 422
        headers = {"Authorization": f"Bearer {token}", "Cookie": ""}
        answer = web.fetch(ward.origin() + "/.sekimori/api/v1/session", headers=headers)
        assert answer.status == 401
    for code in (portal, app, cli, interaction, binder):
        answer = ward.web().open(f"{ward.origin('recorder')}/.sekimori/enter?code={code}")
        assert answer.status == 410
    answer = web.open(f"{ward.origin()}/enrol?i={interaction}")
    assert answer.status == 410, "a login is no enrolment (A28)"


# Enrolment codes


def test_an_enrolment_code_is_for_one_person_once_for_ten_minutes(ward):
    code, other = ward.issue("000127"), ward.issue("000128")
    clerk = Staff(ward, "000127")

    def started(person, given):
        fresh(person)
        return person.begin(given)

    refusals = {
        "somebody else's number": started(Staff(ward, "000126"), code),
        "somebody else's code": started(clerk, other),
        "a wrong code": started(clerk, code[:-1] + ("0" if code[-1] != "0" else "1")),
        "no code": started(clerk, ""),
        "nobody's number": started(Staff(ward, "000997"), code),
    }
    assert started(clerk, code.lower().replace("-", " ")).status == 200, "the right one, as it was typed"
    refusals["used"] = started(clerk, code)
    first, second = ward.issue("000127"), ward.issue("000127")
    refusals["an earlier one"] = started(clerk, first)
    ward.forward(601)
    refusals["an old one"] = started(clerk, second)
    assert {what: page.status for what, page in refusals.items()} == dict.fromkeys(refusals, 422)
    assert len({str(words(page)) for page in refusals.values()}) == 1
    assert [r["outcome"] for r in ward.journaled("enrolment.start")[-9:]].count("ok") == 1
    journal = b"".join(file.read_bytes() for file in ward.journal.glob("*.jsonl"))
    assert code.encode() not in journal and code.replace("-", "").encode() not in journal


def test_an_enrolment_goes_on_only_in_its_own_browser_and_needs_two_factors(ward):
    person = Staff(ward, "000129")
    page = person.begin(ward.issue("000129"))
    assert Staff(ward, "000129").web.open(page.url).status == 410
    form = person.web.open(page.link("by=passkey")).form("/enrol/passkey")
    query = urllib.parse.urlsplit(form["action"]).query
    unfinished = person.web.submit(page, {"action": f"/enrol/finish?{query}", "fields": form["fields"]})
    assert "by=passkey" in unfinished.text, "back to where it stands"
    page = person.web.open(person.web.open(page.link("by=passkey")).link("by=password"))
    for secret, again in (("short 1", None), ("no digits in this one", None), ("usui 000129 sakura", None),
                          ("password1234567", None), (PASSWORD, PASSWORD + "x")):
        fields = {"secret": secret, "again": again or secret}
        assert person.web.submit(page, page.form("/enrol/password"), fields).status == 422, secret
    person.web.submit(page, page.form("/enrol/password"), {"secret": PASSWORD, "again": PASSWORD})
    unfinished = person.web.submit(page, {"action": f"/enrol/finish?{query}", "fields": form["fields"]})
    assert "by=passkey" in unfinished.text
    assert Staff(ward, "000129").go().status == 200 and nobody(person.web, ward)
    assert not [r for r in ward.journaled("account.activate") if r.get("who", {}).get("staff_no") == "000129"]


# Failures


def test_req_c22_failures_slow_down_and_close_at_ten_for_a_quarter_of_an_hour(ward):
    person = Staff(ward, "000130").enrol(ward.issue("000130"), PASSWORD)

    def password(secret):
        fresh(person)
        page = person.web.open(person.go().link("by=password"))
        page = person.web.submit(page, page.form("/login/password"), {"secret": secret})
        return page.status

    waits = [0, 0, 0, 0, 5, 10, 20, 40, 80]
    for wait in waits:
        assert password("wrong wrong 1") == 422
        if wait:
            assert password(PASSWORD) == 422, f"closed for {wait} s"
        ward.forward(wait)
    assert password("wrong wrong 1") == 422
    failed = [r for r in ward.journaled("authenticator.fail") if r["who"]["staff_no"] == "000130"]
    failures = [r["detail"]["failures"] for r in failed]
    assert failures == list(range(1, 11)), "what came while it was closed was not even checked"
    ward.forward(890)
    assert password(PASSWORD) == 422
    assert fresh(person).login().status == 200, "a passkey is nobody's to close (A47)"
    ward.forward(11)
    assert password(PASSWORD) == 200
    assert password("wrong wrong 1") == 422 and password(PASSWORD) == 200, "success has taken the failures back"


def test_atk_a24_parallel_tries_do_not_slip_past_the_counter(hospital):
    person = Staff(hospital, "000203").enrol_password(hospital.issue("000203"), PASSWORD)

    def wrong(_):
        stranger = Staff(hospital, person.staff_no)
        page = stranger.go()
        return odd(stranger.web, page, "/login/totp", {"secret": "000000"}).status

    before = len(hospital.journaled("authenticator.fail"))
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert set(pool.map(wrong, range(40))) == {422}
    assert len(hospital.journaled("authenticator.fail")) - before == 5, "from the fifth on it waits"


def test_logins_from_one_address_are_slowed_before_anything_is_checked(tmp_path):
    slow = Hospital(tmp_path / "slow", settings={"login": {"attempts_per_minute": "6"}})
    slow.prepare().start()
    try:
        page = slow.web().open(slow.origin() + "/login")
        statuses = []
        for n in range(8):
            web = slow.web()
            page = web.open(slow.origin() + "/login")
            answer = web.submit(page, page.form("/login/name"), {"name": f"00000{n}"}, follow=False,
                                headers={"X-Forwarded-For": f"192.0.2.{n}", "Forwarded": f"for=192.0.2.{n}"})
            statuses.append(answer.status)
        assert statuses == [303] * 6 + [429] * 2
        assert 1 <= int(answer.header("retry-after")) <= 10 and "Please wait" in answer.text
        told = web.fetch(slow.origin() + "/.sekimori/api/v1/session/token", "POST", body="{}", headers={"Cookie": ""})
        assert told.status == 429 and told.header("content-type") == "application/problem+json"
        assert web.open(slow.origin() + "/login").status == 200, "looking is free"
    finally:
        slow.stop()


# Cookies and secrets


def test_req_c43_every_cookie_on_the_whole_way_has_its_attributes(ward, seen):
    person = Staff(ward, "000131").enrol(ward.issue("000131"), PASSWORD)
    page = person.login(ward.origin("recorder") + "/pages/1?lang=en")
    person.web.open(ward.origin() + "/?lang=ja")
    person.web.open(ward.origin() + "/sessions?lang=en")
    page = person.unlock(person.press("/lock"))
    person.web.open(ward.origin("recorder") + "/pages/2")
    person.press("/logout", page)
    names = set()
    for line in person.web.set_cookies:
        pair, *attributes = [part.strip() for part in line.split(";")]
        name, value = pair.split("=", 1)
        names.add(name)
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes), line
        assert name.startswith("__Host-sk"), line
        assert not any(attribute.lower().startswith(("domain", "expires")) for attribute in attributes), line
        if name == "__Host-sk" and value:
            assert len(attributes) == 4, f"a session's cookie ends with the browser: {line}"
        if name != "__Host-sk-lang":
            assert value == "" or re.fullmatch(r"[\w-]{43}", value), f"opaque, 256 bits: {line}"
    assert names == {"__Host-sk", "__Host-sk-bind", "__Host-sk-lang"}
    values = [line.split(";")[0] for line in person.web.set_cookies if line.startswith("__Host-sk=")]
    assert len(values) == len(set(values)), "a token is never given twice (A17)"
    sent = b"".join(request.head for request in seen.requests)
    assert b"__Host-sk" not in sent, "the upstream sees none of them (C-42)"


def test_req_c42_no_secret_of_a_session_lies_in_the_gateways_files(ward, nurse):
    fresh(nurse).login(ward.origin("recorder") + "/")
    code = nurse.cli_code()
    tokens = [line.split(";")[0].split("=", 1)[1] for line in nurse.web.set_cookies]
    secrets = [token for token in tokens if len(token) > 40] + [code, PASSWORD]
    files = [file for file in ward.folder.rglob("*") if file.is_file() and file.name != "cli-session"]
    kept = b"".join(file.read_bytes() for file in files)
    assert [secret for secret in secrets if secret.encode() in kept] == []
    assert len(secrets) >= 5
    assert kept.count(nurse.staff_no.encode()) > 0, "the right files were read"


def test_req_c44_no_browser_is_remembered(ward, nurse):
    fresh(nurse).login()
    page = nurse.press("/logout")
    assert page.header("clear-site-data") and "__Host-sk" not in nurse.web.cookies[PORTAL]
    assert nobody(nurse.web, ward), "the lasting binder proves nothing"
    page = nurse.go()
    assert options(page)["publicKey"]["userVerification"] == "required" and nobody(nurse.web, ward)

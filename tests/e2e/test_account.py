"""A person's own ways to log in, sessions, password and notices: by hand, and as seen in a browser."""

import json
import re

import pytest

from browser import Person, browsing, look
from hospital import Staff, options
from passkey import Passkey

PASSWORD, ANOTHER = "mikan to neko 31 engawa", "suzume no kasa 64 noboru"
ELSEWHERE = "127.0.7.7"


@pytest.fixture(scope="module")
def hired(ward):
    """A nurse with every authenticator there is."""
    return ward.hire("000140", PASSWORD)


def at(person, address="127.0.0.1"):
    """The same person at another browser, at that address."""
    other = Staff(person.hospital, person.staff_no)
    other.passkey, other.password, other.totp = person.passkey, person.password, person.totp
    other.web.address = address
    return other


@pytest.fixture()
def nurse(ward, hired):
    """The nurse, just logged in at the portal."""
    person = at(hired)
    person.login()
    return person


def see(person, path):
    return person.web.open(person.hospital.origin() + path)


def post(person, page, action, values=None):
    return person.web.submit(page, page.form(action), values)


def alive(person):
    return see(person, "/").url == person.hospital.origin() + "/"


def add(person, kind):
    """Chooses what to add; the page that asks for it."""
    page = see(person, "/authenticators/add")
    form = next(form for form in page.forms if form["fields"].get("kind") == kind)
    return person.web.submit(page, form)


def add_passkey(person):
    page, passkey = add(person, "passkey"), Passkey(person.hospital.origin())
    answer = passkey.register(options(page))
    return passkey, post(person, page, "/enrol/passkey", {"credential": json.dumps(answer)})


def row(page, words):
    """The address of the details of the way whose row has these words."""
    found = next(part for part in page.text.split("<tr>") if words in part)
    return re.search(r'href="(/authenticators/[^"]+)"', found)[1]


def told(person):
    return re.findall(r"<p>([^<]+)</p></li>", see(person, "/notices").text)


# What is bound


def test_req_c34_the_list_says_what_is_bound_when_by_whom_and_when_it_was_used(ward, nurse):
    page = see(nurse, "/authenticators").text
    assert page.count("<tr>") == 4 and page.count("Added at the desk (officer 900001)") == 3
    assert page.count("Not used yet") >= 1 and page.count("Ready to use") == 3
    assert "You have no spare" not in page
    used = [r for r in ward.journaled("login.ok") if r["who"]["staff_no"] == nurse.staff_no]
    assert used and PASSWORD not in page and nurse.totp.seed.hex() not in page


def test_req_c35_one_more_passkey_is_added_by_a_fresh_login_and_its_owner_is_told(ward, nurse):
    passkey, page = add_passkey(nurse)
    assert page.url.endswith("/authenticators?done=added") and "Added." in page.text
    assert "Added by yourself" in page.text
    bound = ward.journaled("authenticator.bind")[-1]
    assert bound["detail"]["basis"].startswith("session ") and bound["who"]["staff_no"] == nurse.staff_no
    assert told(nurse)[0].startswith("&#34;Passkey Passkey 2&#34; was added"), told(nurse)[0]
    again = at(nurse)
    again.passkey = passkey
    assert again.login().status == 200 and alive(again)


def test_atk_a28_after_five_minutes_adding_ending_and_changing_ask_for_the_person_again(ward, nurse):
    detail = row(see(nurse, "/authenticators"), "Verification code")
    ward.forward(290)
    see(nurse, "/")
    ward.forward(15)
    for path in ("/authenticators/add", "/password", detail + "/end"):
        page = see(nurse, path)
        assert "/login?i=" in page.url and "Confirm it&#39;s you" in page.text, path
    page = nurse.touch(see(nurse, "/authenticators/add"), "/login/passkey")
    assert page.url.endswith("/authenticators/add"), "and then goes on where it was"


def test_a_label_is_changed_and_shows(ward, nurse):
    _, page = add_passkey(nurse)
    label = re.findall(r"<bdi>(Passkey \d+)</bdi>", page.text)[0]
    detail = see(nurse, row(page, label))
    page = post(nurse, detail, "/label", {"label": "  あおい <b>鍵 "})
    assert "あおい &#60;b&#62;鍵" in page.text and "The label is changed" in page.text
    renamed = ward.journaled("authenticator.rename")[-1]
    assert renamed["change"] == {"before": {"label": label}, "after": {"label": "あおい <b>鍵"}}


def test_req_c33_an_ended_way_opens_nothing_and_ends_the_other_sessions(ward, nurse):
    passkey, page = add_passkey(nurse)
    label = re.findall(r"<bdi>(Passkey \d+)</bdi>", page.text)[0]
    thief = at(nurse, ELSEWHERE)
    thief.passkey = passkey
    thief.login()
    nurse.web = ward.web()
    nurse.login()
    detail = see(nurse, row(see(nurse, "/authenticators"), label))
    effect = nurse.web.open(detail.link("/end"))
    assert "end at once" in effect.text or "ends at once" in effect.text
    page = post(nurse, effect, "/end")
    assert "It is not used any more" in page.text and "No longer used" in page.text
    assert not alive(thief) and alive(nurse)
    thief.web = ward.web()
    asked = thief.go()
    answer = passkey.sign(options(asked))
    assert thief.web.submit(asked, asked.form("/login/passkey"), {"credential": json.dumps(answer)}).status == 422
    off = ward.journaled("authenticator.off")[-1]
    assert (off["why"]["reason"], off["who"]["staff_no"]) == ("owner", nurse.staff_no)


def test_nobody_ends_the_last_way_to_log_in_or_a_way_of_somebody_else(ward, nurse):
    single = Staff(ward, "000141").enrol(ward.issue("000141"))
    single.login()
    page = see(single, "/authenticators")
    assert "You have no spare" in page.text
    detail = see(single, row(page, "Passkey"))
    assert "it has to stay" in detail.text and "/end" not in detail.text
    path = "/" + detail.url.split("/", 3)[3]
    token = see(single, "/").form("/lock")["fields"]
    forced = single.web.submit(page, {"action": path + "/end", "fields": token})
    assert forced.url == detail.url, "back to its page"
    for action in (path, path + "/end"):
        assert see(nurse, action).status == 404, "atk_a39"
    token = see(nurse, "/").form("/lock")["fields"]
    for action in ("/label", "/end"):
        stolen = nurse.web.submit(page, {"action": path + action, "fields": {**token, "label": "mine"}})
        assert stolen.status == 404, "atk_a39"
    assert at(single).login().status == 200


# The password


def test_req_d743_a_changed_password_ends_the_other_sessions_and_the_old_one_opens_nothing(ward):
    person = ward.hire("000142", PASSWORD)
    other = at(person, ELSEWHERE)
    other.login()
    person.web = ward.web()
    person.login()
    page = person.web.open(see(person, "/authenticators").link("/password"))
    assert "other session" in page.text
    for current, new, again, words in (
            (PASSWORD, "short 1", "short 1", "at least 13"), (PASSWORD, ANOTHER, ANOTHER + "x", "two entries differ"),
            (PASSWORD, "password1234567", "password1234567", "widely known"),
            (PASSWORD, PASSWORD, PASSWORD, "you have now"), ("wrong wrong 1", ANOTHER, ANOTHER, "not changed")):
        page = post(person, page, "/password", {"current": current, "secret": new, "again": again})
        assert page.status == 422 and words in page.text, words
    assert "/lock?" in see(other, "/").url, "one unlocked session a person"
    page = post(person, page, "/password", {"current": PASSWORD, "secret": ANOTHER, "again": ANOTHER})
    assert page.url.endswith("?done=password") and "Your password is changed" in page.text
    assert alive(person)
    ended = [r for r in ward.journaled("session.end") if r["who"]["staff_no"] == "000142"]
    assert ended[-1]["why"]["reason"] == "revoked" and "/login" in see(other, "/").url
    ward.forward(30)
    person.web = ward.web()
    tried = person.web.open(person.go().link("by=password"))
    assert post(person, tried, "/login/password", {"secret": PASSWORD}).status == 422
    person.password = ANOTHER
    assert person.login_by_password().status == 200
    assert "Your password was changed." in told(person)


def test_atk_a23_ten_wrong_current_passwords_close_it_here_as_at_the_login(ward):
    person = ward.hire("000201", PASSWORD)
    person.login()
    page = see(person, "/password")
    for wait in [0, 0, 0, 0, 5, 10, 20, 40, 80, 0]:
        page = post(person, page, "/password", {"current": "wrong wrong 1", "secret": ANOTHER, "again": ANOTHER})
        ward.forward(wait)
    page = post(person, page, "/password", {"current": PASSWORD, "secret": ANOTHER, "again": ANOTHER})
    assert page.status == 422
    locked = person.press("/lock")
    locked = person.web.open(locked.link("by=password"))
    assert post(person, locked, "/unlock/password", {"secret": PASSWORD}).status == 422, "nor does it unlock there"


# Sessions and notices


def test_req_d752_a_person_sees_where_he_is_logged_in_and_ends_the_others(ward, hired):
    others = [at(hired, address) for address in (ELSEWHERE, "127.0.7.8")]
    for other in others:
        other.login()
    here = at(hired)
    here.login()
    page = see(here, "/sessions")
    for address in (ELSEWHERE, "127.0.7.8", "127.0.0.1"):
        assert f"<bdi>{address}</bdi>" in page.text
    assert page.text.count("Last used") == 1 and page.text.count("This one") == 1
    page = post(here, page, "/sessions/end-others")
    assert page.text.count("<bdi>127.") == 1 and alive(here)
    assert not any(alive(other) for other in others)
    reasons = [r["why"]["reason"] for r in ward.journaled("session.end") if r["who"]["staff_no"] == here.staff_no]
    assert reasons[-2:] == ["killed", "killed"]


def test_req_d635_a_login_from_a_new_station_and_every_binding_are_told_until_they_are_seen(ward):
    person = ward.hire("000211", PASSWORD)
    person.login()
    page = see(person, "/")
    assert "new notices" in page.text
    bound = [notice for notice in told(person) if "was added" in notice]
    assert len(bound) == 3 and "login code" not in str(bound)
    assert any("issued at the desk (officer 900001)" in notice for notice in told(person))
    page = post(person, see(person, "/notices"), "/notices/seen")
    assert "<strong" not in page.text and "new notice" not in see(person, "/").text
    again = at(person)
    again.login()
    assert "new notice" not in see(again, "/").text, "a station she knows"
    far = at(person, "127.0.9.9")
    far.login()
    assert "You have 1 new notice" in see(far, "/").text
    assert "new station (zone Ward, address 127.0.9.9)" in told(far)[0]


# As people see it


@pytest.fixture(scope="module")
def browser(ward):
    with browsing(ward) as browser:
        yield browser


@pytest.mark.parametrize(("locale", "staff_no"), [("ja-JP", "000222"), ("en-GB", "000232")])
def test_a_nurse_minds_her_ways_to_log_in_in_a_browser(ward, browser, locale, staff_no):
    person = Person(browser, ward, staff_no, locale)
    page, portal = person.page, ward.origin()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def see(name):
        assert look(page, f"30-{name}-{locale[:2]}")["lang"] == locale[:2]

    person.enrol(ward.issue(staff_no)).login()
    page.goto(portal + "/")
    see("launcher")
    page.click("a[href='/authenticators']")
    see("one-way")
    page.click("a.main[href='/authenticators/add']")
    see("add")
    # A password, then a security key that goes with it; the passkey stays at home from here on.
    page.click("form:has([value=password]) button")
    see("add-password")
    page.fill("#secret", ANOTHER)
    page.fill("#again", ANOTHER)
    page.click("button.main")
    page.wait_for_url("**/authenticators?done=added")
    page.goto(portal + "/authenticators/add")
    page.click("form:has([value=key]) button")
    see("add-key")
    person.cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": person.authenticator})
    person.carry()
    page.click("#passkey button.main")
    page.wait_for_url("**/authenticators?done=added")
    see("list")
    page.locator("tbody tr").filter(has_text="キー" if locale == "ja-JP" else "key").first.locator("a").click()
    see("detail")
    page.fill("#label", "青い鍵")
    page.keyboard.press("Enter")
    page.wait_for_url("**/authenticators?done=renamed")
    page.locator("tbody tr").filter(has_text="青い鍵").locator("a").click()
    page.click("a.danger")
    see("end")
    page.goto(portal + "/password")
    see("password")
    page.goto(portal + "/sessions")
    see("sessions")
    page.goto(portal + "/notices")
    see("notices")
    page.click("form[action='/notices/seen'] button")
    see("notices-seen")
    page.goto(portal + "/")
    page.click("form[action='/logout'] button")
    page.goto(portal + "/login")
    page.fill("#name", staff_no)
    page.click("button.main")
    page.click("a[href*='by=password']")
    page.fill("#secret", ANOTHER)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: url.rstrip("/") == portal, timeout=10000)
    assert person.page.locator("form[action='/lock']").count() == 1, "password and key have logged her in"
    who = ward.journaled("session.start")[-1]["who"]
    assert (who["staff_no"], who["aal"], sorted(who["amr"])) == (staff_no, "aal2", ["hwk", "pwd"])
    assert errors == []
    person.close()


def test_everything_about_ones_ways_to_log_in_is_done_by_keyboard_alone(ward, browser):
    person = Person(browser, ward, "000241", "en-GB").enrol(ward.issue("000241")).login()
    page, portal = person.page, ward.origin()

    def to(words):
        for _ in range(40):
            page.keyboard.press("Tab")
            focused = page.evaluate("document.activeElement.innerText || document.activeElement.id || ''")
            if words in focused:
                ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert ring != "none", f"nobody sees where the focus is: {words}"
                return
        raise AssertionError(f"not reached by Tab: {words}")

    def enter(place):
        with page.expect_navigation():
            page.keyboard.press("Enter")
        page.wait_for_load_state()
        assert place in page.url

    page.goto(portal + "/")
    for words, place in (("Ways to log in", "/authenticators"), ("Details", "/authenticators/"),
                         ("Ways to log in", "/authenticators"), ("Add a way", "/authenticators/add")):
        to(words)
        enter(place)
    to("Password")
    enter("by=password")
    page.keyboard.type(ANOTHER)  # the field has the focus
    to("again")
    page.keyboard.type(ANOTHER)
    enter("/authenticators?done=added")
    to("Change your password")
    enter("/password")
    person.close()

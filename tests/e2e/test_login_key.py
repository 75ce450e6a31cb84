"""A password and a security key: the third way to AAL2."""

import json

import pytest

from browser import Person, browsing, look
from hospital import Staff, options
from passkey import USER_PRESENT, USER_VERIFIED, Passkey

PASSWORD = "kaeru to ike 52 mizukagami"


def enrol(ward, staff_no, person=None):
    """From the desk: a password, and a key that feels a touch."""
    person = person or Staff(ward, staff_no)
    page = person.web.open(person.begin(ward.issue(staff_no)).link("by=passkey"))
    page = person.web.open(page.link("by=password"))
    page = person.web.submit(page, page.form("/enrol/password"), {"secret": PASSWORD, "again": PASSWORD})
    page = person.web.open(page.link("by=key"))
    asked = options(page)["publicKey"]
    assert asked["authenticatorSelection"]["userVerification"] == "discouraged"
    assert asked["authenticatorSelection"]["authenticatorAttachment"] == "cross-platform"
    answer = person.passkey.register(asked, flags=USER_PRESENT)
    page = person.web.submit(page, page.form("/enrol/key"), {"credential": json.dumps(answer)})
    assert page.status == 200 and "You are enrolled" in page.text
    return person


@pytest.fixture(scope="module")
def porter(ward):
    return enrol(ward, "000213")


def after_password(person, url=None):
    """A new browser's page after the right password."""
    person.web = person.hospital.web()
    page = person.web.open(person.go(url).link("by=password"))
    return person.web.submit(page, page.form("/login/password"), {"secret": PASSWORD})


def answer(person, page, **how):
    signed = person.passkey.sign(options(page), **{"flags": USER_PRESENT, **how})
    return person.web.submit(page, page.form("/login/key"), {"credential": json.dumps(signed)})


def test_req_c01_a_password_and_a_security_key_lead_to_the_app(ward, porter, seen):
    page = after_password(porter, ward.origin("recorder") + "/pages/2")
    assert "Your security key" in page.text and "by=code" not in page.text, "there is no app to ask for"
    page = porter.onward(answer(porter, page))
    assert (page.status, page.text) == (200, "ok")
    who = ward.journaled("session.start")[-1]["who"]
    assert (who["staff_no"], who["aal"], sorted(who["amr"])) == ("000213", "aal2", ["hwk", "pwd"])


def test_atk_a27_a_key_that_verifies_its_user_is_still_one_factor_and_never_the_first(ward, porter):
    porter.web = ward.web()
    page = porter.go()
    form = page.form("/login/passkey")
    for step, status in (("/login/key", 303), ("/login/passkey", 422)):
        signed = porter.passkey.sign(options(page), flags=USER_PRESENT | USER_VERIFIED)
        odd = {**form, "action": form["action"].replace("/login/passkey", step)}
        got = porter.web.submit(page, odd, {"credential": json.dumps(signed)}, follow=False)
        assert got.status == status, step
        assert "__Host-sk" not in porter.web.cookies[f"auth.{ward.origin().split('.', 1)[1].split(':')[0]}"]
    got = answer(porter, after_password(porter), flags=USER_PRESENT | USER_VERIFIED)
    assert got.status == 200
    assert sorted(ward.journaled("session.start")[-1]["who"]["amr"]) == ["hwk", "pwd"]


def test_atk_a29_a_forged_touch_logs_nobody_in(ward, porter):
    started = len(ward.journaled("session.start"))
    for lie in ({"break_signature": True}, {"flags": 0}, {"counter": 1}, {"rp_id": "evil.example"},
                {"origin": ward.origin("recorder")}):
        counter = porter.passkey.counter
        page = answer(porter, after_password(porter), **lie)
        porter.passkey.counter = counter
        assert page.status == 422 and "did not work" in page.text and "/login/key" in page.text, lie
    stranger = Passkey(ward.origin())
    page = after_password(porter)
    signed = stranger.sign(options(page), flags=USER_PRESENT)
    assert porter.web.submit(page, page.form("/login/key"), {"credential": json.dumps(signed)}).status == 422
    assert len(ward.journaled("session.start")) == started
    assert answer(porter, after_password(porter)).status == 200, "and none of it has closed the key"


def test_req_c08_a_touch_alone_unlocks_nothing_and_the_password_does(ward, porter):
    porter.password = PASSWORD
    assert answer(porter, after_password(porter)).status == 200
    page = porter.press("/lock")
    signed = porter.passkey.sign(options(page), flags=USER_PRESENT | USER_VERIFIED)
    got = porter.web.submit(page, page.form("/unlock/passkey"), {"credential": json.dumps(signed)})
    assert got.status == 422
    assert porter.unlock_by_password(porter.web.open(got.url.replace("/unlock/passkey", "/lock"))).status == 200


def test_a_nurse_enrols_and_logs_in_with_a_key_on_a_string_in_a_browser(ward):
    with browsing(ward) as browser:
        person = Person(browser, ward, "000251")
        page, portal = person.page, ward.origin()
        person.cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": person.authenticator})
        person.carry()
        page.goto(portal + "/enrol")
        page.fill("#staff_no", "000251")
        page.fill("#code", ward.issue("000251"))
        page.click("button.main")
        page.click("a.main[href*='by=passkey']")
        page.click(".links a[href*='by=password']")
        page.fill("#secret", PASSWORD)
        page.fill("#again", PASSWORD)
        page.click("button.main")
        page.click(".links a[href*='by=key']")
        look(page, "40-enrol-key-ja")
        page.click("#passkey button.main")
        page.wait_for_selector("a[href='/login']")
        page.goto(portal + "/login")
        page.fill("#name", "000251")
        page.click("button.main")
        page.click("a[href*='by=password']")
        page.fill("#secret", PASSWORD)
        page.click("button.main")
        page.wait_for_url(lambda url: url.rstrip("/") == portal, timeout=10000)
        assert ward.journaled("session.start")[-1]["who"]["staff_no"] == "000251"
        person.close()

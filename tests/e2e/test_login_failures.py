"""Wrong passwords as a weapon, as a way to find out names, and by the hundred: who notices, and who must not."""

import concurrent.futures
import random
import re
import threading
import time
import urllib.parse

import pytest

import test_login_key
from hospital import Hospital, Staff, wait_until

PASSWORD = "sasa no ha 85 hoshikuzu"
OWN, FAR = "127.0.3.1", "127.0.6.6"


def at(person, address):
    """The same person at a browser that nobody has used, at that address."""
    other = Staff(person.hospital, person.staff_no)
    other.passkey, other.password, other.totp = person.passkey, person.password, person.totp
    other.web.address = address
    return other


def stranger(hospital, staff_no, address=FAR):
    return at(Staff(hospital, staff_no), address)


def tries(page, person, step, secret):
    """Sends a secret to a step of the page's login."""
    form = page.form("/login/passkey") if "/login/passkey" in page.text else page.forms[0]
    query = urllib.parse.urlsplit(form["action"]).query
    form = {"action": f"{step}?{query}", "fields": {"t": form["fields"]["t"]}}
    return person.web.submit(page, form, {"secret": secret}, follow=False)


def wrong(person, times=1):
    """The status of the last of so many wrong passwords."""
    page = person.go()
    return [tries(page, person, "/login/password", "wrong wrong 1").status for _ in range(times)][-1]


def right(person):
    """Does the right password open the second step?"""
    page = person.web.open(person.go().link("by=password"))
    return tries(page, person, "/login/password", PASSWORD).status == 303


def lives(person):
    return person.web.open(person.hospital.origin() + "/").url == person.hospital.origin() + "/"


# As a weapon


def test_atk_a47_a_strangers_ten_wrong_passwords_close_nothing_at_the_owners_station(ward):
    owner = at(ward.hire("000261", PASSWORD), OWN)
    owner.login()
    attacker = stranger(ward, "000261")
    for wait in (0, 0, 0, 0, 5, 10, 20, 40, 80, 0):
        assert wrong(attacker) == 422
        ward.forward(wait)
        assert lives(owner), "a live session goes on"
    assert not right(attacker), "closed where it was tried"
    assert not right(stranger(ward, "000261", "127.0.6.7")), "and everywhere she never was"
    locked = owner.press("/lock")
    assert owner.unlock_by_password(locked).status == 200, "she unlocks"
    again = at(owner, OWN)
    assert again.login_by_password().status == 200 and lives(again), "she logs in at her terminal, wiped"
    moved = at(owner, "127.0.3.2")
    moved.web.cookies = {host: {"__Host-sk-bind": jar["__Host-sk-bind"]} for host, jar in again.web.cookies.items()}
    assert right(moved), "her browser at another address"
    assert at(owner, FAR).login().status == 200, "a passkey is nobody's to close"
    ward.forward(900)
    assert right(stranger(ward, "000261"))
    closed = [r for r in ward.journaled("authenticator.fail") if r["who"]["staff_no"] == "000261"]
    assert [r["detail"]["failures_here"] for r in closed] == list(range(1, 11))


def test_atk_a47_one_terminal_sweeps_all_numbers_and_every_nurse_still_logs_in(tmp_path):
    swept = Hospital(tmp_path / "swept", clock=True)
    swept.prepare().start().open_desk()
    try:
        nurses = [at(swept.hire(staff_no, PASSWORD), f"127.0.4.{n}")
                  for n, staff_no in enumerate(("000123", "000124", "000125"), 1)]
        for nurse in nurses:
            nurse.login()
        numbers = [nurse.staff_no for nurse in nurses] + [f"0001{n:02}" for n in range(1, 10)] + [
            f"0007{n:02}" for n in range(10)]
        sweeper = stranger(swept, "000123")
        for n, number in enumerate(numbers[:20]):
            sweeper.staff_no = number
            page, step = sweeper.go(), "/login/password" if n < 4 else "/login/totp"
            assert {tries(page, sweeper, step, "wrong").status for _ in range(10)} == {422}, "known or not"
        assert swept.journaled("login.sweep") == []
        sweeper.staff_no = numbers[20]
        page = sweeper.go()
        assert {tries(page, sweeper, "/login/totp", "000000").status for _ in range(10)} == {422}
        sweep, = swept.journaled("login.sweep")
        assert (sweep["detail"]["names"], sweep["from"]["address"]) == (21, FAR)
        slowed = tries(sweeper.go(), sweeper, "/login/password", "wrong wrong 1")
        assert slowed.status == 429 and 25 <= int(slowed.header("retry-after")) <= 30 and "Please wait" in slowed.text
        for nurse in nurses:
            assert lives(nurse), "live sessions go on"
            swept.forward(30)
            again = at(nurse, nurse.web.address)
            assert again.login_by_password().status == 200 and lives(again), "each at her own station"
        assert at(nurses[0], FAR).login().status == 200, "a passkey even from there"
        assert right(stranger(swept, "000126", "127.0.9.1")) is False and "429" not in str(
            wrong(stranger(swept, "000126", "127.0.9.1"))), "other addresses are not slowed"
    finally:
        swept.stop()


# As a way to find out names


NAMES = {"unknown": "000997", "pending": "000304", "suspended": "000305", "wrong password": "000401",
         "no password": "000402"}


@pytest.fixture(scope="module")
def names(ward):
    """Five numbers of different standing."""
    ward.issue(NAMES["pending"])
    ward.hire(NAMES["suspended"], PASSWORD)
    number = NAMES["suspended"]
    ward.store.change("UPDATE account SET state = 'suspended' WHERE person = "
                      f"(SELECT id FROM person WHERE staff_no = '{number}')")
    ward.hire(NAMES["wrong password"], PASSWORD)
    ward.hire(NAMES["no password"])
    return NAMES


def test_atk_a40_all_five_get_the_same_bytes_but_for_the_request_id(ward, names):
    """In one login, so that its own tokens are the same too; only what was typed differs."""
    for step, secret in (("/login/password", "wrong wrong 1"), ("/login/totp", "000000"), ("/login/key", "{}")):
        person, answers = stranger(ward, "000999", "127.0.8.1"), {}
        page = person.go()
        begun = page.form("/login/passkey")
        query = urllib.parse.urlsplit(begun["action"]).query
        for standing, number in names.items():
            form = {"action": f"/login/name?{query}", "fields": {"t": begun["fields"]["t"]}}
            named = person.web.submit(page, form, {"name": number}, follow=False)
            got = tries(page, person, step, secret)
            for answer in (named, got):
                request = re.search(rb"[0-9a-f]{8}-[0-9a-f-]{27}", answer.body)
                body = answer.body.replace(request[0] if request else b"-", b"ID").replace(number.encode(), b"NUMBER")
                body = re.sub(rb'data-options="[^"]*"', b"", body)  # made-up keys and a challenge: tested elsewhere
                headers = [(name, value) for name, value in answer.headers if name.lower() not in ("date", "x-request-id")]
                answers.setdefault((answer is named, answer.status, tuple(headers), body), set()).add(standing)
        assert sorted(map(sorted, answers.values())) == [sorted(names)] * 2, (step, answers.values())


def timed(ward, number, step):
    """How long a step takes, in a login of its own."""
    person = stranger(ward, number, "127.0.8.2")
    if step == "/login/name":
        page = person.web.open(ward.origin() + "/login")
        begun = time.perf_counter()
        assert person.web.submit(page, page.form(step), {"name": number}, follow=False).status == 303
        return time.perf_counter() - begun
    page = person.go()
    begun = time.perf_counter()
    status = tries(page, person, step, "wrong wrong 1" if step == "/login/password" else "000000").status
    taken = time.perf_counter() - begun
    assert status == 422
    return taken


def longer(some, others):
    """How often one of `some` takes longer than one of `others`: one half, where nobody can tell them apart."""
    wins = sum((one > other) + (one == other) / 2 for one in some for other in others)
    return wins / (len(some) * len(others))


@pytest.mark.parametrize("step", ["/login/password", "/login/totp", "/login/name"])
def test_atk_a40_nobody_tells_them_apart_by_the_clock(ward, names, step):
    """Interleaved in ever new order, so that whatever else the machine does falls on all alike, and compared by rank.
    Who stands apart by chance does so no more when he is asked again. Each round waits out the delays of the right
    number, so that its secrets are checked."""
    taken = {standing: [] for standing in names}
    for _ in range(3):
        for _ in range(20):
            for standing in random.sample(sorted(names), len(names)):
                taken[standing].append(timed(ward, names[standing], step))
            ward.forward(901)
        apart = {}
        for standing, times in taken.items():
            others = [one for other, more in taken.items() if other != standing for one in more]
            if not 0.25 < longer(times, others) < 0.75:
                apart[standing] = longer(times, others)
        if not apart:
            return
    raise AssertionError(f"told apart by the clock: {apart}")


# By the hundred


def with_key(hospital, number):
    """Somebody whose key counts nothing, so that it may be asked five times at once."""
    person = Staff(hospital, number)
    person.passkey.counter = -1
    return test_login_key.enrol(hospital, number, person)


def test_a_hundred_logins_at_once_all_get_in_and_nobody_at_work_notices(hospital, physician, recorder):
    """A password and a key each: five browsers for each of twenty people."""
    staff = ["000001", "000002", "000003", "000101", "000103", "000105", "000108", "000109", "000139", "000201",
             "000211", "000213", "000241", "000251", "000261", "000301", "000304", "000305", "000401", "000402"]
    people = [with_key(hospital, number) for number in staff]
    slow, stop = [], threading.Event()

    def started():
        return [r for r in hospital.journaled("session.start") if r["who"]["staff_no"] in staff]

    before = len(started())

    def work():
        while not stop.is_set():
            begun = time.perf_counter()
            assert physician.web.fetch(hospital.origin("recorder") + "/pages/1").status == 200
            slow.append(time.perf_counter() - begun)
            time.sleep(0.01)

    def login(person):
        me, waited = Staff(hospital, person.staff_no), 0
        me.passkey = person.passkey
        while (page := test_login_key.after_password(me)).status == 503:
            assert "Very busy" in page.text and 1 <= int(page.header("retry-after")) <= 60
            waited += 1
            time.sleep(int(page.header("retry-after")))
        page = test_login_key.answer(me, page, counter=0)
        assert page.status == 200 and "__Host-sk" in me.web.cookies[urllib.parse.urlsplit(page.url).hostname], page.text
        return waited

    worker = threading.Thread(target=work)
    worker.start()
    begun = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        list(pool.map(login, people * 5))
    stop.set()
    worker.join()
    assert time.perf_counter() - begun < 60
    assert len(started()) - before == 100
    slow.sort()
    assert len(slow) > 20 and slow[len(slow) // 2] < 0.5, "people at work go on"


def test_who_would_wait_too_long_is_told_when_to_come_back_and_nothing_was_tried(tmp_path):
    """One hash at a time, and each takes a second: more than five at once is a crowd."""
    busy = Hospital(tmp_path / "busy", settings={"login": {
        "argon2_memory": '"256MiB"', "argon2_passes": "8", "hash_concurrency": "1"}})
    busy.prepare().start()
    try:
        def one(n):
            person = stranger(busy, f"0005{n:02}", f"127.0.5.{n + 1}")
            return tries(person.go(), person, "/login/password", "wrong wrong 1")

        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            answers = list(pool.map(one, range(24)))
        told = [answer for answer in answers if answer.status == 503]
        assert {answer.status for answer in answers} == {422, 503} and told
        for answer in told:
            assert 1 <= int(answer.header("retry-after")) <= 60 and "Very busy" in answer.text
            assert "was not checked" in answer.text and answer.link("/login?i=")
        failed = [r for r in busy.journaled("login.fail") if r["detail"]["method"] == "pwd"]
        assert len(failed) == 24 - len(told), "nobody who was sent away has tried anything"
        wait_until(lambda: one(30).status == 422, "and later there is room", 20)
    finally:
        busy.stop()

"""The demo as its README and its own words say: one command, a browser, a terminal."""

import hashlib
import os
import re
import socket
import subprocess

import pytest

from browser import Person
from conftest import CLERK, NURSE
from demo import Demo
from hospital import BINARIES, ENVIRONMENT, wait_until

HEAD_OF_IT = "000901"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    made = Demo(tmp_path_factory.mktemp("demo")).start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def browser(demo):
    """Chromium with what the printed command gives it, but for the window."""
    program, profile, *given = demo.command("chromium ")
    assert profile == f"--user-data-dir={demo.var / 'browser'}"
    assert given.pop() == demo.origin() + "/enrol"
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=f"/usr/bin/{program}", args=[
            *given, "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def people(demo, browser):
    """People by staff number, each at a browser of her own, enrolled with the printed code."""
    known = {}

    def find(staff_no):
        if staff_no not in known:
            known[staff_no] = Person(browser, demo, staff_no, locale="en-GB").enrol(demo.codes()[staff_no])
        return known[staff_no]

    yield find
    for person in known.values():
        person.close()


@pytest.fixture()
def nurse(demo, people):
    """The nurse, logged in, at a patient of the ward chart."""
    person, chart = people(NURSE), demo.origin("chart") + "/"
    person.page.goto(chart)
    if person.page.url != chart:
        person.login(chart)
    person.page.click("tbody tr:nth-child(2) a")
    person.page.wait_for_selector("#vitals")
    return person


def sekimorictl(demo, *arguments, typed=None):
    """Runs the client as the printed command does, in the same folder; its output."""
    ran = subprocess.run([BINARIES / "sekimorictl", *arguments], cwd=demo.folder, input=typed, text=True,
                         capture_output=True, env=ENVIRONMENT, timeout=30)
    assert ran.returncode == 0, (arguments, ran)
    return ran.stdout


def test_it_serves_within_five_seconds_and_says_what_to_do(demo):
    assert demo.took < 5
    for address in (demo.origin() + "/", demo.origin("chart") + "/", demo.origin("chart") + "/admin"):
        assert address in demo.text
    assert len(demo.codes()) == 4
    assert len(set(demo.codes().values())) == 4
    for command in ("login", "audit tail", f"audit verify {demo.var / 'journal'}"):
        assert f"cargo run --release -p sekimori-admin-cli -- {command}\n" in demo.text
    assert max(map(len, demo.text.splitlines())) < 250


def test_its_secrets_are_readable_by_the_owner_alone(demo):
    assert demo.var.stat().st_mode & 0o077 == 0
    assert (demo.var / "master.key").stat().st_mode & 0o077 == 0
    assert (demo.var / "tls.key").stat().st_mode & 0o077 == 0


def test_the_chart_works_behind_the_gateway_as_if_there_were_none(demo, nurse, tmp_path):
    page = nurse.page
    assert page.text_content("#believed-user") == NURSE
    wait_until(lambda: page.get_attribute("#vitals-state", "data-polls") not in (None, "0"), "the page polls")
    page.fill("#note-text", "夜間よく眠れた様子。")
    with page.expect_navigation():
        page.click("#note-button")
    assert "夜間よく眠れた様子。" in page.text_content("#notes")
    assert NURSE in page.text_content("#notes small")

    picture = os.urandom(300_000)
    page.set_input_files("#file", {"name": "創部 3.jpg", "mimeType": "image/jpeg", "buffer": picture})
    with page.expect_navigation():
        page.click("#file-button")
    assert hashlib.sha256(picture).hexdigest() in page.text_content("#files li >> nth=0")
    with page.expect_download() as begun:
        page.click("text=創部 3.jpg")
    begun.value.save_as(tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == picture
    with page.expect_download() as begun:
        page.click("text=blank sheet")
    assert begun.value.path().stat().st_size == 10 << 20

    page.goto(demo.origin("chart") + "/")
    wait_until(lambda: page.locator("#feed li").count() > 0, "the ward feed speaks")
    page.fill("#feed-text", "502号 呼んでいます")
    page.click("#feed-form button")
    wait_until(lambda: "502号 呼んでいます" in page.text_content("#feed"), "the feed carries her words")


def test_the_nurse_is_refused_the_administration_page_in_words(demo, nurse):
    answer = nurse.page.goto(demo.origin("chart") + "/admin")
    assert answer.status == 403
    told = nurse.page.inner_text("main")
    for words in ("Ward chart – Administer the chart", "Your role does not allow this", "System administrator", "call the help desk"):
        assert words in told, told
    assert "Only administrators" not in nurse.page.content()
    assert "山﨑" in nurse.page.inner_text("header")


def test_a_lock_at_the_portal_covers_the_chart_until_she_unlocks_and_is_back_where_she_was(demo, nurse):
    chart = nurse.page
    where = chart.url
    portal = nurse.context.new_page()
    portal.goto(demo.origin() + "/")
    portal.click("form[action='/lock'] button")
    portal.wait_for_url("**/lock*")
    name = chart.text_content("h1").split()[0]
    wait_until(lambda: "423" in chart.text_content("#vitals-state"), "her open page can't poll any more")
    chart.reload()
    assert chart.url.startswith(demo.origin() + "/lock"), chart.url
    assert "Screen locked" in chart.inner_text("main") and "山﨑" in chart.inner_text("main")
    assert name not in chart.content(), "the lock page tells what she was looking at"
    nurse.passkey()
    chart.wait_for_url(where)
    assert name in chart.text_content("h1")
    portal.close()


def test_a_clerk_sees_the_patients_and_is_refused_an_order(demo, people):
    clerk = people(CLERK).login(demo.origin("chart") + "/")
    page = clerk.page
    page.click("tbody tr:nth-child(2) a")
    with page.expect_navigation() as sent:
        page.click("#order-button")
    assert sent.value.status == 403
    assert "Ward chart – Order" in page.inner_text("main")
    page.goto(demo.origin("chart") + "/patients")
    page.click("tbody tr:nth-child(2) a")
    assert page.locator("#orders li.empty").is_visible()


def test_the_registrar_takes_a_code_and_the_journal_tells_the_story(demo, nurse, people):
    nurse.page.goto(demo.origin("chart") + "/admin")
    head = people(HEAD_OF_IT).login()
    head.page.click("a[href='/cli']")
    head.page.click("form[action='/cli'] button")
    code = head.page.text_content("output").strip()
    sekimorictl(demo, "login", typed=code + "\n")
    story = sekimorictl(demo, "audit", "tail", "--lines", "500")
    lines = [re.match(r"#(\d+) (\S+) (\S+) (\S+) \| (.*)$", line) for line in story.splitlines()]
    assert lines and all(lines), story
    told = [(event, outcome, rest) for _, _, event, outcome, rest in (line.groups() for line in lines)]
    for event, words in (("enrolment.start", [NURSE]), ("authenticator.bind", [NURSE]), ("login.ok", [NURSE, "山﨑"]),
                         ("handshake.enter", [NURSE]), ("request.permit", [NURSE, "GET chart /patients/"]),
                         ("request.deny", [NURSE, "GET chart /admin", "no-role"]), ("cli.login", [HEAD_OF_IT])):
        assert any(e == event and all(w in rest for w in words) for e, _, rest in told), (event, words, story)
    assert "No tampering found." in sekimorictl(demo, "audit", "verify", "var/journal")


def test_enter_prints_fresh_codes(demo):
    before = demo.codes()
    demo.type("\r")
    wait_until(lambda: demo.codes() and demo.codes() != before, "fresh codes are printed")
    assert set(demo.codes()) == set(before)
    assert not set(demo.codes().values()) & set(before.values())


def test_ctrl_c_stops_it_within_seconds_and_a_second_start_goes_on_with_the_same_people(demo, nurse):
    page = nurse.page
    page.goto(demo.origin("chart") + "/")
    wait_until(lambda: page.locator("#feed li").count() > 0, "a WebSocket is open")
    group = demo.process
    assert demo.stop() < 5, "with an open WebSocket and a polling page"
    assert demo.status == 0
    assert [entry.name for entry in demo.folder.iterdir()] == ["var"]
    assert list(demo.home.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)
    for port in (demo.https, demo.http):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1)
    assert "No tampering found." in sekimorictl(demo, "audit", "verify", "var/journal")

    demo.start()
    page.goto(demo.origin("chart") + "/whoami")
    assert page.text_content("#whoami-user") == NURSE, "her session outlives the restart"
    page.goto(demo.origin() + "/")
    page.click("form[action='/logout'] button")
    nurse.login(demo.origin("chart") + "/whoami")
    assert page.text_content("#whoami-user") == NURSE, "and so does her passkey"

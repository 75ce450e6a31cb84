"""Nothing happens unrecorded: not when the process is killed, and not when the journal's disk fails."""

import itertools
import json
import random
import shutil
import signal
import ssl
import threading
import time

import pytest

from conftest import CLERK, NURSE, PHYSICIAN, RADIOGRAPHER
from faults import Deleted, FullDisk, ReadOnly
from hospital import DOMAIN, Hospital, options, wait_until
from journal import Copy, by_script, by_sekimorictl
from raw import Door
from upstream import Upstream

KILLS = 100


def verified(hospital, folder):
    """Both verifiers find no tampering; what sekimorictl found."""
    copy = Copy(hospital, folder)
    for verify in (by_sekimorictl, by_script):
        verdict = verify(copy)
        assert verdict.sound, verdict
    return by_sekimorictl(copy).findings


class Load(threading.Thread):
    """A person at work: reads and writes in turn, each with an address of its own, whenever the door is open."""

    numbers = itertools.count(1)

    def __init__(self, door, is_open, over):
        super().__init__(daemon=True)
        self.door, self.is_open, self.over = door, is_open, over
        self.asked, self.held, self.statuses = [], [], set()

    def run(self):
        while not self.over.is_set():
            if self.is_open.wait(0.2):
                try:
                    self.work()
                except (OSError, ssl.SSLError, ValueError):
                    pass  # the process was killed

    def work(self):
        connection = self.door.open()
        while not self.over.is_set():
            number = next(self.numbers)
            target = f"/patients/{number}" if number % 2 else f"/write/{number}"
            line, body = (f"GET {target}", b"") if number % 2 else (f"POST {target}", b"x" * 100)
            self.asked.append(target)
            connection.send(self.door.text(line, f"Origin: {self.door.origin}", body=body))
            if not connection.reader.peek(1):
                return
            self.held.append(target)  # a byte of the answer is in the client's hands
            status, _, _ = connection.answer()
            self.statuses.add(status)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A hospital that was killed a hundred times at work, and what its clients and its upstream know."""
    upstream = Upstream()
    hospital = Hospital(tmp_path_factory.mktemp("killed"), {"recorder": upstream.port},
                        {"journal": {"segment_size": '"1MiB"'}})
    is_open, over = threading.Event(), threading.Event()
    try:
        hospital.prepare().start().open_desk()
        people = [hospital.hire(number) for number in (NURSE, PHYSICIAN, CLERK, RADIOGRAPHER)]
        for person in people:
            assert person.login(hospital.origin("recorder") + "/").text == "ok"
        upstream.requests.clear()
        loads = [Load(Door(hospital, "recorder", person.cookie("recorder")), is_open, over) for person in people]
        for load in loads:
            load.start()
        moments = random.Random(50)
        for _ in range(KILLS):
            is_open.set()
            worked = sum(len(load.held) for load in loads) + moments.randrange(30)
            wait_until(lambda: sum(len(load.held) for load in loads) > worked, "people work")
            hospital.stop(signal.SIGKILL)
            is_open.clear()
            hospital.start()
        over.set()
        for load in loads:
            load.join(10)
        hospital.people, hospital.upstream, hospital.loads = people, upstream, loads
        yield hospital
    finally:
        over.set()
        hospital.stop()
        upstream.close()


def test_atk_a50_no_deed_at_an_upstream_and_no_byte_in_a_clients_hands_is_without_a_record(killed):
    records = killed.records()
    opened = {r["request"] for r in records if r["event"] == "request.open"}
    recorded = {r["what"]["target"] for r in records if r["event"] in ("request.open", "request.permit")}
    deeds = [request for request in list(killed.upstream.requests) if request.method == "POST"]
    held = [target for load in killed.loads for target in load.held]
    asked = [target for load in killed.loads for target in load.asked]

    assert [d.line for d in deeds if d.get("x-request-id") not in opened] == []
    assert [target for target in held if target not in recorded] == []

    # That was no empty proof: much was done, deeds were cut off in the middle, and nothing else was answered.
    unanswered = {deed.target for deed in deeds} - set(held)
    counts = len(deeds), len(unanswered), len(held), len(asked)
    assert len(deeds) > 500 and len(unanswered) > 10 and len(held) > 1000 and len(asked) - len(held) > KILLS, counts
    assert set().union(*(load.statuses for load in killed.loads)) == {200}
    assert len([r for r in records if r["event"] == "process.start"]) == KILLS + 1
    closed = {r["request"] for r in records if r["event"] == "request.close"}
    assert opened - closed, "a kill leaves the open record alone"


def test_atk_a50_sessions_outlive_a_hundred_kills(killed):
    for person in killed.people:
        assert person.web.fetch(killed.origin("recorder") + "/").text == "ok"
    assert len(killed.records("session.start")) == len(killed.people) + 1, "nobody had to log in again"
    assert killed.records("session.lock") == killed.records("session.end") == []


def test_a_search_goes_through_as_many_pages_and_segments_as_it_takes(killed):
    found = [line["seq"] for line in killed.ctl("audit", "search", "--event", "request", "--limit", "1200")["records"]]
    assert len(found) == len(set(found)) == 1200 and found == sorted(found, reverse=True)
    everything = [r["seq"] for r in killed.records() if r["event"].startswith("request.")]
    assert found == everything[::-1][:1200]


def test_atk_a50_the_journal_of_a_hundred_kills_verifies_and_a_torn_line_is_called_so(killed, tmp_path):
    killed.stop()
    assert len(list(killed.journal.glob("segment-*"))) > 1
    findings = verified(killed, tmp_path / "copy")
    assert {finding["kind"] for finding in findings} <= {"torn"}, findings
    told = [r["why"]["reason"] for r in killed.records("journal.recover")]
    assert told == ["torn"] * len(findings)
    killed.start()


# The journal's disk

@pytest.fixture()
def troubled(request, tmp_path, recorder, seen):
    """A hospital at work whose journal's disk is about to fail."""
    hospital = Hospital(tmp_path / "hospital", {"recorder": recorder.port})
    fault = request.param(hospital.journal, tmp_path)
    try:
        hospital.prepare().start().open_desk()
        hospital.nurse = hospital.hire(NURSE)
        hospital.nurse.login(hospital.origin("recorder") + "/")
        hospital.fault = fault
        yield hospital
    finally:
        hospital.stop()
        fault.clean()


@pytest.mark.parametrize("troubled", [FullDisk, ReadOnly, Deleted], indirect=True)
def test_a_journal_that_cant_be_written_means_503_until_it_can(troubled, seen, tmp_path):
    web, recorder = troubled.nurse.web, troubled.origin("recorder")

    def read():
        return web.fetch(recorder + "/patients/P-9")

    def write(number=0):
        return web.fetch(f"{recorder}/write/{number}", "POST", body=b"x", headers={"Origin": recorder})

    assert (read().status, write().status) == (200, 200)
    troubled.fault.strike()
    wait_until(lambda: write().status == 503, "the fault is felt")
    seen.requests.clear()
    for number in range(5):
        assert write(number).status == 503
        refused = read()
        assert refused.status == 503 and b"ok" not in refused.body, refused.text
    assert refused.json["type"] == "urn:sekimori:problem:unavailable"
    assert [r.line for r in seen.requests if r.method == "POST"] == []
    page = web.open(recorder + "/patients/P-9", headers={"Accept-Language": "ja"})
    assert page.status == 503 and "<h1>" in page.text and "内線 1234" in page.text
    other = troubled.web()
    assert other.open(recorder + "/").status == 503, "nor are strangers answered as if nothing were"
    troubled.ctl("audit", "tail", expect=3)

    troubled.fault.mend()
    wait_until(lambda: read().status == 200, "it goes on by itself")
    assert write(77).status == 200
    assert any(r.target == "/write/77" for r in seen.requests)
    told = troubled.records("journal.recover")
    assert len(told) == 1 and told[0]["why"]["reason"] in troubled.fault.reasons, told
    assert told[0]["detail"]["refused"] >= 10
    assert troubled.ctl("audit", "search", "--event", "journal.recover")["records"]
    troubled.stop()
    assert verified(troubled, tmp_path / "copy") == []


@pytest.mark.parametrize("troubled", [FullDisk], indirect=True)
def test_a_login_during_the_fault_opens_nothing_and_works_after_it(troubled, tmp_path):
    recorder = troubled.origin("recorder")
    nurse = troubled.nurse
    nurse.press("/logout")
    asked = nurse.go()
    troubled.fault.strike()
    wait_until(lambda: troubled.web().open(recorder + "/").status == 503, "the fault is felt")
    begun = len(troubled.records("session.start"))
    answer = {"credential": json.dumps(nurse.passkey.sign(options(asked)))}
    since = time.monotonic()
    refused = nurse.web.submit(asked, asked.form("/login/passkey"), answer)
    assert refused.status == 503, (refused.status, refused.text)
    assert time.monotonic() - since < 4, "known to be in vain, it is not tried"
    assert nurse.web.open(recorder + "/").text != "ok"
    troubled.fault.mend()
    wait_until(lambda: troubled.web().open(recorder + "/").status != 503, "it goes on by itself")
    assert len(troubled.records("session.start")) == begun
    # Nothing was spent: the same answer is still good.
    assert nurse.web.submit(asked, asked.form("/login/passkey"), answer).status == 200
    assert nurse.web.open(recorder + "/").text == "ok"


@pytest.mark.parametrize("troubled", [ReadOnly], indirect=True)
def test_a_session_whose_beginning_could_not_be_recorded_is_over(troubled, tmp_path):
    """Her login is the first to feel the fault: it is in the store before the journal refuses it."""
    recorder, nurse = troubled.origin("recorder"), troubled.nurse
    nurse.press("/logout")
    wait_until(lambda: troubled.records("session.end"), "what was before is on record")
    asked, begun = nurse.go(), len(troubled.records("session.start"))
    troubled.fault.strike()
    answer = json.dumps(nurse.passkey.sign(options(asked)))
    refused = nurse.web.submit(asked, asked.form("/login/passkey"), {"credential": answer})
    assert refused.status == 503, (refused.status, refused.text)
    assert "__Host-sk" not in nurse.web.cookies.get(f"auth.{DOMAIN}", {}), "no token left the house"
    troubled.fault.mend()
    ended = wait_until(lambda: [r for r in troubled.records("session.end") if r["why"]["reason"] == "unclaimed"],
                       "its end is on record")
    started = troubled.records("session.start")
    assert len(started) == begun + 1 and [r["what"]["id"] for r in ended] == [started[-1]["what"]["id"]]
    troubled.refresh_cli()
    assert troubled.ctl("session", "list", "--staff-no", NURSE) == {"sessions": []}
    assert nurse.login(recorder + "/").text == "ok"
    troubled.stop()
    assert verified(troubled, tmp_path / "copy") == []


def test_a_journal_directory_that_is_deleted_is_written_again_from_what_is_still_open(tmp_path, recorder, seen):
    hospital = Hospital(tmp_path / "hospital", {"recorder": recorder.port}).prepare().start().open_desk()
    try:
        nurse = hospital.hire(NURSE)
        nurse.login(hospital.origin("recorder") + "/")
        before = hospital.records()
        shutil.rmtree(hospital.journal)
        wait_until(lambda: hospital.journal.exists() and hospital.records("journal.recover"), "it is back")
        answer = nurse.web.fetch(hospital.origin("recorder") + "/patients/P-9")
        assert answer.status == 200
        assert hospital.records()[:len(before)] == before
    finally:
        hospital.stop()
    assert verified(hospital, tmp_path / "copy") == []

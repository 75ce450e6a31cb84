"""The journal of a real story: complete, readable by whom it concerns, and unchangeable unseen."""

import datetime
import json
import re
import signal
import subprocess

import pytest

from conftest import CLERK, NURSE, PHYSICIAN, RADIOGRAPHER
from hospital import BINARIES, ENVIRONMENT, ROOT, Hospital, Staff, options, wait_until
from journal import Copy, by_script, by_sekimorictl, sealed
from time_server import TimeServer

PASSWORD = "a long night 4 the ward"
VERIFIERS = pytest.mark.parametrize("verify", [by_sekimorictl, by_script])

# Events of the catalogue that don't happen in the story here, and the tests that make them happen.
ELSEWHERE = {
    "authenticator.rename": "gateway/identity/src/own/tests.rs",
    "login.sweep": "gateway/identity/src/login/tests/failures.rs",
    "app.logout": "tests/e2e/test_upstreams.py",
    "certificate.issue": "tests/e2e/test_acme.py",
    "backup.make": "tests/e2e/test_operations_backup.py",
    "backup.restore": "tests/e2e/test_operations_backup.py",
}


class Story:
    """A hospital in which everything happens once; stopped. `early` is its journal in the middle of it."""

    def __init__(self, folder, recorder):
        self.clock = TimeServer()
        self.clock.ahead = 2.0
        self.hospital = Hospital(folder / "hospital", {"recorder": recorder.port}, self.clock.settings("10m")).prepare()
        try:
            self.hospital.start().open_desk()
            self.early = Copy(self.hospital, folder / "early")
            self.at_the_desk()
            self.on_the_host()
            self.at_the_ward()
            self.at_the_door()
        finally:
            self.hospital.stop()
            self.clock.close()
        self.whole = Copy(self.hospital, folder / "whole")
        self.records = self.hospital.records()

    def at_the_desk(self):
        hospital = self.hospital
        self.nurse = hospital.hire(NURSE, PASSWORD)
        hospital.ctl("login", "--code", "x" * 43, expect=3)
        hospital.refresh_cli()
        nonsense = hospital.folder / "nonsense.csv"
        nonsense.write_text("no,columns\n1,2\n")
        hospital.ctl("hr", "import", nonsense, expect=3)
        hospital.ctl("policy", "test", "--as", NURSE, "--url", hospital.origin("chart") + "/admin", expect=1)
        hospital.ctl("audit", "tail")
        again = Staff(hospital, NURSE)
        assert again.begin("AAAAA-AAAAA").form("/enrol/start"), "a wrong code leads nowhere"
        again.enrol_password(hospital.issue(NURSE), PASSWORD + "!")

    def at_the_ward(self):
        nurse, recorder = self.nurse, self.hospital.origin("recorder")
        asked = nurse.go(recorder + "/")
        lie = json.dumps(nurse.passkey.sign(options(asked), break_signature=True))
        assert nurse.web.submit(asked, asked.form("/login/passkey"), {"credential": lie}).status == 422
        asked = nurse.web.open(nurse.go().link("by=password"))
        assert nurse.web.submit(asked, asked.form("/login/password"), {"secret": "not hers 123456"}).status == 422
        assert nurse.login(recorder + "/patients/P-1").text == "ok"
        assert nurse.web.fetch(recorder + "/write/1", "POST", body=b"x", headers={"Origin": recorder}).status == 200
        assert nurse.web.open(recorder + "/forbidden").status == 403
        page = nurse.press("/lock")
        lie = json.dumps(nurse.passkey.sign(options(page), break_signature=True))
        page = nurse.web.submit(page, page.form("/unlock/passkey"), {"credential": lie})
        nurse.unlock(page)
        nurse.press("/logout")

    def at_the_door(self):
        recorder = self.hospital.origin("recorder")
        assert self.nurse.web.open(recorder + "/.sekimori/enter?code=" + "A" * 43).status >= 400
        # A stranger's are written a few a second, and the rest counted.
        wait_until(lambda: self.nurse.web.open(recorder + "/a/../b").status == 400 and any(
            "count" in record["detail"] for record in self.hospital.records("edge.malformed")), "a count")

    def on_the_host(self):
        hospital = self.hospital
        main = hospital.file.read_text()
        for text, event in (("[nonsense]\n" + main, "config.reject"), (main, "config.load")):
            hospital.file.write_text(text)
            hospital.reload()
            wait_until(lambda: hospital.records(event), event)
        newest = sorted(hospital.journal.glob("segment-*"))[-1]
        newest.unlink()
        wait_until(lambda: newest.exists() and hospital.records("journal.recover"), "the journal goes on")


@pytest.fixture(scope="module")
def story(tmp_path_factory, recorder):
    return Story(tmp_path_factory.mktemp("story"), recorder)


def catalogue():
    """Outcomes and own fields of each event, as docs/audit-events.md has them."""
    rows = re.findall(r"^\| `([a-z.]+)` \| \d+ \| .*? \| ([a-z, ]+) \| (.*) \|$",
                      (ROOT / "docs" / "audit-events.md").read_text(), re.M)
    return {event: (set(outcomes.split(", ")), re.findall(r"`([a-z_.]+)`", fields)) for event, outcomes, fields in rows}


def field(record, path):
    for name in path.split("."):
        record = (record or {}).get(name)
    return record


def test_req_a5_1_every_event_of_the_catalogue_is_emitted_here_or_in_a_test_that_is_named(story):
    seen = {record["event"] for record in story.records}
    assert seen == set(catalogue()) - set(ELSEWHERE)
    for event, file in ELSEWHERE.items():
        assert f'"{event}"' in (ROOT / file).read_text(), f"{file} says nothing of {event}"


def test_req_a5_1_every_record_keeps_to_its_line_of_the_catalogue(story):
    for record in story.records:
        assert record["outcome"] in catalogue()[record["event"]][0], record
        if record["event"] not in ("edge.malformed", "handshake.refuse", "request.deny"):
            assert record["who"]["kind"] in ("person", "service", "claimed", "operator", "system"), record


def test_req_a5_1_the_fields_that_the_catalogue_promises_are_there(story):
    missing = [f"{event}: {path}" for event, (_, paths) in catalogue().items() if event not in {*ELSEWHERE, "clock.offset"}
               for path in paths
               if not any(field(r, path) is not None for r in story.records if r["event"] == event)]
    # Fields of what doesn't happen in a good story: an upstream's fault, data carried out, a cut line, a
    # journal behind its checkpoint. What the clock is compared with is the machine's affair.
    assert missing == ["request.permit: detail.fault", "request.close: detail.fault", "request.close: detail.export",
                       "journal.recover: detail.torn", "journal.recover: detail.missing"], "\n".join(missing)


@VERIFIERS
def test_req_a5_2_an_untouched_journal_is_sound_up_to_its_last_record(story, verify):
    verdict = verify(story.whole)
    assert verdict.sound, verdict
    last = story.records[-1]["seq"]
    assert re.search(rf"Signed up to the newest record|signed up to record {last} of {last}", verdict.words), verdict
    assert not verdict.findings


def flip_a_byte(lines, k):
    middle = len(lines[k]) // 2
    lines[k] = lines[k][:middle] + bytes([lines[k][middle] ^ 1]) + lines[k][middle + 1:]
    return k


def change_a_word_and_compute_its_hash_anew(lines, k):
    record = json.loads(lines[k])
    lines[k] = sealed({**record, "outcome": "denied" if record["outcome"] == "ok" else "ok"})
    return k


def delete_a_line(lines, k):
    del lines[k]
    return k


def insert_a_line_of_before(lines, k):
    lines.insert(k, lines[k - 5])
    return k


def insert_a_line_with_a_right_hash(lines, k):
    before = json.loads(lines[k - 1])
    lines.insert(k, sealed({**before, "seq": before["seq"] + 1}, prev=before["hash"]))
    return k


def swap_two_lines(lines, k):
    lines[k], lines[k + 1] = lines[k + 1], lines[k]
    return k


KINDS = {flip_a_byte: "altered", change_a_word_and_compute_its_hash_anew: "altered", delete_a_line: "deleted",
         insert_a_line_of_before: "inserted", insert_a_line_with_a_right_hash: "inserted", swap_two_lines: "swapped"}


@VERIFIERS
@pytest.mark.parametrize("tamper", KINDS, ids=lambda tamper: tamper.__name__)
@pytest.mark.parametrize("segment", [0, 1])
def test_req_a5_2_what_was_done_to_a_line_is_found_and_located(story, tmp_path, tamper, verify, segment):
    copy = story.whole.copy(tmp_path / "copy")
    lines = copy.lines(segment)
    before = b"".join(lines)
    k = tamper(lines, len(lines) // 2)
    copy.write(lines, segment)
    assert b"".join(lines) != before
    verdict = verify(copy)
    assert not verdict.sound, verdict
    name = copy.segments()[segment].name
    if verify is by_sekimorictl:
        assert [(f["kind"], f["file"]) for f in verdict.findings] == [(KINDS[tamper], name)], verdict
        assert verdict.findings[0]["line"] in (k + 1, k + 2), verdict
        assert f"{name}:{verdict.findings[0]['line']}" in verdict.words
    else:
        offsets = [sum(map(len, lines[:n])) for n in (k, k + 1)]
        assert re.search(rf"{name}: byte ({offsets[0]}|{offsets[1]}): ", verdict.words), (offsets, verdict)


@VERIFIERS
def test_req_a5_2_records_written_anew_from_one_on_are_found_by_the_notes(story, tmp_path, verify):
    copy = story.whole.copy(tmp_path / "copy")
    lines = copy.lines(1)
    prev = json.loads(lines[-3])["hash"]
    for n in (-2, -1):
        record = json.loads(lines[n])
        lines[n] = sealed({**record, "t": "2026-01-01T00:00:00.000000Z"}, prev)
        prev = json.loads(lines[n])["hash"]
    copy.write(lines, 1)
    verdict = verify(copy)
    assert not verdict.sound, verdict
    assert "REWRITTEN" in verdict.words or "is not the one that was signed" in verdict.words, verdict


@VERIFIERS
def test_req_a17_2_a_right_line_added_after_the_journal_was_closed_is_found(story, tmp_path, verify):
    copy = story.whole.copy(tmp_path / "copy")
    lines = copy.lines(1)
    last = json.loads(lines[-1])
    copy.write([*lines, sealed({**last, "seq": last["seq"] + 1}, prev=last["hash"])], 1)
    verdict = verify(copy)
    assert not verdict.sound and "after the journal was closed" in verdict.words, verdict


@VERIFIERS
def test_req_a5_2_a_cut_tail_is_found_by_the_notes_beside_it(story, tmp_path, verify):
    copy = story.whole.copy(tmp_path / "copy")
    copy.write(copy.lines(1)[:-2], 1)
    verdict = verify(copy, with_checkpoints=False)
    assert not verdict.sound and "cut tail" in verdict.words.lower(), verdict


@VERIFIERS
def test_atk_a51_a_cut_tail_with_its_notes_shows_only_beside_a_checkpoint_from_elsewhere(story, tmp_path, verify):
    copy = story.whole.copy(tmp_path / "copy")
    lines = copy.lines(1)[:-2]
    copy.write(lines, 1)
    copy.drop_notes(json.loads(lines[-1])["seq"])
    verdict = verify(copy)
    assert not verdict.sound and "rollback" in verdict.words.lower(), verdict
    assert tells_that_the_end_is_unproven(verify(copy, with_checkpoints=False))


@VERIFIERS
def test_atk_a51_an_older_journal_with_its_older_notes_shows_only_beside_a_checkpoint_from_elsewhere(
        story, tmp_path, verify):
    copy = story.whole.copy(tmp_path / "copy")
    copy.put_back(story.early)
    verdict = verify(copy)
    assert not verdict.sound and "rollback" in verdict.words.lower(), verdict
    assert tells_that_the_end_is_unproven(verify(copy, with_checkpoints=False))


def tells_that_the_end_is_unproven(verdict):
    """Sound as far as it can be known, and honest about how far that is."""
    signed = re.search(r"[Ss]igned up to record (\d+)", verdict.words)
    return verdict.sound and signed and (
        "unproven" in verdict.words and "put back whole to an older state would not show" in verdict.words
        or int(re.search(r"of (\d+)", verdict.words)[1]) > int(signed[1]))


@VERIFIERS
def test_a_line_that_breaks_off_is_called_torn_and_not_tampering(story, tmp_path, verify):
    copy = story.early.copy(tmp_path / "copy")
    lines = copy.lines()
    copy.write([*lines[:-1], lines[-1][:len(lines[-1]) // 2]])
    verdict = verify(copy)
    assert verdict.sound, verdict
    assert re.search(r"TORN: segment-00000001.jsonl:|segment 1: \d+ bytes of an unfinished write", verdict.words)


def test_a_torn_line_is_told_by_the_next_run_and_stays_no_tampering(story, tmp_path, recorder):
    hospital = Hospital(tmp_path / "hospital", {"recorder": recorder.port}).prepare().start()
    hospital.stop(signal.SIGKILL)
    with open(hospital.journal / "segment-00000001.jsonl", "ab") as segment:
        segment.write(b'{"v":1,"t":"2026-11-21T')
    hospital.start().stop()
    told = hospital.records("journal.recover")
    assert [(r["why"]["reason"], r["detail"]["torn"][0]["bytes"]) for r in told] == [("torn", 23)]
    copy = Copy(hospital, tmp_path / "copy")
    for verify in (by_sekimorictl, by_script):
        verdict = verify(copy)
        assert verdict.sound, verdict
    assert "TORN" in by_sekimorictl(copy).words


def test_req_a17_2_a_line_that_another_hand_adds_to_a_running_journal_is_found(tmp_path, recorder):
    hospital = Hospital(tmp_path / "hospital", {"recorder": recorder.port}).prepare().start()
    segment = hospital.journal / "segment-00000001.jsonl"
    last = json.loads(segment.read_bytes().splitlines()[-1])
    with open(segment, "ab") as file:
        file.write(sealed({**last, "seq": last["seq"] + 1}, prev=last["hash"]))
    wait_until(lambda: (hospital.journal / "segment-00000002.jsonl").exists(), "the journal notices")
    hospital.stop()
    for verify in (by_sekimorictl, by_script):
        assert not verify(Copy(hospital, tmp_path / verify.__name__)).sound
    told = by_sekimorictl(Copy(hospital, tmp_path / "again")).findings
    assert [(f["kind"], f["file"]) for f in told] == [("inserted", segment.name)], told


# Reading

@pytest.fixture()
def reader(hospital):
    """Runs `sekimorictl audit …` for the auditor; the records it shows."""
    def read(*arguments):
        return [found["record"] for found in hospital.ctl("audit", *arguments)["records"]]
    return read


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


def test_req_a17_1_who_saw_a_patient_between_two_moments_is_answered(hospital, staff, recorder, seen, reader):
    portal = hospital.origin("recorder")
    seen.answer = lambda request, connection: connection.sendall(
        b"HTTP/1.1 200 OK\r\nX-Patient-Id: P-77\r\nContent-Length: 2\r\n\r\nok")
    before, saw, wrote, other, after = (staff(no) for no in (NURSE, PHYSICIAN, RADIOGRAPHER, "000103", CLERK))
    for person in (before, saw, wrote, other, after):
        person.web = hospital.web()
        person.login(portal + "/")
    before.web.open(portal + "/patients/P-77")
    since = now()
    saw.web.open(portal + "/patients/P-77/labs")
    wrote.web.fetch(portal + "/answers/header")
    other.web.open(portal + "/patients/P-78")
    until = now()
    after.web.open(portal + "/patients/P-77")
    found = reader("search", "--patient", "P-77", "--from", since, "--until", until)
    assert {r["who"]["staff_no"] for r in found} == {PHYSICIAN, RADIOGRAPHER}, found
    assert {r["what"]["patient"] for r in found} == {"P-77"}
    everybody = {r["who"]["staff_no"] for r in reader("search", "--patient", "P-77", "--limit", "500")}
    assert everybody == {NURSE, PHYSICIAN, RADIOGRAPHER, CLERK}


def test_req_a17_1_login_time_and_duration_of_a_session_stand_in_the_journal(hospital, nurse, reader):
    session = reader("search", "--event", "session.start", "--staff-no", NURSE)[0]["who"]["session"]
    nurse.unlock(nurse.press("/lock"))
    nurse.press("/logout")
    life = reader("search", "--session", session, "--event", "session")
    assert [r["event"] for r in reversed(life)] == ["session.start", "session.lock", "session.unlock", "session.end"]
    assert [r["t"] for r in life] == sorted((r["t"] for r in life), reverse=True)
    assert life[0]["why"]["reason"] == "logout" and life[2]["why"]["reason"] == "user"


def test_a_page_that_refuses_names_the_record_that_says_why(hospital, nurse, reader):
    page = nurse.web.open(hospital.origin("recorder") + "/forbidden")
    shown = re.findall(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b", page.text)
    found = reader("search", "--request", shown[-1])
    assert [(r["event"], r["who"]["staff_no"], r["why"]["reason"]) for r in found] == [
        ("request.deny", NURSE, "no-role")]


def test_tail_show_and_search_agree_and_each_look_is_itself_recorded(hospital, reader):
    tail = reader("tail", "--lines", "3")
    assert [r["seq"] for r in tail] == list(range(tail[0]["seq"], tail[0]["seq"] + 3))
    last = tail[-1]
    assert (last["event"], last["who"]["staff_no"]) == ("audit.read", "900001")
    assert "tail" in last["detail"]["query"]
    shown = hospital.ctl("audit", "show", str(tail[0]["seq"]))
    assert shown["intact"] and shown["record"] == tail[0]
    found = reader("search", "--event", "audit.read", "--limit", "3")
    looks = [r["detail"]["query"].split()[0] for r in found]
    assert looks == ["search", "show", "tail"], "newest first, the look itself among them"
    assert reader("search", "--staff-no", "999999") == []


def test_tail_follows_what_happens_and_is_quiet_about_itself(hospital, nurse):
    command = [BINARIES / "sekimorictl", "--client", hospital.folder / "var" / "cli.toml", "audit", "tail", "-f", "--lines", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as tail:
        assert "audit.read" in tail.stdout.readline(), "the first look"
        for _ in range(2):
            nurse.web.open(hospital.origin("recorder") + "/patients/P-5")
            line = tail.stdout.readline()
            assert "request.permit" in line and NURSE in line and "P-5" in line, line
        tail.terminate()


def test_req_a17_2_the_journal_is_shown_to_the_auditor_alone(hospital, nurse, tmp_path, reader):
    client = tmp_path / "cli.toml"
    client.write_text(f'api = "{hospital.origin()}"\nca = "{hospital.ca}"\n')
    hospital.ctl("audit", "tail", client=client, expect=3)
    hospital.ctl("login", "--code", nurse.cli_code(), client=client)
    for question in (["tail"], ["show", "1"], ["search", "--event", "login.ok"]):
        told = hospital.ctl("audit", *question, client=client, expect=3)
        assert "The policy does not allow it" in told["error"], told
    denied = reader("search", "--staff-no", NURSE, "--event", "request.deny", "--app", "sekimori", "--limit", "3")
    assert [(r["what"]["action"], r["why"]["reason"]) for r in denied] == [("audit", "no-role")] * 3


def test_a_start_is_signed_at_once_and_leaves_the_host(tmp_path):
    """Checkpoints are signed every hour here; the start does not wait for one."""
    hospital = Hospital(tmp_path / "hospital", settings={"journal": {"checkpoint_every": '"1h"'}}).prepare()
    try:
        hospital.start()
        (start,) = wait_until(lambda: hospital.records("process.start"), "the start is on record")

        def signed():
            (note,) = hospital.checkpoints.glob("*.checkpoint")
            return int(note.read_text().splitlines()[1])

        wait_until(lambda: signed() >= start["seq"], "the start is signed", 5)
    finally:
        hospital.stop()

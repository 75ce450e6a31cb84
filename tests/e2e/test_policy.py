"""Rights: what `policy test` says by API and from an HR file is what the door then does; and where rights come from."""

import concurrent.futures
import datetime
import itertools
import json
import re
import subprocess
import time

import pytest

from conftest import CLERK, NURSE, PHYSICIAN
from hospital import BINARIES, DEMO, ENVIRONMENT, wait_until
from raw import Door

ACCOUNTANT, TRAINEE = "000403", "000104"
TOKYO = datetime.timezone(datetime.timedelta(hours=9))
ZONES = {"ward": "127.0.0.1", "office": "127.0.1.1", "unknown": "127.0.2.1"}

# Who may do what, in the rules' own words; no zone and no hour yet.
MAY = {
    PHYSICIAN: {"chart": {"browse", "view", "print", "order", "download"}, "lab": {"open", "write"}},
    NURSE: {"chart": {"browse", "view", "print", "download"}, "lab": {"open", "write"}},
    CLERK: {"chart": {"browse", "view", "print"}, "lab": {"open"}},
    ACCOUNTANT: {"chart": set(), "lab": {"open", "write"}},
    TRAINEE: {"chart": {"browse", "view", "print", "order", "download"}, "lab": set()},
}

REQUESTS = [
    ("chart", "browse", "GET", "/patients"),
    ("chart", "view", "GET", "/patients/000777"),
    ("chart", "print", "GET", "/print?patient=1&path=/admin"),
    ("chart", "order", "POST", "/patients/000777/orders"),
    ("chart", "admin", "GET", "/admin"),
    ("chart", "admin", "POST", "/admin/users/1"),
    ("chart", "download", "GET", "/patients/1/files/a%20b.pdf"),
    ("chart", None, "GET", "/nowhere"),
    ("lab", "open", "GET", "/open/a;jsessionid=1"),
    ("lab", "write", "POST", "/open/a"),
    ("lab", "open", "HEAD", "/open"),
]
# What never gets as far as the policy: address, status and the word for it.
EDGE = [
    ("chart", "GET", "/patients/../admin", 400, "path-dot-segment"),
    ("chart", "GET", "/patients/%2e%2e/admin", 400, "path-dot-segment"),
    ("chart", "GET", "/patients//1", 400, "path-empty-segment"),
    ("chart", "GET", "/patients/a%2fb", 400, "path-encoded-separator"),
    ("lab", "GET", "/open/a;x=1", 400, "path-parameter"),
    ("chart", "DELETE", "/patients", 405, "method-not-allowed"),
    ("chart", "TRACE", "/patients", 405, "method-not-allowed"),
    ("chart", "GET", "/%2esekimori/x", 404, "not-found"),
]


def expected(staff_no, app, action, zone="ward", local=None):
    if action is None or action not in MAY[staff_no][app] or zone == "unknown":
        return False
    if staff_no == CLERK and app == "chart":
        return 7 * 60 <= local.hour * 60 + local.minute < 20 * 60
    return True


def local_time(lab):
    return datetime.datetime.fromtimestamp(lab.now(), TOKYO)


def ask(hospital, staff_no, app, method, path, *more):
    """`sekimorictl policy test`; the exit code says what the answer says."""
    ran = subprocess.run(
        [
            BINARIES / "sekimorictl",
            "--output",
            "json",
            "--client",
            hospital.folder / "var" / "cli.toml",
            "policy",
            "test",
            "--as",
            staff_no,
            "--url",
            hospital.origin(app) + path,
            "--method",
            method,
            *more,
        ],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=30,
    )
    assert ran.returncode in (0, 1), ran.stderr
    answer = json.loads(ran.stdout)
    assert (answer["decision"] == "permit") == (ran.returncode == 0)
    return answer


def from_file(hospital, at, file=None):
    return ("--hr", str(file or DEMO / "hr.csv"), "--config", str(hospital.file), "--at", at)


def all_of(questions, one):
    """Asks many at a time: each is a process of its own."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return dict(zip(questions, pool.map(lambda question: one(*question), questions)))


@pytest.fixture(scope="module")
def people(lab, lab_staff):
    """Everybody of the table, with a session at both apps."""
    lab.refresh_cli()
    found = {}
    for staff_no in MAY:
        found[staff_no] = enter(lab, lab_staff(staff_no))
    return found


def enter(lab, person):
    person.web = lab.web()
    person.login(lab.origin("chart") + "/")
    person.web.open(lab.origin("lab") + "/")
    return person


def at_the_door(person, app, method, path, zone="ward"):
    person.web.address = ZONES[zone]
    try:
        return person.web.fetch(person.hospital.origin(app) + path, method)
    finally:
        person.web.address = ZONES["ward"]


# One decision, asked in three ways


def test_policy_test_by_api_and_by_hr_file_and_the_door_agree_for_every_person_and_request(lab, people, seen):
    now = local_time(lab)
    at = now.isoformat(timespec="seconds")
    questions = [(staff_no, app, action, method, path) for staff_no in MAY for app, action, method, path in REQUESTS]
    api = all_of(questions, lambda who, app, _, method, path: ask(lab, who, app, method, path, "--zone", "ward"))
    file = all_of(
        questions,
        lambda who, app, _, method, path: ask(lab, who, app, method, path, "--zone", "ward", *from_file(lab, at)),
    )
    for question in questions:
        staff_no, app, action, method, path = question
        permitted = expected(staff_no, app, action, "ward", now)
        assert (api[question]["decision"] == "permit") == permitted, (question, api[question])
        assert (file[question]["decision"] == "permit") == permitted, (question, file[question])
        for word in ("app", "action", "reason", "missing"):
            assert (api[question].get(word) or None) == (file[question].get(word) or None), (question, word)
        assert api[question]["action"] if action else "action" not in api[question]
        seen.requests.clear()
        answer = at_the_door(people[staff_no], app, method, path)
        assert answer.status == (200 if permitted else 403), (question, answer.text)
        assert [(r.method, r.target) for r in seen.requests] == ([(method, path)] if permitted else [])


def test_policy_test_refuses_at_the_edge_what_the_door_refuses_there(lab, people, seen):
    at = local_time(lab).isoformat(timespec="seconds")
    for app, method, path, status, word in EDGE:
        api = ask(lab, PHYSICIAN, app, method, path, "--zone", "ward", "--at", at)
        file = ask(lab, PHYSICIAN, app, method, path, "--zone", "ward", *from_file(lab, at))
        # One shape and one answer; only the server has a configuration in force.
        assert api.pop("generation") > 0 == file.pop("generation")
        assert api == file and (api["decision"], api["status"], api["reason"]) == ("deny", status, word), (api, file)
        door = at_the_door(people[PHYSICIAN], app, method, path)
        assert door.status == status, path
        recorded = [r for r in lab.records() if r.get("request") == door.json["request"]]
        assert [r["why"]["reason"] for r in recorded] == [word], path
    foreign = ask(lab, PHYSICIAN, "nowhere", "GET", "/")
    assert (foreign["decision"], foreign["status"], foreign["reason"]) == ("deny", 421, "misdirected")
    portal = ask(lab, PHYSICIAN, "auth", "GET", "/")
    assert (portal["decision"], portal["reason"]) == ("none", "portal")
    assert seen.requests == []


def test_policy_test_refuses_what_cannot_be_asked_in_the_same_words_by_api_and_from_a_file(lab, people):
    at = local_time(lab).isoformat(timespec="seconds")
    for url, method, more, words in (
        ("/" + "x" * 8192, "GET", (), "`url` is longer than 8192 bytes"),
        ("/", "G T", (), "`method` is not an HTTP method"),
        ("/", "GET", ("--at", "yesterday"), "`at` is not an RFC 3339 time such as 2026-11-21T22:00:00+09:00"),
    ):
        question = ("policy", "test", "--as", PHYSICIAN, "--url", lab.origin("chart") + url, "--method", method)
        file = [word for word in from_file(lab, at) if not more or word not in ("--at", at)]
        assert lab.ctl(*question, *more, expect=3)["error"] == words
        assert lab.ctl(*question, *file, *more, expect=2)["error"] == words


def test_a_zone_decides_alike_in_both_questions_and_at_the_door(lab, people, seen):
    now = local_time(lab)
    at = now.isoformat(timespec="seconds")
    requests = [
        ("chart", "browse", "/patients"),
        ("lab", "open", "/open"),
        ("lab", "ward", "/ward"),
        ("lab", "office", "/office"),
    ]
    questions = list(itertools.product((PHYSICIAN, CLERK), requests, ZONES))
    api = all_of(questions, lambda who, request, zone: ask(lab, who, request[0], "GET", request[2], "--zone", zone))
    file = all_of(
        questions,
        lambda who, request, zone: ask(lab, who, request[0], "GET", request[2], "--zone", zone, *from_file(lab, at)),
    )
    for question in questions:
        staff_no, (app, action, path), zone = question
        permitted = zone == action if action in ZONES else expected(staff_no, app, action, zone, now)
        assert (
            (api[question]["decision"] == "permit") == permitted == (file[question]["decision"] == "permit")
        ), question
        assert at_the_door(people[staff_no], app, "GET", path, zone).status == (200 if permitted else 403), question
    denied = lab.records("request.deny")[-1]
    assert (denied["from"]["zone"], denied["from"]["address"]) == ("unknown", "127.0.2.1")


def upcoming(lab, weekday, hour, minute):
    """The next moment of that name after the laboratory's now."""
    now = local_time(lab)
    there = now.replace(hour=hour, minute=minute, second=30, microsecond=0) + datetime.timedelta(
        days=(weekday - now.weekday()) % 7
    )
    return there if there > now else there + datetime.timedelta(days=7)


# Weekday (Monday is 0), time of day, and whether clerk-hours, on-weekdays and friday-night hold.
MOMENTS = [
    (4, 6, 59, False, False, False),
    (4, 7, 0, True, False, False),
    (4, 17, 14, True, True, False),
    (4, 17, 15, True, False, False),
    (4, 19, 59, True, False, False),
    (4, 20, 0, False, False, False),
    (4, 22, 0, False, False, True),
    (5, 5, 59, False, False, True),
    (5, 6, 0, False, False, False),
    (5, 12, 0, True, False, False),
    (0, 8, 30, True, True, False),
    (0, 22, 30, False, False, False),
]
BY_HOUR = [("chart", "/patients"), ("lab", "/weekdays"), ("lab", "/night")]


def test_hours_decide_alike_for_a_moment_that_is_asked_about(lab, people):
    moments = {
        (upcoming(lab, *moment[:3]).isoformat(), url): holds
        for moment in MOMENTS
        for url, holds in zip(BY_HOUR, moment[3:])
    }
    questions = list(moments)
    api = all_of(questions, lambda at, url: ask(lab, CLERK, url[0], "GET", url[1], "--zone", "ward", "--at", at))
    file = all_of(
        questions, lambda at, url: ask(lab, CLERK, url[0], "GET", url[1], "--zone", "ward", *from_file(lab, at))
    )
    for question, holds in moments.items():
        assert (api[question]["decision"] == "permit") == holds == (file[question]["decision"] == "permit"), question
        assert holds or api[question]["reason"] == file[question]["reason"] == "hours", (question, api[question])
    # The same moment by another clock of the world.
    noon = upcoming(lab, 4, 12, 0).astimezone(datetime.timezone.utc).isoformat()
    assert ask(lab, CLERK, "chart", "GET", "/patients", "--zone", "ward", "--at", noon)["decision"] == "permit"


def test_hours_decide_at_the_door_by_the_gateways_clock(lab, people, seen):
    clerk = people[CLERK]
    for weekday, hour, minute, *holds in MOMENTS:
        moment = upcoming(lab, weekday, hour, minute)
        lab.forward(int(moment.timestamp() - lab.now()))
        enter(lab, clerk)
        for (app, path), permitted in zip(BY_HOUR, holds):
            assert at_the_door(clerk, app, "GET", path).status == (200 if permitted else 403), (moment, path)
    lab.refresh_cli()
    for person in people.values():
        enter(lab, person)


# Where rights come from


def test_a_grant_permits_what_no_hr_data_gives_and_the_record_says_so(lab, people, seen):
    """The registrar's grant as sysadmin opens the chart's administration; a file of HR data knows no grants."""
    officer = lab.officer
    assert officer.web.open(lab.origin("chart") + "/admin").status == 200
    opened = [r for r in lab.records("request.open") if r["what"]["target"] == "/admin"][-1]
    assert opened["who"]["staff_no"] == "900001" and opened["why"]["grant"].startswith("grant:")
    assert set(opened["who"]["roles"]) == {"registrar", "auditor", "sysadmin"}
    assert ask(lab, "900001", "chart", "GET", "/admin", "--zone", "ward")["decision"] == "permit"
    ran = subprocess.run(
        [
            BINARIES / "sekimorictl",
            "policy",
            "test",
            "--as",
            "900001",
            "--url",
            lab.origin("chart") + "/admin",
            *from_file(lab, local_time(lab).isoformat()),
        ],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert ran.returncode == 2 and "900001" in ran.stderr


def test_a_deny_wins_over_every_permit_and_is_named(lab, people, seen):
    answer = at_the_door(people[CLERK], "lab", "POST", "/open/a")
    record = lab.records("request.deny")[-1]
    assert answer.status == 403 and record["request"] == answer.header("x-request-id")
    assert record["why"]["reason"] == "deny-rule" and "no-writing" in record["why"]["rule"], record["why"]
    assert seen.requests == []


def test_policy_test_is_the_administrators_alone_and_on_record(lab, people):
    ask(lab, NURSE, "chart", "GET", "/admin?secret=1", "--zone", "ward")
    record = lab.records("policy.test")[-1]
    assert (
        record["who"]["staff_no"] == "900001"
        and record["detail"]["subject"] == NURSE
        and record["detail"]["decision"] == "deny"
    )
    assert "secret" not in json.dumps(record)
    nurse = people[NURSE].web
    refused = nurse.fetch(
        lab.origin() + "/.sekimori/api/v1/policy/test", "POST", body=b"{}", headers={"Content-Type": "application/json"}
    )
    assert refused.status in (401, 403)


# The HR file


HEAD = (DEMO / "hr.csv").read_bytes().decode("cp932").splitlines()[0]


def hr_file(folder, *rows, head=HEAD, encoding="cp932"):
    file = folder / f"hr-{len(list(folder.iterdir()))}.csv"
    file.write_bytes("\r\n".join([head, *rows, ""]).encode(encoding))
    return str(file)


def rows_of(staff_no):
    return [
        row for row in (DEMO / "hr.csv").read_bytes().decode("cp932").splitlines() if row.startswith(staff_no + ",")
    ]


def refused_import(lab, file):
    return lab.ctl("hr", "import", file, expect=3)["error"]


def untouched(lab):
    """The whole file again changes nobody: what was refused left nothing behind."""
    report = lab.ctl("hr", "import", str(DEMO / "hr.csv"))
    assert report["counts"]["added"] == report["counts"]["changed"] == 0, report
    return True


@pytest.fixture()
def desk(lab, people):
    """The HR data as it was, and again so afterwards."""
    lab.refresh_cli()
    yield lab
    lab.refresh_cli()
    lab.ctl("hr", "import", str(DEMO / "hr.csv"))


def test_hr_import_reports_every_bad_row_with_line_and_column_and_applies_nothing(desk, tmp_path):
    good = rows_of(NURSE)[0].replace("3階東病棟", "3階西病棟")
    bad = rows_of(PHYSICIAN)[0]
    file = hr_file(
        tmp_path,
        good,
        bad.replace("S56.6.21", "S56.13.41"),
        bad.replace("000102", ""),
        rows_of("000103")[0].replace("主務", "多分"),
        rows_of("000106")[0] + ",余分",
        rows_of("000107")[0],
        rows_of("000107")[0].replace("望月", "望日"),
        "000998,新人 一,シンジン ハジメ,H10.1.1,常勤,内科,医師,,主務,R8.4.1,R7.4.1,R8.4.1,,,,",
    )
    said = refused_import(desk, file)
    places = re.findall(r"^  line (\d+)(?:, column (\S+))?: ", said, re.M)
    assert said.lower().count("nothing was imported") == 1, said
    assert set(places) == {
        ("3", "生年月日"),
        ("4", "職員番号"),
        ("5", "主務区分"),
        ("6", ""),
        ("8", "氏名"),
        ("9", "終了日"),
    }, said
    record = desk.records("hr.import")[-1]
    assert record["outcome"] == "failed" and record["who"]["staff_no"] == "900001"
    assert untouched(desk)
    assert (
        ask(
            desk,
            "000998",
            "lab",
            "GET",
            "/open",
            *from_file(
                desk,
                local_time(desk).isoformat(),
                hr_file(tmp_path, "000998,新人 一,シンジン ハジメ,H10.1.1,常勤,内科,医師,,主務,R8.4.1,,R8.4.1,,,,"),
            ),
            "--zone",
            "ward",
        )["decision"]
        == "permit"
    )


def test_hr_import_refuses_a_file_that_is_not_what_is_declared(desk, tmp_path):
    row = rows_of(NURSE)[0]
    for file, words in (
        (hr_file(tmp_path, row, encoding="utf-8-sig"), "encoding"),
        (hr_file(tmp_path, row, encoding="utf-16"), "hr.encoding"),
        (hr_file(tmp_path, row, head=HEAD.replace("退職日", "退社日")), "退職日"),
        (hr_file(tmp_path, row, head=HEAD.replace("資格期限", "資格番号")), "資格番号"),
        (hr_file(tmp_path, row + '"unclosed'), "line 2"),
    ):
        assert words in refused_import(desk, file), words
    (tmp_path / "empty.csv").write_bytes(b"")
    refused_import(desk, str(tmp_path / "empty.csv"))
    assert untouched(desk)


def test_hr_import_again_changes_nothing_and_a_delta_leaves_the_absent_alone(desk, tmp_path):
    before = len(desk.records("hr.import"))
    whole = desk.ctl("hr", "import", str(DEMO / "hr.csv"))
    assert whole["counts"]["unchanged"] > 50 and whole["counts"]["added"] == whole["counts"]["changed"] == 0
    part = desk.ctl("hr", "import", hr_file(tmp_path, *rows_of(NURSE)))
    assert part["counts"]["unchanged"] == 1 and part["counts"]["changed"] == part["counts"]["added"] == 0
    assert part["counts"]["absent"] >= 50
    assert untouched(desk) and len(desk.records("hr.import")) == before + 3


def test_a_role_taken_away_by_hr_is_gone_at_the_next_request_and_its_streams_close(desk, people, seen, tmp_path):
    nurse = people[NURSE]
    cookies = nurse.web.cookies
    assert at_the_door(nurse, "chart", "GET", "/patients").status == 200

    def endless(request, connection):
        if request.target == "/events":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
            connection.recv(10)
            return "close"
        return seen.plain(request, connection)

    seen.answer = endless
    door = Door(desk, "chart", cookies["chart.sekimori.localhost"]["__Host-sk"])
    stream = door.open().send(door.text("GET /events"))
    assert stream.head()[0] == 200
    (row,) = rows_of(NURSE)
    assert row.endswith("看護師,910123,")
    desk.ctl("hr", "import", hr_file(tmp_path, row + "R8.1.31"))
    since = time.monotonic()
    wait_until(lambda: at_the_door(nurse, "chart", "GET", "/patients").status == 403, "the licence has expired", 1)
    stream.socket.settimeout(1.5)
    stream.reader.read()
    assert time.monotonic() - since < 1.5
    record = desk.records("request.deny")[-1]
    assert record["why"]["reason"] == "no-role" and record["who"]["staff_no"] == NURSE
    # What rests on employment alone is left, until that ends too.
    assert at_the_door(nurse, "lab", "GET", "/open").status == 200
    desk.ctl("hr", "import", hr_file(tmp_path, row.replace(",,平成28年4月1日,,", ",R8.1.31,平成28年4月1日,R8.1.31,")))
    wait_until(lambda: at_the_door(nurse, "lab", "GET", "/open").status == 401, "the leaver's session has ended", 1)
    wait_until(
        lambda: any(
            r["who"]["staff_no"] == NURSE and r["why"]["reason"] == "revoked" for r in desk.records("session.end")
        ),
        "its end is on record",
    )
    # Back in the file, the person may log in again; the old session stays dead.
    desk.ctl("hr", "import", hr_file(tmp_path, row))
    assert at_the_door(nurse, "lab", "GET", "/open").status == 401
    assert at_the_door(enter(desk, nurse), "chart", "GET", "/patients").status == 200


def test_atk_a20_unlocking_and_entering_anew_ask_the_rules_of_now_and_not_of_the_login(desk, people, seen, tmp_path):
    nurse = enter(desk, people[NURSE])
    assert at_the_door(nurse, "chart", "GET", "/patients").status == 200
    locked = nurse.press("/lock")
    (row,) = rows_of(NURSE)
    desk.ctl("hr", "import", hr_file(tmp_path, row + "R8.1.31"))
    seen.requests.clear()
    nurse.unlock(locked)
    # Unlocked, with what rests on employment.
    assert nurse.web.open(desk.origin("lab") + "/open").status == 200
    assert nurse.web.open(desk.origin("chart") + "/patients").status == 403
    # A new handshake of the same session, and a login that replaces it, are no way round.
    del nurse.web.cookies["chart.sekimori.localhost"]
    assert nurse.web.open(desk.origin("chart") + "/patients").status == 403
    assert "__Host-sk" in nurse.web.cookies["chart.sekimori.localhost"], "it was entered"
    assert at_the_door(enter(desk, nurse), "chart", "GET", "/patients").status == 403
    assert [request.target for request in seen.requests if request.target == "/patients"] == []


def test_a_mover_gains_and_loses_the_same_day(desk, people, seen, tmp_path):
    clerk = people[CLERK]
    (row,) = rows_of(CLERK)
    assert at_the_door(clerk, "lab", "POST", "/open/a").status == 403
    desk.ctl("hr", "import", hr_file(tmp_path, row.replace("医事課", "総務課")))
    wait_until(
        lambda: at_the_door(clerk, "lab", "POST", "/open/a").status == 200, "no longer a clerk of medical affairs", 1
    )
    assert at_the_door(clerk, "chart", "GET", "/patients").status == 403

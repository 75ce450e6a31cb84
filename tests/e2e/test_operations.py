"""What operators see and do: health, readiness, metrics, logs, the service manager, the clock, a stop."""

import base64
import collections
import json
import re
import shutil
import signal
import socket
import time

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as families

from conftest import CLERK, NURSE
from hospital import Hospital, Staff, free_port, wait_until
from time_server import TimeServer

PASSWORD = "correct horse battery 7 staple"


@pytest.fixture()
def start(tmp_path):
    """Starts hospitals of this test's own."""
    made = []

    def begin(settings=None, environment=None, **more):
        hospital = Hospital(tmp_path / f"hospital{len(made)}", settings=settings, **more)
        hospital.environment = {**hospital.environment, **(environment or {})}
        made.append(hospital)
        hospital.ctl("key", "init", str(hospital.folder / "var" / "master.key"), client=False)
        return hospital.start()

    yield begin
    for hospital in made:
        hospital.stop(signal.SIGKILL)


def readiness(hospital):
    status, text = hospital.health()
    told = json.loads(text)
    assert (status == 200) == told["ready"] == (not told["reasons"])
    return told


def metrics(hospital):
    """All samples of the page: name and labels to value."""
    status, page = hospital.health("/metrics")
    assert status == 200
    return {(sample.name, *sorted(sample.labels.items())): sample.value
            for family in families(page) for sample in family.samples}


# Health and readiness


def test_atk_a37_health_is_told_on_its_own_listener_and_nowhere_else(hospital):
    assert hospital.health("/healthz") == (200, '{"alive":true}')
    assert readiness(hospital)["ready"]
    assert hospital.health("/")[0] == hospital.health("/admin")[0] == 404
    for path in ("/healthz", "/readyz", "/metrics"):
        for host in ("auth", "recorder"):
            answer = hospital.web().request("GET", hospital.origin(host) + path, follow=False)
            assert "alive" not in answer.text and "sekimori_" not in answer.text and answer.status != 200


def test_a_gateway_whose_journal_cannot_be_written_is_not_ready_until_it_can(start):
    hospital = start()
    assert readiness(hospital)["ready"]
    shutil.rmtree(hospital.journal)
    hospital.journal.touch()
    wait_until(lambda: readiness(hospital)["reasons"] == ["journal"], "the journal is a reason")
    assert metrics(hospital)[("sekimori_journal_writable",)] == 0
    hospital.journal.unlink()
    wait_until(lambda: readiness(hospital)["ready"], "ready again")


def test_before_a_stop_readiness_says_so_while_people_are_still_served(start):
    hospital = start({"server": {"stop_delay": '"2s"'}})
    hospital.process.send_signal(signal.SIGTERM)
    wait_until(lambda: readiness(hospital)["reasons"] == ["draining"], "not ready any more")
    assert hospital.health("/healthz")[0] == 200
    assert hospital.web().request("GET", hospital.origin() + "/login", follow=False).status < 500
    assert hospital.process.wait(20) == 0
    assert not (hospital.folder / "var" / "health.sock").exists()
    assert hospital.records("process.stop")[-1]["detail"]["signal"] == "SIGTERM"


def test_sekimorictl_health_tells_ready_draining_and_gone_apart(start):
    hospital = start({"server": {"health": f'"127.0.0.1:{free_port()}"', "stop_delay": '"2s"'}})
    ask = ["health", "--config", str(hospital.file)]
    wait_until(lambda: "serving" in hospital.log(), "it serves")
    assert hospital.ctl(*ask, client=False)["ready"] is True
    hospital.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "stopping" in hospital.log(), "it drains")
    assert hospital.ctl(*ask, client=False, expect=1)["reasons"] == ["draining"]
    assert hospital.process.wait(20) == 0
    hospital.ctl(*ask, client=False, expect=4)


def test_a_second_signal_does_not_wait(start):
    hospital = start({"server": {"stop_delay": '"5m"'}})
    hospital.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not readiness(hospital)["ready"], "it drains")
    hospital.process.send_signal(signal.SIGTERM)
    assert hospital.process.wait(20) == 0


# Metrics


def test_metrics_count_what_people_do_and_name_nobody(hospital, staff, seen):
    before = metrics(hospital)
    person = staff(CLERK)
    person.web = hospital.web()
    recorder = hospital.origin("recorder")
    person.login(recorder + "/")
    for _ in range(20):
        assert person.web.open(recorder + "/patients/P-4711").status == 200
    hospital.web().fetch(recorder + "/")
    after = metrics(hospital)

    def grew(name, **labels):
        key = (name, *sorted(labels.items()))
        return after[key] - before[key]

    assert grew("sekimori_decisions_total", app="recorder", outcome="permit") >= 21
    assert grew("sekimori_decisions_total", app="recorder", outcome="login-required") >= 2
    assert grew("sekimori_requests_total") > 21 and grew("sekimori_connections_total") > 21
    for stage in ("tls", "serve", "admit", "route", "resolve", "decide", "record", "forward"):
        assert grew("sekimori_stage_seconds_count", stage=stage) > 0, stage
    assert after[("sekimori_sessions", ("state", "active"))] >= 1
    assert after[("sekimori_journal_records_total",)] > before[("sekimori_journal_records_total",)]
    page = hospital.health("/metrics")[1] + hospital.health()[1]
    for secret in (CLERK, "P-4711", "127.0.0.1", person.cookie("recorder")):
        assert secret not in page


def test_an_upstream_that_fails_is_counted_apart_from_decisions(hospital, nurse, seen):
    key = ("sekimori_upstream_errors_total", ("app", "recorder"), ("kind", "upstream"))
    before = metrics(hospital)[key]
    seen.answer = lambda request, connection: "close"
    assert nurse.web.open(hospital.origin("recorder") + "/").status == 502
    assert metrics(hospital)[key] == before + 1
    assert not any("upstream" in str(labels) for name, *labels in metrics(hospital) if name == "sekimori_decisions_total")


def test_whoever_asks_for_what_is_not_there_makes_no_new_rows(hospital):
    rows = set(metrics(hospital))
    for path in ("/a", "/b?c=d", "/.sekimori/x"):
        hospital.web().fetch(hospital.origin("recorder") + path)
        hospital.web().request("BREW", hospital.origin("recorder") + path, follow=False)
    assert set(metrics(hospital)) == rows


# Logs


def test_req_d16_logs_hold_no_secret_and_nobody_at_any_level(tmp_path_factory, recorder):
    """The whole story with everything logged that can be, and then a search for every secret of it."""
    hospital = Hospital(tmp_path_factory.mktemp("logs"), {"recorder": recorder.port}, {"log": {"level": '"trace"'}})
    hospital.prepare()
    hospital.start().open_desk()
    secrets = collections.Counter({hospital.officer_code: 1, (hospital.folder / "var/master.key").read_text().strip(): 1})
    try:
        tell_the_story(hospital, secrets)
        status, page = hospital.health("/metrics")
        assert status == 200
    finally:
        hospital.stop()
    log = hospital.log()
    levels = collections.Counter(json.loads(line)["level"] for line in log.splitlines())
    assert levels["TRACE"] > 20 and levels["DEBUG"] > 1, f"the log is open: {levels}"
    assert len(secrets) > 25, f"there are secrets: {secrets}"
    found = sorted(secret for secret in secrets if len(secret) > 3 and (secret in log or secret in page))
    assert not found, [line for line in log.splitlines() if any(secret in line for secret in found)][:5]


def tell_the_story(hospital, secrets):
    recorder = hospital.origin("recorder")
    code = hospital.issue(NURSE)
    secrets.update([code, code.replace("-", ""), PASSWORD, "wrong " + PASSWORD])
    nurse = Staff(hospital, NURSE).enrol(code, PASSWORD)
    secrets.update([base64.b32encode(nurse.totp.seed).decode()])
    nurse.login(recorder + "/patients/P-4711?q=geheim")
    secrets.update(["P-4711", "geheim"])
    nurse.press("/lock")
    page = nurse.web.open(recorder + "/")
    page = nurse.web.open(page.link("by=password"))
    page = nurse.web.submit(page, page.form("/unlock/password"), {"secret": "wrong " + PASSWORD})
    nurse.unlock_by_password(nurse.web.open(recorder + "/"))
    nurse.web.fetch(recorder + "/", headers={"Authorization": "Bearer hush-hush-token", "Cookie": "__Host-sk=bad-cookie-x"})
    secrets.update(["hush-hush-token", "bad-cookie-x"])
    nurse.press("/logout")
    wrong = hospital.web()
    page = wrong.open(hospital.origin() + "/enrol")
    wrong.submit(page, page.form("/enrol/start"), {"staff_no": CLERK, "code": "ABCDE-FGHJK"})
    secrets.update(["ABCDE-FGHJK", "ABCDEFGHJK"])
    hospital.refresh_cli()
    secrets.update([(hospital.folder / "var" / "cli-session").read_text().strip()])
    hospital.ctl("session", "list")
    for web in (nurse.web, hospital.officer.web, wrong):
        for line in web.set_cookies:
            secrets[line.split(";")[0].partition("=")[2]] += 1
    for record in hospital.journaled():
        who = record.get("who", {})
        if who.get("kind") == "person":
            secrets[who["name"]] += 1


def test_the_level_of_the_log_follows_a_reload(start):
    hospital = start({"log": {"level": '"error"'}})
    wait_until(lambda: readiness(hospital)["ready"], "it serves")
    assert "serving" not in hospital.log()
    hospital.file.write_text(hospital.file.read_text().replace('level = "error"', 'level = "info"'))
    hospital.reload()
    wait_until(lambda: "reloaded" in hospital.log(), "the reload is told")


def test_a_log_for_people_is_text(start):
    hospital = start({"log": {"format": '"text"'}})
    wait_until(lambda: "INFO" in hospital.log(), "it says that it serves")
    assert not hospital.log().startswith("{") and "\x1b" not in hospital.log()


# The service manager


class Manager:
    """What systemd would hear."""

    def __init__(self, folder):
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(10)
        self.heard = []

    def hear(self, word):
        """The next message with this word in it."""
        deadline = time.monotonic() + 10
        while True:
            assert time.monotonic() < deadline, f"not told {word}: {self.heard}"
            self.heard.append(self.socket.recv(4096).decode())
            if word in self.heard[-1].splitlines():
                return self.heard[-1]


def test_the_service_manager_is_told_ready_reloading_alive_and_stopping(start, tmp_path):
    manager = Manager(tmp_path)
    hospital = start(environment={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "200000"})
    manager.hear("READY=1")
    assert all("READY=1" not in told for told in manager.heard[:-1])
    manager.hear("WATCHDOG=1")
    hospital.reload()
    told = manager.hear("RELOADING=1")
    assert re.search(r"^MONOTONIC_USEC=\d+$", told, re.M), told
    manager.hear("READY=1")
    manager.hear("WATCHDOG=1")
    hospital.process.send_signal(signal.SIGTERM)
    manager.hear("STOPPING=1")
    assert hospital.process.wait(20) == 0


# The clock


@pytest.fixture()
def timed(start):
    server = TimeServer()
    hospital = start(server.settings())
    yield hospital, server
    server.close()


def test_req_a17_3_the_clock_is_compared_at_start_and_on_schedule_and_the_difference_is_on_record(timed):
    hospital, server = timed
    first = wait_until(lambda: hospital.records("clock.offset"), "the first check")[0]
    assert first["outcome"] == "ok" and abs(first["detail"]["offset_us"]) < 500_000
    assert first["detail"]["source"] == f"127.0.0.1:{server.port}" and first["detail"]["stratum"] == 2
    wait_until(lambda: len(hospital.records("clock.offset")) >= 3, "further checks")
    assert readiness(hospital) == {"ready": True, "reasons": [], "warnings": []}
    assert abs(metrics(hospital)[("sekimori_clock_offset_seconds",)]) < 0.5


def test_req_a17_3_a_clock_that_is_off_is_a_warning_and_one_far_off_is_not_ready(timed):
    hospital, server = timed
    server.ahead = 2.0
    wait_until(lambda: readiness(hospital)["warnings"] == ["clock-off"], "a warning at 1 s")
    assert readiness(hospital)["ready"]
    server.ahead = -7.0
    wait_until(lambda: readiness(hospital)["reasons"] == ["clock-off"], "not ready at 5 s")
    found = hospital.records("clock.offset")
    off, far = ([r for r in found if r.get("why", {}).get("reason") == reason][0] for reason in ("off", "far-off"))
    assert off["outcome"] == far["outcome"] == "failed"
    assert abs(off["detail"]["offset_us"] - 2_000_000) < 500_000 and abs(far["detail"]["offset_us"] + 7_000_000) < 500_000
    assert "so far off" in hospital.log()
    server.ahead = 0.0
    wait_until(lambda: readiness(hospital)["ready"], "ready again")


def test_req_a17_3_a_time_server_that_is_silent_or_lost_is_not_believed_and_that_is_said_once(timed):
    hospital, server = timed
    wait_until(lambda: hospital.records("clock.offset"), "the first check")
    server.head = 0xE4  # its own clock is not set
    wait_until(lambda: readiness(hospital)["warnings"] == ["clock-unanswered"], "no answer")
    server.silent = True
    count = len(hospital.records("clock.offset"))
    wait_until(lambda: hospital.log().count("no answer in time") >= 2, "two silent checks", 15)
    found = hospital.records("clock.offset")
    assert len(found) == count and found[-1]["why"]["reason"] == "no-answer"
    assert readiness(hospital)["ready"]


def test_req_a17_3_a_gateway_that_may_ask_nobody_says_so(start):
    hospital = start()
    wait_until(lambda: readiness(hospital)["warnings"] == ["clock-unchecked"], "it says so")
    assert hospital.records("clock.offset")[0]["why"]["reason"] == "no-source"

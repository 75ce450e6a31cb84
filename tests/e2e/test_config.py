"""Configuration: every mistake named with its place, a reload that is whole or not at all, and what options do."""

import concurrent.futures
import json
import re
import shutil
import subprocess
import threading
import time

import pytest

from conftest import PHYSICIAN
from hospital import BINARIES, DOMAIN, ENVIRONMENT, Hospital, certificates, wait_until
from raw import Door
from upstream import Upstream

# Checking


@pytest.fixture(scope="module")
def draft(tmp_path_factory, recorder):
    """A configuration that is right, of a hospital that is never started."""
    made = Hospital(tmp_path_factory.mktemp("draft"), {"lab": recorder.port})
    made.ctl("key", "init", str(made.folder / "var" / "master.key"), client=False)
    return made


@pytest.fixture()
def copy(draft, tmp_path):
    shutil.copytree(draft.folder, tmp_path / "site")
    return tmp_path / "site"


def check(folder):
    """The exit code of `config check` and what it says, a line for each problem."""
    ran = subprocess.run(
        [BINARIES / "sekimorictl", "config", "check", folder / "sekimori.toml"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=20,
    )
    return ran.returncode, ran.stdout.splitlines(), ran.stderr


def place(folder, file, text, within=""):
    """`file:line:column` of a text that stands there once (in the line that holds `within`)."""
    for number, line in enumerate((folder / file).read_text().splitlines(), 1):
        if text in line and within in line:
            return f"{folder / file}:{number}:{line.index(text) + 1}"
    raise AssertionError(f"{text} isn't in {file}")


def edit(folder, file, old, new):
    text = (folder / file).read_text()
    assert old in text, f"{old} isn't in {file}"
    (folder / file).write_text(text.replace(old, new, 1))


def test_a_right_configuration_passes_the_check(copy):
    code, said, _ = check(copy)
    assert code == 0 and any("chart" in line and "lab" in line for line in said), said


MAIN, CHART, LAB, ROLES, BIRTH = (
    "sekimori.toml",
    "policy/chart.toml",
    "policy/lab.toml",
    "policy/roles.toml",
    "policy/birthrights.toml",
)

# Name: file, old text, new text, what of the new text the problem points to, words of the message.
MISTAKES = {
    "unknown key": (MAIN, "help_extension", "help_extention", "help_extention", "`help_extension`?"),
    "unknown table": (MAIN, "[portal]", "[portals]", "portals", "`portal`?"),
    "unknown key of an app": (CHART, "identity_headers", "identity_header", "identity_header", "`identity_headers`?"),
    "bad duration": (LAB, '"300ms"', '"300 parsecs"', '"300 parsecs"', "not a duration"),
    "wrong type": (LAB, "retry = false", 'retry = "no"', '"no"', "expected true or false"),
    "bad time of day": (LAB, '"08:30"', '"8 o\'clock"', '"8 o\'clock"', "07:00"),
    "bad network": (MAIN, '"192.0.2.0/24"', '"192.0.2.0/33"', '"192.0.2.0/33"', "network"),
    "missing file": (MAIN, '"var/tls.pem"', '"var/none.pem"', '"var/none.pem"', "none.pem"),
    "overlapping zones": (MAIN, '"192.0.2.0/24"', '"127.0.0.0/24"', '"127.0.0.0/24"', "zone `ward`"),
    "host used twice": (
        LAB,
        '"lab.sekimori.localhost"',
        '"chart.sekimori.localhost"',
        '"chart.sekimori.localhost"',
        "app `chart`",
    ),
    "host outside the domain": (
        LAB,
        '"lab.sekimori.localhost"',
        '"lab.badsekimori.localhost"',
        '"lab.badsekimori.localhost"',
        "outside `site.domain`",
    ),
    "domain that is a public suffix": (
        MAIN,
        'domain = "sekimori.localhost"',
        'domain = "co.jp"',
        '"co.jp"',
        "public suffix",
    ),
    "upstream that isn't there": (LAB, 'upstream = "http', 'upstream = "htp', '"htp', "http://"),
    "upstream no app uses": (
        LAB,
        "[[condition]]",
        '[[upstream]]\nname = "idle"\nmembers = ["http://127.0.0.1:2"]\n[[condition]]',
        '"idle"',
        "no app uses",
    ),
    "no choice": (LAB, '"upstream"\nkeep', '"elsewhere"\nkeep', '"elsewhere"', '`"client"`'),
    "unknown role": (BIRTH, 'role = "nurse"', 'role = "nurs"', '"nurs"', 'no role "nurs"'),
    "unknown action": (ROLES, '"print", "leave"', '"prnt", "leave"', '"prnt"', 'no action "chart:prnt"'),
    "unknown condition": (
        ROLES,
        'condition = "clerk-hours"',
        'condition = "clerk-hour"',
        '"clerk-hour"',
        'no condition "clerk-hour"',
    ),
    "unknown zone": (LAB, 'zones = ["office"]', 'zones = ["offise"]', '"offise"', "did you mean `office`?"),
    "privileged role by birthright": (BIRTH, 'role = "nurse"', 'role = "sysadmin"', '"sysadmin"', "privileged"),
    "two actions for one request": (LAB, '["/flip"]', '["/open"]', '"/open"', 'already action "open"'),
    "pattern that matches nothing": (LAB, '["/flip"]', '["/a/../flip"]', '"/a/../flip"', "dot segments"),
    "role named twice": (LAB, 'name = "no-writing"', 'name = "employee"', '"employee"', "twice"),
    "no TOML": (LAB, "retry = false", "retry = = false", "= false", "expected"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_config_check_names_a_mistake_with_file_line_and_column(name, copy):
    file, old, new, spot, words = MISTAKES[name]
    edit(copy, file, old, new)
    code, said, _ = check(copy)
    text = (copy / file).read_text()
    at = text.index(spot, text.rindex(new))
    line, column = text[:at].count("\n") + 1, at - text.rfind("\n", 0, at)
    assert code == 1 and all(re.match(r"\S+:\d+:\d+: \S", each) for each in said), said
    assert any(each.startswith(f"{copy / file}:{line}:{column}: ") and words in each for each in said), (
        line,
        column,
        said,
    )


def test_config_check_reports_all_mistakes_at_once_in_order_and_start_up_says_the_same(copy):
    edit(copy, MAIN, "help_extension", "help_extention")
    edit(copy, MAIN, '"192.0.2.0/24"', '"192.0.2.0/240"')
    edit(copy, LAB, '"lab.sekimori.localhost"', '"chart.sekimori.localhost"')
    edit(copy, LAB, "retry = false", "retries = 3")
    edit(copy, BIRTH, 'role = "nurse"', 'role = "nurs"')
    expected = [
        place(copy, BIRTH, '"nurs"'),
        place(copy, LAB, '"chart.sekimori'),
        place(copy, LAB, "retries"),
        place(copy, MAIN, "help_extention"),
        place(copy, MAIN, '"192.0.2.0/240"'),
    ]
    code, said, _ = check(copy)
    assert code == 1 and [re.match(r"\S+:\d+:\d+", line)[0] for line in said] == expected, said
    started = subprocess.run(
        [BINARIES / "sekimori", "serve", "--config", copy / MAIN],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=20,
    )
    assert started.returncode == 2 and all(
        json.dumps(line, ensure_ascii=False)[1:-1] in started.stderr for line in said
    )
    listed = subprocess.run(
        [BINARIES / "sekimorictl", "--output", "json", "config", "check", copy / MAIN],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert listed.returncode == 1 and json.loads(listed.stdout) == said


def test_config_check_finds_a_key_that_is_not_the_certificates_and_a_host_that_none_covers(copy):
    certificates(copy / "var", [f"auth.{DOMAIN}", f"chart.{DOMAIN}"])
    code, said, _ = check(copy)
    assert code == 1 and {re.search(r"(\w+)\.sekimori\.localhost", line)[1] for line in said} == {"lab", "old"}, said
    (copy / "other").mkdir()
    certificates(copy / "other", [f"auth.{DOMAIN}"])
    shutil.copy(copy / "other" / "tls.key", copy / "var" / "tls.key")
    code, said, _ = check(copy)
    assert code == 1 and any(line.startswith(place(copy, MAIN, '"var/tls.key"')) for line in said), said


def test_config_check_refuses_a_secret_that_others_can_read(copy):
    (copy / "var" / "master.key").chmod(0o644)
    ran = subprocess.run(
        [BINARIES / "sekimori", "serve", "--config", copy / MAIN],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=20,
    )
    assert ran.returncode == 2 and "master.key" in ran.stdout + ran.stderr


# Reloading


class Rules:
    """The laboratory's files, to be changed and put back."""

    def __init__(self, lab):
        self.lab, self.kept = lab, {}

    def keep(self, file):
        self.kept.setdefault(file, (self.lab.folder / file).read_bytes())

    def edit(self, file, old, new):
        self.keep(file)
        edit(self.lab.folder, file, old, new)
        return self

    def certify(self, *hosts):
        """A new CA, and a certificate for these apps."""
        for name in ("ca.pem", "tls.pem", "tls.key"):
            self.keep(f"var/{name}")
        certificates(self.lab.folder / "var", [f"{host}.{DOMAIN}" for host in ("auth", *hosts)])
        return self

    def reload(self, event="config.load"):
        """SIGHUP; the record of what came of it."""
        before = self.lab.records()[-1]["seq"]
        self.lab.reload()
        found = wait_until(
            lambda: [
                r for r in self.lab.records() if r["seq"] > before and r["event"] in ("config.load", "config.reject")
            ],
            "the reload is on record",
        )
        assert found[0]["event"] == event, found
        return found[0]

    def restore(self):
        for file, content in self.kept.items():
            (self.lab.folder / file).write_bytes(content)
        self.kept.clear()


@pytest.fixture()
def rules(lab):
    changed = Rules(lab)
    yield changed
    changed.restore()
    changed.reload()


@pytest.fixture(scope="module")
def visitor(lab, lab_staff):
    """A physician at all three systems."""
    lab.refresh_cli()
    person = lab_staff(PHYSICIAN)
    person.web = lab.web()
    person.login(lab.origin("lab") + "/")
    person.web.open(lab.origin("chart") + "/")
    person.web.open(lab.origin("old") + "/")
    return person


@pytest.fixture()
def door(lab, visitor, seen):
    seen.requests.clear()
    return Door(lab, "lab", visitor.cookie("lab"))


FLIP = 'actions = ["open", "write", "stream", "flip"]'


def endless(request, connection):
    if request.target in ("/stream", "/events"):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        connection.recv(10)
        return "close"
    return Upstream.plain(request, connection)


def test_req_h27_a_rule_taken_away_closes_its_open_streams_and_denies_the_next_request(lab, visitor, door, rules, seen):
    seen.answer = endless
    chart = Door(lab, "chart", visitor.cookie("chart"))
    streams = [door.open().send(door.text("GET /stream")), chart.open().send(chart.text("GET /events"))]
    for stream in streams:
        assert stream.head()[0] == 200
    kept = door.open()
    assert kept.send(door.text("GET /open")).answer()[0] == 200
    record = rules.edit(LAB, FLIP, 'actions = ["open", "write", "flip"]').reload()
    since = time.monotonic()
    streams[0].socket.settimeout(1.5)
    streams[0].reader.read()
    assert time.monotonic() - since < 1.5
    refused = kept.send(door.text("GET /stream")).answer()
    assert refused[0] == 403
    denied = lab.records("request.deny")[-1]
    assert denied["why"]["generation"] == record["why"]["generation"] and denied["why"]["reason"] == "no-role"
    assert kept.send(door.text("GET /open")).answer()[0] == 200
    # The other stream's rule is as it was: it goes on.
    streams[1].socket.settimeout(1.2)
    with pytest.raises(TimeoutError):
        streams[1].reader.read()


def test_a_broken_configuration_leaves_the_old_one_in_force_and_says_why(lab, door, rules):
    generation = rules.reload()["why"]["generation"]
    rules.edit(LAB, FLIP, 'actions = ["open", "write", "stream", "flop"]').edit(
        MAIN, "help_extension", "help_extention"
    )
    record = rules.reload("config.reject")
    assert record["outcome"] == "failed" and record["why"]["generation"] == generation
    for text in ("flop", "lab.toml:", "help_extention", "sekimori.toml:"):
        assert text in record["why"]["reason"], record["why"]
    assert door.ask("GET /flip").status == 200
    assert lab.records("request.permit")[-1]["why"]["generation"] == generation
    rules.restore()
    assert rules.reload()["why"]["generation"] == generation + 1


@pytest.mark.parametrize(
    "old, new, option",
    [
        ('https = "127.0.0.1:', 'https = "127.0.0.2:', "server.https"),
        ('path = "var/store.db"', 'path = "var/other.db"', "store.path"),
        ('directory = "var/journal"', 'directory = "var/elsewhere"', "journal.directory"),
        ('node = "demo"', 'node = "n2"', "server.node"),
    ],
)
def test_what_needs_a_restart_refuses_the_whole_reload(old, new, option, lab, door, rules):
    rules.edit(MAIN, old, new).edit(LAB, FLIP, 'actions = ["open"]')
    record = rules.reload("config.reject")
    assert option in record["why"]["reason"] and "restart" in record["why"]["reason"]
    assert door.ask("GET /flip").status == 200


def test_requests_that_race_reloads_each_see_one_policy(lab, visitor, door, rules, seen):
    """Whoever decides by one policy says so: the record's policy, its decision and the answer are of one piece."""
    with_flip = rules.reload()["why"]["policy"]
    without = rules.edit(LAB, FLIP, 'actions = ["open", "write", "stream"]').reload()["why"]["policy"]
    rules.restore()
    before, stop, got = rules.reload()["seq"], threading.Event(), []

    def ask():
        raw = door.open()
        while not stop.is_set():
            status, headers, _ = raw.send(door.text("GET /flip")).answer()
            got.append((dict(headers)["x-request-id"], status))

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        for _ in range(3):
            rules.edit(LAB, FLIP, 'actions = ["open", "write", "stream"]').reload()
            rules.restore()
            rules.reload()
        stop.set()
        for each in asking:
            each.result()
    records = {
        r["request"]: r for r in lab.records() if r["seq"] > before and r["event"] in ("request.permit", "request.deny")
    }
    seen_policies = set()
    for request, status in got:
        record = records[request]
        seen_policies.add(record["why"]["policy"])
        assert (record["event"], status) == {with_flip: ("request.permit", 200), without: ("request.deny", 403)}[
            record["why"]["policy"]
        ]
    assert seen_policies == {with_flip, without} and len(got) > 20


def test_a_request_under_way_keeps_the_policy_it_began_with(lab, door, rules, seen):
    raw = door.open().send(door.text("POST /flip", "Content-Length: 10") + b"hello")
    opened = wait_until(
        lambda: [r for r in lab.records("request.open") if r["what"]["target"] == "/flip"], "it is on record"
    )[-1]
    record = rules.edit(LAB, FLIP, 'actions = ["open"]').reload()
    assert door.ask("POST /flip", body=b"x").status == 403
    assert raw.send(b"world").answer()[0] == 200
    assert [request.body for request in seen.requests] == [b"helloworld"]
    assert opened["why"]["generation"] == record["why"]["generation"] - 1


def test_a_reload_takes_a_new_certificate_and_keeps_open_connections(door, rules):
    before = door.open()
    rules.certify("chart", "lab", "old").reload()
    after = door.open()
    assert after.socket.getpeercert()["serialNumber"] != before.socket.getpeercert()["serialNumber"]
    assert before.send(door.text("GET /open")).answer()[0] == after.send(door.text("GET /open")).answer()[0] == 200


def test_an_app_is_served_under_its_new_host_after_a_reload_and_not_under_the_old_one(lab, visitor, door, rules, seen):
    old = Door(lab, "old", visitor.cookie("old"))
    assert old.ask("GET /files/a").status == 200
    rules.edit(LAB, 'host = "old.sekimori.localhost"', 'host = "new.sekimori.localhost"')
    assert "new.sekimori.localhost" in rules.reload("config.reject")["why"]["reason"], "no certificate covers it"
    rules.certify("chart", "lab", "old", "new").reload()
    assert door.ask("GET /files/a", host=f"old.{DOMAIN}:{lab.https}").status == 421
    # The old host's cookie is no session at the new one.
    assert door.ask("GET /files/a", f"Cookie: {old.cookie}", host=f"new.{DOMAIN}:{lab.https}").status == 401
    assert [request.target for request in seen.requests] == ["/files/a"]


# What an app's options do


def test_keep_alive_an_idle_connection_is_used_again_and_then_closed(door, seen):
    raw = door.open()
    for _ in range(3):
        assert raw.send(door.text("GET /open")).answer()[0] == 200
    clients = {request.client for request in seen.requests}
    assert len(clients) == 1
    wait_until(lambda: not seen.has_open(clients), "the idle connection is closed after 300 ms", 2)
    assert raw.send(door.text("GET /open")).answer()[0] == 200
    assert seen.requests[-1].client not in clients


def test_req_h22_without_retry_a_read_is_asked_once(door, seen):
    seen.answer = lambda request, connection: "close"
    assert door.ask("GET /open").status == 502
    assert len(seen.requests) == 1


def test_the_host_and_authorization_that_an_app_asked_for(lab, visitor, door, seen):
    chart = Door(lab, "chart", visitor.cookie("chart"))
    for each, path in ((door, "/open"), (chart, "/patients")):
        assert each.ask(f"GET {path}", "Authorization: Basic eDp5", "Proxy-Authorization: Basic eDp5").status == 200
    asked, other = seen.requests
    assert (asked.get("host"), asked.get("x-forwarded-host")) == (f"127.0.0.1:{seen.port}", door.authority)
    assert (other.get("host"), other.get("x-forwarded-host")) == (chart.authority, chart.authority)
    assert (asked.get("authorization"), other.get("authorization")) == ("Basic eDp5", None)
    assert asked.get("remote-user") is None and other.get("remote-user") == PHYSICIAN
    assert all(r.get("proxy-authorization") is None for r in seen.requests)


def test_req_h17_listed_parameters_pass_as_they_are_and_others_are_400(door, seen):
    for path, status in (
        ("/open/a;jsessionid=1", 200),
        ("/open;jsessionid=x.y/a", 200),
        ("/open/a;JSESSIONID=1", 400),
        ("/open/a;jsessionid=1;x=2", 400),
        ("/open/..;jsessionid=1/flip", 400),
        ("/open/a;jsessionid=%2f", 400),
    ):
        assert door.ask(f"GET {path}").status == status, path
    assert [request.target for request in seen.requests] == ["/open/a;jsessionid=1", "/open;jsessionid=x.y/a"]


def test_req_h17_paths_of_another_encoding_pass_only_where_the_app_says_so(lab, visitor, door, seen):
    """CP932 for ソ is 83 5C: a backslash byte that is none."""
    old = Door(lab, "old", visitor.cookie("old"))
    for path in ("/files/%83%5c", "/files/%83%5C.txt", "/files/%8e%52", "/files/a"):
        assert old.ask(f"GET {path}").status == 200, path
        assert seen.requests[-1].target == path
    for path in ("/files/%2e%2e/x", "/files/a%2fb", "/files/%00", "/files/%252e", "/files//a"):
        assert old.ask(f"GET {path}").status == 400, path
    for path in ("/open/%83%5c", "/open/%8e%52", "/open/a%5cb"):
        assert door.ask(f"GET {path}").status == 400, path

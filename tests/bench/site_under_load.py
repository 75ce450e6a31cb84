"""The hospital that is measured: a thousand nurses who enrolled and logged in through the front door."""

import concurrent.futures
import json
import shutil
import time

from hospital import DEMO, Hospital, Staff, wait_until
from load import CONNECTIONS, HOST, Browser, LoadFailed
from machine import TESTED_CORE, on_core, resident
from raw import Raw

NURSES = 1000
THREADS = 6
# What C-21 asks for at least: memory in KiB, and passes.
ARGON2 = {"argon2_memory": 19 * 1024, "argon2_passes": 2}
# Everybody comes from this machine's one address, so the limits of an address are raised; all stay on.
SETTINGS = {
    "server": {"workers": "1"},
    "session": {"lock_after": '"15m"'},
    "login": {"attempts_per_minute": "10000", "argon2_memory": f'"{ARGON2["argon2_memory"] // 1024}MiB"',
              "argon2_passes": str(ARGON2["argon2_passes"])},
    "limits": {"requests_per_second": "1000000", "connections_per_address": "4096"},
}
BEARER_SECONDS = 120
# People of the HR file who don't come with the others.
SPARE = 100
# A request that was let through has one record of these; one that was opened has another when it closes.
PERMITTED = ("request.permit", "request.open")


class Site:
    """The gateway on its core, and the browsers of everybody who is logged in."""

    def __init__(self, folder, upstream, tls, nurses=NURSES, tell=print, settings=None):
        self.nurses, self.tell, self.browsers = nurses, tell, []
        settings = {table: {**SETTINGS.get(table, {}), **(settings or {}).get(table, {})}
                    for table in {**SETTINGS, **(settings or {})}}
        self.hospital = Hospital(folder, {"chart": upstream.plain}, settings)
        # The certificate that all candidates show.
        for name in ("ca.pem", "tls.pem", "tls.key"):
            shutil.copy2(tls / name, self.hospital.ca.with_name(name))
        self.journal = Journal(self.hospital.journal)

    def open(self, arrived=lambda _count: None):
        """Starts the gateway and logs everybody in; `arrived` hears how many are there, every now and then."""
        self.hospital.prepare()
        self.start()
        self.empty = resident(self.pid)
        self.hospital.open_desk()
        started = time.monotonic()
        everybody = personnel_file(self.hospital.folder / "nurses.csv", self.nurses + SPARE)
        staff, self.spare = everybody[:self.nurses], everybody[self.nurses:]
        self.hospital.ctl("hr", "import", str(self.hospital.folder / "nurses.csv"))
        refreshed = 0
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            for at in range(0, len(staff), 100):
                if time.monotonic() - refreshed > BEARER_SECONDS:
                    self.hospital.refresh_cli()
                    refreshed = time.monotonic()
                self.browsers += pool.map(self._arrive, staff[at:at + 100])
                arrived(len(self.browsers))
        self.tell(f"{len(self.browsers)} people enrolled a passkey and logged in, "
                  f"in {time.monotonic() - started:.0f} s")
        return self

    def start(self):
        with on_core(TESTED_CORE):
            self.hospital.start()

    def restart(self):
        """Another process, with the sessions of the one before."""
        self.hospital.stop()
        self.start()

    @property
    def port(self):
        return self.hospital.https

    @property
    def pid(self):
        return self.hospital.process.pid

    def more(self, count):
        """So many more people, logged in, with their passkeys."""
        found = []
        for staff_no in self._spare(count):
            nurse = self._somebody(staff_no).enrol(self.hospital.issue(staff_no))
            self._come(nurse)
            found.append(nurse)
        return found

    def with_passwords(self, password, count):
        """So many more people who have a password, not logged in."""
        return [self._somebody(staff_no).enrol_password(self.hospital.issue(staff_no), password)
                for staff_no in self._spare(count)]

    def _spare(self, count):
        self.hospital.refresh_cli()
        taken, self.spare = self.spare[:count], self.spare[count:]
        assert len(taken) == count, "not so many people are spare"
        return taken

    def _somebody(self, staff_no):
        nurse = Staff(self.hospital, staff_no)
        # Terminals have addresses of their own; the limits of one hold for each.
        nurse.web.address = terminal(int(staff_no))
        return nurse

    def _arrive(self, staff_no):
        return self._come(self._somebody(staff_no).enrol(self.hospital.issue(staff_no)))

    def officers(self):
        """The browsers of the hospital's two system administrators, whose role no HR data gives. An account has one
        session that isn't locked, so there are two."""
        hospital = self.hospital
        found = []
        for officer in (hospital.officer, Staff(hospital, "900002").enrol(hospital.second_code)):
            officer.web = hospital.web()
            found.append(self._come(officer, "/admin"))
        return found

    def _come(self, nurse, start="/"):
        """Logs in at the chart, as somebody who is enrolled."""
        staff_no = nurse.staff_no
        chart = self.hospital.origin("chart") + start
        # So many arrivals a minute from one address are more than the gateway takes: it says how long to wait.
        while (page := nurse.web.open(chart)).status == 429:
            time.sleep(int(page.header("retry-after")))
        page = nurse.web.submit(page, page.form("/login/name"), {"name": staff_no})
        page = nurse.onward(nurse.touch(page, "/login/passkey"))
        cookies = nurse.web.cookies.get(HOST, {})
        assert page.status == 200 and page.url == chart and "__Host-sk" in cookies, (page.status, page.url, page.text)
        return Browser(staff_no, dict(cookies))

    def prove(self, prepared):
        """Sends each request once: the page comes, and the record names that person and that patient."""
        self.journal.skip()
        connection = Raw(self.port, self.hospital.ca, HOST, timeout=30)
        for request in prepared:
            status, _, body = connection.send(request.text).answer()
            assert status == 200 and len(body) >= 1024, (status, request.text, body[:500])
        connection.close()
        found = [(record["who"]["staff_no"], record["what"].get("patient")) for record in
                 map(json.loads, self.journal.fresh().splitlines()) if record["event"] in PERMITTED]
        wanted = [(request.staff_no, request.patient) for request in prepared]
        assert found == wanted, f"{len(wanted)} requests, {len(found)} records, in another order or of others"

    def check_journal(self, answered, asked):
        """After a round: as many records as answers, but for what was under way when the load stopped.

        `asked()` says how many requests of the round the upstream has seen.
        """
        new = b""

        def permitted():
            nonlocal new
            new += self.journal.fresh()
            return sum(new.count(f'"event":"{event}"'.encode()) for event in PERMITTED)

        wait_until(lambda: permitted() >= asked(), "a record for each request that the upstream saw", 20)
        refused, recorded = new.count(b'"outcome":"denied"'), permitted()
        if refused or not answered <= asked() <= recorded <= answered + CONNECTIONS:
            raise LoadFailed(f"{answered} answers, {asked()} requests at the upstream, {recorded} records of permits, "
                             f"{refused} of refusals")

    def stop(self):
        self.hospital.stop()

    def close(self):
        """Stops the gateway and verifies the whole journal."""
        self.stop()
        self.hospital.ctl("audit", "verify", str(self.hospital.journal), "--key",
                          str(self.hospital.ca.with_name("journal.pub")), client=False)


class Journal:
    """Reads what was added to the journal's segments since the last time."""

    def __init__(self, folder):
        self.folder, self.read = folder, {}

    def skip(self):
        for segment in self.folder.glob("*.jsonl"):
            self.read[segment] = segment.stat().st_size

    def fresh(self):
        """The bytes of the new lines."""
        added = b""
        for segment in sorted(self.folder.glob("*.jsonl")):
            with segment.open("rb") as file:
                file.seek(self.read.get(segment, 0))
                new = file.read()
            self.read[segment] = self.read.get(segment, 0) + len(new)
            added += new
        return added


def terminal(number):
    """The address of a terminal: one of some hundreds on this machine, none of them the load generator's."""
    return f"127.0.{number // 200 % 10 + 1}.{number % 200 + 1}"


def personnel_file(file, count):
    """An HR file of `count` nurses in the demo's form; their staff numbers."""
    header = (DEMO / "hr.csv").read_bytes().decode("cp932").splitlines()[0]
    staff = [f"{500000 + number:06}" for number in range(count)]
    rows = []
    for number, staff_no in enumerate(staff):
        known = {
            "職員番号": staff_no, "氏名": f"計測　花子{number}", "フリガナ": "ケイソク ハナコ", "生年月日": "1990/04/01",
            "雇用区分": "常勤", "部署": f"{number % 12 + 1}階病棟", "職種": "看護師", "主務区分": "主務",
            "発令日": "2015/04/01", "入職日": "2015/04/01", "資格": "看護師", "資格番号": f"{700000 + number}",
        }
        rows.append(",".join(known.get(column, "") for column in header.split(",")))
    file.write_bytes("\r\n".join([header, *rows, ""]).encode("cp932"))
    return staff


def made_up(count):
    """Browsers with cookies of the usual size that nobody gave: for peers that don't look at them."""
    return [Browser(f"{number:06}", {"__Host-sk": f"{number:043}", "__Host-sk-bind": "b" * 43, "sk.WARDSESSION": "s" * 120})
            for number in range(count)]

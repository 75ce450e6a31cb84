"""A hospital in a temporary folder: the real `sekimori` and `sekimorictl`, configured as an administrator would."""

import datetime
import html
import http.client
import ipaddress
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import store
from passkey import Passkey
from totp import Totp
from web import NAVIGATION, Web

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("SEKIMORI_BINARIES", ROOT / "target" / "debug"))
DEMO = ROOT / "config" / "examples" / "demo"
DOMAIN = "sekimori.localhost"
ENVIRONMENT = {**{k: v for k, v in os.environ.items() if not k.startswith("SSL_CERT")}, "LANG": "C.UTF-8"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what, seconds=10):
    """Polls until `condition()` is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return found


class Hospital:
    """`settings` are lines that replace or extend the demo's main file; `upstreams` give apps their ports.
    With `clock`, the gateway's wall clock is ours to move (`forward`)."""

    stores = store.File  # what the run was asked for (`--store`)

    def __init__(self, folder, upstreams=None, settings=None, clock=False):
        self.folder = pathlib.Path(folder)
        self.environment, self.ahead = ENVIRONMENT, 0
        self.https, self.http = free_port(), free_port()
        self.process = None
        self.upstreams = upstreams or {}
        var = self.folder / "var"
        var.mkdir(parents=True)
        shutil.copytree(DEMO / "policy", self.folder / "policy")
        hosts = self._apps()
        self.ca = var / "ca.pem"
        certificates(var, [f"auth.{DOMAIN}", *hosts])
        self.store = self.stores(self.folder)
        self.file = self.folder / "sekimori.toml"
        self.file.write_text(self._main(settings or {}))
        (var / "cli.toml").write_text(f'api = "https://auth.{DOMAIN}:{self.https}"\nca = "ca.pem"\n')
        self.journal = var / "journal"
        self.checkpoints = var / "checkpoints"
        self.officer = None
        if clock:
            self._own_clock(var / "clock")

    def _apps(self):
        hosts = []
        for name in self.upstreams:
            extra = pathlib.Path(__file__).parent / "policy" / f"{name}.toml"
            if extra.exists():
                shutil.copy(extra, self.folder / "policy")
        for file in (self.folder / "policy").glob("*.toml"):
            text = file.read_text()
            app = re.search(r'^name = "(\w+)"$', text, re.M)
            if app and app[1] in self.upstreams:
                text = re.sub(r'^upstream = .*$', f'upstream = "http://127.0.0.1:{self.upstreams[app[1]]}"',
                              text, flags=re.M)
                file.write_text(text)
            hosts += re.findall(r'^host = "(.+)"$', text, re.M)
        return hosts

    def _main(self, settings):
        text = (DEMO / "sekimori.toml").read_text()
        text = text.replace("127.0.0.1:8443", f"127.0.0.1:{self.https}")
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{self.http}")
        given = {"login": {"argon2_memory": '"19MiB"', "argon2_passes": "2", "attempts_per_minute": "10000"},
                 "limits": {"requests_per_second": "100000", "connections_per_address": "4096"}}
        for table, options in [("store", self.store.options), *settings.items()]:
            given.setdefault(table, {}).update(options)
        for table, options in given.items():
            lines = "\n".join(f"{name} = {value}" for name, value in options.items())
            if f"\n[{table}]\n" in text:
                for name in options:
                    text = re.sub(rf"(\n\[{table}\]\n(?:(?!\[).*\n)*?){name} = .*\n", r"\1", text)
                text = text.replace(f"\n[{table}]\n", f"\n[{table}]\n{lines}\n")
            else:
                text += f"\n[{table}]\n{lines}\n"
        return text

    # The clock

    def _own_clock(self, file):
        library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        self.environment = {**ENVIRONMENT, "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(file),
                            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
        self.clock = file
        self.forward(0)

    def forward(self, seconds):
        """Moves the gateway's wall clock, from one request to the next."""
        self.ahead += seconds
        new = self.clock.with_suffix(".new")
        new.write_text(f"+{self.ahead}\n")
        new.replace(self.clock)
        return self

    def now(self):
        """Seconds since the epoch by the gateway's clock."""
        return time.time() + self.ahead

    # The server

    def make_key(self):
        """The master key, for whoever seals secrets before the rest; made once."""
        key = self.folder / "var" / "master.key"
        if not key.exists():
            self.ctl("key", "init", str(key), client=False)

    def prepare(self):
        """Master key and two registrars, as a site begins."""
        self.make_key()
        codes = []
        for number, name in (("900001", "関 守"), ("900002", "番 人")):
            told = self.ctl("bootstrap", "--config", str(self.file), "--registrar", number, name,
                            "--role", "registrar", "--role", "auditor", "--role", "sysadmin", client=False)
            codes.append(told["enrolment code"])
        self.officer_code, self.second_code = codes
        return self

    def start(self):
        log = open(self.folder / "sekimori.log", "ab")
        self.process = subprocess.Popen([BINARIES / "sekimori", "serve", "--config", self.file],
                                        stdout=log, stderr=log, env=self.environment)
        wait_until(self._answers, f"the gateway answers; its log: {self.log()[-2000:]}", 20)
        return self

    def _answers(self):
        assert self.process.poll() is None, f"the gateway stopped: {self.log()[-3000:]}"
        return self.listens()

    def listens(self):
        """Whether the HTTPS port takes connections."""
        try:
            socket.create_connection(("127.0.0.1", self.https), 1).close()
            return True
        except OSError:
            return False

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(30)

    def health(self, path="/readyz"):
        """What the gateway says of itself to operators: status and text."""
        connection = http.client.HTTPConnection("localhost", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.settimeout(10)
            connection.sock.connect(str(self.folder / "var" / "health.sock"))
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def log(self):
        file = self.folder / "sekimori.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def origin(self, name="auth"):
        return f"https://{name}.{DOMAIN}:{self.https}"

    # People

    def ctl(self, *arguments, client=True, expect=0, stdin=None):
        """Runs `sekimorictl`; its JSON. `client` is another `cli.toml`, or False; `expect` the exit code; `stdin`
        what is typed."""
        command = [BINARIES / "sekimorictl", "--output", "json"]
        if client:
            command += ["--client", self.folder / "var" / "cli.toml" if client is True else client]
        ran = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, input=stdin,
                             env=self.environment if not client else ENVIRONMENT)
        assert ran.returncode == expect, f"{arguments}: {ran.returncode}: {ran.stdout}{ran.stderr}"
        text = ran.stdout.strip() or ran.stderr.strip()
        return json.loads(text) if text else None

    def web(self):
        return Web(self.ca, self.https)

    def open_desk(self):
        """The first registrar enrols, logs in, and imports the HR file."""
        self.officer = Staff(self, "900001").enrol(self.officer_code)
        self.refresh_cli()
        self.ctl("hr", "import", str(DEMO / "hr.csv"))
        return self

    def refresh_cli(self):
        """The registrar proves himself anew; changes want that within five minutes."""
        self.officer.web = self.web()
        self.officer.login()
        self.ctl("login", "--code", self.officer.cli_code())
        self.proved = self.now()

    def issue(self, staff_no):
        """An enrolment code from the desk."""
        if self.now() - self.proved > 240:
            self.refresh_cli()
        return self.ctl("enrolment", "issue", staff_no, "--evidence", "staff card")["code"]

    def hire(self, staff_no, password=None):
        """A person of the HR file with a passkey (and a password with codes), not yet logged in."""
        return Staff(self, staff_no).enrol(self.issue(staff_no), password)

    def journaled(self, event=None):
        """The journal's records, once none waits in the store's outbox any more."""
        unsent = "SELECT COUNT(*) FROM outbox WHERE journaled_at IS NULL"
        wait_until(lambda: self.store.number(unsent) == 0, "the records of the store are in the journal")
        return self.records(event)

    def records(self, event=None):
        """The journal's records, from its files."""
        found = []
        for segment in sorted(self.journal.glob("*.jsonl")):
            whole, _, _ = segment.read_bytes().rpartition(b"\n")
            for line in whole.splitlines():
                record = json.loads(line)
                if event is None or record["event"] == event:
                    found.append(record)
        return found


class Staff:
    """A person with a browser of his own and a passkey in his pocket."""

    def __init__(self, hospital, staff_no):
        self.hospital, self.staff_no = hospital, staff_no
        self.web = hospital.web()
        self.passkey = Passkey(hospital.origin())
        self.password = self.totp = None

    def begin(self, code):
        """Redeems an enrolment code; the page that asks whether it is this person."""
        page = self.web.open(f"{self.hospital.origin()}/enrol")
        return self.web.submit(page, page.form("/enrol/start"), {"staff_no": self.staff_no, "code": code})

    def enrol(self, code, password=None):
        page = self.web.open(self.begin(code).link("by=passkey"))
        answer = self.passkey.register(options(page))
        page = self.web.submit(page, page.form("/enrol/passkey"), {"credential": json.dumps(answer)})
        if password:
            return self._enrol_secrets(page, password)
        page = self.web.submit(page, page.form("/enrol/finish"))
        assert page.status == 200, (page.status, page.text)
        return self

    def enrol_password(self, code, password):
        """Enrols without a passkey."""
        return self._enrol_secrets(self.web.open(self.begin(code).link("by=passkey")), password)

    def _enrol_secrets(self, page, password):
        page = self.web.open(page.link("by=password"))
        page = self.web.submit(page, page.form("/enrol/password"), {"secret": password, "again": password})
        self.password, self.totp = password, Totp(re.search(r'class="seed">([^<]+)<', page.text)[1])
        page = self.web.submit(page, page.form("/enrol/totp"), {"secret": self.code()})
        assert page.status == 200 and not page.forms, (page.status, page.text)
        return self

    def code(self):
        """What the verification code app shows now. Each is good once: move the clock for the next."""
        return self.totp.at(self.hospital.now())

    def go(self, url=None):
        """Goes to `url` (or the portal's login) and says who it is; the page that asks for the passkey."""
        page = self.web.open(url or self.hospital.origin() + "/login")
        return self.web.submit(page, page.form("/login/name"), {"name": self.staff_no})

    def login(self, url=None):
        """Goes to `url` (or the launcher) and logs in on the way; the page it ends on."""
        return self.onward(self.touch(self.go(url), "/login/passkey"))

    def login_by_password(self, url=None):
        page = self.web.open(self.go(url).link("by=password"))
        page = self.web.submit(page, page.form("/login/password"), {"secret": self.password})
        return self.onward(self.web.submit(page, page.form("/login/totp"), {"secret": self.code()}))

    def unlock(self, page):
        """From the lock page to where it leads."""
        return self.onward(self.touch(page, "/unlock/passkey"))

    def unlock_by_password(self, page):
        page = self.web.open(page.link("by=password"))
        return self.onward(self.web.submit(page, page.form("/unlock/password"), {"secret": self.password}))

    def touch(self, page, action):
        """Answers the page's question to the passkey."""
        answer = self.passkey.sign(options(page))
        page = self.web.submit(page, page.form(action), {"credential": json.dumps(answer)})
        assert page.status == 200, (page.status, page.text)
        return page

    def press(self, button, page=None):
        """Presses the button of our pages whose form goes there: `/lock`, `/logout`."""
        page = page or self.web.open(self.hospital.origin() + "/")
        return self.web.submit(page, page.form(button))

    def onward(self, page):
        """What the portal's last page leads to by itself: the app's page, or the launcher."""
        if "/.sekimori/enter" in page.text:
            page = self.web.request("GET", page.link("/.sekimori/enter"), headers={
                **NAVIGATION, "Sec-Fetch-Site": "same-site"})
        return page

    def cli_code(self):
        page = self.web.open(self.hospital.origin() + "/cli")
        page = self.web.submit(page, page.form("/cli"))
        return re.search(r"<output[^>]*>([^<]+)</output>", page.text)[1].strip()

    def cookie(self, host="chart"):
        return self.web.cookies[f"{host}.{DOMAIN}"]["__Host-sk"]


def options(page):
    """The passkey options that the page carries for its script."""
    found = re.search(r'data-options="([^"]+)"', page.text)
    assert found, f"no passkey asked for on {page.url} ({page.status}): {page.text[:3000]}"
    return json.loads(html.unescape(found[1]))


def certificates(folder, hosts):
    """A test CA and one leaf for the hosts, in PEM files as the configuration names them."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def sign(subject, key, issuer, issuer_key, extensions):
        builder = (x509.CertificateBuilder()
                   .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
                   .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
                   .public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=90)))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(issuer_key, hashes.SHA256())

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = sign("test CA", ca_key, "test CA", ca_key, [
        (x509.BasicConstraints(ca=True, path_length=0), True), (identifier, False),
        (x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)])
    names = x509.SubjectAlternativeName(
        [x509.DNSName(host) for host in hosts] + [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = sign("test gateway", key, "test CA", ca_key, [
        (names, False), (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False),
        (x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH, x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]), False)])
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "tls.pem").write_bytes(leaf.public_bytes(pem))
    private = folder / "tls.key"
    private.touch(0o600)
    private.write_bytes(key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))

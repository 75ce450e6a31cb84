"""Who may come in by TLS, and to which hosts a connection leads (A13N-2, A14, H-37): client certificates, profiles,
coalesced connections, ends of certificates."""

import shutil
import socket
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from authority import Authority
from browser import Person, browsing
from conftest import NURSE
from hospital import BINARIES, DOMAIN, ENVIRONMENT, Hospital, wait_until
from http2 import Door2, Http2
from raw import Door, Raw
from web import Answer

RECORDER, CHART, PORTAL = (f"{name}.{DOMAIN}" for name in ("recorder", "chart", "auth"))


def since(hospital, seq, event):
    return [record for record in hospital.records(event) if record["seq"] > seq]


def last_seq(hospital):
    return hospital.records()[-1]["seq"]


class Outside:
    """A hospital whose recorder is reached over an open network, and the certificates of its clients."""

    def __init__(self, folder, upstreams, profile="open"):
        self.hospital = Hospital(folder / "hospital", upstreams)
        self.clients, self.strangers = Authority(folder, "clients"), Authority(folder, "strangers")
        self.nurse, self.nurse_key, _ = self.clients.issue("nurse")
        self.lost, self.lost_key, lost = self.clients.issue("lost")
        self.main(f'minimum_version = "1.2"\nclient_ca = "{self.clients.file}"\n'
                  f'client_crl = "{self.clients.take_back(lost)}"\n')
        self.app("recorder", profile)

    def main(self, lines):
        file = self.hospital.file
        file.write_text(file.read_text().replace("\n[tls]\n", f"\n[tls]\n{lines}"))

    def app(self, name, profile):
        file = self.hospital.folder / "policy" / f"{name}.toml"
        file.write_text(file.read_text().replace(f'\nname = "{name}"\n', f'\nname = "{name}"\ntls_profile = "{profile}"\n', 1))

    def context(self, certificate=None, key=None, change=lambda context: None):
        context = ssl.create_default_context(cafile=self.hospital.ca)
        if certificate:
            context.load_cert_chain(certificate, key)
        change(context)
        return context

    def shake(self, host, *certificate, **more):
        """Shakes hands and asks for a page; the version and status, or what went wrong."""
        context = self.context(*certificate, **more)
        with socket.create_connection(("127.0.0.1", self.hospital.https), 5) as plain:
            with context.wrap_socket(plain, server_hostname=host) as secure:
                secure.sendall(f"GET /pages/a HTTP/1.1\r\nHost: {host}:{self.hospital.https}\r\n\r\n".encode())
                return secure.version(), int(secure.makefile("rb").readline().split()[1])


@pytest.fixture(scope="module")
def outside(tmp_path_factory, recorder):
    made = Outside(tmp_path_factory.mktemp("outside"), {"recorder": recorder.port})
    made.hospital.prepare().start().open_desk()
    made.person = made.hospital.hire(NURSE)
    made.person.web.tls = made.context(made.nurse, made.nurse_key)
    made.person.login(f"https://{RECORDER}:{made.hospital.https}/")
    yield made
    made.hospital.stop()


@pytest.fixture()
def inside(outside, seen):
    """The nurse's requests to the recorder, by her own certificate."""
    door = Door2(Door(outside.hospital, "recorder", outside.person.cookie("recorder")))
    door.context = outside.context(outside.nurse, outside.nurse_key)
    seen.requests.clear()
    return door


# Open networks


def test_req_a13n_2_an_open_host_lets_nobody_in_without_a_certificate_of_the_hospital(outside, seen):
    before = last_seq(outside.hospital)
    late, late_key, _ = outside.clients.issue("late", since=-20, until=-1)
    server, server_key, _ = outside.clients.issue("server", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    forged, forged_key, _ = outside.strangers.issue("forged")
    wrong = [(), (late, late_key), (server, server_key), (forged, forged_key), (outside.lost, outside.lost_key)]
    for certificate in wrong:
        with pytest.raises((ssl.SSLError, ConnectionError, IndexError)):
            outside.shake(RECORDER, *certificate)
    assert outside.shake(RECORDER, outside.nurse, outside.nurse_key) == ("TLSv1.3", 401)
    assert seen.requests == []
    records = wait_until(lambda: len(found := since(outside.hospital, before, "edge.malformed")) >= len(wrong) and found,
                         "they are on record")
    assert {record["why"]["reason"] for record in records} == {"client-certificate"}


def test_req_a13n_2_an_open_host_speaks_tls_1_3_alone_whatever_others_speak(outside):
    def only_12(context):
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        outside.shake(RECORDER, outside.nurse, outside.nurse_key, change=only_12)
    assert outside.shake(PORTAL, change=only_12)[0] == "TLSv1.2"


def test_req_a13n_2_no_session_is_resumed_past_the_certificate(outside):
    context = outside.context(outside.nurse, outside.nurse_key)
    sessions = []
    for host in (RECORDER, RECORDER, PORTAL, RECORDER):
        with socket.create_connection(("127.0.0.1", outside.hospital.https), 5) as plain:
            with context.wrap_socket(plain, server_hostname=host, session=sessions[-1] if sessions else None) as secure:
                secure.sendall(f"GET / HTTP/1.1\r\nHost: {host}:{outside.hospital.https}\r\n\r\n".encode())
                assert secure.recv(1) and not secure.session_reused
                sessions.append(secure.session)
    # A ticket of the portal's doesn't open it either.
    stranger = outside.context()
    with socket.create_connection(("127.0.0.1", outside.hospital.https), 5) as plain:
        with stranger.wrap_socket(plain, server_hostname=PORTAL) as secure:
            secure.sendall(f"GET / HTTP/1.1\r\nHost: {PORTAL}:{outside.hospital.https}\r\n\r\n".encode())
            secure.recv(1)
            ticket = secure.session
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with socket.create_connection(("127.0.0.1", outside.hospital.https), 5) as plain:
            with stranger.wrap_socket(plain, server_hostname=RECORDER, session=ticket) as secure:
                secure.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert secure.recv(1) == b""
                raise ConnectionError


def test_req_a13n_2_open_legacy_is_for_tls_1_2_with_a_certificate(tmp_path, started):
    made = Outside(tmp_path, {"recorder": 1}, "open-legacy")
    started(made.hospital)

    def only_12(context):
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    assert made.shake(RECORDER, made.nurse, made.nurse_key, change=only_12) == ("TLSv1.2", 401)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        made.shake(RECORDER, change=only_12)


# Coalescing


def test_req_h37_an_open_host_is_not_reached_over_another_hosts_connection(outside, inside, seen):
    for name in (CHART, PORTAL):
        line = Http2(outside.hospital.https, outside.hospital.ca, name)
        got = line.send(line.head(1, inside.fields("GET /pages/a"))).answer(1)
        assert isinstance(got, Answer) and got.status == 421, got
        # The connection is good for what it was made for.
        own = [(":method", "GET"), (":scheme", "https"), (":authority", f"{name}:{outside.hospital.https}"), (":path", "/")]
        assert line.send(line.head(3, own)).answer(3).status != 421
        line.close()
        raw = Raw(outside.hospital.https, outside.hospital.ca, name)
        status, headers, _ = raw.send(inside.door.text("GET /pages/a")).answer()
        assert status == 421 and dict(headers)["connection"] == "close" and raw.closed()
    assert seen.requests == []


def test_req_h37_nor_another_over_its_own(outside, inside, seen):
    line = Http2(outside.hospital.https, outside.hospital.ca, RECORDER, context=inside.context)
    assert line.send(line.head(1, inside.fields("GET /pages/a"))).answer(1).status == 200
    for name in (CHART, PORTAL):
        fields = inside.fields("GET /", authority=f"{name}:{outside.hospital.https}", cookie=False)
        assert line.send(line.head(3 if name == CHART else 5, fields)).answer(3 if name == CHART else 5).status == 421
    assert [request.target for request in seen.requests] == ["/pages/a"]


def test_req_h37_hosts_that_ask_the_same_share_a_connection(hospital, door, seen):
    two = Door2(door)
    line = Http2(hospital.https, hospital.ca, CHART)
    assert line.send(line.head(1, two.fields("GET /pages/a"))).answer(1).status == 200
    portal = [(":method", "GET"), (":scheme", "https"), (":authority", f"{PORTAL}:{hospital.https}"), (":path", "/login"),
              ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]
    assert line.send(line.head(3, portal)).answer(3).status == 200
    assert [request.target for request in seen.requests] == ["/pages/a"]


def test_req_h37_a_reload_that_asks_for_more_ends_what_was_shaken_hands_on_before(tmp_path, started):
    made = Outside(tmp_path, {"recorder": 1})
    started(made.hospital)
    chart = [(":method", "GET"), (":scheme", "https"), (":authority", f"{CHART}:{made.hospital.https}"), (":path", "/")]
    line = Http2(made.hospital.https, made.hospital.ca, CHART)
    assert line.send(line.head(1, chart)).answer(1).status == 401
    made.app("chart", "open")
    made.hospital.reload()
    wait_until(lambda: made.hospital.records("config.load"), "the reload is done")
    assert line.send(line.head(3, chart)).answer(3).status == 421
    with pytest.raises((ssl.SSLError, ConnectionError)):
        made.shake(CHART)
    # A list that takes the nurse's back too: her connections lead nowhere, and she gets no new one.
    context = made.context(made.nurse, made.nurse_key)
    line = Http2(made.hospital.https, made.hospital.ca, RECORDER, context=context)
    recorders = [(n, v.replace(CHART, RECORDER)) for n, v in chart]
    assert line.send(line.head(1, recorders)).answer(1).status == 401
    serial = x509.load_pem_x509_certificate(made.nurse.read_bytes()).serial_number
    made.clients.take_back(serial)
    made.hospital.reload()
    wait_until(lambda: len(made.hospital.records("config.load")) == 2, "the reload is done")
    assert line.send(line.head(3, recorders)).answer(3).status == 421
    with pytest.raises((ssl.SSLError, ConnectionError)):
        made.shake(RECORDER, made.nurse, made.nurse_key)


def test_req_h27_and_h37_a_certificate_taken_back_ends_the_streams_it_opened(tmp_path, recorder, seen, started):
    made = Outside(tmp_path, {"recorder": recorder.port})
    started(made.hospital).open_desk()
    nurse = made.hospital.hire(NURSE)
    nurse.web.tls = made.context(made.nurse, made.nurse_key)
    nurse.login(f"https://{RECORDER}:{made.hospital.https}/")
    two = Door2(Door(made.hospital, "recorder", nurse.cookie("recorder")))

    def open_end(request, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        connection.recv(100)
        return "close"

    seen.answer = open_end
    line = Http2(made.hospital.https, made.hospital.ca, RECORDER, context=nurse.web.tls)
    line.send(line.head(1, two.fields("GET /stream")))
    line.until(lambda: b"data: 1" in line.bodies.get(1, b""), "the first event")
    made.clients.take_back(x509.load_pem_x509_certificate(made.nurse.read_bytes()).serial_number)
    made.hospital.reload()
    wait_until(lambda: made.hospital.records("config.load"), "the reload is done")
    assert isinstance(line.answer(1, 1.5), int)


def test_req_h37_chromium_with_one_wildcard_certificate(tmp_path, recorder, seen, started):
    """It shares a connection among hosts of one door, and doesn't get into the next."""
    made = Outside(tmp_path, {"recorder": recorder.port, "chart": recorder.port, "lab": recorder.port})
    hosts = Authority(tmp_path, "hosts")
    certificate, key, _ = hosts.issue("wildcard", [f"*.{DOMAIN}"], ExtendedKeyUsageOID.SERVER_AUTH)
    var = made.hospital.folder / "var"
    shutil.copy(certificate, var / "tls.pem"), shutil.copy(key, var / "tls.key"), shutil.copy(hosts.file, var / "ca.pem")
    started(made.hospital).open_desk()
    seen.answer = lambda request, connection: connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<title>a</title>")
    code = made.hospital.issue(NURSE)
    with browsing(made.hospital) as chromium:
        person = Person(chromium, made.hospital, NURSE)
        lab = f"{made.hospital.origin('lab')}/open"
        person.enrol(code).login(lab)
        page = person.page
        page.wait_for_url(lambda url: url == lab)
        page.goto(f"https://{CHART}:{made.hospital.https}/patients")
        protocol = "() => performance.getEntriesByType('navigation')[0].nextHopProtocol"
        assert page.evaluate(protocol) == "h2"
        ask = "url => fetch(url, {mode: 'no-cors', credentials: 'include'}).then(() => 'answered', () => 'failed')"
        assert page.evaluate(ask, lab) == "answered"
        assert page.evaluate(ask, f"https://{RECORDER}:{made.hospital.https}/pages/a") == "failed"
        person.close()
    assert not any(request.get("host").startswith(RECORDER) for request in seen.requests)


# Configuration


@pytest.fixture()
def written(tmp_path):
    return Outside(tmp_path, {"recorder": 1})


def check(hospital):
    ran = subprocess.run([BINARIES / "sekimorictl", "config", "check", hospital.file], capture_output=True, text=True,
                         env=ENVIRONMENT, timeout=20)
    return ran.returncode, ran.stdout


def prepared(hospital):
    hospital.ctl("key", "init", str(hospital.folder / "var" / "master.key"), client=False)
    for folder in ("journal", "checkpoints"):
        (hospital.folder / "var" / folder).mkdir(exist_ok=True)
    return hospital


@pytest.mark.parametrize("old, new, words", [
    ("client_ca = ", "# ", "name who may have signed them in `client_ca`"),
    ('clients.pem"', 'none.pem"', "none.pem"),
    ('clients.pem"', 'nurse.key"', "no certificate"),
    ('clients.crl"', 'clients.pem"', "no revocation list"),
    ('\n[tls]\n', '\n[tls]\nprofile = "shut"\n', "`shut` is none of"),
])
def test_client_certificates_are_configured_whole_or_not_at_all(old, new, words, written):
    hospital = prepared(written.hospital)
    assert check(hospital)[0] == 0
    text = hospital.file.read_text()
    assert old in text
    hospital.file.write_text(text.replace(old, new, 1))
    code, said = check(hospital)
    assert code == 1 and words in said, said


@pytest.mark.parametrize("days, code, words", [(45, 0, None), (29.5, 0, "ends in 29 days"), (-0.5, 1, "has ended")])
def test_certificates_that_end_soon_are_said_by_the_check_and_by_the_log(days, code, words, tmp_path, request):
    hospital = prepared(Hospital(tmp_path / "hospital", {"recorder": 1}))
    request.addfinalizer(hospital.stop)
    hosts = Authority(tmp_path, "hosts")
    names = [f"{name}.{DOMAIN}" for name in ("auth", "chart", "lab", "recorder", "pacs")]
    certificate, key, _ = hosts.issue("hosts-leaf", names, ExtendedKeyUsageOID.SERVER_AUTH, since=-60, until=days)
    var = hospital.folder / "var"
    shutil.copy(certificate, var / "tls.pem"), shutil.copy(key, var / "tls.key")
    got, said = check(hospital)
    assert got == code and (words or "ok") in said and ("hosts-leaf" in said) == bool(words), said
    # The gateway starts all the same, and says so in its log.
    hospital.start()
    if words:
        wait_until(lambda: words in hospital.log(), "the log says so")
    else:
        assert "the certificate of" not in hospital.log()

"""Certificates by ACME: asked for, proved, renewed, and what is served while there is none to be had."""

import socket
import ssl
import stat
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization

from acme_server import DAY, AcmeServer
from hospital import BINARIES, DOMAIN, ENVIRONMENT, Hospital, wait_until
from test_operations import metrics

HOST = f"recorder.{DOMAIN}"


class Site:
    """A hospital without any certificate of its own, and the authority that it asks."""

    def __init__(self, folder, recorder):
        self.hospital = Hospital(folder / "hospital", {"recorder": recorder.port}, clock=True)
        var = self.hospital.folder / "var"
        self.certificate, self.key, self.account = var / "tls.pem", var / "tls.key", var / "acme-account.sealed"
        self.certificate.unlink()
        self.key.unlink()
        self.acme = AcmeServer(folder, self.hospital.https, lambda: self.hospital.ahead)
        (var / "ca.pem").write_bytes(self.acme.authority.file.read_bytes())
        text = self.hospital.file.read_text()
        acme = (f'acme = {{ directory = "{self.acme.directory}", contact = "mailto:it@{DOMAIN}", '
                f'ca_file = "{self.acme.authority.file}" }}')
        self.hospital.file.write_text(text.replace("\n[tls]\n", f"\n[tls]\n{acme}\n"))

    def records(self, outcome):
        return [r for r in self.hospital.records("certificate.issue") if r["outcome"] == outcome]

    def after(self, outcome, act, seconds=20):
        """Does something and waits for the next attempt that ends so; its record."""
        before = len(self.records(outcome))
        act()
        wait_until(lambda: len(self.records(outcome)) > before, f"an attempt that is {outcome}", seconds)
        return self.records(outcome)[before]

    def served(self, host=HOST):
        """The serial number of the certificate that a client is shown, who believes the authority alone."""
        context = ssl.create_default_context(cafile=self.acme.authority.file)
        with socket.create_connection(("127.0.0.1", self.hospital.https), 5) as plain:
            with context.wrap_socket(plain, server_hostname=host) as line:
                return int(line.getpeercert()["serialNumber"], 16)

    def metric(self, name):
        return metrics(self.hospital).get((f"sekimori_certificate_{name}",))


@pytest.fixture(scope="module")
def site(tmp_path_factory, recorder):
    made = Site(tmp_path_factory.mktemp("acme"), recorder)
    made.acme.close()
    made.hospital.prepare().start()
    yield made
    made.hospital.stop()
    made.acme.close()


@pytest.fixture(scope="module")
def issued(site):
    """The same with its first certificate."""
    if not site.acme.issued:
        site.acme.open()
        site.after("ok", lambda: site.hospital.forward(3600))
    return site


def test_until_the_first_certificate_nobody_is_served_and_the_gateway_says_why(site):
    failed = site.after("failed", lambda: site.hospital.forward(3600))
    assert failed["why"]["reason"] == "authority" and "certificate authority" in failed["detail"]["said"]
    assert HOST in failed["detail"]["hosts"] and f"auth.{DOMAIN}" in failed["detail"]["hosts"]
    for verify in (True, False):
        context = ssl.create_default_context(cafile=site.acme.authority.file)
        if not verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with pytest.raises((ssl.SSLError, ConnectionError)), socket.create_connection(
                ("127.0.0.1", site.hospital.https), 5) as plain:
            context.wrap_socket(plain, server_hostname=HOST)
    assert site.hospital.health()[0] == 200, "readiness is about other things"
    assert site.metric("failures") >= 1 and site.metric("until_seconds") is None
    assert "no certificate was issued" in site.hospital.log()


def test_the_first_certificate_is_proved_issued_and_served_at_once(issued):
    acme, hospital = issued.acme, issued.hospital
    record = issued.records("ok")[0]
    assert record["what"]["id"] == acme.directory and HOST in record["detail"]["hosts"]
    hosts = record["detail"]["hosts"].split(" ")
    assert [host for host, right in acme.looked if right is True] == hosts, acme.looked
    for host in hosts:
        assert issued.served(host) == acme.issued[-1].serial_number
    assert "<form" in hospital.web().open(f"https://{HOST}:{hospital.https}/").text, "a person gets to the login"
    assert issued.metric("failures") == 0
    assert issued.metric("until_seconds") == acme.issued[-1].not_valid_after_utc.timestamp()


def test_its_keys_are_sealed_and_its_owners_alone(issued):
    for file in (issued.key, issued.account):
        assert file.read_bytes().startswith(b"sekimori-sealed-1 ") and b"PRIVATE" not in file.read_bytes()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert issued.certificate.read_text().count("BEGIN CERTIFICATE") == 2
    assert not list(issued.certificate.parent.glob("*.new"))


def test_outside_an_order_nobody_speaks_the_challenges_protocol(issued):
    assert not issued.acme.look(HOST, b"")
    assert "no application protocol" in str(issued.acme.looked.pop()[1]).lower().replace("_", " ")
    assert issued.served() == issued.acme.issued[-1].serial_number


def test_after_a_restart_it_is_served_though_the_authority_is_away(issued):
    hospital, acme = issued.hospital, issued.acme
    asked = len(acme.asked)
    acme.close()
    hospital.stop()
    hospital.start()
    assert issued.served() == acme.issued[-1].serial_number
    acme.open()
    assert len(acme.asked) == asked


def test_with_a_third_of_its_life_left_it_is_renewed_by_the_same_account(issued):
    hospital, acme = issued.hospital, issued.acme
    old, last = acme.issued[-1], len(acme.issued)
    issued.after("ok", lambda: hospital.forward(old.not_valid_after_utc.timestamp() - hospital.now() - 29 * DAY))
    assert len(acme.issued) == last + 1 and len(acme.accounts) == 1
    assert issued.served() == acme.issued[-1].serial_number != old.serial_number
    assert acme.issued[-1].public_key() != old.public_key(), "and with a new key"


def due(site):
    """Moves the clock to where the certificate is to be renewed."""
    left = site.acme.issued[-1].not_valid_after_utc.timestamp() - site.hospital.now()
    site.hospital.forward(left - 20 * DAY)


def test_while_the_authority_is_away_the_old_one_is_served_and_it_is_tried_again_later(issued):
    hospital, acme = issued.hospital, issued.acme
    serial = acme.issued[-1].serial_number
    acme.close()
    issued.after("failed", lambda: due(issued))
    assert issued.served() == serial and issued.metric("failures") == 1
    # Not before a minute is over, then not before two.
    failures = len(issued.records("failed"))
    hospital.forward(50)
    issued.after("failed", lambda: hospital.forward(15))
    assert len(issued.records("failed")) == failures + 1 and issued.metric("failures") == 2
    acme.open()
    issued.after("ok", lambda: hospital.forward(150))
    assert issued.served() == acme.issued[-1].serial_number != serial and issued.metric("failures") == 0


def test_a_proof_that_the_authority_does_not_accept_changes_nothing(issued):
    acme = issued.acme
    serial, count = acme.issued[-1].serial_number, len(acme.issued)
    acme.misled = True
    try:
        failed = issued.after("failed", lambda: due(issued))
    finally:
        acme.misled = False
    assert failed["why"]["reason"] == "challenge" and len(acme.issued) == count
    assert acme.looked[-1][1] is False
    assert issued.served() == serial
    # The challenge is withdrawn with the order.
    assert not acme.look(HOST, b"") and "protocol" in str(acme.looked.pop()[1]).lower()
    issued.after("ok", lambda: issued.hospital.forward(3600))


def test_atk_a44_no_other_host_is_asked_whatever_the_directory_says(issued):
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.3)
        issued.acme.elsewhere = f"https://localhost:{trap.getsockname()[1]}"
        try:
            failed = issued.after("failed", lambda: due(issued))
        finally:
            issued.acme.elsewhere = None
        assert "not at the directory's host" in failed["detail"]["said"]
        with pytest.raises(TimeoutError):
            trap.accept()
    issued.after("ok", lambda: issued.hospital.forward(3600))


def test_a_host_that_comes_with_a_reload_is_not_served_until_its_certificate_is_issued(issued):
    hospital, acme = issued.hospital, issued.acme
    rules = hospital.folder / "policy" / "recorder.toml"
    serial, count = acme.issued[-1].serial_number, len(acme.issued)
    acme.close()
    rules.write_text(rules.read_text().replace(f'"{HOST}"', f'"scribe.{DOMAIN}"'))
    issued.after("failed", hospital.reload)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        issued.served(f"scribe.{DOMAIN}")
    assert issued.served(f"auth.{DOMAIN}") == serial
    acme.open()
    issued.after("ok", lambda: hospital.forward(3600))
    assert len(acme.issued) == count + 1
    assert issued.served(f"scribe.{DOMAIN}") == issued.served(f"auth.{DOMAIN}") == acme.issued[-1].serial_number
    with pytest.raises((ssl.SSLError, ConnectionError)):
        issued.served(HOST)


def test_an_account_that_the_authority_has_forgotten_is_opened_anew(issued):
    acme = issued.acme
    acme.accounts.clear()
    issued.after("failed", lambda: due(issued))
    issued.after("ok", lambda: issued.hospital.forward(3600))
    assert len(acme.accounts) == 1


def test_files_that_do_not_belong_together_are_not_served_and_another_is_asked_for(issued):
    """As a kill between the two would leave them."""
    hospital, acme = issued.hospital, issued.acme
    hospital.stop()
    issued.certificate.write_bytes(acme.issued[0].public_bytes(serialization.Encoding.PEM))
    issued.after("ok", hospital.start)
    assert issued.served(f"auth.{DOMAIN}") == acme.issued[-1].serial_number
    assert "can't be read; another is asked for" in hospital.log()


def test_a_key_of_somebody_elses_is_not_written_over(site):
    other = site.key.with_name("other.key")
    other.write_text("-----BEGIN PRIVATE KEY-----")
    other.chmod(0o600)
    draft = site.hospital.folder / "draft.toml"
    draft.write_text(site.hospital.file.read_text().replace("tls.key", "other.key"))
    ran = subprocess.run([BINARIES / "sekimorictl", "config", "check", draft], capture_output=True, text=True, env=ENVIRONMENT)
    assert ran.returncode == 1 and "holds a key already" in ran.stdout + ran.stderr

"""Backup while people work, restore onto nothing and beside a living journal (A54, S-24)."""

import hashlib
import json
import pathlib
import shutil
import signal
import subprocess
import threading

import pytest

from conftest import CLERK, NURSE, PHYSICIAN
from hospital import BINARIES, ENVIRONMENT, Hospital, Staff, wait_until

PASSWORD = "correct horse battery 7 staple"


@pytest.fixture()
def site(tmp_path, recorder, seen):
    """A hospital of this test's own, whose clock is ours: verification codes want a new one each time."""
    hospital = Hospital(tmp_path / "site", {"recorder": recorder.port}, clock=True)
    hospital.prepare().start().open_desk()
    yield hospital
    hospital.stop(signal.SIGKILL)


def backup(hospital, to, *more):
    """The folder, and a dump of the database beside it where the store is one."""
    told = hospital.ctl("backup", "--config", str(hospital.file), "--to", str(to), *more, client=False)
    hospital.store.save(dump(to))
    return told


def restore(hospital, source, *more, expect=0):
    return hospital.ctl("restore", "--config", str(hospital.file), "--from", str(source), *more, client=False,
                        expect=expect)


def dump(folder):
    return folder.with_suffix(".dump")


def verified(hospital, *more):
    ran = subprocess.run([BINARIES / "sekimorictl", "audit", "verify", hospital.journal, *more],
                         capture_output=True, text=True, env=ENVIRONMENT, timeout=60)
    return ran.returncode == 0, ran.stdout + ran.stderr


def events(hospital):
    return [record["event"] for record in hospital.records()]


def test_atk_a54_beside_a_living_journal_a_restored_store_revives_nothing_that_has_ended(site, tmp_path):
    recorder = site.origin("recorder")
    nurse = site.hire(NURSE, PASSWORD)
    nurse.login(recorder + "/")
    cookie, portal = nurse.cookie("recorder"), nurse.cookie("auth")
    bearer = (site.folder / "var" / "cli-session").read_text()
    unused, spent = site.issue(CLERK), site.issue(PHYSICIAN)

    told = backup(site, tmp_path / "backup")
    assert any("master.key" in path for path in told["left out"]), told

    # What happens afterwards: a code is spent, a password replaced, a session ended, somebody new imported.
    Staff(site, PHYSICIAN).enrol(spent)
    again = Staff(site, NURSE)
    again.web = site.web()
    site.forward(60)
    again.enrol(site.issue(NURSE), PASSWORD + " anew")
    nurse.press("/logout")
    site.journaled()
    site.stop()
    site.store.lose()
    site.store.bring_back(dump(tmp_path / "backup"))

    done = restore(site, tmp_path / "backup", "--keep-journal")
    assert done["sessions ended"] >= 2 and done["codes void"] >= 1 and done["authenticators off again"] >= 2, done
    assert done["lost"]["authenticator.bind"] >= 3, done
    sound, words = verified(site, "--checkpoint", str(next(site.checkpoints.glob("*.checkpoints"))))
    assert sound, words
    assert site.records()[-1]["event"] == "backup.restore"
    assert "journal.segment" in events(site)[-3:], "it stands in a segment of its own"
    site.start()

    # Nobody is logged in.
    for host, dead in (("recorder", cookie), ("auth", portal)):
        web = site.web()
        answer = web.request("GET", site.origin(host) + "/", headers={"Cookie": f"__Host-sk={dead}"}, follow=False)
        assert answer.status in (401, 303), answer.status
    (site.folder / "var" / "cli-session").write_text(bearer)
    site.ctl("session", "list", expect=3)
    # No code is good, spent or not.
    for number, code in ((PHYSICIAN, spent), (CLERK, unused)):
        assert "by=passkey" not in Staff(site, number).begin(code).text
    # The password that was replaced after the backup does not come back.
    web = site.web()
    page = web.open(site.origin() + "/login")
    page = web.submit(page, page.form("/login/name"), {"name": NURSE})
    page = web.open(page.link("by=password"))
    page = web.submit(page, page.form("/login/password"), {"secret": PASSWORD})
    assert not [form for form in page.forms if "totp" in form["action"]], page.text
    # People and what they hold are there.
    site.refresh_cli()
    assert site.ctl("policy", "test", "--as", NURSE, "--url", recorder + "/")["decision"] == "permit"
    nurse.web = site.web()
    assert nurse.login(recorder + "/").status == 200
    site.stop()
    assert verified(site)[0]


def test_req_s24_a_site_that_lost_everything_goes_on_from_its_backup_and_the_key_in_the_safe(site, tmp_path):
    nurse = site.hire(NURSE)
    nurse.login(site.origin("recorder") + "/")
    cookie = nurse.cookie("recorder")
    told = backup(site, tmp_path / "backup")
    last = site.journaled()[-1]
    site.stop()
    safe = tmp_path / "safe"
    safe.mkdir()
    for path in told["left out"]:
        shutil.copy(path, safe)
    site.store.lose()
    shutil.move(site.folder, tmp_path / "lost")
    site.folder.mkdir()
    (site.folder / "var").mkdir()
    for name in ("cli.toml", "ca.pem", "clock"):
        shutil.copy(tmp_path / "lost" / "var" / name, site.folder / "var")

    assert "--key" in restore(site, tmp_path / "backup", expect=2)["error"]
    assert not site.file.exists() and not site.journal.exists(), "nothing is done by halves"
    site.store.bring_back(dump(tmp_path / "backup"))
    for secret in safe.glob("*"):
        if secret.name != "tls.key":
            shutil.copy(secret, site.folder / "var")
    done = restore(site, tmp_path / "backup", "--key", str(site.folder / "var" / "master.key"))
    assert done["configuration"] == "restored"
    (tls,) = done["put back before the start"]
    shutil.copy(safe / pathlib.Path(tls).name, tls)
    site.checkpoints.mkdir(exist_ok=True)
    sound, words = verified(site)
    assert sound, words
    restored = site.records("backup.restore")[-1]
    assert restored["detail"]["seq"] <= last["seq"] and restored["detail"]["lost"] == {}
    site.start()
    assert site.web().request("GET", site.origin("recorder") + "/", headers={"Cookie": f"__Host-sk={cookie}"},
                              follow=False).status in (401, 303)
    nurse.web = site.web()
    assert nurse.login(site.origin("recorder") + "/").status == 200


def test_atk_a54_nothing_of_a_backup_is_believed_before_the_key_from_the_safe(site, tmp_path):
    """Somebody who can write where backups are kept has one of a site of his own, which brings its own key along."""
    backup(site, tmp_path / "backup", "--with-secrets")
    site.stop()
    shutil.move(site.folder, tmp_path / "his")
    (site.folder / "var").mkdir(parents=True)
    ours = site.folder / "var" / "ours.key"
    site.ctl("key", "init", str(ours), client=False)
    assert "--key" in restore(site, tmp_path / "backup", expect=2)["error"]
    assert "manifest" in restore(site, tmp_path / "backup", "--key", str(ours), expect=2)["error"]
    assert [path.name for path in site.folder.rglob("*")] == ["var", "ours.key"], "not a file of his is here"


def test_req_s24_a_backup_made_while_people_work_is_whole_and_on_record(site, tmp_path):
    nurse = site.hire(NURSE)
    recorder = site.origin("recorder")
    nurse.login(recorder + "/")
    stop, answers = threading.Event(), []

    def work():
        while not stop.is_set():
            answers.append(nurse.web.open(recorder + "/").status)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        told = backup(site, tmp_path / "backup")
        wait_until(lambda: len(answers) > 5, "work goes on")
    finally:
        stop.set()
        worker.join()
    assert set(answers) == {200}
    manifest = (tmp_path / "backup" / "manifest.json").read_bytes()
    record = wait_until(lambda: site.records("backup.make"), "the backup is on record")[-1]
    assert record["detail"]["manifest"] == hashlib.sha256(manifest).hexdigest() == told["manifest"]
    copy = tmp_path / "backup" / "journal"
    ran = subprocess.run([BINARIES / "sekimorictl", "audit", "verify", copy, "--key", tmp_path / "backup/keys/journal.pub"],
                         capture_output=True, text=True, env=ENVIRONMENT, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_backup_is_its_owners_and_has_no_secret_unless_it_is_asked_for(site, tmp_path):
    code = site.issue(NURSE)
    Staff(site, NURSE).enrol(code, PASSWORD)
    var = site.folder / "var"
    secrets = [(var / "master.key").read_text().strip(), (var / "tls.key").read_text().splitlines()[1], PASSWORD, code,
               (var / "cli-session").read_text().strip()]

    def found(folder):
        texts = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
        return [secret for secret in secrets if any(secret.encode() in text for text in texts)]

    backup(site, tmp_path / "plain")
    assert found(tmp_path / "plain") == []
    backup(site, tmp_path / "whole", "--with-secrets")
    assert found(tmp_path / "whole") == secrets[:2]
    for folder in ("plain", "whole"):
        assert (tmp_path / folder).stat().st_mode & 0o077 == 0


def test_nothing_is_written_over_and_nothing_foreign_is_believed(site, tmp_path):
    backup(site, tmp_path / "backup")
    assert "is not empty" in site.ctl("backup", "--config", str(site.file), "--to", str(tmp_path / "backup"),
                                      client=False, expect=2)["error"]
    # The gateway runs.
    assert "journal" in restore(site, tmp_path / "backup", expect=2)["error"]
    told = restore(site, tmp_path / "backup", "--keep-journal", expect=2)["error"]
    assert "store.db" in told or "in use" in told
    site.stop()
    assert "--keep-journal" in restore(site, tmp_path / "backup", expect=2)["error"]
    site.store.lose()
    # A changed file, and a manifest to match.
    forged = tmp_path / "forged"
    shutil.copytree(tmp_path / "backup", forged)
    rules = forged / "config" / "policy" / "roles.toml"
    rules.write_bytes(rules.read_bytes() + b"# more")
    assert "is not what was saved" in restore(site, forged, "--keep-journal", expect=2)["error"]
    manifest = json.loads((forged / "manifest.json").read_text())
    for file in manifest["files"]:
        if file["path"] == "config/policy/roles.toml":
            file["sha256"] = hashlib.sha256(rules.read_bytes()).hexdigest()
    (forged / "manifest.json").write_text(json.dumps(manifest))
    assert "its manifest was changed" in restore(site, forged, "--keep-journal", expect=2)["error"]
    # A journal that is another's.
    segment = sorted(site.journal.glob("segment-*.jsonl"))[0]
    text = segment.read_bytes()
    segment.write_bytes(text.replace(b"900001", b"900002", 1))
    assert "not sound" in restore(site, tmp_path / "backup", "--keep-journal", expect=2)["error"]
    assert not (site.folder / "var" / "store.db").exists()

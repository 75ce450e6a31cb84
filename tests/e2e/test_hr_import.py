"""An HR file is applied as a whole or not at all, whatever happens meanwhile (G-24)."""

import signal
import subprocess

import pytest

from hospital import BINARIES, DEMO, ENVIRONMENT, Hospital, wait_until

MANY = 8_000
PEOPLE = "SELECT COUNT(*) FROM person"
STAGED = ("SELECT (SELECT COUNT(*) FROM hr_staging) + (SELECT COUNT(*) FROM hr_staged_person) "
          "+ (SELECT COUNT(*) FROM hr_staged_affiliation) + (SELECT COUNT(*) FROM hr_staged_qualification) "
          "+ (SELECT COUNT(*) FROM hr_staged_record)")


@pytest.fixture()
def hospital(tmp_path):
    hospital = Hospital(tmp_path / "site")
    try:
        yield hospital.prepare().start().open_desk()
    finally:
        hospital.stop(signal.SIGKILL)


def crowd(folder):
    head = (DEMO / "hr.csv").read_bytes().decode("cp932").splitlines()[0]
    rows = (f"7{number:05},山田　花子,ヤマダ ハナコ,S55.4.1,常勤,3階東病棟,看護師,,主務,H22.4.1,,H22.4.1,,看護師,{number:05},"
            for number in range(MANY))
    file = folder / "crowd.csv"
    file.write_bytes("\r\n".join([head, *rows, ""]).encode("cp932"))
    return str(file)


def test_req_g24_a_kill_in_mid_import_leaves_nobody_imported_and_the_next_start_nothing_staged(hospital, tmp_path):
    file, before = crowd(tmp_path), hospital.store.number(PEOPLE)
    client = hospital.folder / "var" / "cli.toml"
    importing = subprocess.Popen([BINARIES / "sekimorictl", "--client", client, "hr", "import", file],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    wait_until(lambda: hospital.store.number(STAGED) > 0, "the plan is being staged", 30)
    hospital.stop(signal.SIGKILL)
    assert importing.wait(30) != 0
    assert hospital.store.number(STAGED) > 0 and hospital.store.number(PEOPLE) == before

    hospital.start()
    assert hospital.store.number(STAGED) == 0
    known = len(hospital.journaled("hr.person"))
    hospital.refresh_cli()
    assert hospital.ctl("hr", "import", file)["counts"]["added"] == MANY
    assert hospital.store.number(PEOPLE) == before + MANY and hospital.store.number(STAGED) == 0
    assert len(hospital.journaled("hr.person")) == known + MANY
    again = hospital.ctl("hr", "import", file)["counts"]
    assert (again["added"], again["changed"], again["unchanged"]) == (0, 0, MANY)

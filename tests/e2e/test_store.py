"""The store on a PostgreSQL server: the way to it, and what happens while it is away."""

import pytest

import store
from conftest import NURSE, PHYSICIAN
from hospital import DOMAIN, Hospital, wait_until


@pytest.fixture(scope="module")
def shared(tmp_path_factory, recorder):
    """A hospital whose store is on a server, whatever the run's are."""
    class OnServer(Hospital):
        stores = store.Database

    made = OnServer(tmp_path_factory.mktemp("shared"), {"recorder": recorder.port})
    made.prepare().start().open_desk()
    yield made
    made.stop()


def test_a_second_process_of_the_same_node_is_refused(shared):
    command = ("bootstrap", "--config", str(shared.file), "--registrar", "900003", "代 理")
    told = shared.ctl(*command, client=False, expect=2)
    assert "node demo" in str(told) and "in use by another process" in str(told)


def test_req_h29_while_the_database_is_away_nobody_comes_in_and_nothing_needs_a_restart_when_it_is_back(shared, seen):
    address = f"https://recorder.{DOMAIN}:{shared.https}/patients/7"
    nurse, physician = shared.hire(NURSE), shared.hire(PHYSICIAN)
    assert nurse.login(address).status == 200
    process = shared.process.pid
    shared.store.cut()
    try:
        # Nobody hears of a revocation now: within moments nobody is let through.
        wait_until(lambda: nurse.web.open(address).status == 503, "the nurse's next request is refused")
        reached = len(seen.requests)
        assert nurse.web.open(address).status == 503 and len(seen.requests) == reached
        assert shared.web().open(address).status == 503, "nobody begins a login"
    finally:
        shared.store.mend()
    wait_until(lambda: nurse.web.open(address).status == 200, "her session goes on", 20)
    assert physician.login(address).status == 200
    assert shared.process.pid == process and shared.process.poll() is None
    assert "login.ok" in {record["event"] for record in shared.journaled()}


def test_a_wrong_password_or_a_server_that_does_not_prove_itself_is_told_and_nothing_starts(shared, tmp_path):
    password = shared.folder / "var" / "store.password"
    right = password.read_text()
    main = shared.file.read_text()
    command = ("bootstrap", "--config", str(shared.file), "--registrar", "900003", "代 理")
    try:
        password.write_text("wrong\n")
        assert "password authentication failed" in str(shared.ctl(*command, client=False, expect=2))
        password.write_text(right)
        stranger = shared.folder / "var" / "ca.pem"  # vouches for the gateway, not for the database
        shared.file.write_text(main.replace(shared.store.options["ca_file"], f'"{stranger}"'))
        assert "UnknownIssuer" in str(shared.ctl(*command, client=False, expect=2))
    finally:
        password.write_text(right)
        shared.file.write_text(main)


def test_the_password_stands_nowhere_in_what_the_gateway_says(shared):
    password = (shared.folder / "var" / "store.password").read_text().strip()
    assert len(password) == 32 and password not in shared.log()
    assert all(password not in file.read_text() for file in shared.journal.glob("*.jsonl"))

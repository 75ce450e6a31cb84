"""What the suites share: one hospital with its staff for the whole run, and a browser when one is asked for."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import store  # noqa: E402
from hospital import DOMAIN, Hospital  # noqa: E402
from raw import Door  # noqa: E402
from upstream import Request, Upstream  # noqa: E402



def pytest_addoption(parser):
    parser.addoption("--store", choices=sorted(store.KINDS), default="sqlite", help="what the hospitals' stores are")


def pytest_configure(config):
    Hospital.stores = store.KINDS[config.getoption("--store")]


def pytest_unconfigure():
    store.stop()


PHYSICIAN, NURSE, CLERK, RADIOGRAPHER = "000102", "000123", "000302", "000212"


@pytest.fixture(scope="session")
def recorder():
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture()
def seen(recorder):
    """The recorder, empty, with its plain answer."""
    recorder.requests.clear()
    recorder.answer, recorder.receive = Upstream.plain, Request.take_body
    yield recorder
    recorder.answer, recorder.receive = Upstream.plain, Request.take_body


@pytest.fixture()
def started():
    """Prepares and starts a hospital of a test's own, and stops it when the test has ended, however it ended."""
    running = []

    def start(hospital):
        running.append(hospital)
        return hospital.prepare().start()

    yield start
    for hospital in running:
        hospital.stop()


@pytest.fixture(scope="session")
def hospital(tmp_path_factory, recorder):
    """A hospital whose desk is open, with the recorder behind the door. Its sessions lock after 15 minutes."""
    made = Hospital(tmp_path_factory.mktemp("hospital"), {"recorder": recorder.port},
                    {"session": {"lock_after": '"15m"'}})
    made.prepare().start().open_desk()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def ward(tmp_path_factory, recorder):
    """A hospital with the demo's own limits (5 min, 30 min, 12 h), whose clock is ours to move."""
    made = Hospital(tmp_path_factory.mktemp("ward"), {"recorder": recorder.port}, clock=True)
    made.prepare().start().open_desk()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def lab(tmp_path_factory, recorder):
    """A hospital for trying rules: chart and laboratory are the recorder, its clock is ours to move, and its ward
    is 127.0.0.0/24, its office 127.0.1.0/24, anywhere else unknown."""
    made = Hospital(tmp_path_factory.mktemp("lab"), {"chart": recorder.port, "lab": recorder.port}, clock=True)
    zones = {'"127.0.0.0/8", "::1/128"': '"127.0.0.0/24"', '"192.0.2.0/24"': '"127.0.1.0/24"'}
    text = made.file.read_text()
    for old, new in zones.items():
        assert old in text
        text = text.replace(old, new)
    made.file.write_text(text)
    made.prepare().start().open_desk()
    yield made
    made.stop()


def enrolled(hospital):
    """People by staff number, enrolled once, logged in by whoever asks."""
    known = {}

    def find(staff_no):
        if staff_no not in known:
            known[staff_no] = hospital.hire(staff_no)
        return known[staff_no]

    return find


@pytest.fixture(scope="session")
def staff(hospital):
    return enrolled(hospital)


@pytest.fixture(scope="session")
def lab_staff(lab):
    return enrolled(lab)


@pytest.fixture()
def nurse(hospital, staff):
    """A nurse who has just logged in at the recorder."""
    person = staff(NURSE)
    person.web = hospital.web()
    person.login(f"https://recorder.{DOMAIN}:{hospital.https}/")
    return person


@pytest.fixture(scope="module")
def physician(hospital, staff):
    """A physician at the recorder for the whole module: where nobody locks or logs out."""
    person = staff(PHYSICIAN)
    person.web = hospital.web()
    person.login(f"https://recorder.{DOMAIN}:{hospital.https}/")
    return person


@pytest.fixture()
def door(hospital, physician, seen):
    """The physician's raw requests to the recorder. Whatever reaches it has exactly one word of ours on who asks."""
    seen.requests.clear()
    yield Door(hospital, "recorder", physician.cookie("recorder"))
    assert all(len(request.all("sekimori-assertion")) == 1 for request in seen.requests)

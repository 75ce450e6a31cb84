"""A real medical system behind the door: Orthanc, a DICOM server, for those who may and nobody else."""

import hashlib
import io
import re
import socket

import numpy
import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from browser import Person, browsing
from conftest import CLERK, PHYSICIAN, RADIOGRAPHER
from hospital import DOMAIN, Hospital
from orthanc import Orthanc

READER = "000103"


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    server = Orthanc(tmp_path_factory.mktemp("orthanc"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def imaging(tmp_path_factory, orthanc):
    made = Hospital(tmp_path_factory.mktemp("imaging"), {"pacs": orthanc.port})
    secrets = made.folder / "secrets"
    secrets.mkdir()
    made.make_key()
    made.ctl("secret", "seal", str(secrets / "orthanc"), "--key", str(made.folder / "var" / "master.key"),
             client=False, stdin=orthanc.password)
    made.prepare().start().open_desk()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def images(imaging):
    return f"https://pacs.{DOMAIN}:{imaging.https}"


@pytest.fixture(scope="module")
def browser(imaging):
    with browsing(imaging) as browser:
        yield browser


@pytest.fixture(scope="module")
def maker(imaging, images):
    """A radiographer at the archive."""
    person = imaging.hire(RADIOGRAPHER)
    person.login(images + "/app/explorer.html")
    return person


@pytest.fixture(scope="module")
def reader(imaging, images):
    """A physician at the archive."""
    person = imaging.hire(READER)
    person.login(images + "/app/explorer.html")
    return person


@pytest.fixture()
def dicomweb(imaging, images, monkeypatch):
    """A DICOMweb client with the session of a person."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **named: resolve(
        "127.0.0.1" if host.endswith(".localhost") else host, *more, **named))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)

    def of(person):
        session = requests.Session()
        session.verify = str(imaging.ca)
        session.headers["Cookie"] = f"__Host-sk={person.cookie('pacs')}"
        return DICOMwebClient(f"{images}/dicom-web", session=session)

    return of


def seen_by(imaging, patient):
    """Who saw what of a patient, by the journal: staff number and path."""
    found = imaging.ctl("audit", "search", "--patient", patient)["records"]
    return {(line["record"]["who"]["staff_no"], line["record"]["what"]["target"]) for line in found}


def picture(patient):
    """A small monochrome image of a fictional patient, as a DICOM file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.StudyInstanceUID, file.SeriesInstanceUID = generate_uid(), generate_uid()
    file.PatientID, file.PatientName, file.Modality = patient, "TEST^PATIENT", "OT"
    pixels = numpy.random.default_rng(7).integers(0, 4096, (256, 320), dtype=numpy.uint16)
    file.Rows, file.Columns = pixels.shape
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
    file.PixelData = pixels.tobytes()
    written = io.BytesIO()
    pydicom.dcmwrite(written, file, enforce_file_format=True)
    return written.getvalue(), pixels


def store(person, images, data):
    """Stores a DICOM file; Orthanc's own id for it."""
    stored = person.web.fetch(images + "/instances", "POST", body=data,
                              headers={"Content-Type": "application/dicom", "Origin": images})
    assert stored.status == 200, stored.text
    return stored.json["ID"]


def test_a_dicom_file_goes_in_by_the_radiographer_and_comes_out_with_equal_pixels(images, orthanc, maker):
    before = orthanc.get("/statistics")["CountInstances"]
    data, pixels = picture("P0001")
    image = store(maker, images, data)
    answer = maker.web.fetch(f"{images}/instances/{image}/file")
    assert answer.status == 200
    assert (pydicom.dcmread(io.BytesIO(answer.body)).pixel_array == pixels).all()
    assert orthanc.get("/statistics")["CountInstances"] == before + 1


def test_nobody_but_the_gateway_knows_orthancs_password(imaging, images, orthanc, maker):
    with pytest.raises(OSError, match="401"):
        Orthanc.ask(type("Stranger", (), {"port": orthanc.port, "user": "sekimori", "password": "?"}), "/system")
    assert maker.web.fetch(f"{images}/system").status == 200
    # Whoever is refused by Orthanc is not asked for a password that he doesn't have.
    answer = maker.web.fetch(f"{images}/system", headers={"Authorization": "Basic eDp5"})
    assert answer.status == 200 and answer.header("www-authenticate") is None
    assert orthanc.password not in imaging.log()


def test_a_physician_looks_but_stores_nothing(images, orthanc, reader):
    before = orthanc.get("/statistics")["CountInstances"]
    page = reader.web.open(images + "/app/explorer.html")
    assert page.status == 200 and "Orthanc" in page.text
    data, _ = picture("P0002")
    refused = reader.web.fetch(images + "/instances", "POST", body=data, headers={"Origin": images})
    assert refused.status == 403
    assert orthanc.get("/statistics")["CountInstances"] == before


def test_who_saw_a_patients_images_is_told_in_the_hospitals_numbers(imaging, images, orthanc, maker, reader):
    image = store(maker, images, picture("P0301")[0])
    stranger = store(maker, images, picture("P0302")[0])
    own = {level: orthanc.get(f"/instances/{image}/{level}")["ID"] for level in ("patient", "study", "series")}
    paths = [f"/instances/{image}/preview", f"/instances/{image}/tags", f"/series/{own['series']}",
             f"/studies/{own['study']}/instances", f"/patients/{own['patient']}"]
    for path in paths:
        assert reader.web.fetch(images + path).status == 200, path
    # Ids that aren't there are nobody's, and not to be guessed at.
    assert reader.web.fetch(images + "/instances/00000000-00000000-00000000-00000000-00000000/tags").status == 404
    assert {target for person, target in seen_by(imaging, "P0301") if person == READER} == set(paths)
    assert all(stranger not in target for _, target in seen_by(imaging, "P0301"))
    unknown = [record for record in imaging.records("request.permit") if record["what"].get("patient") == "unknown"]
    assert [record["what"]["target"][:19] for record in unknown] == ["/instances/00000000"]


def test_dicomweb_stores_finds_and_retrieves_with_equal_pixels(imaging, images, maker, reader, dicomweb):
    data, pixels = picture("P0401")
    sent = pydicom.dcmread(io.BytesIO(data))
    dicomweb(maker).store_instances([sent])
    client = dicomweb(reader)
    found = client.search_for_studies(search_filters={"PatientID": "P0401"})
    assert [study["0020000D"]["Value"][0] for study in found] == [sent.StudyInstanceUID]
    # Addresses in the answers are the gateway's.
    assert [study["00081190"]["Value"][0].split("/dicom-web/")[0] for study in found] == [images]
    where = (sent.StudyInstanceUID, sent.SeriesInstanceUID, sent.SOPInstanceUID)
    got = client.retrieve_instance(*where)
    assert got.PatientID == "P0401" and (got.pixel_array == pixels).all()
    octets = ("application/octet-stream",)
    frame = client.retrieve_instance_frames(*where, frame_numbers=[1], media_types=octets)[0]
    assert frame == pixels.tobytes()
    assert client.retrieve_instance_metadata(*where)["00100020"]["Value"] == ["P0401"]
    study = f"/dicom-web/studies/{sent.StudyInstanceUID}/series/{sent.SeriesInstanceUID}/instances/"
    seen = [target for person, target in seen_by(imaging, "P0401") if person == READER]
    assert len(seen) == 3 and all(target.startswith(study) for target in seen), seen


def test_dicomweb_is_for_those_who_may(imaging, images, orthanc, reader, dicomweb):
    before = orthanc.get("/statistics")["CountInstances"]
    sent = pydicom.dcmread(io.BytesIO(picture("P0402")[0]))
    with pytest.raises(requests.HTTPError, match="403"):
        dicomweb(reader).store_instances([sent])
    clerk = imaging.hire("000303")
    clerk.login(imaging.origin() + "/")
    clerk.web.open(images + "/app/explorer.html")
    with pytest.raises(requests.HTTPError, match="403"):
        dicomweb(clerk).search_for_studies()
    assert orthanc.get("/statistics")["CountInstances"] == before


GIBIBYTE = 1 << 30


def enormous(file, patient):
    """A DICOM file with a gibibyte of pixels, all of them black."""
    head = pydicom.dcmread(io.BytesIO(picture(patient)[0]))
    head.Rows, head.Columns, head.PixelData = 16384, 32768, b"##"
    written = io.BytesIO()
    pydicom.dcmwrite(written, head, enforce_file_format=True)
    before, _, _ = written.getvalue().rpartition((2).to_bytes(4, "little") + b"##")
    with file.open("wb") as out:
        out.write(before + GIBIBYTE.to_bytes(4, "little"))
        out.truncate(out.tell() + GIBIBYTE)
    return file


def memory(process):
    """The most that a process has had resident, in bytes."""
    with open(f"/proc/{process.pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024


def digest(pieces):
    whole = hashlib.sha256()
    for piece in pieces:
        whole.update(piece)
    return whole.hexdigest()


def test_req_h33_a_gibibyte_goes_in_and_out_again_in_flat_memory(imaging, images, orthanc, maker, tmp_path, dicomweb):
    session = dicomweb(maker)._session
    session.headers["Accept-Encoding"] = "identity"
    file = enormous(tmp_path / "enormous.dcm", "P0501")
    before = memory(imaging.process)
    with file.open("rb") as body:
        stored = session.post(f"{images}/instances", data=body, headers={"Content-Type": "application/dicom"})
    assert stored.status_code == 200, stored.text
    with session.get(f"{images}/instances/{stored.json()['ID']}/file", stream=True) as answer:
        assert answer.status_code == 200
        got = digest(answer.iter_content(1 << 20))
    with file.open("rb") as sent:
        assert got == digest(iter(lambda: sent.read(1 << 20), b""))
    assert memory(imaging.process) - before < 64 << 20
    orthanc.delete(f"/instances/{stored.json()['ID']}")
    opened, taken = imaging.records("request.close")[-2:]
    assert opened["detail"]["bytes_in"] == file.stat().st_size and opened["what"]["action"] == "store"
    assert (taken["detail"]["sha256"], taken["detail"]["bytes_out"]) == (got, file.stat().st_size)
    assert taken["what"]["patient"] == "P0501" and taken["detail"]["export"] is True


def test_the_page_opens_in_a_browser_for_a_physician(imaging, images, browser):
    issued = imaging.ctl("enrolment", "issue", PHYSICIAN, "--evidence", "staff card")
    person = Person(browser, imaging, PHYSICIAN).enrol(issued["code"]).login(images + "/app/explorer.html")
    failed = []
    person.page.on("requestfailed", lambda request: failed.append(request.url))
    person.page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
    person.page.goto(images + "/app/explorer.html")
    person.page.wait_for_load_state("networkidle")
    assert "Orthanc" in person.page.title()
    assert person.page.locator("#lookup").is_visible()
    assert failed == []
    person.close()


def test_the_page_is_refused_to_a_clerk_in_words(imaging, images, browser):
    issued = imaging.ctl("enrolment", "issue", CLERK, "--evidence", "staff card")
    person = Person(browser, imaging, CLERK).enrol(issued["code"]).login(images + "/app/explorer.html")
    answer = person.page.goto(images + "/app/explorer.html")
    assert answer.status == 403
    assert "Orthanc" not in person.page.content()
    denied = imaging.records("request.deny")
    assert any(r.get("who", {}).get("staff_no") == CLERK and r["what"]["app"] == "pacs" for r in denied)
    person.close()

"""A real medical system behind the door: Orthanc, a DICOM server, for those who may and nobody else."""

import io

import numpy
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from browser import Person, browsing
from conftest import CLERK, PHYSICIAN, RADIOGRAPHER
from hospital import DOMAIN, Hospital
from orthanc import Orthanc


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    server = Orthanc(tmp_path_factory.mktemp("orthanc"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def imaging(tmp_path_factory, orthanc):
    made = Hospital(tmp_path_factory.mktemp("imaging"), {"pacs": orthanc.port})
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


def test_a_dicom_file_goes_in_by_the_radiographer_and_comes_out_with_equal_pixels(imaging, images, orthanc):
    data, pixels = picture("P0001")
    maker = imaging.hire(RADIOGRAPHER)
    maker.login(images + "/app/explorer.html")
    stored = maker.web.fetch(images + "/instances", "POST", body=data,
                             headers={"Content-Type": "application/dicom", "Origin": images})
    assert stored.status == 200, stored.text
    answer = maker.web.fetch(f"{images}/instances/{stored.json['ID']}/file")
    assert answer.status == 200
    assert (pydicom.dcmread(io.BytesIO(answer.body)).pixel_array == pixels).all()
    assert orthanc.get("/statistics")["CountInstances"] == 1


def test_a_physician_looks_but_stores_nothing(imaging, images, orthanc):
    before = orthanc.get("/statistics")["CountInstances"]
    reader = imaging.hire("000103")
    page = reader.login(images + "/app/explorer.html")
    assert page.status == 200 and "Orthanc" in page.text
    data, _ = picture("P0002")
    refused = reader.web.fetch(images + "/instances", "POST", body=data, headers={"Origin": images})
    assert refused.status == 403
    assert orthanc.get("/statistics")["CountInstances"] == before


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

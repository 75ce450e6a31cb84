"""The load: requests as a browser sends them, and wrk that repeats them over keep-alive connections."""

import json
import pathlib
import random
import resource
import subprocess
from dataclasses import dataclass
from typing import Optional

from machine import LOAD_CORE, on_core

HOST = "chart.sekimori.localhost"
CONNECTIONS = 64
# All of a request with its cookies, about what a browser sends to a hospital system.
REQUEST_BYTES = 1536
PAGES_PER_SESSION = 4
PATIENTS = 600

BROWSER = """\
Connection: keep-alive
Cache-Control: max-age=0
sec-ch-ua: "Chromium";v="142", "Not_A Brand";v="99", "Google Chrome";v="142"
sec-ch-ua-mobile: ?0
sec-ch-ua-platform: "Windows"
Upgrade-Insecure-Requests: 1
User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7
Sec-Fetch-Site: same-origin
Sec-Fetch-Mode: navigate
Sec-Fetch-User: ?1
Sec-Fetch-Dest: document
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: ja,en-US;q=0.9,en;q=0.8"""


@dataclass(frozen=True)
class Browser:
    """Somebody who is logged in: the staff number, and the cookies that the browser holds for the app."""

    staff_no: str
    cookies: dict


@dataclass(frozen=True)
class Prepared:
    """One request, and who must stand in its record with whose chart."""

    text: bytes
    staff_no: str
    patient: Optional[str]


def prepare(browsers, public_port, path="/patients/{patient}", pages=PAGES_PER_SESSION):
    """Requests of everybody for several patients each, in an order that follows neither."""
    choose = random.Random(1)
    authority = f"{HOST}:{public_port}"
    prepared = []
    for browser in browsers:
        for number in choose.sample(range(PATIENTS), pages):
            patient = f"P{number:06}"
            prepared.append(Prepared(_text(browser, authority, path.format(patient=patient)),
                                     browser.staff_no, patient if path.startswith("/patients/") else None))
    choose.shuffle(prepared)
    return prepared


def _text(browser, authority, path):
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    # What pages keep in a browser: drawn-in columns, last wards. It fills the request up to its size.
    head = f"GET {path} HTTP/1.1\r\nHost: {authority}\r\n" + BROWSER.replace("\n", "\r\n")
    head += f"\r\nReferer: https://{authority}/patients\r\nCookie: {cookies}; ward_view="
    return (head + "3e-" * (REQUEST_BYTES // 3))[:REQUEST_BYTES - 5].encode() + b"x\r\n\r\n"


def write(prepared, file):
    file = pathlib.Path(file)
    file.write_bytes(b"".join(one.text for one in prepared))
    return file


@dataclass(frozen=True)
class Answered:
    """What wrk counted in one round, and what it took of its core."""

    requests: int
    seconds: float
    cpu_ns: int
    p50: float
    p99: float


class LoadFailed(Exception):
    """Some request was not answered as it must be."""


def send(port, requests, seconds, body_bytes):
    """One round of load; every answer must be a good one with a body of that size."""
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s",
               "--script", pathlib.Path(__file__).with_name("load.lua"), f"https://{HOST}:{port}/", "--", requests]
    before = _processor_time_of_children()
    with on_core(LOAD_CORE):
        ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    if ran.returncode != 0:
        raise LoadFailed(f"wrk: {ran.stdout}{ran.stderr}")
    told = json.loads(ran.stdout.strip().splitlines()[-1])
    if told["errors"] or not told["requests"]:
        raise LoadFailed(f"port {port}: {told['errors']} of {told['requests']} requests failed: {ran.stdout}")
    # A redirect to the login page is no error to wrk, but it is shorter than the page.
    if told["bytes"] < told["requests"] * body_bytes:
        raise LoadFailed(f"port {port}: answers of {told['bytes'] / told['requests']:.0f} bytes")
    return Answered(told["requests"], told["microseconds"] / 1e6, _processor_time_of_children() - before,
                    told["p50"] / 1e3, told["p99"] / 1e3)


def _processor_time_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((used.ru_utime + used.ru_stime) * 1e9)

"""A working day in small: pages, notes, uploads, sockets, logins, locks and ends, for as long as is asked. Memory and
descriptors must not grow."""

import os
import random
import statistics
import threading
import time
from types import SimpleNamespace

import client
import report
from crowd import slope
from doors import PAGE
from load import HOST, PATIENTS, LoadFailed
from machine import descriptors, resident
from peers import SMALL
from rounds import Spread
from websocket import WebSocket

SECONDS = 600
PEOPLE, THREADS = 48, 4
PAGES_PER_SECOND = 500
SAMPLE_SECONDS = 2
# How far from flat: of all memory in use per minute, and in descriptors.
GROWTH_PERCENT, MORE_FILES = 1.0, 10
# Longer than the gateway keeps an idle connection to an upstream.
REST_SECONDS = 10
UPLOAD = os.urandom(256 * 1024)


def measure(bench, seconds):
    """The section and verdicts."""
    bench.open_site()
    site, requests = bench.site, bench.requests(PAGE)
    people = site.more(PEOPLE)
    samples, day = [], Day(site, people)
    before = at_rest(site.pid)
    with client.paced(site.port, bench.tls, requests, PAGES_PER_SECOND, seconds, SMALL) as pages:
        day.begin()
        pages.begin()
        watch(site.pid, seconds, samples, day, bench.say)
        day.end()
        told = pages.told()
    left = at_rest(site.pid) - before
    site.close()
    growth, files = growth_percent(samples), more_files(samples)
    peak, last = max(size for _, size, _ in samples), samples[-1]
    done = sum(day.done.values())
    rows = [["pages by the clock", f"{told['requests']:,}"], *([word, f"{count:,}"] for word, count in day.done.items()),
            ["memory at the end", f"{last[1] / 2**20:.1f} MiB"], ["memory at most", f"{peak / 2**20:.1f} MiB"],
            ["growth over the last two thirds, of all memory", f"{growth:+.2f} % a minute"],
            ["descriptors at the end", str(last[2])],
            ["descriptors, last third less the third before", f"{files:+.0f}"],
            ["descriptors when all are gone, less those before anybody came", f"{left:+d}"]]
    words = (f"{seconds:,} s of {PAGES_PER_SECOND}/s pages by the clock from {len(site.browsers):,} sessions, and beside "
             f"them {done / seconds:.0f} acts a second of {len(people)} people, each on a connection of its own. "
             f"A sample every {SAMPLE_SECONDS} s; flat is at most {GROWTH_PERCENT:g} % a minute (least squares) and "
             f"{MORE_FILES} descriptors (medians).")
    section = report.Section("A soak", words, ["", "count"], rows)
    return section, [("–", "soak: growth of memory, % a minute", Spread.of([growth]), GROWTH_PERCENT, "most"),
                     ("–", "soak: growth of descriptors within it", Spread.of([files]), MORE_FILES, "most"),
                     ("–", "soak: descriptors left by it", Spread.of([left]), MORE_FILES, "most")]


def at_rest(pid):
    """Descriptors when nothing is asked: the fewest in a while."""
    found, until = [], time.monotonic() + REST_SECONDS
    while time.monotonic() < until:
        found.append(descriptors(pid))
        time.sleep(0.5)
    return min(found)


def watch(pid, seconds, samples, day, say):
    """Adds (seconds, bytes, descriptors) until the time is over or something has gone wrong."""
    started, told = time.monotonic(), 0
    while (passed := time.monotonic() - started) < seconds and not day.failed:
        samples.append((passed, resident(pid), descriptors(pid)))
        if passed - told > 60:
            told = passed
            say(f"soak, {passed:.0f} of {seconds} s: {samples[-1][1] / 2**20:.1f} MiB, {samples[-1][2]} descriptors")
        time.sleep(SAMPLE_SECONDS)


def growth_percent(samples):
    """Per cent a minute by which memory grows over the last two thirds of the time."""
    late = [(passed, size) for passed, size, _ in samples if passed >= samples[-1][0] / 3]
    return slope(late) * 60 / statistics.mean(size for _, size in late) * 100


def more_files(samples):
    """By how many descriptors the last third has more than the one before, in the middle of each."""
    end = samples[-1][0]
    middle, last = ([files for passed, _, files in samples if low <= passed / end <= high]
                    for low, high in ((1 / 3, 2 / 3), (2 / 3, 1)))
    return statistics.median(last) - statistics.median(middle)


class Day:
    """What people do all day, each thread with people of its own. The first thing that goes wrong ends it."""

    ACTS = {"page": 40, "note": 25, "upload": 10, "socket": 10, "lock and unlock": 8, "logout and login": 7}

    def __init__(self, site, people):
        self.site, self.failed, self.stopping = site, [], threading.Event()
        self.done = {word: 0 for word in self.ACTS}
        self.counting = threading.Lock()
        self.chart = site.hospital.origin("chart")
        self.threads = [threading.Thread(target=self._work, args=(people[at::THREADS], random.Random(at)))
                        for at in range(THREADS)]

    def begin(self):
        for thread in self.threads:
            thread.start()

    def end(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
        if self.failed:
            raise LoadFailed(f"in the soak: {self.failed[0]!r}")

    def _work(self, people, choose):
        acts = {"page": self._page, "note": self._note, "upload": self._upload, "socket": self._socket,
                "lock and unlock": self._lock, "logout and login": self._leave}
        while not self.stopping.is_set():
            word = choose.choices(list(self.ACTS), list(self.ACTS.values()))[0]
            nurse, patient = choose.choice(people), f"P{choose.randrange(PATIENTS):06}"
            try:
                acts[word](nurse, patient)
            except Exception as error:
                self.failed.append((word, nurse.staff_no, error))
                return
            with self.counting:
                self.done[word] += 1
            # A moderate rate: most of the core is left.
            self.stopping.wait(0.02)

    def _page(self, nurse, patient):
        self._good(nurse.web.open(f"{self.chart}/patients/{patient}"))

    def _note(self, nurse, patient):
        self._post(nurse, f"/patients/{patient}/notes", b'{"text": "BT 36.8"}', "application/json")

    def _upload(self, nurse, patient):
        self._post(nurse, f"/patients/{patient}/files", UPLOAD, "application/octet-stream")

    def _post(self, nurse, path, body, kind):
        self._good(nurse.web.fetch(self.chart + path, "POST", body=body, headers={
            "Origin": self.chart, "Content-Type": kind}))

    def _socket(self, nurse, _patient):
        web = SimpleNamespace(port=self.site.port, ca_file=self.site.hospital.ca, cookies=nurse.web.cookies)
        socket = WebSocket(web, HOST, "/ws/ward", self.chart)
        assert socket.status == 101, (socket.status, socket.headers)
        assert socket.say("36.8") == "echo 36.8"
        socket.raw.close()

    def _lock(self, nurse, _patient):
        nurse.unlock(nurse.press("/lock"))
        # Back at the app, which gives the session a new token (what scripts ask before would be refused).
        self._good(nurse.web.open(self.chart + "/"))

    def _leave(self, nurse, _patient):
        self._good(nurse.press("/logout"))
        self._good(nurse.login(self.chart + "/"))

    @staticmethod
    def _good(answer):
        assert answer.status == 200, (answer.url, answer.status, answer.text[:500])

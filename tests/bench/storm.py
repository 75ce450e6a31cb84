"""The shift change: everybody's password at once, and what the pages meanwhile notice of it (P12)."""

import itertools
import queue
import threading
import time

import client
import report
from client import Client
from doors import PAGE
from load import LoadFailed
from machine import TESTED_CORE, CpuMeter
from peers import SMALL
from rounds import Spread
from site_under_load import ARGON2, terminal

PASSWORD = "harugakita2026sakura"
PEOPLE = 24
# Passwords under way at once: the pool is never without the next.
AT_ONCE = 6
# More than one core can hash in a second.
HASHES_PER_SECOND = 120


def measure(bench, _words):
    """The section and verdicts."""
    if not bench.site:
        return None, []
    requests, rate, seconds = bench.requests(PAGE), bench.arguments.rate // 10, bench.arguments.seconds
    people = bench.site.with_passwords(PASSWORD, PEOPLE)
    bench.say(f"{len(people)} people with passwords")

    def pages():
        return client.paced(bench.site.port, bench.tls, requests, rate, seconds, SMALL)

    rounds = []
    for number in range(bench.arguments.rounds + 1):
        round_ = one_round(bench, people, pages, seconds)
        if number:
            rounds.append(round_)
            bench.say(f"round {number} of {bench.arguments.rounds}: {round_['bare rate']:.0f} hashes/s bare, "
                      f"{round_['rate']:.0f} passwords/s, p99 {round_['idle']:.2f} ms and {round_['stormy']:.2f} ms")

    def of(figure):
        return Spread.of(round_[figure] for round_ in rounds)

    cpu = Spread.of(round_["bare cpu"] / round_["cpu"] for round_ in rounds)
    wait = Spread.of(round_["stormy"] / round_["idle"] for round_ in rounds)
    rows = [["bare argon2id, one thread alone on the core", f"{of('bare rate').median:.1f} /s",
             f"{of('bare cpu').median:.2f} ms", "–"],
            ["passwords checked, nothing else asked", f"{of('rate').median:.1f} /s", f"{of('cpu').median:.2f} ms", "–"],
            [f"pages at {rate:,}/s, nobody logs in", "–", "–", f"{of('idle').median:.2f} ms"],
            [f"pages at {rate:,}/s meanwhile", f"{of('stormy rate').median:.1f} /s", "–", f"{of('stormy').median:.2f} ms"]]
    words = (f"argon2id with {ARGON2['argon2_memory']} KiB, {ARGON2['argon2_passes']} passes, two at a time on the one core; "
             f"{AT_ONCE} passwords always wait. A password is the whole request that brings it: TLS handshake, form, look-up, "
             f"hash, store, record and the page that asks for the code. {bench.arguments.rounds} rounds of {seconds} s.")
    section = report.Section("A login storm", words, ["", "rate", "CPU of one", "pages, p99"], rows)
    return section, [
        ("P12", "argon2id in the gateway, × bare, per CPU", cpu, 0.97, "least"),
        ("P12", "pages' p99 in a login storm, × without", wait, 2, "most"),
    ]


def one_round(bench, people, pages, seconds):
    """Bare hashes, passwords alone, pages alone, both: one after the other."""
    with Client("hash", TESTED_CORE, kibibytes=ARGON2["argon2_memory"], passes=ARGON2["argon2_passes"],
                seconds=seconds) as bare:
        told = bare.go()
    found = {"bare rate": told["hashes"] / told["seconds"], "bare cpu": told["cpu_ns"] / told["hashes"] / 1e6}
    prepared = at_the_password(bench, people, seconds)
    meter = CpuMeter(bench.site.pid).start()
    storm = Storm(prepared)
    time.sleep(seconds)
    done, passed = storm.end()
    found |= {"rate": done / passed, "cpu": meter.stop() / done / 1e6}
    with pages() as load:
        found["idle"] = load.go()["p99"] / 1e6
    prepared = at_the_password(bench, people, seconds)
    with pages() as load:
        storm = Storm(prepared)
        found["stormy"] = load.go()["p99"] / 1e6
        done, passed = storm.end()
    return found | {"stormy rate": done / passed}


def at_the_password(bench, people, seconds):
    """So many logins that have come as far as the page that asks for the password, each in a browser of its own."""
    prepared = queue.SimpleQueue()
    for number, nurse in zip(range(seconds * HASHES_PER_SECOND), itertools.cycle(people)):
        nurse.web = bench.site.hospital.web()
        nurse.web.address = terminal(number)
        page = nurse.web.open(nurse.go().link("by=password"))
        prepared.put((nurse.web, page, page.form("/login/password")))
    return prepared


class Storm:
    """Everybody sends the right password, AT_ONCE at a time, until `end`."""

    def __init__(self, prepared):
        self.prepared, self.done, self.failed = prepared, [], []
        self.started, self.stopping = time.monotonic(), threading.Event()
        self.threads = [threading.Thread(target=self._send) for _ in range(AT_ONCE)]
        for thread in self.threads:
            thread.start()

    def _send(self):
        while not self.stopping.is_set():
            try:
                web, page, form = self.prepared.get_nowait()
                answer = web.submit(page, form, {"secret": PASSWORD})
                assert answer.status == 200 and answer.form("/login/totp"), (answer.status, answer.text)
                self.done.append(time.monotonic())
            except Exception as error:
                self.failed.append(error)
                return

    def end(self):
        """How many passwords were right, and in which time."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
        if self.failed:
            raise LoadFailed(f"a password in the storm: {self.failed[0]!r}")
        return len(self.done), max(self.done) - self.started

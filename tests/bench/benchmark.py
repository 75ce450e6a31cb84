"""The gateway beside nginx on the same upstream, by the method of docs/performance.md. Started by tests/bench/run."""

import argparse
import contextlib
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import decision_cost
import journal_cost
import load
import report
from haproxy import Haproxy
from hospital import certificates
from machine import LOAD_CORE, TESTED_CORE, CpuMeter, describe, file_system, not_quiet
from peers import LARGE, SMALL, AskingProxy, Proxy, Upstream
from raw import Raw
from rounds import Candidate, Sample, ratio, run
from site_under_load import NURSES, Site, made_up

NGINX, AGAIN, ASKING, DIRECT = "nginx TLS", "nginx TLS again", "nginx TLS + auth_request", "direct"
HAPROXY = "HAProxy TLS"
SEKIMORI, ONE_SESSION = "sekimori", "sekimori, one session and page"
PARTS = ("door", "large", "journal", "decision")
DOCUMENT = ROOT / "docs" / "performance.md"


class Bench:
    """The peers and, unless only they are measured against each other, the site behind the gateway."""

    def __init__(self, folder, arguments, stack):
        self.folder, self.arguments, self.stack, self.site = folder, arguments, stack, None
        tls = folder / "tls"
        tls.mkdir()
        certificates(tls, [load.HOST, "auth.sekimori.localhost"])
        self.tls = tls
        self.upstream = self._stopped_at_the_end(Upstream(folder / "upstream", LOAD_CORE, tls))
        self.nginx = self._proxy(Proxy, "nginx")
        self.again = self._proxy(Proxy, "nginx-again")
        self.asking = self._proxy(AskingProxy, "nginx-asking")
        self.haproxy = self._proxy(Haproxy, "haproxy")
        self.browsers, self.public_port = made_up(NURSES), self.nginx.port

    def open_site(self):
        """Everybody logs in; from now on the requests carry their cookies."""
        self.site = Site(self.folder / "hospital", self.upstream, self.tls, self.arguments.sessions, say)
        self.stack.callback(self.site.stop)
        self.site.open()
        self.browsers, self.public_port = self.site.browsers, self.site.port

    def same_tls(self):
        """The one protocol and suite that every candidate speaks with the load generator's library."""
        ports = [self.upstream.port, self.nginx.port, self.again.port, self.asking.port, self.haproxy.port]
        if self.site:
            ports.append(self.site.port)
        spoken = set()
        for port in ports:
            connection = Raw(port, self.tls / "ca.pem", load.HOST)
            certificate = connection.socket.getpeercert(binary_form=True)
            spoken.add((connection.socket.version(), connection.socket.cipher()[0], certificate))
            connection.close()
        if len(spoken) != 1:
            raise load.LoadFailed(f"the candidates don't speak the same TLS: {[one[:2] for one in spoken]}")
        version, suite, _ = spoken.pop()
        return f"{version} {suite}, ECDSA P-256"

    def small(self):
        """Rounds over a page of 1 KiB."""
        requests = self._requests("small", "/patients/{patient}")
        candidates = [self._of(DIRECT, self.upstream, requests, SMALL, metered=False), *self._peers(requests, SMALL)]
        candidates.insert(4, self._of(ASKING, self.asking, requests, SMALL))
        if self.site:
            candidates += [self._gateway(SEKIMORI, requests, SMALL),
                           self._gateway(ONE_SESSION, self._first_of(requests), SMALL)]
        return self._run(candidates)

    def large(self):
        """Rounds over a file of 64 KiB."""
        requests = self._requests("large", "/patients/{patient}/files/scan")
        candidates = self._peers(requests, LARGE)
        if self.site:
            candidates.append(self._gateway(SEKIMORI, requests, LARGE))
        return self._run(candidates)

    def profile(self, file):
        """Stacks of the gateway's threads under the load of `small`, for `perf report`."""
        requests = self.folder / "small.requests"
        with subprocess.Popen(["perf", "record", "--quiet", "-F", "499", "--call-graph", "dwarf,16384",
                               "-p", str(self.site.pid), "-o", file]) as recorder:
            load.send(self.site.port, requests, 6, SMALL)
            recorder.send_signal(signal.SIGINT)

    def _run(self, candidates):
        return run(candidates, self.arguments.rounds, say)

    def _peers(self, requests, size):
        return [self._of(NGINX, self.nginx, requests, size), self._of(AGAIN, self.again, requests, size),
                self._of(HAPROXY, self.haproxy, requests, size)]

    def _requests(self, name, path):
        prepared = load.prepare(self.browsers, self.public_port, path)
        if self.site:
            self.site.prove(prepared)
            say(f"{len(prepared)} requests sent once: each has its page and its record, of that person and patient")
        return load.write(prepared, self.folder / f"{name}.requests")

    def _first_of(self, requests):
        first = requests.read_bytes().split(b"\r\n\r\n", 1)[0] + b"\r\n\r\n"
        file = requests.with_suffix(".first")
        file.write_bytes(first)
        return file

    def _of(self, name, server, requests, size, metered=True):
        def sample():
            tested, upstream = CpuMeter(server.pid).start(), CpuMeter(self.upstream.pid).start()
            answered = load.send(server.port, requests, self.arguments.seconds, size)
            return Sample(answered.requests, answered.seconds, tested.stop() if metered else None,
                          answered.cpu_ns + upstream.stop(), answered.p50, answered.p99)
        return Candidate(name, sample)

    def _gateway(self, name, requests, size):
        measured = self._of(name, self.site, requests, size)

        def sample():
            self.site.journal.skip()
            before = self.upstream.requests()
            sampled = measured.sample()
            self.site.check_journal(sampled.requests, lambda: self.upstream.requests() - before)
            return sampled
        return Candidate(name, sample)

    def _proxy(self, kind, name):
        return self._stopped_at_the_end(kind(self.folder / name, TESTED_CORE, self.tls, self.upstream))

    def _stopped_at_the_end(self, server):
        self.stack.callback(server.stop)
        return server


def main():
    arguments = parse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=arguments.folder))
    if file_system(folder) == "tmpfs":
        sys.exit(f"{folder} is in memory; a journal on no disk measures nothing: name another folder by --folder")
    say(f"other work takes {not_quiet():.0%} of this machine")
    sections, verdicts = [], []
    try:
        if {"door", "large"} & set(arguments.parts):
            with contextlib.ExitStack() as stack:
                measure_door(Bench(folder, arguments, stack), arguments, sections, verdicts)
        if "journal" in arguments.parts:
            section, judged = journal_cost.measure(folder, arguments.rounds, say)
            sections.append(section)
            verdicts += judged
        if "decision" in arguments.parts:
            section, judged = decision_cost.measure(say)
            sections.append(section)
            verdicts += judged
    finally:
        if not arguments.keep:
            shutil.rmtree(folder)
    if verdicts:
        sections.insert(0, report.goals(verdicts))
    print("\n" + "\n".join(section.terminal() for section in sections))
    if arguments.write:
        report.write_document(DOCUMENT, describe(arguments.folder), sections)
        say(f"written to {DOCUMENT.relative_to(ROOT)}")


def measure_door(bench, arguments, sections, verdicts):
    if not arguments.peers:
        bench.open_site()
    words = (f"{bench.same_tls()}; {load.CONNECTIONS} kept connections, {arguments.rounds} rounds of "
             f"{arguments.seconds} s, one core and one worker each; {len(bench.browsers):,} sessions, "
             f"{load.PATIENTS} patients, requests of {load.REQUEST_BYTES:,} bytes. Medians, and the range of the rounds.")
    if "door" in arguments.parts:
        rounds = bench.small()
        sections.append(report.door("A page of 1 KiB", words, rounds, NGINX))
        if bench.site:
            verdicts += [
                ("P1", "requests/s, × nginx TLS", ratio(rounds, SEKIMORI, NGINX, "rate"), 1.10, "least"),
                ("P1", "CPU per request, × nginx TLS", ratio(rounds, SEKIMORI, NGINX, "cpu_us"), 0.90, "most"),
                ("P4", "requests/s, × nginx TLS + auth_request", ratio(rounds, SEKIMORI, ASKING, "rate"), 2.2, "least"),
            ]
            if arguments.profile:
                bench.profile(arguments.profile)
    if "large" in arguments.parts:
        rounds = bench.large()
        sections.append(report.door("A file of 64 KiB", words, rounds, NGINX))
        if bench.site:
            verdicts.append(
                ("P7", "64 KiB: requests/s, × nginx TLS", ratio(rounds, SEKIMORI, NGINX, "rate"), 1.3, "least"))
    if bench.site:
        bench.site.close()
        say("the journal of the whole run verifies")


def parse():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all when left out")
    parser.add_argument("--rounds", type=int, default=9, help="rounds that count (9)")
    parser.add_argument("--seconds", type=int, default=2, help="seconds a round and candidate (2)")
    parser.add_argument("--sessions", type=int, default=NURSES, help=f"people who log in ({NURSES})")
    parser.add_argument("--peers", action="store_true", help="nginx alone: tells how far the harness can be believed")
    parser.add_argument("--write", action="store_true", help="write the measured section of docs/performance.md")
    parser.add_argument("--keep", action="store_true", help="keep the folder with configuration, logs and journal")
    parser.add_argument("--profile", metavar="FILE", help="also record where the gateway's time goes (linux-perf)")
    parser.add_argument("--folder", default=ROOT / "target", type=pathlib.Path,
                        help="where a folder for the run is made, on a real disk (target/)")
    arguments = parser.parse_args()
    arguments.parts = arguments.parts or list(PARTS)
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}")
    if arguments.write and (arguments.peers or arguments.rounds < 9 or arguments.sessions < NURSES
                            or set(arguments.parts) != set(PARTS)):
        parser.error("--write wants the whole: all parts, at least 9 rounds, every session")
    return arguments


def say(text):
    print(text, flush=True)


if __name__ == "__main__":
    main()

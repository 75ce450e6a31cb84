"""Requests side by side: pages, files, HTTP/2, privileged ones, and a fixed rate. Each gives a section and verdicts."""

import signal
import subprocess

import client
import load
import report
from bench import ASKING, DIRECT, NGINX, ONE_SESSION, SEKIMORI
from peers import LARGE, SMALL
from rounds import added, ratio, spread

PAGE, FILE, ADMIN = "/patients/{patient}", "/patients/{patient}/files/scan", "/admin/patients/{patient}"


def small(bench, words):
    """A page of 1 KiB (P1, P4)."""
    requests = bench.requests(PAGE)
    candidates = [bench.by_wrk(DIRECT, bench.upstream, requests, metered=False), *_peers(bench, requests),
                  bench.by_wrk(ASKING, bench.asking, requests)]
    if bench.site:
        candidates += [bench.by_wrk(SEKIMORI, bench.site, requests),
                       bench.by_wrk(ONE_SESSION, bench.site, _first_of(requests))]
    rounds = bench.run(candidates)
    section = report.door("A page of 1 KiB", words, rounds, NGINX)
    if not bench.site:
        return section, []
    return section, [
        ("P1", "requests/s, × nginx TLS", ratio(rounds, SEKIMORI, NGINX, "rate"), 1.10, "least", 1.05),
        ("P1", "CPU per request, × nginx TLS", ratio(rounds, SEKIMORI, NGINX, "cpu_us"), 0.90, "most", 0.95),
        ("P4", "requests/s, × nginx TLS + auth_request", ratio(rounds, SEKIMORI, ASKING, "rate"), 2.2, "least"),
    ]


def large(bench, words):
    """A file of 64 KiB (P7)."""
    requests = bench.requests(FILE)
    candidates = _peers(bench, requests, LARGE)
    if bench.site:
        candidates.append(bench.by_wrk(SEKIMORI, bench.site, requests, LARGE))
    rounds = bench.run(candidates)
    section = report.door("A file of 64 KiB", words, rounds, NGINX)
    if not bench.site:
        return section, []
    return section, [("P7", "64 KiB: requests/s, × nginx TLS", ratio(rounds, SEKIMORI, NGINX, "rate"), 1.3, "least")]


def http2(bench, words):
    """The page over HTTP/2, a connection for each session (P8)."""
    requests, seconds = bench.requests(PAGE), bench.arguments.seconds

    def start(port):
        return client.http2(port, bench.tls, requests, seconds, SMALL)

    servers = {**bench.peers, **({SEKIMORI: bench.site} if bench.site else {})}
    rounds = bench.run([bench.by_client(name, server, start) for name, server in servers.items()])
    words = words.replace(f"{load.CONNECTIONS} kept connections",
                          f"a kept connection for each session, {load.CONNECTIONS} requests under way over all")
    section = report.door("The page over HTTP/2", words, rounds, NGINX)
    if not bench.site:
        return section, []
    return section, [
        ("P8", "HTTP/2: requests/s, × nginx TLS", ratio(rounds, SEKIMORI, NGINX, "rate"), 1.2, "least"),
    ]


def privileged(bench, words):
    """Requests whose record is on disk before the upstream hears of them (P3)."""
    if not bench.site:
        return None, []
    ordinary = bench.requests(PAGE)
    officers = bench.site.officers()
    acts = bench.requests(ADMIN, officers, load.PATIENTS)
    name = "sekimori, privileged"
    rounds = bench.run([*_peers(bench, ordinary), bench.by_wrk(name, bench.site, acts)])
    words = words.replace(f"{load.PATIENTS} patients", f"of the privileged ones {len(officers)}, {load.PATIENTS} patients")
    section = report.door("A record on disk before the answer", words, rounds, NGINX)
    return section, [("P3", "record synced before the answer: requests/s, × nginx TLS",
                      ratio(rounds, name, NGINX, "rate"), 0.95, "least")]


def latency(bench, words):
    """The page at a fixed rate, whether answers keep up or not (P5)."""
    requests, rate, seconds = bench.requests(PAGE), bench.arguments.rate, bench.arguments.seconds

    def start(port):
        return client.paced(port, bench.tls, requests, rate, seconds, SMALL)

    candidates = [bench.by_client(DIRECT, bench.upstream, start, metered=False),
                  *(bench.by_client(name, server, start) for name, server in bench.peers.items())]
    if bench.site:
        candidates.append(bench.by_client(SEKIMORI, bench.site, start))
    rounds = bench.run(candidates)
    words = words.replace("kept connections", f"kept connections, {rate:,} requests/s by the clock")
    section = report.paced(f"At {rate:,} requests/s", words, rounds, DIRECT, NGINX)
    if not bench.site or not held(rounds, (DIRECT, NGINX), rate):
        return section, []
    return section, [
        ("P5", f"p50 added at {rate:,} requests/s, × nginx's own", added(rounds, SEKIMORI, NGINX, DIRECT, "p50"),
         1.2, "most"),
        ("P5", f"p99 added at {rate:,} requests/s, × nginx's own", added(rounds, SEKIMORI, NGINX, DIRECT, "p99"),
         1.0, "most"),
    ]


def held(rounds, names, rate):
    """Whether generator and upstream kept up with their own clock: else what is late says nothing of the gateway."""
    return all(spread(rounds, name, "rate").median >= 0.98 * rate for name in names)


def profile(bench, file):
    """Stacks of the gateway's threads under the load of `small`, for `perf report`."""
    requests = bench.requests(PAGE)
    with subprocess.Popen(["perf", "record", "--quiet", "-F", "499", "--call-graph", "dwarf,16384",
                           "-p", str(bench.site.pid), "-o", file]) as recorder:
        load.send(bench.site.port, requests, 6, SMALL)
        recorder.send_signal(signal.SIGINT)


def _peers(bench, requests, size=SMALL):
    return [bench.by_wrk(name, server, requests, size) for name, server in bench.peers.items()]


def _first_of(requests):
    first = requests.read_bytes().split(b"\r\n\r\n", 1)[0] + b"\r\n\r\n"
    file = requests.with_suffix(".first")
    file.write_bytes(first)
    return file

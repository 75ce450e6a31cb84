"""What an idle TLS connection takes of memory (P9)."""

import report
from bench import HAPROXY, NGINX, PINGORA, SEKIMORI
from client import Client
from doors import PAGE
from machine import resident
from others import Haproxy, Pingora
from peers import SMALL, Proxy
from rounds import Spread

FEW, MANY = 500, 2000
RUNS = 3


def measure(bench, _words):
    """The section and verdicts. Every run has processes of its own: what one has once taken it seldom gives back."""
    requests = bench.requests(PAGE)
    found = {}
    for run in range(RUNS):
        servers = {NGINX: bench.proxy(Proxy, f"nginx-memory-{run}"),
                   HAPROXY: bench.proxy(Haproxy, f"haproxy-memory-{run}")}
        if PINGORA in bench.peers:
            servers[PINGORA] = bench.proxy(Pingora, f"pingora-memory-{run}")
        if bench.site:
            bench.site.restart()
            servers[SEKIMORI] = bench.site
        for name, server in servers.items():
            found.setdefault(name, []).append(held(bench, server, requests))
            bench.say(f"memory, run {run + 1} of {RUNS}: {name} {found[name][-1][1]:.1f} KiB a connection")
    rows = []
    for name, runs in found.items():
        empty, each = Spread.of(one[0] for one in runs), Spread.of(one[1] for one in runs)
        rows.append([name, f"{empty.median:.1f} MiB", f"{each.median:.1f} ({each.low:.1f} … {each.high:.1f})"])
    words = (f"Resident memory of the process and its children between {FEW:,} and {MANY:,} connections that have asked for "
             f"one page over HTTP/1.1 and are kept; all of them answer again afterwards. {RUNS} runs, each of a new process.")
    section = report.Section("An idle connection", words, ["candidate", "before", "KiB a connection: median (range)"], rows)
    if not bench.site:
        return section, []
    each = Spread.of(one[1] for one in found[SEKIMORI])
    return section, [("P9", "memory of an idle TLS connection, KiB", each, 20, "most")]


def held(bench, server, requests):
    """MiB before the first connection, and KiB of each between FEW and MANY."""
    before = resident(server.pid)
    with Client.towards("hold", server.port, bench.tls, requests=requests, body=SMALL, counts=f"{FEW},{MANY}") as load:
        few = resident(server.pid)
        load.go_on()
        many = resident(server.pid)
        load.go()
    return before / 2**20, per_one(few, many, MANY - FEW)


def per_one(before, after, count):
    """KiB of each of `count` that were added."""
    return (after - before) / count / 2**10

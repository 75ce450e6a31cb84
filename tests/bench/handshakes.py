"""What a full TLS 1.3 handshake costs, by X25519 and by X25519MLKEM768 (P6)."""

import statistics

import report
from bench import NGINX, SEKIMORI
from client import Client
from machine import CpuMeter
from rounds import Candidate, Sample, ratio, spread

X25519, HYBRID = "X25519", "X25519MLKEM768"
SEKIMORI_HYBRID = f"{SEKIMORI}, {HYBRID}"


def measure(bench, _words):
    """The section and verdicts. Debian's OpenSSL 3.0 doesn't know ML-KEM: only the gateway is asked for it."""
    candidates = [_candidate(bench, name, server) for name, server in bench.peers.items()]
    if bench.site:
        candidates += [_candidate(bench, SEKIMORI, bench.site), _candidate(bench, SEKIMORI_HYBRID, bench.site, HYBRID)]
    rounds = bench.run(candidates)
    rows = []
    for name in rounds[0]:
        busy = statistics.median(samples[name].busy for samples in rounds)
        rows.append([name, report.number(spread(rounds, name, "rate")),
                     report.microseconds(spread(rounds, name, "cpu_us")),
                     report.ranged(ratio(rounds, name, NGINX, "cpu_us")), f"{busy:.0%}"])
    words = (f"Full handshakes by {X25519} where nothing else is said, ECDSA P-256, one after the other on 8 connections: "
             "accepting, the handshake, its session tickets, closing. Nothing is resumed and nothing is asked. "
             f"{bench.arguments.rounds} rounds of {bench.arguments.seconds} s.")
    section = report.Section("Handshakes", words, ["candidate", "handshakes/s", "CPU per handshake", "CPU × " + NGINX,
                                                   "core busy"], rows)
    if not bench.site:
        return section, []
    return section, [
        ("P6", f"handshake's CPU, {X25519}, × {NGINX}", ratio(rounds, SEKIMORI, NGINX, "cpu_us"), 0.45, "most", 0.5),
        ("P6", f"handshake's CPU, {HYBRID}, × {NGINX} with {X25519}",
         ratio(rounds, SEKIMORI_HYBRID, NGINX, "cpu_us"), 0.60, "most"),
    ]


def _candidate(bench, name, server, group=X25519):
    def sample():
        with Client.towards("handshakes", server.port, bench.tls, group=group, seconds=bench.arguments.seconds) as load:
            tested = CpuMeter(server.pid).start()
            told = load.go()
            return Sample(told["handshakes"], told["seconds"], tested.stop(), told["cpu_ns"], 0.0, 0.0)
    return Candidate(name, sample)

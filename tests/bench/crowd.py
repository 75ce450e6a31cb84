"""Everybody of a large hospital at once: logged-in sessions and open WebSockets, and what they take of memory (P9)."""

import time
from types import SimpleNamespace

import load
import report
from load import HOST
from machine import descriptors, resident
from rounds import Spread
from websocket import WebSocket

SESSIONS = 10_000
FEWEST = 2_000
# Growth is told from here on: before, tables and pools find their first size.
SETTLED = 0.3
# A session that is not used locks after 15 minutes; this often everybody turns a page.
TURN_SECONDS = 480


def measure(bench, sessions, sockets):
    """The section and verdicts."""
    site = bench.another_site("crowd", sessions)
    samples, turned = [], time.monotonic()

    def arrived(count):
        nonlocal turned
        if count % max(100, sessions // 10) == 0:
            samples.append((count, resident(site.pid)))
            bench.say(f"{count:,} sessions: {samples[-1][1] / 2**20:.1f} MiB")
        if time.monotonic() - turned > TURN_SECONDS:
            turn_pages(site)
            turned = time.monotonic()

    started = time.monotonic()
    site.open(arrived)
    seconds = time.monotonic() - started
    empty = site.empty
    turn_pages(site)
    logged_in = resident(site.pid)
    opened = [open_socket(site, browser) for browser in site.browsers[:sockets]]
    crowded, files = resident(site.pid), descriptors(site.pid)
    for number, socket in enumerate(opened):
        assert socket.say(f"still {number}") == f"echo still {number}"
    turn_pages(site)
    both = max(crowded, resident(site.pid))
    for socket in opened:
        socket.raw.close()
    site.restart()
    loaded = resident(site.pid)
    turn_pages(site, sessions // 4)
    few = resident(site.pid)
    turn_pages(site)
    anew = resident(site.pid)
    site.close()
    arriving = slope([sample for sample in samples if sample[0] >= sessions * SETTLED])
    each = of_one(empty, loaded, few, anew, sessions)
    rows = [["started, nobody there", f"{empty / 2**20:.1f} MiB"],
            [f"{sessions:,} sessions, each has just asked for a page", f"{logged_in / 2**20:.1f} MiB"],
            [f"and {sockets:,} WebSockets of as many sessions", f"{both / 2**20:.1f} MiB"],
            ["a new process with the same sessions, each has just asked for a page", f"{anew / 2**20:.1f} MiB"],
            ["of that a session, with its account and roles", f"{each / 2**10:.2f} KiB"],
            ["growth of a session while they log in", f"{arriving / 2**10:.2f} KiB" if arriving is not None else "–"],
            ["a WebSocket, with its connection to the upstream", f"{(crowded - logged_in) / sockets / 2**10:.1f} KiB"],
            ["descriptors with all that", f"{files:,}"]]
    words = (f"{sessions:,} nurses of a generated HR file enrolled a passkey and logged in, in {seconds:,.0f} s. Resident "
             "memory. Afterwards every socket still echoes and every session still gets its page.")
    section = report.Section("A crowd", words, ["", "memory"], rows)
    return section, [
        ("P9", "memory of a live session, KiB", told_of(each, sessions), 1, "most"),
        ("–", f"{sessions:,} sessions and {sockets:,} WebSockets, MiB", Spread.of([both / 2**20]), 200, "most"),
    ]


def told_of(each, sessions):
    """In KiB; nothing where so few sessions are lost in what two processes differ by."""
    return Spread.of([each / 2**10]) if sessions >= FEWEST and each > 0 else None


def of_one(empty, loaded, few, all_, sessions):
    """Bytes of a session in a new process: what it loads of it at the start, and what the session's first page leaves, told
    between a quarter of them (`few`) and all, because the very first pages find tables and pools their size."""
    return (loaded - empty) / sessions + (all_ - few) / (sessions - sessions // 4)


def turn_pages(site, count=None):
    """Everybody who is there (or the first so many) asks for a page, gets it, and is on record."""
    site.prove(load.prepare(site.browsers[:count], site.port, pages=1))


def open_socket(site, browser):
    """A WebSocket of that browser, which has been echoed to."""
    web = SimpleNamespace(port=site.port, ca_file=site.hospital.ca, cookies={HOST: browser.cookies})
    socket = WebSocket(web, HOST, "/ws/ward", site.hospital.origin("chart"))
    assert socket.status == 101, (socket.status, socket.headers)
    assert socket.say("hello") == "echo hello"
    return socket


def slope(samples):
    """By how much the second grows for each of the first (least squares); None of less than two."""
    if len(samples) < 2:
        return None
    middle = [sum(axis) / len(samples) for axis in zip(*samples)]
    across = sum((x - middle[0]) ** 2 for x, _ in samples)
    return sum((x - middle[0]) * (y - middle[1]) for x, y in samples) / across if across else None

"""What the journal costs beside a raw file and beside SQLite, at the same batch (P11).

The audit crate's own measurement (gateway/audit/examples/journal_bench.rs) has the journal and the raw file;
SQLite takes the same lines here, without a hash chain, through its C library with one prepared statement.
"""

import itertools
import re
import sqlite3
import statistics
import subprocess
import time

from machine import ROOT
from report import Section, ranged
from rounds import Spread

COMMAND = ["cargo", "run", "--release", "--quiet", "--locked", "-p", "sekimori-audit", "--example", "journal_bench"]
BATCH = re.compile(r"^ *(\d+) +([\d.]+) +([\d.]+) +([\d.]+) \(([\d.]+) … ([\d.]+)\)$", re.M)
LINE = re.compile(r"^record of (\d+) bytes", re.M)
APPEND = re.compile(r"^append alone: ([\d.]+) µs", re.M)
RUNS = 3
ROUND_SECONDS = 0.4


def measure(folder, rounds, say):
    """The section, and verdicts on its goals."""
    subprocess.run([*COMMAND[:1], "build", *COMMAND[2:]], cwd=ROOT, check=True)
    runs = []
    for number in range(RUNS):
        told = subprocess.run([*COMMAND, "--", folder], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        run = read(told)
        for batch, figures in run["batches"].items():
            figures["sqlite"] = statistics.median(
                sqlite(folder / "lines.db", run["line"], batch) for _ in range(rounds))
        runs.append(run)
        say(f"journal: run {number + 1} of {RUNS}")
    return section(runs), verdicts(runs)


def read(text):
    """Figures of one run: bytes of a line, µs of an append, and per batch raw, journal and their ratio."""
    batches = {}
    for batch, raw, journal, *ratio in BATCH.findall(text):
        batches[int(batch)] = {"raw": float(raw), "journal": float(journal), "ratio": [float(one) for one in ratio]}
    line, append = LINE.search(text), APPEND.search(text)
    if not (batches and line and append):
        raise ValueError(f"not what `{' '.join(COMMAND)}` printed before: {text}")
    return {"line": int(line[1]), "append": float(append[1]), "batches": batches}


def sqlite(file, line, batch):
    """Rows a second into one table, WAL with `synchronous=FULL`, a transaction for each batch."""
    for left in file.parent.glob(file.name + "*"):
        left.unlink()
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE record(seq INTEGER PRIMARY KEY, line BLOB NOT NULL)")
    row, written, started = (b"x" * line,), 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < ROUND_SECONDS:
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT INTO record(line) VALUES (?)", itertools.repeat(row, batch))
        database.execute("COMMIT")
        written += batch
    database.close()
    return written / passed


def to_raw(runs, batch):
    """Ratio to the raw file: median of the runs' medians, range of all their rounds."""
    ratios = [run["batches"][batch]["ratio"] for run in runs]
    return Spread(statistics.median(one[0] for one in ratios), min(one[1] for one in ratios),
                  max(one[2] for one in ratios))


def to_sqlite(runs, batch):
    return Spread.of(run["batches"][batch]["journal"] / run["batches"][batch]["sqlite"] for run in runs)


def section(runs):
    rows = []
    for batch in runs[0]["batches"]:
        rates = [statistics.median(run["batches"][batch][who] for run in runs) for who in ("journal", "raw", "sqlite")]
        rows.append([f"{batch:,}", *(f"{rate:,.0f}" for rate in rates),
                     ranged(to_raw(runs, batch)), ranged(to_sqlite(runs, batch))])
    append = Spread.of(run["append"] for run in runs)
    words = (f"Records of {runs[0]['line']} bytes; every batch is on disk before the next begins. One append without "
             f"waiting for the disk: {append.median:.2f} µs ({append.low:.2f} … {append.high:.2f}). "
             f"SQLite {sqlite3.sqlite_version}, WAL, `synchronous=FULL`, without a hash chain. {RUNS} runs.")
    return Section("The journal", words,
                   ["records a batch", "journal /s", "raw file /s", "SQLite /s", "× raw file", "× SQLite"], rows)


def verdicts(runs):
    """The batch at which the journal does worst stands for all."""
    batches = runs[0]["batches"]
    raw = min((to_raw(runs, batch) for batch in batches), key=lambda spread: spread.median)
    database = min((to_sqlite(runs, batch) for batch in batches), key=lambda spread: spread.median)
    return [("P11", "journal, × raw preallocated file, worst batch", raw, 0.8, "least"),
            ("P11", "journal, × SQLite WAL FULL, worst batch", database, 1.5, "least")]

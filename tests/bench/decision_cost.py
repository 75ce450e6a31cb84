"""What a decision costs with many people and rules (P10): the policy crate's own measurement."""

import re
import subprocess

from machine import ROOT
from report import Section
from rounds import Spread

COMMAND = ["cargo", "run", "--release", "--quiet", "--locked", "-p", "sekimori-policy", "--example", "decide"]
SITE = re.compile(r"([\d_]+) people, ([\d_]+) rules.*\n.*cold (\d+) ns, within a page (\d+) ns, scattered (\d+) ns")
RUNS = 3


def measure(say):
    """The section, and verdicts on its goals."""
    subprocess.run([*COMMAND[:1], "build", *COMMAND[2:]], cwd=ROOT, check=True)
    runs = [read(subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
            for _ in range(RUNS)]
    say(f"decision: {RUNS} runs")
    rows = []
    for at, site in enumerate(runs[0]):
        times = [Spread.of(run[at][figure] for run in runs) for figure in ("page", "scattered", "cold")]
        rows.append([f"{site['people']:,} people, {site['rules']:,} rules",
                     *(f"{time.median:.0f} ns ({time.low:.0f} … {time.high:.0f})" for time in times)])
    section = Section(
        "A decision", f"With its explanation; {RUNS} runs. *Within a page*: the requests after a page's first. "
        "*Scattered*: people in random order. *Cold*: the engine is asked.",
        ["site", "within a page, p50", "scattered, p50", "cold, p50"], rows)
    large = Spread.of(run[-1]["page"] for run in runs)
    growth = Spread.of(run[-1]["page"] / run[0]["page"] for run in runs)
    return section, [("P10", "decision within a page, ns, 100,000 people and 10,000 rules", large, 500, "most"),
                     ("P10", "growth of that from 100 people and 10 rules, ×", growth, 1.2, "most")]


def read(text):
    """Figures of the small and the large site."""
    found = [dict(zip(("people", "rules", "cold", "page", "scattered"), map(int, site.groups())))
             for site in SITE.finditer(text)]
    if len(found) != 2:
        raise ValueError(f"not what `{' '.join(COMMAND)}` printed before: {text}")
    return found

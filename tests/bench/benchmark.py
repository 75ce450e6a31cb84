"""The gateway beside nginx on the same upstream, by the method of docs/performance.md. Started by tests/bench/run."""

import argparse
import contextlib
import pathlib
import resource
import shutil
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import crowd
import decision_cost
import doors
import handshakes
import journal_cost
import load
import memory
import report
import soak
import storm
from bench import Bench
from machine import describe, file_system, not_quiet
from site_under_load import NURSES

# What is measured at one site with everybody logged in.
DOORS = {"door": doors.small, "large": doors.large, "http2": doors.http2, "latency": doors.latency,
         "privileged": doors.privileged, "handshakes": handshakes.measure, "memory": memory.measure,
         "storm": storm.measure}
# What has a site of its own.
SITES = ("crowd", "soak")
PARTS = (*DOORS, *SITES, "journal", "decision")
DOCUMENT = ROOT / "docs" / "performance.md"


def main():
    arguments = parse()
    # Thousands of connections at once: as many files as we may have.
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=arguments.folder))
    if file_system(folder) == "tmpfs":
        sys.exit(f"{folder} is in memory; a journal on no disk measures nothing: name another folder by --folder")
    say(f"other work takes {not_quiet():.0%} of this machine")
    sections, verdicts = [], []
    try:
        if set(DOORS) & set(arguments.parts):
            with contextlib.ExitStack() as stack:
                measure(Bench(folder, arguments, stack, say), arguments, sections, verdicts)
        for part in () if arguments.peers else [one for one in SITES if one in arguments.parts]:
            with contextlib.ExitStack() as stack:
                bench = Bench(folder / f"of-the-{part}", arguments, stack, say)
                if part == "crowd":
                    section, judged = crowd.measure(bench, arguments.crowd, arguments.crowd // 10)
                else:
                    section, judged = soak.measure(bench, arguments.soak)
                sections.append(section)
                verdicts += judged
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


def measure(bench, arguments, sections, verdicts):
    """The parts that share one site, in the order of PARTS."""
    if not arguments.peers:
        bench.open_site()
    words = (f"{bench.same_tls()}; {load.CONNECTIONS} kept connections, {arguments.rounds} rounds of "
             f"{arguments.seconds} s, one core and one worker each; {len(bench.browsers):,} sessions, "
             f"{load.PATIENTS} patients, requests of {load.REQUEST_BYTES:,} bytes. Medians, and the range of the rounds.")
    for name, part in DOORS.items():
        if name in arguments.parts:
            say(name)
            section, judged = part(bench, words)
            if section:
                sections.append(section)
                verdicts += judged
    if bench.site:
        if arguments.profile:
            doors.profile(bench, arguments.profile)
        bench.site.close()
        say("the journal of the whole run verifies")


def parse():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all when left out")
    parser.add_argument("--rounds", type=int, default=9, help="rounds that count (9)")
    parser.add_argument("--seconds", type=int, default=2, help="seconds a round and candidate (2)")
    parser.add_argument("--sessions", type=int, default=NURSES, help=f"people who log in ({NURSES})")
    parser.add_argument("--rate", type=int, default=5000, help="requests a second of the part latency (5000)")
    parser.add_argument("--crowd", type=int, default=crowd.SESSIONS,
                        help=f"people of the part crowd ({crowd.SESSIONS}); a tenth of them open a WebSocket")
    parser.add_argument("--soak", type=int, default=soak.SECONDS, metavar="SECONDS",
                        help=f"how long the part soak takes ({soak.SECONDS})")
    parser.add_argument("--peers", action="store_true", help="nginx alone: tells how far the harness can be believed")
    parser.add_argument("--pingora", action="store_true", help="Pingora too (run builds it, which takes minutes)")
    parser.add_argument("--write", action="store_true", help="write the measured section of docs/performance.md")
    parser.add_argument("--keep", action="store_true", help="keep the folder with configuration, logs and journal")
    parser.add_argument("--profile", metavar="FILE", help="also record where the gateway's time goes (linux-perf)")
    parser.add_argument("--folder", default=ROOT / "target", type=pathlib.Path,
                        help="where a folder for the run is made, on a real disk (target/)")
    arguments = parser.parse_args()
    arguments.parts = arguments.parts or list(PARTS)
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}")
    if arguments.write and (arguments.peers or arguments.rounds < 9 or arguments.sessions < NURSES or arguments.rate < 5000
                            or arguments.crowd < crowd.SESSIONS or arguments.soak < soak.SECONDS or arguments.seconds < 2
                            or set(arguments.parts) != set(PARTS)):
        parser.error("--write wants the whole: all parts, at least 9 rounds, every session")
    return arguments


def say(text):
    print(text, flush=True)


if __name__ == "__main__":
    main()

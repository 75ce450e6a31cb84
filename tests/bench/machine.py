"""The machine under the measurement: its two cores, the scheduler's accounts, and what to write down about it."""

import contextlib
import os
import pathlib
import platform
import re
import subprocess
import time

LOAD_CORE, TESTED_CORE = 0, 1
ROOT = pathlib.Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def on_core(core):
    """Processes started in here stay on that core, with all their threads (what `taskset` does)."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class CpuMeter:
    """Nanoseconds on a core of a process, its threads and its children, from the scheduler's accounting."""

    def __init__(self, pid):
        self.pid = pid
        self.started = {}

    def start(self):
        self.started = self._threads()
        return self

    def stop(self):
        """What was used since `start`, once the last of it is done (a journal's sync ends a little later)."""
        used = self._used()
        for _ in range(20):
            time.sleep(0.05)
            now = self._used()
            if now - used < 500_000:
                return now
            used = now
        return used

    def _used(self):
        return sum(spent - self.started.get(thread, 0) for thread, spent in self._threads().items())

    def _threads(self):
        found, waiting = {}, [self.pid]
        while waiting:
            pid = waiting.pop()
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                try:
                    found[task.name] = int((task / "schedstat").read_text().split()[0])
                    waiting += map(int, (task / "children").read_text().split())
                except (FileNotFoundError, ProcessLookupError):
                    continue
        return found


def family(pid):
    """The process and those it has started, and theirs."""
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        for task in pathlib.Path(f"/proc/{found[-1]}/task").iterdir():
            waiting += map(int, (task / "children").read_text().split())
    return found


def resident(pid):
    """Bytes of memory that it and its children have in use, counted page by page."""
    return sum(int(re.search(r"^Rss:\s+(\d+) kB", pathlib.Path(f"/proc/{one}/smaps_rollup").read_text(), re.M)[1])
               for one in family(pid)) * 1024


def descriptors(pid):
    """Open files and sockets of it and its children."""
    return sum(len(os.listdir(f"/proc/{one}/fd")) for one in family(pid))


def file_system(folder):
    """Type of the file system that `folder` is on, e.g. `ext4`."""
    told = subprocess.run(["findmnt", "--noheadings", "--output", "FSTYPE", "--target", folder],
                          capture_output=True, text=True, check=True)
    return told.stdout.strip()


def describe(folder):
    """What a reader must know to compare: pairs of a word and its value."""
    cpu = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    virtual = "hypervisor" in pathlib.Path("/proc/cpuinfo").read_text()
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    system = re.search(r'PRETTY_NAME="(.+)"', pathlib.Path("/etc/os-release").read_text())
    return {
        "processor": f"{cpu[1] if cpu else platform.processor()}, {os.cpu_count()} cores"
                     + (", virtual machine" if virtual else ""),
        "memory": f"{memory / 2**20:.0f} GiB",
        "system": f"{system[1] if system else platform.system()}, Linux {platform.release()}",
        "disk": f"{file_system(folder)}, real files (not memory)",
        "nginx": first_line(["nginx", "-v"]).removeprefix("nginx version: "),
        "HAProxy": first_line(["haproxy", "-v"]).removeprefix("HAProxy version ").split(" - ")[0],
        "wrk": first_line(["wrk", "-v"]).split(" Copyright")[0],
        "OpenSSL of nginx, HAProxy and wrk": first_line(["openssl", "version"]).split(" (")[0],
        "compiler": first_line(["rustc", "--version"]),
        "sekimori": revision(),
    }


def first_line(command):
    told = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return (told.stdout or told.stderr).strip().splitlines()[0]


def revision():
    """The commit that is measured, and whether the checkout differs from it."""
    commit = first_line(["git", "describe", "--always", "--abbrev=10"])
    changed = subprocess.run(["git", "status", "--porcelain", "--untracked-files=no"],
                             capture_output=True, text=True, cwd=ROOT).stdout.strip()
    return f"release build of {commit}" + (" with uncommitted changes" if changed else "")


def not_quiet():
    """How busy the machine is besides us: the share of both cores used in half a second."""
    before, start = _busy(), time.monotonic()
    time.sleep(0.5)
    ticks = (time.monotonic() - start) * os.sysconf("SC_CLK_TCK") * os.cpu_count()
    return (_busy() - before) / ticks


def _busy():
    fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, irq, softirq = map(int, fields[:7])
    return user + nice + system + irq + softirq

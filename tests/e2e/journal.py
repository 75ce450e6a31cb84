"""A journal's files: copied, tampered with, and verified by `sekimorictl` and by the script in tests/tools."""

import hashlib
import json
import re
import shutil
import subprocess
import sys

from hospital import BINARIES, ENVIRONMENT, ROOT


class Copy:
    """What a node keeps (`journal`) and what has left it (`elsewhere`), in a folder of their own."""

    def __init__(self, hospital, folder):
        self.folder = folder
        self.journal, self.elsewhere = folder / "journal", folder / "elsewhere"
        shutil.copytree(hospital.journal, self.journal)
        shutil.copytree(hospital.checkpoints, self.elsewhere)
        shutil.copy(hospital.journal.parent / "journal.pub", folder)

    def copy(self, folder):
        """Another one of the same."""
        shutil.copytree(self.folder, folder)
        twin = object.__new__(Copy)
        twin.folder, twin.journal, twin.elsewhere = folder, folder / "journal", folder / "elsewhere"
        return twin

    def segments(self):
        return sorted(self.journal.glob("segment-*.jsonl"))

    def lines(self, segment=0):
        """A segment's lines, each with its newline."""
        return self.segments()[segment].read_bytes().splitlines(keepends=True)

    def write(self, lines, segment=0):
        self.segments()[segment].write_bytes(b"".join(lines))

    def put_back(self, older):
        """Puts the node's own files back to an older state."""
        shutil.rmtree(self.journal)
        shutil.copytree(older.journal, self.journal)

    def drop_notes(self, seq):
        """Takes the notes on records after `seq` out of the node's own checkpoints."""
        file = self.journal / "checkpoints"
        notes = re.findall(r"sekimori\.journal/.*?\n\n\u2014 .*?\n\n?", file.read_text(), re.S)
        file.write_text("".join(note for note in notes if int(note.split("\n")[1]) <= seq))


def sealed(record, prev=None):
    """A line with a right hash of its own, as a forger writes it."""
    record = {key: value for key, value in record.items() if key != "hash"}
    if prev:
        record["prev"] = prev
    body = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()[:-1]
    return body + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


class Verdict:
    """`sound`, what was said, and for sekimorictl the findings."""

    def __init__(self, sound, words, findings=None):
        self.sound, self.words, self.findings = sound, words, findings

    def __repr__(self):
        return f"{'sound' if self.sound else 'NOT sound'}: {self.words}"


def by_sekimorictl(copy, with_checkpoints=True):
    command = [BINARIES / "sekimorictl", "audit", "verify", copy.journal]
    if with_checkpoints:
        command += ["--checkpoint", next(copy.elsewhere.glob("*.checkpoints"))]
    words = run(command)
    told = run([*command, "--output", "json"])
    assert words.returncode == told.returncode and words.returncode in (0, 1), (words, told)
    answer = json.loads(told.stdout)
    assert answer["sound"] == (words.returncode == 0)
    return Verdict(answer["sound"], words.stdout, answer["findings"])


def by_script(copy, with_checkpoints=True):
    command = [sys.executable, ROOT / "tests" / "tools" / "verify_journal.py", copy.journal, copy.folder / "journal.pub"]
    if with_checkpoints:
        command += copy.elsewhere.glob("*.checkpoints")
    ran = run(command)
    return Verdict(ran.returncode == 0, ran.stdout + ran.stderr)


def run(command):
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60)

"""What happens to a journal's disk, and how an administrator mends it. Mounts: needs root, as the test run has."""

import os
import pathlib
import shutil
import subprocess

from hospital import wait_until


def do(*command):
    """Runs a command; its failure is told in words, never skipped."""
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, f"these tests mount file systems and need root: {command}: {ran.stderr or ran.stdout}"
    return ran.stdout.strip()


class Fault:
    """`journal` is the directory, before the gateway first starts. `reasons` are what may stand in journal.recover."""

    reasons = {"write-failed"}

    def __init__(self, journal, folder):
        self.journal, self.folder = journal, folder
        self.prepare()

    def prepare(self):
        pass

    def clean(self):
        while os.path.ismount(self.journal):
            do("umount", "-l", self.journal)


class FullDisk(Fault):
    """Every block is taken; then somebody makes room."""

    def prepare(self):
        self.journal.mkdir()
        do("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", self.journal)

    def strike(self):
        with open(self.journal / "ballast", "wb", buffering=0) as ballast:
            try:
                while ballast.write(bytes(4096)):
                    pass
            except OSError:
                pass

    def mend(self):
        (self.journal / "ballast").unlink()


class ReadOnly(Fault):
    """The kernel finds an error and remounts read-only; then the repaired file system is mounted in its place."""

    reasons = {"write-failed", "sync-failed"}

    def prepare(self):
        self.journal.mkdir()
        self.image = self.folder / "disk"
        with open(self.image, "wb") as image:
            image.truncate(16 << 20)
        do("mkfs.ext4", "-q", "-F", self.image)
        do("mount", "-o", "loop,errors=remount-ro", self.image, self.journal)
        self.device = pathlib.Path(do("findmnt", "-no", "SOURCE", self.journal)).name

    def strike(self):
        pathlib.Path(f"/sys/fs/ext4/{self.device}/trigger_fs_error").write_text("1")

    def mend(self):
        copy = self.folder / "repaired"
        shutil.copy(self.image, copy)
        subprocess.run(["e2fsck", "-fy", copy], capture_output=True, check=False)  # 1: errors corrected
        do("mount", "-o", "loop", copy, self.journal)


class Deleted(Fault):
    """The directory is deleted and can't be made again, since a file stands in its place; then it can."""

    reasons = {"segment-gone"}

    def strike(self):
        wait_until(self._replaced, "the directory is gone")

    def _replaced(self):
        """The gateway may be quicker in making it again."""
        shutil.rmtree(self.journal, ignore_errors=True)
        try:
            self.journal.touch(exist_ok=False)
            return True
        except FileExistsError:
            return False

    def mend(self):
        self.journal.unlink()

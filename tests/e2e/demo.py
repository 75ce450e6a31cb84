"""`sekimori demo` at a terminal of its own, as a newcomer starts it."""

import os
import pty
import re
import shlex
import threading
import time

from hospital import BINARIES, DOMAIN, ENVIRONMENT, free_port, wait_until


class Demo:
    """Runs in an empty folder; its home and temporary folder are watched too."""

    def __init__(self, folder):
        self.folder, self.home = folder / "source", folder / "home"
        self.folder.mkdir()
        self.home.mkdir()
        self.var = self.folder / "var"
        self.https, self.http = free_port(), free_port()
        self.process = None

    def start(self):
        """Starts it and waits until it has handed out codes; `took` are the seconds until then."""
        self.text, began = "", time.monotonic()
        self.process, self._terminal = pty.fork()
        if self.process == 0:
            os.chdir(self.folder)
            os.execve(BINARIES / "sekimori", [
                "sekimori", "demo", "--var", "var", "--https", str(self.https), "--http", str(self.http),
            ], {**ENVIRONMENT, "HOME": str(self.home), "TMPDIR": str(self.home)})
        self._reader = threading.Thread(target=self._read, args=(self._terminal,), daemon=True)
        self._reader.start()
        wait_until(lambda: self.codes() or self.ended(), "codes are printed", 20)
        self.took = time.monotonic() - began
        assert self.process, self.text
        return self

    def _read(self, terminal):
        data = b""
        while True:
            try:
                more = os.read(terminal, 65536)
            except OSError:  # the other end is closed
                return
            data += more
            self.text = data.decode(errors="replace").replace("\r\n", "\n")

    def type(self, keys):
        os.write(self._terminal, keys.encode())

    def ended(self):
        """True once the process is gone; `status` is its exit code."""
        if self.process is None:
            return True
        pid, status = os.waitpid(self.process, os.WNOHANG)
        if pid:
            self.status, self.process = os.waitstatus_to_exitcode(status), None
            self._reader.join(5)
            os.close(self._terminal)
        return bool(pid)

    def stop(self):
        """Ctrl-C; the seconds it took."""
        began = time.monotonic()
        if not self.ended():
            self.type("\x03")
            wait_until(self.ended, f"it stops: {self.text[-2000:]}", 30)
        return time.monotonic() - began

    def codes(self):
        """The codes that were printed last, by staff number; none before the whole sheet is there."""
        found = re.findall(r"^ +(\d{6}) +(\w{5}-\w{5}) ", self.text, re.M)
        return dict(found) if found and len(found) % 4 == 0 else {}

    def command(self, start):
        """The words of the printed command that starts so."""
        line = next(line for line in self.text.splitlines() if line.strip().startswith(start))
        return shlex.split(line)

    def origin(self, name="auth"):
        return f"https://{name}.{DOMAIN}:{self.https}"

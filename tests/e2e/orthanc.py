"""Orthanc from Debian's package, in a temporary folder."""

import json
import subprocess
import urllib.request

from hospital import ENVIRONMENT, free_port, wait_until


class Orthanc:
    def __init__(self, folder):
        self.port = free_port()
        configuration = folder / "orthanc.json"
        configuration.write_text(json.dumps({
            "Name": "e2e", "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
            "HttpPort": self.port, "DicomServerEnabled": False, "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False, "Plugins": []}))
        log = open(folder / "orthanc.log", "wb")
        self.process = subprocess.Popen(["/usr/sbin/Orthanc", configuration], stdout=log, stderr=log,
                                        cwd=folder, env=ENVIRONMENT)
        wait_until(self._answers, "Orthanc answers", 30)

    def _answers(self):
        assert self.process.poll() is None, "Orthanc stopped"
        try:
            return self.get("/system")
        except OSError:
            return None

    def get(self, path):
        """Asks Orthanc itself, behind the gateway's back."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return json.load(answer)

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

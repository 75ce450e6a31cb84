"""Orthanc from Debian's package, in a temporary folder, with DICOMweb and a password."""

import base64
import json
import subprocess
import urllib.request

from hospital import ENVIRONMENT, free_port, wait_until

DICOMWEB = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


class Orthanc:
    user, password = "sekimori", "images, please"

    def __init__(self, folder):
        self.port = free_port()
        configuration = folder / "orthanc.json"
        configuration.write_text(json.dumps({
            "Name": "e2e", "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
            "HttpPort": self.port, "DicomServerEnabled": False, "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True, "RegisteredUsers": {self.user: self.password},
            "StoreMD5ForAttachments": False, "Plugins": [DICOMWEB], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}))
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
        return json.loads(self.ask(path))

    def delete(self, path):
        self.ask(path, "DELETE")

    def ask(self, path, method="GET"):
        known = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method,
                                         headers={"Authorization": f"Basic {known}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

"""docker/ on a machine without an engine: the image's file system and the compose file's services, made of mount and
network namespaces. Needs root, as the test run has."""

import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import tempfile

import yaml

from hospital import BINARIES, ROOT, wait_until

DOCKER = ROOT / "docker"


class Image:
    """What docker/Dockerfile says of the last stage."""

    def __init__(self):
        text = (DOCKER / "Dockerfile").read_text()
        self.text = re.sub(r"\\\n", " ", text)
        self.last = self.text[self.text.rindex("\nFROM "):]
        self.user = re.search(r"^USER (\d+):(\d+)$", self.last, re.M).groups()
        self.folder = re.search(r"^WORKDIR (\S+)$", self.last, re.M)[1]
        self.health = yaml.safe_load(re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", self.last, re.M)[1])
        self.command = yaml.safe_load(re.search(r"^CMD (\[.*\])$", self.last, re.M)[1])
        self.binaries = re.search(r"^COPY --from=build (.*) (\S+)/$", self.last, re.M)
        # install -d -m MODE -o OWNER -g GROUP PATH…
        self.folders = {}
        for mode, owner, group, paths in re.findall(r"install -d -m (\d+) -o (\S+) -g (\S+) ((?:/\S+ ?)+)", self.last):
            for path in paths.split():
                self.folders[path] = int(mode, 8), *(int(i) if i.isdigit() else 0 for i in (owner, group))

    def copies(self):
        """What the first stage takes out of the checkout."""
        return [source for line in re.findall(r"^COPY (?!--)(.*)$", self.text, re.M) for source in line.split()[:-1]]


class Pod:
    """The services of docker/compose.yaml, side by side on one loopback."""

    def __init__(self, folder):
        self.folder, self.image = folder, Image()
        self.compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
        self.running, self.store, self.store_place = {}, None, None
        self.volumes = {name: self._volume(name) for name in self.compose["volumes"]}
        self.root = self._root()
        self.net = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"],
                                    stdout=subprocess.PIPE, text=True)
        assert self.net.stdout.readline() == "up\n"

    def _volume(self, name):
        """A named volume takes owner and mode from the image's folder that it is first mounted on."""
        path = self.folder / "volumes" / name
        path.mkdir(parents=True)
        for service in self.compose["services"].values():
            for mount in service.get("volumes", []):
                source, target, *_ = mount.split(":")
                if source == name and target in self.image.folders:
                    mode, owner, group = self.image.folders[target]
                    os.chown(path, owner, group)
                    path.chmod(mode)
        return path

    def _root(self):
        root = self.folder / "root"
        for made in ("usr", "proc", "dev", "tmp", "etc", "run/postgresql", "var/lib"):
            (root / made).mkdir(parents=True)
        for link in ("bin", "sbin", "lib", "lib64"):
            if pathlib.Path("/", link).is_symlink():
                (root / link).symlink_to(f"usr/{link}")
        for path, (mode, owner, group) in self.image.folders.items():
            inside = root / path.lstrip("/")
            inside.mkdir(parents=True, exist_ok=True)
            os.chown(inside, owner, group)
            inside.chmod(mode)
        (root / "etc/sekimori/sekimori.toml").touch()
        bins = self.folder / "bin"
        bins.mkdir()
        for binary in self.image.binaries[1].split():
            shutil.copy(BINARIES / pathlib.Path(binary).name, bins)
        return root

    def mounts(self, service):
        for mount in service.get("volumes", []):
            source, target, *how = mount.split(":")
            source = self.volumes.get(source) or (DOCKER / source).resolve()
            yield source, target, how == ["ro"]

    def _script(self, service, command):
        q = shlex.quote
        root = str(self.root)
        lines = ["set -e", "mount --make-rprivate /", f"mount --bind {q(root)} {q(root)}",
                 f"mount --bind /usr {q(root)}/usr", f"mount -o remount,bind,ro {q(root)}/usr",
                 f"mount --bind {q(str(self.folder / 'bin'))} {q(root)}{self.image.binaries[2]}",
                 f"mount --rbind /dev {q(root)}/dev", f"mount -t proc proc {q(root)}/proc"]
        lines += [f"mount -t tmpfs tmpfs {q(root)}{path}" for path in service.get("tmpfs", [])]
        for source, target, read_only in self.mounts(service):
            lines.append(f"mount --bind {q(str(source))} {q(root)}{target}")
            if read_only:
                lines.append(f"mount -o remount,bind,ro {q(root)}{target}")
        if service.get("read_only"):
            lines.append(f"mount -o remount,bind,ro {q(root)}")
        user, group = self.image.user
        limits = f"setpriv --reuid {user} --regid {group} --clear-groups"
        if "no-new-privileges:true" in service.get("security_opt", []):
            limits += " --no-new-privs"
        if service.get("cap_drop") == ["ALL"]:
            limits += " --bounding-set=-all --inh-caps=-all"
        inside = f"cd {self.image.folder} && exec env -i PATH=/usr/local/bin:/usr/bin:/bin {shlex.join(command)}"
        lines.append(f"exec chroot {q(root)} {limits} sh -c {q(inside)}")
        return "\n".join(lines)

    def start(self, name, command=None):
        """Starts a service of ours, or another command in its place."""
        service = self.compose["services"][name]
        script = self._script(service, command or service["command"])
        log = open(self.folder / f"{name}.log", "ab")
        process = subprocess.Popen(["nsenter", f"--net=/proc/{self.net.pid}/ns/net", "unshare", "--mount", "sh", "-c", script],
                                   stdout=log, stderr=log)
        if not command:
            self.running[name] = process
        return process

    def run(self, name, *command):
        """`docker compose run`: to its end; what was written."""
        before = len(self.log(name))
        process = self.start(name, list(command) or None)
        status = process.wait(60)
        assert status == 0, (name, command, self.log(name)[before:])
        return self.log(name)[before:]

    def healthy(self, name):
        """Whether the image's health check is content."""
        return self.start(name, self.image.health).wait(20) == 0

    def start_store(self):
        """The official image's entry point in short: a database of the name, the socket, no port."""
        service = self.compose["services"]["store"]
        environment = service["environment"]
        programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        data, sockets = self.volumes["database"], self.volumes["socket"]
        # The server's user must reach it, wherever the tests' own folder is.
        place = pathlib.Path(tempfile.mkdtemp(prefix="sekimori-pod-"))
        place.chmod(0o755)
        (place / "data").mkdir()
        for folder in (place / "data", sockets):
            shutil.chown(folder, "postgres")
        sockets.chmod(0o3777)
        subprocess.run(["mount", "--bind", sockets, self._made(place / "socket")], check=True)
        self.store_place = place
        as_postgres = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--"]
        subprocess.run([*as_postgres, programs / "initdb", "-D", place / "data", "-U", environment["POSTGRES_USER"],
                        "-A", environment["POSTGRES_HOST_AUTH_METHOD"], "-E", "UTF8", "--no-sync"],
                       check=True, capture_output=True)
        program, *options = service["command"]
        self.store = subprocess.Popen([*as_postgres, programs / program, "-D", place / "data", "-k", place / "socket",
                                       "-c", "fsync=on", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, *check = service["healthcheck"]["test"]
        psql = [*as_postgres, "psql", "-h", place / "socket", "-U", environment["POSTGRES_USER"], "-d", "postgres"]
        wait_until(lambda: subprocess.run([*psql, "-c", "SELECT 1"], capture_output=True).returncode == 0, "PostgreSQL answers")
        subprocess.run([*psql, "-c", f"CREATE DATABASE {environment['POSTGRES_DB']}"], check=True, capture_output=True)
        subprocess.run([*as_postgres, *check, "-h", place / "socket"], check=True, capture_output=True)

    @staticmethod
    def _made(path):
        path.mkdir()
        return path

    def curl(self, url):
        """What a browser on the same machine gets."""
        ran = subprocess.run(["nsenter", f"--net=/proc/{self.net.pid}/ns/net", "curl", "-sS", "-i", "--max-time", "10",
                              "--cacert", self.volumes["state"] / "ca.pem", url], capture_output=True, text=True,
                             env={"PATH": os.environ["PATH"]})
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def log(self, name):
        file = self.folder / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def stop(self, name):
        """As the engine does; the exit status."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(30)

    def close(self):
        for process in [*self.running.values(), self.net]:
            process.kill()
            process.wait()
        if self.store:
            self.store.send_signal(signal.SIGINT)
            self.store.wait(30)
        if self.store_place:
            subprocess.run(["umount", "-l", self.store_place / "socket"], check=False)
            shutil.rmtree(self.store_place, ignore_errors=True)

"""How the gateway is delivered: systemd unit, Debian package, container image and trial of compose."""

import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml

from containers import DOCKER, Image, Pod
from hospital import BINARIES, ROOT, wait_until

UNIT = DOCKER / "systemd" / "sekimori.service"
GATEWAY = ROOT / "gateway"


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **more)


# systemd


def test_the_unit_is_one_that_systemd_takes_and_the_gateway_knows_its_command(tmp_path):
    text = UNIT.read_text()
    (tmp_path / UNIT.name).write_text(text.replace("/usr/bin/sekimori", str(BINARIES / "sekimori")))
    verified = run("systemd-analyze", "verify", tmp_path / UNIT.name)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    _, *arguments = shlex.split(re.search(r"^ExecStart=(.*)$", text, re.M)[1])
    arguments[-1] = str(tmp_path / "no.toml")
    started = run(BINARIES / "sekimori", *arguments)
    prevented = re.search(r"^RestartPreventExitStatus=(\d+)$", text, re.M)[1]
    assert "can't read" in started.stderr and str(started.returncode) == prevented


def test_the_unit_leaves_the_service_little_to_do_harm_with():
    """systemd's own measure: 0 is the best, 10 the worst; a service without any sandbox has 9.6."""
    measured = run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", UNIT)
    assert measured.returncode == 0, measured.stdout[-200:]


def test_the_unit_gives_a_stop_more_time_than_the_gateway_takes_for_it():
    seconds = int(re.search(r"^TimeoutStopSec=(\d+)s$", UNIT.read_text(), re.M)[1])
    reference = (ROOT / "docs" / "configuration.md").read_text()
    takes = sum(int(re.search(rf"^\| `{option}` .*\| `\"(\d+)s\"` \|$", reference, re.M)[1]) for option in ("stop_delay", "drain"))
    assert seconds > takes


def test_user_and_folders_are_made_as_the_unit_and_the_sample_want_them(tmp_path):
    (tmp_path / "etc").mkdir()
    for program, file, more in (("systemd-sysusers", "sysusers.d", []), ("systemd-tmpfiles", "tmpfiles.d", ["--create"])):
        made = run(program, f"--root={tmp_path}", *more, DOCKER / "systemd" / file / "sekimori.conf")
        assert made.returncode == 0, made.stderr
    user = re.search(r"^User=(\S+)$", UNIT.read_text(), re.M)[1]
    entry = next(line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines() if line.startswith(user + ":"))
    assert entry[5] == "/var/lib/sekimori" and entry[6].endswith("nologin")
    state = tmp_path / "var/lib/sekimori"
    assert (state.stat().st_uid, state.stat().st_mode & 0o777) == (int(entry[2]), 0o700)
    assert (tmp_path / "etc/sekimori/policy").is_dir()
    sample = tomllib.loads((ROOT / "config/examples/sekimori.toml").read_text())
    assert pathlib.Path(sample["store"]["path"]).parent == pathlib.Path(entry[5])
    assert f"ReadWritePaths=-{sample['journal']['checkpoint_directory']}" in UNIT.read_text()


# The Debian package


def test_the_package_lists_only_what_is_there_and_lacks_nothing(tmp_path):
    manifest = tomllib.loads((GATEWAY / "Cargo.toml").read_text())
    package = manifest["package"]["metadata"]["deb"]
    targets = []
    for source, target, mode in package["assets"]:
        assert re.fullmatch("[67][0-7][0-7]", mode), source
        targets.append(target)
        if source.startswith("target/release/"):
            assert (BINARIES / pathlib.Path(source).name).exists(), source
        else:
            assert list(GATEWAY.glob(source)), source
    assert targets.count("usr/bin/") == 2
    assert {"usr/lib/sysusers.d/", "usr/lib/tmpfiles.d/"} <= set(targets)
    units = package["systemd-units"]
    assert (GATEWAY / units["unit-scripts"] / f"{units['unit-name']}.service").resolve() == UNIT
    for script in ("postinst", "prerm", "postrm"):
        script = GATEWAY / package["maintainer-scripts"] / script
        assert run("sh", "-n", script).returncode == 0 and "\n#DEBHELPER#\n" in script.read_text()
    if shutil.which("cargo-deb"):
        build_package(tmp_path)


def build_package(folder):
    """The real thing, of the binaries under test."""
    made = run("cargo", "deb", "--no-build", "--no-strip", "--fast", "--profile", "dev", "-p", "sekimori-gateway", "-o", folder / "s.deb",
               cwd=ROOT)
    assert made.returncode == 0, made.stderr
    listed = run("dpkg-deb", "--contents", folder / "s.deb").stdout
    for path in ("./usr/bin/sekimori\n", "./usr/bin/sekimorictl\n", "sekimori.service\n", "./usr/share/doc/sekimori/configuration.md"):
        assert path in listed, listed
    assert run("dpkg-deb", "--control", folder / "s.deb", folder / "control").returncode == 0
    postinst = (folder / "control" / "postinst").read_text()
    for line in ("systemd-sysusers .* sekimori.conf", "systemd-tmpfiles --create sekimori.conf", "deb-systemd-helper .*sekimori.service"):
        assert re.search(line, postinst), postinst


# The image


def test_the_dockerfile_has_no_fault_that_a_linter_finds():
    linted = run(pathlib.Path(sys.executable).parent / "hadolint", DOCKER / "Dockerfile")
    assert linted.returncode == 0, linted.stdout


def test_the_image_is_made_of_files_that_are_there_and_sent_to_the_engine(tmp_path):
    image = Image()
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().split("\n")
    sent = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored
    for source in image.copies():
        assert (ROOT / source).exists(), source
        assert any(source == path or source.startswith(path + "/") for path in sent), f"{source} is not sent"
    # With these alone, cargo knows the workspace and the binaries that are built.
    for source in image.copies():
        target = tmp_path / source
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, target)
    told = run("cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    built = re.findall(r"-p (\S+)", image.text)
    bins = {target["name"] for package in json.loads(told.stdout)["packages"] if package["name"] in built
            for target in package["targets"] if "bin" in target["kind"]}
    taken = {pathlib.Path(path).name for path in image.binaries[1].split()}
    assert taken == bins == {"sekimori", "sekimorictl"}


def test_the_image_runs_as_nobody_who_could_change_it():
    image = Image()
    assert int(image.user[0]) >= 10_000
    writable = [path for path, (_, owner, _) in image.folders.items() if owner]
    assert set(writable) == {"/var/lib/sekimori", "/var/lib/sekimori-checkpoints"}
    for service in yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"].values():
        if service["image"] == "sekimori":
            assert service["read_only"] and service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.fixture()
def pod(tmp_path):
    made = Pod(tmp_path)
    yield made
    made.close()


def test_the_trial_of_compose_runs_from_preparation_to_stop(pod):
    """Every service's own command, in the image's folders, as its user, on a read-only file system."""
    pod.run("prepare")
    pod.start_store()
    told = pod.run("gateway", "sekimorictl", "bootstrap", "--registrar", "900001", "関 守")
    assert re.search(r"[0-9A-Z]{5}-[0-9A-Z]{5}", told), told
    pod.start("gateway")
    pod.start("chart")
    wait_until(lambda: pod.healthy("gateway"), f"healthy; {pod.log('gateway')}", 30)
    assert " 200" in pod.curl("https://auth.sekimori.localhost:8443/enrol").splitlines()[0]
    assert "308" in pod.curl("http://auth.sekimori.localhost:8080/").splitlines()[0]
    answer = pod.curl("https://chart.sekimori.localhost:8443/")
    assert "401" in answer.splitlines()[0] or "303" in answer.splitlines()[0]
    assert "200 OK" in pod.curl("http://127.0.0.1:9101/").splitlines()[0]
    status = pathlib.Path(f"/proc/{pod.running['gateway'].pid}/status").read_text()
    for line in ("Uid:\t10001\t10001\t10001\t10001", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"):
        assert line in status, line
    assert pod.stop("gateway") == 0 and pod.stop("chart") == 0
    assert list((pod.volumes["checkpoints"]).glob("*.checkpoints"))
    assert not (pod.volumes["state"] / "store.db").exists(), "the people are in PostgreSQL"

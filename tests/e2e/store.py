"""Where hospitals keep their people and sessions: each in a file of its own, or in a database of its own on one
PostgreSQL server for the run, which it reaches over TLS with a password."""

import contextlib
import pathlib
import sqlite3
import subprocess

START = pathlib.Path(__file__).resolve().parents[1] / "tools" / "postgres.sh"


class File:
    """SQLite, embedded: what a hospital has without a word of configuration."""

    def __init__(self, folder):
        self.file = folder / "var" / "store.db"
        self.options = {}

    def save(self, to):
        """As its administrator saves it: there is nothing to do beside `sekimorictl backup`."""

    def lose(self):
        for file in self.file.parent.glob("store.db*"):
            file.unlink()

    def bring_back(self, saved):
        """What was saved, before `sekimorictl restore`: that does it."""

    def number(self, sql):
        """The one number that a query gives."""
        with contextlib.closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as store:
            return store.execute(sql).fetchone()[0]

    def change(self, sql):
        """What only somebody at the machine could do."""
        with contextlib.closing(sqlite3.connect(self.file, timeout=10)) as store, store:
            store.execute(sql)


class Database:
    """PostgreSQL."""

    server, made = None, 0

    def __init__(self, folder):
        Database.server = Database.server or Server()
        Database.made += 1
        self.name = f"hospital{Database.made}"
        self.server.psql("postgres", f"CREATE DATABASE {self.name} OWNER sekimori")
        password = folder / "var" / "store.password"
        password.touch(0o600)
        password.write_text((self.server.folder / "password").read_text())
        self.options = {"url": f'"postgres://sekimori@127.0.0.1:{self.server.port}/{self.name}"',
                        "password_file": '"var/store.password"',
                        "ca_file": f'"{self.server.folder}/ca.pem"'}

    def number(self, sql):
        return int(self.server.psql(self.name, sql))

    def change(self, sql):
        self.server.psql(self.name, sql)

    def save(self, to):
        self._run("pg_dump", "-Fc", "-f", to, self.name)

    def lose(self):
        self.server.psql("postgres", f"DROP DATABASE {self.name} (FORCE)")
        self.server.psql("postgres", f"CREATE DATABASE {self.name} OWNER sekimori")

    def bring_back(self, saved):
        self._run("pg_restore", "--exit-on-error", "-d", self.name, saved)

    def _run(self, program, *arguments):
        ran = subprocess.run([program, "-h", self.server.folder, "-p", self.server.port, "-U", "postgres", *arguments],
                             capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr

    def cut(self):
        """The server hangs up and takes nobody any more, until it is told to `mend`."""
        self.server.psql("postgres", f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS FALSE")
        self.server.psql("postgres", "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                                     f"WHERE datname = '{self.name}'")

    def mend(self):
        self.server.psql("postgres", f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS TRUE")


class Server:
    """Lives until it is stopped, or its starter is gone."""

    def __init__(self):
        self.process = subprocess.Popen([START], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        folder, _, port = self.process.stdout.readline().strip().rpartition(" ")
        assert folder, "no PostgreSQL: apt-get install postgresql"
        self.folder, self.port = pathlib.Path(folder), port

    def psql(self, database, sql):
        """What a query gives, as the superuser."""
        ran = subprocess.run(["psql", "-qAtX", "-h", self.folder, "-p", self.port, "-U", "postgres",
                              "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql],
                             capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, f"{sql}: {ran.stderr}"
        return ran.stdout.strip()

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)


def stop():
    if Database.server:
        Database.server.stop()
        Database.server = None


KINDS = {"sqlite": File, "postgres": Database}

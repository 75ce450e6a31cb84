"""What the parts share: the peers, the site behind the gateway, and how a candidate is asked and watched."""

import load
from hospital import certificates
from load import HOST
from machine import LOAD_CORE, TESTED_CORE, CpuMeter
from others import Haproxy, Pingora
from peers import SMALL, AskingProxy, Proxy, Upstream
from raw import Raw
from rounds import Candidate, Sample, run
from site_under_load import NURSES, Site, made_up
from upstream import Upstream as Server
from websocket import Echo

NGINX, AGAIN, ASKING, DIRECT = "nginx TLS", "nginx TLS again", "nginx TLS + auth_request", "direct"
HAPROXY, PINGORA = "HAProxy TLS", "Pingora TLS"
SEKIMORI, ONE_SESSION = "sekimori", "sekimori, one session and page"


class Bench:
    """The peers and, unless only they are measured against each other, the site behind the gateway."""

    def __init__(self, folder, arguments, stack, say):
        self.folder, self.arguments, self.stack, self.say, self.site = folder, arguments, stack, say, None
        tls = folder / "tls"
        tls.mkdir(parents=True)
        certificates(tls, [HOST, "auth.sekimori.localhost"])
        self.tls = tls
        self.echo = Server(Echo())
        stack.callback(self.echo.close)
        self.upstream = self.stopped_at_the_end(Upstream(folder / "upstream", LOAD_CORE, tls, self.echo.port))
        self.nginx = self.proxy(Proxy, "nginx")
        self.again = self.proxy(Proxy, "nginx-again")
        self.asking = self.proxy(AskingProxy, "nginx-asking")
        # Those that do no more than the base of the ratios.
        self.peers = {NGINX: self.nginx, AGAIN: self.again, HAPROXY: self.proxy(Haproxy, "haproxy")}
        if arguments.pingora:
            self.peers[PINGORA] = self.proxy(Pingora, "pingora")
        self.browsers, self.public_port = made_up(arguments.sessions), self.nginx.port
        self.kept = {}

    def open_site(self):
        """Everybody logs in; from now on the requests carry their cookies."""
        self.site = self.another_site("hospital", self.arguments.sessions)
        self.site.open()
        self.browsers, self.public_port, self.kept = self.site.browsers, self.site.port, {}

    def another_site(self, name, nurses, settings=None):
        """A hospital on the same upstream, not yet open."""
        site = Site(self.folder / name, self.upstream, self.tls, nurses, self.say, settings)
        self.stack.callback(site.stop)
        return site

    def same_tls(self):
        """The one protocol and suite that every candidate speaks with the load generator's library."""
        ports = [one.port for one in (self.upstream, self.asking, *self.peers.values())]
        if self.site:
            ports.append(self.site.port)
        spoken = set()
        for port in ports:
            connection = Raw(port, self.tls / "ca.pem", HOST)
            certificate = connection.socket.getpeercert(binary_form=True)
            spoken.add((connection.socket.version(), connection.socket.cipher()[0], certificate))
            connection.close()
        if len(spoken) != 1:
            raise load.LoadFailed(f"the candidates don't speak the same TLS: {[one[:2] for one in spoken]}")
        version, suite, _ = spoken.pop()
        return f"{version} {suite}, ECDSA P-256"

    def requests(self, path="/patients/{patient}", browsers=None, pages=load.PAGES_PER_SESSION):
        """The file of everybody's requests for that path (or of `browsers` alone), each proven once."""
        if path not in self.kept:
            prepared = load.prepare(browsers or self.browsers, self.public_port, path, pages)
            if self.site:
                self.site.prove(prepared)
                self.say(f"{len(prepared)} requests sent once: each has its page and its record, "
                         "of that person and patient")
            self.kept[path] = load.write(prepared, self.folder / f"{len(self.kept)}.requests")
        return self.kept[path]

    def run(self, candidates):
        return run(candidates, self.arguments.rounds, self.say)

    def by_wrk(self, name, server, requests, size=SMALL, metered=True):
        """A candidate that wrk asks over HTTP/1.1 as often as it can."""
        def sample():
            noted = self._note(server)
            tested, upstream = CpuMeter(server.pid).start(), CpuMeter(self.upstream.pid).start()
            answered = load.send(server.port, requests, self.arguments.seconds, size)
            sampled = Sample(answered.requests, answered.seconds, tested.stop() if metered else None,
                             answered.cpu_ns + upstream.stop(), answered.p50, answered.p99)
            return self._checked(server, sampled, noted)
        return Candidate(name, sample)

    def by_client(self, name, server, start, metered=True):
        """A candidate that our own generator asks; `start(port)` gives it, ready."""
        def sample():
            with start(server.port) as generator:
                noted = self._note(server)
                tested, upstream = CpuMeter(server.pid).start(), CpuMeter(self.upstream.pid).start()
                told = generator.go()
                sampled = Sample(told["requests"], told["seconds"], tested.stop() if metered else None,
                                 told["cpu_ns"] + upstream.stop(), told["p50"] / 1e6, told["p99"] / 1e6,
                                 told.get("late_p99", 0) / 1e6)
            return self._checked(server, sampled, noted)
        return Candidate(name, sample)

    def _note(self, server):
        """Where journal and upstream stand before a round of the gateway."""
        if server is not self.site:
            return None
        self.site.journal.skip()
        return self.upstream.requests()

    def _checked(self, server, sampled, before):
        if server is self.site:
            self.site.check_journal(sampled.requests, lambda: self.upstream.requests() - before)
        return sampled

    def proxy(self, kind, name):
        return self.stopped_at_the_end(kind(self.folder / name, TESTED_CORE, self.tls, self.upstream))

    def stopped_at_the_end(self, server):
        self.stack.callback(server.stop)
        return server

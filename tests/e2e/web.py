"""A browser without scripts: cookies per host, redirects, forms, fetch metadata. TLS checked against the test CA."""

import html
import http.client
import json
import re
import socket
import ssl
import urllib.parse
from html.parser import HTMLParser


class Answer:
    def __init__(self, status, headers, body, url):
        self.status, self.headers, self.body, self.url = status, headers, body, url

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def forms(self):
        parser = _Forms()
        parser.feed(self.text)
        return parser.forms

    def link(self, part):
        """The address of the page's first link that contains `part`."""
        for link in re.findall(r'href="([^"]*)"', self.text):
            if part in html.unescape(link):
                return urllib.parse.urljoin(self.url, html.unescape(link))
        raise AssertionError(f"no link with {part} on {self.url} ({self.status}): {self.text[:2000]}")

    def form(self, action):
        """The page's form whose action ends so."""
        for form in self.forms:
            if urllib.parse.urlsplit(form["action"]).path.endswith(action):
                return form
        raise AssertionError(f"no form {action} on {self.url} ({self.status}): {self.text[:2000]}")


class _Forms(HTMLParser):
    def __init__(self):
        super().__init__()
        self.forms = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.forms.append({"action": attributes.get("action", ""), "fields": {}})
        elif tag in ("input", "button") and self.forms and attributes.get("name"):
            self.forms[-1]["fields"].setdefault(attributes["name"], attributes.get("value") or "")


NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none",
              "Sec-Fetch-User": "?1", "Accept": "text/html", "Accept-Language": "en"}
FETCH = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin",
         "Accept": "*/*"}


class Web:
    """One browser profile. Every host name resolves to 127.0.0.1."""

    def __init__(self, ca_file, port):
        self.ca_file, self.port = ca_file, port
        self.tls = ssl.create_default_context(cafile=ca_file)
        # Where the machine stands: any address of 127.0.0.0/8.
        self.address = "127.0.0.1"
        self.cookies = {}
        self.set_cookies = []  # every line it was ever sent

    def open(self, url, **more):
        """A navigation by a human."""
        return self.request("GET", url, headers={**NAVIGATION, **more.pop("headers", {})}, **more)

    def fetch(self, url, method="GET", **more):
        """A request by a script of the page."""
        return self.request(method, url, headers={**FETCH, **more.pop("headers", {})},
                            **{"follow": False, **more})

    def submit(self, page, form, values=None, follow=True, headers=None):
        """Sends a form of a page as a browser does."""
        url = urllib.parse.urljoin(page.url, form["action"] or page.url)
        body = urllib.parse.urlencode({**form["fields"], **(values or {})}).encode()
        origin = "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(page.url))
        return self.request("POST", url, body=body, follow=follow, headers={
            **NAVIGATION, "Sec-Fetch-Site": "same-origin", "Origin": origin, "Referer": page.url,
            "Content-Type": "application/x-www-form-urlencoded", **(headers or {})})

    def request(self, method, url, body=None, headers=None, follow=True, hops=12):
        parts = urllib.parse.urlsplit(url)
        port = parts.port or self.port
        connection = http.client.HTTPSConnection(parts.hostname, port, context=self.tls, timeout=15)
        connection._create_connection = lambda *_args, **_more: socket.create_connection(
            ("127.0.0.1", port), 15, (self.address, 0))
        target = parts.path or "/"
        if parts.query:
            target += "?" + parts.query
        headers = dict(headers or {})
        jar = self.cookies.setdefault(parts.hostname, {})
        if jar and "Cookie" not in headers:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        try:
            connection.request(method, target, body=body, headers=headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.getheaders(), response.read(), url)
        finally:
            connection.close()
        for line in answer.all("set-cookie"):
            self.set_cookies.append(line)
            self._keep(jar, line)
        if follow and answer.status in (301, 302, 303, 307, 308) and answer.header("location"):
            assert hops, f"redirect loop at {url}"
            onward = urllib.parse.urljoin(url, answer.header("location"))
            same_site = {k: v for k, v in NAVIGATION.items() if k != "Sec-Fetch-User"}
            return self.request("GET", onward, hops=hops - 1,
                                headers={**same_site, "Sec-Fetch-Site": "same-site",
                                         "Accept-Language": headers.get("Accept-Language", "en")})
        return answer

    @staticmethod
    def _keep(jar, line):
        pair, *attributes = line.split(";")
        name, _, value = pair.strip().partition("=")
        gone = any(a.strip().lower() == "max-age=0" for a in attributes)
        if gone or not value:
            jar.pop(name, None)
        else:
            jar[name] = value

"""A person at headless Chromium with a virtual passkey in the machine (DevTools WebAuthn)."""

import base64
import contextlib
import hashlib
import os
import pathlib

from hospital import wait_until


@contextlib.contextmanager
def browsing(hospital):
    """Chromium that trusts this hospital's certificate."""
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=[
            "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync",
            f"--ignore-certificate-errors-spki-list={spki(hospital.folder / 'var')}",
            "--host-resolver-rules=MAP *.localhost 127.0.0.1"])
        yield browser
        browser.close()


def spki(ca_folder):
    """The hash that makes Chromium trust the test leaf, so that its certificate is no error."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    leaf = x509.load_pem_x509_certificate((ca_folder / "tls.pem").read_bytes())
    der = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


class Person:
    """One browser context with one authenticator."""

    def __init__(self, browser, hospital, staff_no, locale="ja-JP", size=(1280, 720)):
        self.hospital, self.staff_no = hospital, staff_no
        self.context = browser.new_context(locale=locale, ignore_https_errors=False,
                                           viewport={"width": size[0], "height": size[1]})
        self.page = self.context.new_page()
        self.cdp = self.context.new_cdp_session(self.page)
        self.cdp.send("WebAuthn.enable")
        self.authenticator = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": {
            "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal",
            "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True,
            "automaticPresenceSimulation": True}})["authenticatorId"]

    def enrol(self, code):
        page = self.page
        page.goto(self.hospital.origin() + "/enrol")
        page.fill("#staff_no", self.staff_no)
        page.fill("#code", code)
        page.click("button.main")
        page.click("a.main[href*='by=passkey']")
        page.click("#passkey button.main")
        page.click("form[action^='/enrol/finish'] button")
        page.wait_for_load_state()
        return self

    def login(self, url=None):
        page = self.page
        page.goto(url or self.hospital.origin() + "/login")
        page.fill("#name", self.staff_no)
        page.click("button.main")
        self.passkey()
        return self

    def passkey(self):
        """Touches the passkey for the page that asks for it; some pages ask without a press."""
        page, portal = self.page, self.hospital.origin()
        asking = tuple(portal + path for path in ("/login", "/lock", "/unlock"))
        wait_until(lambda: not page.url.startswith(asking) or page.locator("#passkey").count(), "a passkey is asked for")
        if page.locator("#passkey:not([data-start])").count():
            page.click("#passkey button.main")
        page.wait_for_url(lambda url: not url.startswith(asking), timeout=10000)
        return self

    def carry(self, **options):
        """One more authenticator in the pocket: a security key that feels a touch and remembers nobody."""
        return self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": {
            "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "usb", "hasResidentKey": False,
            "hasUserVerification": False, "automaticPresenceSimulation": True, **options}})["authenticatorId"]

    def away(self, away=True):
        """Nobody touches the passkey for now: pages that ask for it wait."""
        self.cdp.send("WebAuthn.setAutomaticPresenceSimulation", {
            "authenticatorId": self.authenticator, "enabled": not away})

    def close(self):
        self.context.close()


SIZES = [(800, 1280), (1280, 720)]  # a tablet upright, and the smallest screen of a terminal


def look(page, name):
    """What must hold for every page of ours on both screens; pictures of it in `SEKIMORI_PICTURES`."""
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        if folder := os.environ.get("SEKIMORI_PICTURES"):
            page.screenshot(path=pathlib.Path(folder) / f"{name}-{width}.png", full_page=True)
        seen = page.evaluate(SEEN)
        assert seen["wide"] <= 0, f"{name} scrolls sideways at {width}"
        assert seen["low"] == [], f"{name}: too small for gloves"
        assert all(below <= 0 for below in seen["main"]), f"{name}: the main button is below the fold at {width}"
        assert seen["headings"] == 1 and seen["title"] and not seen["missing"], name
    return seen


SEEN = """() => {
    const box = (e) => e.getBoundingClientRect();
    const shown = (e) => box(e).width > 1 && getComputedStyle(e).visibility !== "hidden";
    const all = (which) => [...document.querySelectorAll(which)].filter(shown);
    return {
        tall: document.documentElement.scrollHeight - innerHeight,
        wide: document.documentElement.scrollWidth - innerWidth,
        low: all("button, a.button, input:not([type=hidden])").filter((e) => box(e).height < 48)
            .map((e) => e.outerHTML),
        main: all(".main").map((e) => box(e).bottom - innerHeight),
        title: document.title, headings: all("h1").length, lang: document.documentElement.lang,
        missing: document.body.innerText.includes("\\u27e8"),
    }; }"""

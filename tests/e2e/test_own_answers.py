"""What our own answers hold, pages and API: no secret but where it is handed out once (A35, A38)."""

import base64
import hashlib
import json
import re

import pytest
import yaml

from conftest import CLERK
from hospital import DEMO, ROOT
from test_portal_pages import API, ROUTES, SOME, ask, is_page
from web import FETCH, NAVIGATION

DESCRIPTION = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
JSON = {"Content-Type": "application/json"}
PASSWORD = "kaze no oto wo 3 do kiku"
# What a member is called that opens something or helps to.
TELLING = re.compile(r"(?:^|_)(?:token|bearer|secret|password|passphrase|seed|hash|salt|pepper|cookie|credential|key|"
                     r"private|code|otp|challenge)s?$")
HANDED_OUT = {("POST /session/token", "bearer"), ("POST /enrolment", "code")}
# Of records: the hash of the line before, and the public half of the key that signs them.
CHAIN = {"hash", "key"}


# The API, against its description


def resolved(schema):
    while "$ref" in schema:
        found = DESCRIPTION
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def keeps_to(value, schema, place):
    """Whether a value has the members that are described, and no other."""
    schema = resolved(schema)
    if isinstance(value, dict) and "properties" in schema:
        assert set(value) <= set(schema["properties"]), (place, set(value) - set(schema["properties"]))
        assert set(schema.get("required", [])) <= set(value), (place, value)
        for name, member in value.items():
            keeps_to(member, schema["properties"][name], f"{place}.{name}")
    elif isinstance(value, list):
        for item in value:
            keeps_to(item, schema.get("items", {}), f"{place}[]")


def members(value):
    """The names of all members, however deep."""
    if isinstance(value, dict):
        return set(value).union(*map(members, value.values()))
    return set().union(*map(members, value)) if isinstance(value, list) else set()


@pytest.fixture(scope="module")
def answers(ward):
    """An answer of every call, by route as it is described; of some a refusal too."""
    ward.refresh_cli()
    web, found = ward.officer.web, {}

    def call(route, place=None, body=None, headers=JSON):
        method, path = route.split(" ")
        body = json.dumps(body) if isinstance(body, dict) else body
        got = web.request(method, f"{ward.origin()}/.sekimori/api/v1{place or path}", body=body,
                          headers={**FETCH, **headers}, follow=False)
        found.setdefault(route, []).append(got)
        return got.json

    nurse = ward.hire(CLERK)
    nurse.login(ward.origin("recorder") + "/")
    code = ward.officer.cli_code()
    call("POST /session/token", body={"code": code}, headers={**JSON, "Cookie": ""})
    call("POST /session/token", body={"code": code}, headers={**JSON, "Cookie": ""})
    call("GET /session")
    call("GET /session", headers={"Cookie": ""})
    listed = call("GET /session/all")["sessions"]
    theirs = next(row for row in listed if row["staff_no"] == CLERK)
    call("POST /session/{id}/end", f"/session/{theirs['id']}/end", {})
    call("POST /session/{id}/end", "/session/x/end", {})
    call("POST /hr/import", body=(DEMO / "hr.csv").read_bytes(), headers={"Content-Type": "text/csv"})
    call("POST /hr/import", body=b"no,file\n", headers={"Content-Type": "text/csv"})
    call("POST /enrolment", body={"staff_no": CLERK, "method": "face-to-face", "evidence": "staff card"})
    call("POST /enrolment", body={"staff_no": "x"})
    for url in ("/pages/a", "/forbidden", "/pages/../x", "/.sekimori/enter"):
        call("POST /policy/test", body={"staff_no": CLERK, "url": ward.origin("recorder") + url, "method": "GET"})
    newest = call("GET /audit/tail", "/audit/tail?limit=500")["records"]
    call("GET /audit/records/{seq}", f"/audit/records/{newest[-1]['seq']}")
    call("GET /audit/records/{seq}", "/audit/records/0")
    call("GET /audit/search", "/audit/search?limit=500")
    call("GET /audit/search", "/audit/search?since=today")
    return found


def test_atk_a38_the_description_of_the_api_promises_no_secret_but_the_two_that_are_handed_out_once():
    promised = set()

    def look(schema, route):
        schema = resolved(schema)
        for name, member in schema.get("properties", {}).items():
            if TELLING.search(name):
                promised.add((route, name))
            look(member, route)
        look(schema["items"], route) if "items" in schema else None

    for path, methods in DESCRIPTION["paths"].items():
        for method, call in methods.items():
            for answer in call["responses"].values():
                for content in resolved(answer).get("content", {}).values():
                    look(content["schema"], f"{method.upper()} {path}")
    assert promised == HANDED_OUT


def test_atk_a38_no_answer_of_the_api_has_a_member_that_is_not_described_or_names_a_secret(answers):
    described = {f"{method.upper()} {path}" for path, methods in DESCRIPTION["paths"].items() for method in methods}
    assert set(answers) == described, "every call is tried"
    found, read = set(), 0
    for route, all_of_it in answers.items():
        method, path = route.split(" ")
        responses = DESCRIPTION["paths"][path][method.lower()]["responses"]
        assert all_of_it[0].status in (200, 201), (route, all_of_it[0].text)
        for got in all_of_it:
            problem = got.status >= 400
            default = DESCRIPTION["components"]["responses"]["problem"] if problem else None
            content = resolved(responses.get(str(got.status), default))["content"]
            keeps_to(got.json, content[got.header("content-type").split(";")[0]]["schema"], route)
            names = members(got.json)
            chain = CHAIN if "/audit/" in route else set()
            found |= {(route, name) for name in names - chain if TELLING.search(name)}
            read += len(names)
    assert read > 150 and found == HANDED_OUT


# Every answer, against what must not be in it


KINDS = ("portal-session", "app-session", "binder", "interaction", "handshake", "cli-code", "cli-bearer", "enrolment")


def spellings(secret):
    """A secret as it was given, and every way the gateway could write what it keeps of it."""
    raw = [secret.encode()]
    if re.fullmatch(r"[\w-]{43}", secret):
        raw.append(base64.urlsafe_b64decode(secret + "="))
    kept = [hashlib.sha256(kind.encode() + b"\0" + form).digest() for kind in KINDS for form in raw]
    kept += [hashlib.sha256(form).digest() for form in raw] + raw[1:]
    yield secret
    for form in kept:
        yield form.hex()
        yield base64.b64encode(form).decode().rstrip("=")
        yield base64.urlsafe_b64encode(form).decode().rstrip("=")


def shown(got, secrets):
    """Which of the secrets an answer tells, in its body or in a header that scripts can read or logs keep."""
    said = got.text + "\n".join(f"{name}: {value}" for name, value in got.headers if name.lower() != "set-cookie")
    return [secret for secret in secrets if any(spelling in said for spelling in spellings(secret))]


@pytest.fixture(scope="module")
def keeper(ward):
    """Somebody with every kind of secret: passkey, password, seed, cookies of two hosts, a code for the command line
    and the token it was good for; and the desk's code for somebody else."""
    person = ward.hire("000128", PASSWORD)
    person.web = ward.web()
    person.login(ward.origin("recorder") + "/")
    code = person.cli_code()
    bearer = person.web.fetch(f"{ward.origin()}{API}session/token", "POST", body=json.dumps({"code": code}),
                              headers={**JSON, "Cookie": ""}).json["bearer"]
    cookies = {value for jar in person.web.cookies.values() for name, value in jar.items() if name != "__Host-sk-lang"}
    assert len(cookies) == 4, "a session and a binder on each host"
    person.secrets = [*cookies, code, person.cli_code(), bearer, PASSWORD, base64.b32encode(person.totp.seed).decode().rstrip("="), ward.issue("000129")]
    return person


def test_atk_a35_no_page_and_no_answer_tells_a_token_or_what_is_kept_of_it(ward, keeper):
    keeper.web.open(ward.origin("recorder") + "/pages/a")
    own = re.search(r"/authenticators/([0-9a-f-]{36})", keeper.web.open(ward.origin() + "/authenticators").text)[1]
    looked = 0

    def look(got, route):
        nonlocal looked
        looked += 1
        assert shown(got, keeper.secrets) == [], (route, got.status)

    for route in [route for route in ROUTES if route.startswith("GET ")]:
        for reader in (keeper, ward.officer):
            part = own if "authenticators" in route else SOME
            headers = NAVIGATION if is_page(route) else FETCH
            look(ask(reader.web, ward, route.replace("{part}", part), headers), route)
    # What the one who may read everything is told of the others.
    for query in ("session/all", "audit/tail?limit=500", "audit/search?limit=500&staff_no=000128"):
        got = ward.officer.web.fetch(f"{ward.origin()}{API}{query}")
        assert got.status == 200
        look(got, query)
    # Pages on the way: refused, not there, locked, sent away, and the way back in.
    for path in ("/forbidden", "/nowhere", "/pages/../a"):
        look(keeper.web.open(ward.origin("recorder") + path), path)
    locked = keeper.press("/lock")
    look(locked, "locked")
    look(keeper.web.open(ward.origin("recorder") + "/pages/a"), "locked")
    look(keeper.web.fetch(ward.origin("recorder") + "/pages/a"), "locked")
    look(keeper.unlock(locked), "unlocked")
    look(keeper.press("/logout"), "logged out")
    assert looked > 40


def test_atk_a35_what_is_handed_out_is_shown_this_once(ward, keeper):
    keeper.web = ward.web()
    keeper.login()
    page = keeper.web.open(ward.origin() + "/cli")
    given = keeper.web.submit(page, page.form("/cli"))
    code = re.search(r"<output[^>]*>([^<]+)</output>", given.text)[1].strip()
    assert shown(given, [code]) == [code], "the look finds what is there"
    assert shown(keeper.web.open(ward.origin() + "/cli"), [code]) == []

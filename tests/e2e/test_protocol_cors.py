"""Pages of other origins: preflights are answered by the gateway from the app's list and never forwarded (H-38, A46)."""

import pytest

from conftest import NURSE
from hospital import DOMAIN, Hospital
from http2 import Door2
from raw import Door

VIEWER, BOARD = "https://viewer.sekimori.localhost:9443", "https://board.example"


@pytest.fixture(scope="module")
def listed(tmp_path_factory, recorder):
    """A hospital whose recorder lists the viewer."""
    made = Hospital(tmp_path_factory.mktemp("listed"), {"recorder": recorder.port})
    file = made.folder / "policy" / "recorder.toml"
    file.write_text(file.read_text().replace('\nname = "recorder"\n', f'\nname = "recorder"\ncors = ["{VIEWER}"]\n', 1))
    made.prepare().start().open_desk()
    made.nurse = made.hire(NURSE)
    made.nurse.login(f"https://recorder.{DOMAIN}:{made.https}/")
    yield made
    made.stop()


@pytest.fixture()
def app(listed, seen):
    return Door(listed, "recorder", listed.nurse.cookie("recorder"))


def cors(answer):
    return {name: value for name, value in answer.headers if name.startswith("access-control-")}


def preflight(origin, method="PUT", headers=None):
    asked = [f"Origin: {origin}", f"Access-Control-Request-Method: {method}"]
    return asked + ([f"Access-Control-Request-Headers: {headers}"] if headers else [])


@pytest.mark.parametrize("cookie", ["", None])
@pytest.mark.parametrize("target", ["/write/a", "/pages/a", "/forbidden", "/nothing/here"])
def test_req_h38_a_listed_origin_may_ask_and_nothing_is_forwarded(cookie, target, app, seen):
    more = [] if cookie is None else ["Cookie: a=b"]
    answer = app.ask(f"OPTIONS {target}", *preflight(VIEWER, headers="content-type, x-app"), *more)
    assert (answer.status, answer.body) == (204, b"")
    assert cors(answer) == {"access-control-allow-origin": VIEWER, "access-control-allow-credentials": "true",
                            "access-control-allow-methods": "PUT", "access-control-max-age": "600",
                            "access-control-allow-headers": "content-type, x-app"}
    assert answer.header("vary") == "Origin" and answer.header("set-cookie") is None
    assert seen.requests == []


@pytest.mark.parametrize("origin", [BOARD, "null", "*", "", VIEWER.upper(), VIEWER + "/", VIEWER + ".evil.example",
                                    VIEWER.replace("https", "http"), f"{VIEWER}, {VIEWER}"])
def test_req_h38_another_origin_may_not_and_it_is_on_record(origin, listed, app, seen):
    answer = app.ask("OPTIONS /write/a", *preflight(origin))
    assert answer.status == 403 and cors(answer) == {} and seen.requests == []
    (record,) = [r for r in listed.records("request.deny") if r.get("request") == answer.header("x-request-id")]
    assert record["why"]["reason"] == "cors"


def test_req_h38_what_is_no_preflight_is_an_ordinary_request(app, seen):
    for headers in ([f"Origin: {VIEWER}"], ["Access-Control-Request-Method: PUT"]):
        assert app.ask("OPTIONS /write/a", *headers).status == 405
    for wrong in (preflight(VIEWER, "P T"), preflight(VIEWER, headers="a b"), preflight(VIEWER, headers="x: y"),
                  [*preflight(VIEWER), f"Origin: {VIEWER}"], [*preflight(VIEWER), "Access-Control-Request-Method: GET"]):
        assert app.ask("OPTIONS /write/a", *wrong).status in (400, 403), wrong
    assert seen.requests == []


def test_req_h38_our_own_prefix_and_the_portal_are_nobodys_to_ask(listed, app):
    for line, host in (("OPTIONS /.sekimori/lock", None), ("OPTIONS /login", f"auth.{DOMAIN}:{listed.https}")):
        assert cors(app.ask(line, *preflight(VIEWER), host=host)) == {}


@pytest.mark.parametrize("says", [
    [], ["Access-Control-Allow-Origin: *"],
    [f"Access-Control-Allow-Origin: {BOARD}", "Access-Control-Allow-Credentials: true"],
    ["Access-Control-Allow-Origin: null", "Access-Control-Allow-Credentials: true"],
])
def test_req_h38_and_atk_a46_the_list_alone_says_who_reads_answers(says, app, seen):
    head = "\r\n".join(["HTTP/1.1 200 OK", *says, "Access-Control-Expose-Headers: x-total", "Content-Length: 2", "", "ok"])
    seen.answer = lambda request, connection: connection.sendall(head.encode())
    readable = cors(app.ask("GET /pages/a", f"Origin: {VIEWER}"))
    assert readable == {"access-control-allow-origin": VIEWER, "access-control-allow-credentials": "true",
                        "access-control-expose-headers": "x-total"}
    for origin in ([f"Origin: {BOARD}"], ["Origin: null"], []):
        answer = app.ask("GET /pages/a", *origin)
        assert answer.status == 200 and "access-control-allow-origin" not in cors(answer)
        assert "access-control-allow-credentials" not in cors(answer)


def test_req_h38_a_listed_page_can_read_why_it_was_refused(app, seen):
    for line, more, status in (("GET /pages/a", ["Cookie: a=b"], 401), ("GET /forbidden", [], 403)):
        answer = app.ask(line, f"Origin: {VIEWER}", *more)
        assert (answer.status, cors(answer).get("access-control-allow-origin")) == (status, VIEWER)
        assert cors(app.ask(line, f"Origin: {BOARD}", *more)) == {}


def test_req_h38_over_http_2_it_is_the_same(app, seen):
    two = Door2(app)
    asked = [("origin", VIEWER), ("access-control-request-method", "PUT")]
    answer = two.ask("OPTIONS /write/a", *asked, cookie=False)
    assert answer.status == 204 and cors(answer)["access-control-allow-origin"] == VIEWER
    assert two.ask("OPTIONS /write/a", ("origin", BOARD), asked[1], cookie=False).status == 403
    assert seen.requests == []

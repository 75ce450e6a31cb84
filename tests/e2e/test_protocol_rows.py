"""Every row of the protocol, and where it is tested (what docs/rules.md says of each). Tests of the rows that have no
other place are here.

row  | test
-----|-----
H-01 | test_forwarding.test_req_h01_hop_by_hop_fields_and_what_connection_names_stay_behind_both_ways
H-01 | test_http2.test_req_h01_answers_over_http_2_have_no_connection_fields
H-02 | test_forwarding.test_req_h02_and_atk_a10_nobody_names_our_headers_away
H-03 | test_protocol.test_req_h03_and_atk_a13_doubtful_framing_is_one_decision_one_upstream_request_and_the_last
H-04 | test_protocol_rows.test_req_h04_a_length_is_digits_once_or_the_connection_ends
H-05 | test_protocol_rows.test_req_h05_chunked_is_the_last_coding_and_the_only_one
H-06 | test_protocol_rows.test_req_h06_chunks_are_read_strictly_and_framed_anew
H-06 | test_protocol_rows.test_req_h06_what_is_no_chunk_never_becomes_a_whole_request
H-07 | test_protocol_rows.test_req_h07_a_head_with_a_second_reading_is_400_on_record_and_the_last
H-08 | test_protocol.test_req_h08_and_atk_a14_a_request_names_one_host_of_ours_or_goes_nowhere
H-08 | test_http2.test_req_h08_and_atk_a07_a14_authority_names_one_host_of_ours_and_the_path_is_one
H-09 | test_protocol.test_req_h09_methods_that_the_app_does_not_list_are_refused
H-09 | test_http2.test_req_h09_methods_are_the_same_over_http_2
H-10 | test_protocol.test_req_h10_trailers_stay_behind_in_both_directions
H-10 | test_http2.test_req_h10_trailers_stay_behind_in_both_directions_of_http_2
H-11 | test_http2.test_req_h11_what_is_malformed_is_a_stream_error_on_record_and_its_neighbours_live
H-11 | test_http2.test_req_h11_what_no_field_can_be_ends_the_connection_and_is_on_record
H-11 | test_http2.test_req_h11_a_body_that_is_not_as_long_as_it_said_is_no_request
H-12 | test_http2.test_req_h12_no_path_becomes_a_second_line
H-12 | test_protocol_rows.test_req_h12_whatever_bytes_come_over_http_2_the_upstream_reads_one_request
H-13 | test_forwarding.test_req_h13_to_h16_and_atk_a08_a10_no_spelling_of_a_header_that_speaks_for_us_gets_through
H-13 | test_protocol_proxy.test_req_h13_a_listed_balancers_word_is_the_clients_address
H-13 | test_protocol_proxy.test_req_h13_and_atk_a08_from_anywhere_else_no_header_is_believed
H-14 | test_forwarding.test_req_h14_the_assertion_is_verified_by_another_library_against_the_published_key
H-15 | test_protocol_rows.test_req_h15_nobody_says_what_certificate_he_has_shown
H-16 | test_protocol_rows.test_req_h16_no_header_puts_another_method_or_path_in_the_place_of_the_requests
H-17 | test_protocol.test_req_h17_and_atk_a01_a02_a06_an_ambiguous_path_is_400_and_reaches_nobody
H-17 | test_protocol.test_req_h17_no_server_reads_another_action_out_of_a_path_that_passed
H-18 | test_forwarding.test_req_h18_via_is_appended_and_a_request_that_was_here_before_is_a_loop
H-19 | test_protocol.test_req_h19_a_client_that_expects_100_is_told_to_go_on
H-19 | test_protocol.test_req_h19_another_expectation_is_417
H-20 | test_protocol.test_req_h20_and_h30_a_doubtful_answer_is_502_in_general_words_and_its_connection_is_dropped
H-20 | test_http2.test_req_h20_a_body_that_breaks_off_is_a_reset_and_not_an_end
H-21 | test_protocol.test_req_h21_a_clean_connection_is_used_again_and_carries_several_persons_requests
H-21 | test_protocol.test_req_h21_authentication_that_binds_a_connection_is_not_offered
H-22 | test_protocol.test_req_h22_a_read_on_a_stale_connection_is_repeated_once_and_a_write_never
H-23 | test_protocol_rows.test_req_h23_a_head_too_large_is_431_and_a_target_too_long_414
H-23 | test_protocol_rows.test_req_h23_a_slow_head_is_closed_and_a_slow_body_is_408
H-23 | test_protocol_rows.test_req_h23_an_upstream_that_does_not_answer_is_504
H-23 | test_http2.test_req_h23_a_flood_of_requests_taken_back_ends_the_connection
H-23 | test_http2.test_req_h23_a_flood_of_continuations_ends_the_connection
H-23 | test_http2.test_req_h23_an_answer_that_the_client_leaves_no_window_for_is_given_up
H-24 | test_protocol.test_req_h24_h2c_is_never_forwarded
H-25 | test_protocol.test_req_h25_and_atk_a22_a_wrong_or_foreign_handshake_reaches_nobody
H-25 | test_protocol.test_req_h25_a_101_that_does_not_answer_the_handshake_is_502
H-26 | test_http2.test_req_h26_connect_and_extended_connect_are_not_offered
H-27 | test_protocol.test_req_h27_a_lock_closes_streams_and_sockets_within_a_second
H-27 | test_http2.test_req_h27_a_lock_resets_streams_of_http_2_within_a_second_and_the_connection_lives
H-28 | test_sessions.test_req_h28_only_a_person_keeps_a_session_awake
H-29 | test_protocol_rows.test_req_h29_without_a_journal_nothing_is_forwarded_over_either_protocol
H-30 | test_forwarding.test_req_h30_an_upstream_that_is_not_there_is_502_in_general_words_and_the_log_says_why
H-31 | test_forwarding.test_req_h31_an_upstream_sets_none_of_our_cookies
H-31 | test_forwarding.test_req_h31_our_cookies_are_never_sent_upstream
H-32 | test_protocol.test_req_h32_no_early_data_is_offered
H-33 | test_forwarding.test_req_h33_a_large_upload_streams_and_a_slow_upstream_stops_the_client
H-33 | test_http2.test_req_h33_an_upload_over_http_2_streams_and_a_slow_upstream_closes_the_window
H-34 | test_forwarding.test_req_h34_and_atk_a15_a_login_returns_to_the_host_it_began_on_whatever_the_address_says
H-35 | test_forwarding.test_req_h35_nothing_of_an_authenticated_answer_is_stored_but_what_the_app_calls_static
H-36 | test_forwarding.test_req_h36_what_would_outlive_the_session_is_dropped
H-36 | test_forwarding.test_req_h36_a_service_worker_script_is_refused
H-37 | test_protocol_tls.test_req_h37_an_open_host_is_not_reached_over_another_hosts_connection
H-37 | test_protocol_tls.test_req_h37_chromium_with_one_wildcard_certificate
H-38 | test_protocol_cors.test_req_h38_a_listed_origin_may_ask_and_nothing_is_forwarded
H-38 | test_protocol_cors.test_req_h38_and_atk_a46_the_list_alone_says_who_reads_answers
"""

import pathlib
import random
import re
import time

import pytest

from conftest import NURSE
from faults import FullDisk
from hospital import DOMAIN, ROOT, Hospital, wait_until
from http2 import PROTOCOL, Door2
from raw import Door, Raw
from web import Answer

ROWS = re.findall(r"^(H-\d\d) \| (test_\w+)\.(test_\w+)$", __doc__, re.M)
HERE = pathlib.Path(__file__).parent


def test_every_row_has_a_test_that_is_there_and_bears_its_name():
    listed = {row for row, _, _ in ROWS}
    assert listed == {f"H-{number:02}" for number in range(1, 39)}
    explained = set(re.findall(r"^\| (H-\d\d) \|", (ROOT / "docs" / "rules.md").read_text(), re.M))
    assert explained <= listed, explained - listed
    for row, module, name in ROWS:
        assert f"\ndef {name}(" in (HERE / f"{module}.py").read_text(), (module, name)
        first, last = re.match(r"test_req_h(\d\d)(?:_to_h(\d\d))?_", name).groups()
        codes = {int(code) for code in re.findall(r"h(\d\d)_", name)} | set(range(int(first), int(last or first) + 1))
        assert int(row[2:]) in codes, (row, name)


def last_seq(hospital):
    return hospital.records()[-1]["seq"]


def malformed(hospital, seq):
    """The rules of what was refused as malformed since then."""
    return [r["why"]["reason"] for r in hospital.records("edge.malformed") if r["seq"] > seq]


def on_record(hospital, seq, again):
    """The rules on record. What strangers cause is written a few times a second, and else counted: it is sent again
    until it is written."""
    return set(wait_until(lambda: malformed(hospital, seq) or (again(), [])[1], "it is on record"))


def ends(door, data):
    """The statuses of all answers until the gateway closes."""
    raw = door.open().send(data)
    statuses = [answer[0] for answer in raw.answers()]
    assert raw.closed()
    return statuses


FOLLOWER = b"GET /pages/smuggled HTTP/1.1\r\nHost: recorder.sekimori.localhost\r\n\r\n"


# Framing


@pytest.mark.parametrize("lengths", [["2", "3"], ["2, 2"], ["+2"], ["-2"], ["0x2"], ["2 2"], ["2;"], [""], ["\u0662"], ["2", ""],
                                     ["18446744073709551618"], ["2.0"]])
def test_req_h04_a_length_is_digits_once_or_the_connection_ends(lengths, hospital, door, seen):
    before = last_seq(hospital)
    fields = [f"Content-Length: {length}".encode().decode("latin-1") for length in lengths]
    data = door.text("POST /write/a", *fields) + b"ab" + FOLLOWER
    assert ends(door, data) == [400]
    assert on_record(hospital, before, lambda: ends(door, data))
    assert seen.requests == []


def test_req_h04_equal_lengths_are_one(door, seen):
    answer = door.exchange(door.text("POST /write/a", "Content-Length: 2", "Content-Length: 2") + b"ab")
    assert answer.status == 200
    assert (seen.requests[0].all("content-length"), seen.requests[0].body) == (["2"], b"ab")


@pytest.mark.parametrize("codings", [["gzip, chunked"], ["chunked, gzip"], ["chunked", "chunked"], ["chunked, chunked"], ["gzip"],
                                     ["xchunked"], ["chunked;q=1"], ["identity"], ["chunked", "identity"], [""], ["\"chunked\""],
                                     ["chunked,"]])
def test_req_h05_chunked_is_the_last_coding_and_the_only_one(codings, door, seen):
    fields = [f"Transfer-Encoding: {coding}" for coding in codings]
    statuses = ends(door, door.text("POST /write/a", *fields) + b"0\r\n\r\n" + FOLLOWER)
    assert statuses in ([400], [501]) and seen.requests == []


def test_req_h05_a_coding_over_http_1_0_is_faulty(door, seen):
    text = door.text("POST /write/a", "Transfer-Encoding: chunked").replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n")
    assert ends(door, text + b"0\r\n\r\n" + FOLLOWER) == [400]
    assert seen.requests == []


def chunked(door, body):
    return door.text("POST /write/a", "Transfer-Encoding: chunked") + body


@pytest.mark.parametrize("body", [
    b"5\r\nhello\r\n0\r\n\r\n", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"0005\r\nhello\r\n000\r\n\r\n",
    b"5;a=b\r\nhello\r\n0;c\r\n\r\n", b"5;" + b"x" * 8000 + b"\r\nhello\r\n0\r\n\r\n", b'5;a="b;c"\r\nhello\r\n0\r\n\r\n',
])
def test_req_h06_chunks_are_read_strictly_and_framed_anew(body, door, seen):
    raw_lines = []

    def receive(request, reader):
        while True:
            line = reader.readline()
            raw_lines.append(line)
            request.body += (data := reader.read(int(line, 16)))
            assert reader.readline() == b"\r\n"
            if not data:
                return

    seen.receive = receive
    assert door.exchange(chunked(door, body)).status == 200
    assert seen.requests[0].body == b"hello"
    # Sizes alone: no extension of the client's, nothing in front, no trailer.
    assert all(re.fullmatch(rb"[1-9A-F][0-9A-F]*\r\n|0\r\n", line) for line in raw_lines), raw_lines


@pytest.mark.parametrize("body", [
    b"5\r\nhelloX0\r\n\r\n", b"5\nhello\n0\n\n"[:-1] + b"x", b"0x5\r\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n",
    b"-5\r\nhello\r\n0\r\n\r\n", b"g\r\nhello\r\n0\r\n\r\n", b" 5\r\nhello\r\n0\r\n\r\n", b"\r\nhello\r\n0\r\n\r\n",
    b"10000000000000005\r\nhello\r\n0\r\n\r\n", b"ffffffffffffffffff\r\nhello\r\n", b"5;" + b"x" * 20000 + b"\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\0\r\n\r\n", b"5 5\r\nhello\r\n0\r\n\r\n", b"5\r\rhello\r\n0\r\n\r\n",
])
def test_req_h06_what_is_no_chunk_never_becomes_a_whole_request(body, door, seen):
    whole = []

    def receive(request, reader):
        while (line := reader.readline()) and int(line, 16):
            reader.read(int(line, 16) + 2)
        whole.append(bool(line) and bool(reader.readline()))

    seen.receive = receive
    raw = door.open().send(chunked(door, body) + FOLLOWER)
    answers = raw.answers()
    assert raw.closed() and all(answer[0] >= 400 for answer in answers) and len(answers) <= 1
    assert not any(whole)


@pytest.mark.parametrize("line", ["X-A : b", "X-A\t: b", " X-A: b", "X-A: b\r\n c", "X-A: b\r\n\tc", "X-A: b\rc", "X-A: b\0c", "X-A: \x01",
                                  "X-A: \x7f", "X(A): b", "X-A", ": b", "X-\xe9: b"])
def test_req_h07_a_head_with_a_second_reading_is_400_on_record_and_the_last(line, hospital, door, seen):
    before = last_seq(hospital)
    data = door.text("GET /pages/a", line) + FOLLOWER
    assert ends(door, data) == [400]
    assert on_record(hospital, before, lambda: ends(door, data)) == {"head"}
    assert seen.requests == []


@pytest.mark.parametrize("line", ["GET  /pages/a HTTP/1.1", "GET /pages/a  HTTP/1.1", "GET\t/pages/a HTTP/1.1", "GET /pages/a HTTP/1.2",
                                  "GET /pages/a HTTP/2.0", "GET /pages/a http/1.1", "GET /pages/a", "GET /pages/a\x00 HTTP/1.1",
                                  "GET /pages/a b HTTP/1.1", "G(T /pages/a HTTP/1.1", "GET /pages/\xff\xfe HTTP/1.1"])
def test_req_h07_a_request_line_with_a_second_reading_is_no_request(line, door, seen):
    rest = door.text("GET /pages/a").split(b"\r\n", 1)[1]
    statuses = ends(door, line.encode("latin-1") + b"\r\n" + rest + FOLLOWER)
    assert len(statuses) <= 1 and all(status >= 400 for status in statuses)
    assert seen.requests == []


# Translation


def odd(rng, length):
    alphabet = bytes(range(256)) if rng.random() < 0.5 else b"/ab%?#;.\\ \r\n:\t\0HTP1\xe9"
    return bytes(rng.choice(alphabet) for _ in range(length))


def test_req_h12_whatever_bytes_come_over_http_2_the_upstream_reads_one_request(door, seen):
    rng = random.Random(20261122)
    two, answered = Door2(door), 0
    line, stream = two.open().until_settled(), 1
    for _ in range(600):
        fields = two.fields("GET /pages/" + odd(rng, rng.randrange(6)).decode("latin-1"))
        for _ in range(rng.randrange(3)):
            name = b"x-" + (odd(rng, 3) if rng.random() < 0.3 else b"abc")
            fields.append((name, odd(rng, rng.randrange(8))))
        try:
            got = line.send(line.head(stream, fields)).answer(stream)
        except OSError:
            got = None
        answered += isinstance(got, Answer) and got.status == 200
        stream += 2
        if line.over or line.away is not None or got is None:
            line.close()
            line, stream = two.open().until_settled(), 1
    assert answered == len(seen.requests) > 50
    for request in seen.requests:
        assert re.fullmatch(rb"GET /pages/[!-~\x80-\xff]* HTTP/1\.1", request.head.split(b"\r\n", 1)[0]), request.head
        assert request.all("host") == [two.authority] and len(request.all("remote-user")) == 1
        for field in request.head.split(b"\r\n")[1:-2]:
            assert re.fullmatch(rb"[a-z0-9-]+: [\t -~\x80-\xff]*", field), field


# Headers


@pytest.mark.parametrize("name", ["Client-Cert", "Client-Cert-Chain", "X-SSL-Client-CN", "X-SSL-Client-Verify", "X-SSL-Cert",
                                  "SSL-Client-Cert", "SSL_CLIENT_S_DN", "X-Client-Cert", "X-Client-Certificate",
                                  "X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert"])
def test_req_h15_nobody_says_what_certificate_he_has_shown(name, door, seen):
    two = Door2(door)
    assert door.ask("GET /pages/a", f"{name}: evil", f"{name.lower().replace('-', '_')}: evil").status == 200
    assert two.ask("GET /pages/a", (name.lower(), "evil")).status == 200
    assert [(n, v) for request in seen.requests for n, v in request.headers if "evil" in v] == []


@pytest.mark.parametrize("name", ["X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-Uri", "X-HTTP-Method-Override",
                                  "X-HTTP-Method", "X-Method-Override", "X-Forwarded-Method", "X-Forwarded-Prefix"])
def test_req_h16_no_header_puts_another_method_or_path_in_the_place_of_the_requests(name, door, seen):
    two = Door2(door)
    for value in ("/forbidden", "DELETE"):
        assert door.ask("GET /pages/a", f"{name}: {value}").status == 200
        assert two.ask("GET /pages/a", (name.lower(), value)).status == 200
        assert door.ask("GET /forbidden", f"{name}: /pages/a").status == 403
        assert two.ask("GET /forbidden", (name.lower(), "/pages/a")).status == 403
    assert {request.line for request in seen.requests} == {"GET /pages/a HTTP/1.1"}
    assert all(request.get(name) is None for request in seen.requests)


# Limits


@pytest.fixture(scope="module")
def hasty(tmp_path_factory, recorder):
    """A hospital without patience, whose nurse is logged in."""
    made = Hospital(tmp_path_factory.mktemp("hasty"), {"recorder": recorder.port}, {"limits": {
        "header_timeout": '"1s"', "idle_timeout": '"2s"', "upstream_timeout": '"1s"'}})
    made.prepare().start().open_desk()
    made.nurse = made.hire(NURSE)
    made.nurse.login(f"https://recorder.{DOMAIN}:{made.https}/")
    yield made
    made.stop()


@pytest.fixture()
def hurried(hasty, seen):
    return Door(hasty, "recorder", hasty.nurse.cookie("recorder"))


def test_req_h23_a_head_too_large_is_431_and_a_target_too_long_414(hospital, door, seen):
    before = last_seq(hospital)
    large = door.text("GET /pages/a", f"X: {'x' * 33_000}")
    assert ends(door, large) == ends(door, door.text("GET /pages/a", *[f"X-{i}: v" for i in range(101)])) == [431]
    assert on_record(hospital, before, lambda: ends(door, large)) == {"head-too-large"}
    assert door.ask("GET /pages/" + "x" * 8_200).status == 414
    assert door.ask("GET /pages/" + "x" * 8_000).status == 200
    assert len(seen.requests) == 1


def test_req_h23_a_slow_head_is_closed_and_a_slow_body_is_408(hasty, hurried, seen):
    before, began = last_seq(hasty), time.monotonic()
    silent, slow = hurried.open(), hurried.open().send(b"GET /pages/a HTTP/1.1\r\nHost: ")
    assert silent.closed() and slow.closed()
    assert 0.8 < time.monotonic() - began < 5
    assert wait_until(lambda: malformed(hasty, before), "the slow one is on record") == ["head-slow"]
    form = hurried.text("POST /forms/order", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 20")
    held = hurried.open().send(form + b"patient")
    status, headers, _ = held.answer()
    assert status == 408 and dict(headers)["connection"] == "close" and held.closed()
    assert seen.requests == []


def test_req_h23_an_upstream_that_does_not_answer_is_504(hurried, seen):
    ended = []

    def never(request, connection):
        connection.settimeout(5)
        ended.append(connection.recv(1))
        return "close"

    seen.answer = never
    assert hurried.ask("GET /pages/a").status == 504
    assert Door2(hurried).ask("POST /write/a", body=b"x").status == 504
    wait_until(lambda: ended == [b"", b""], "the upstream is let go")


# When a part fails


def test_req_h29_without_a_journal_nothing_is_forwarded_over_either_protocol(tmp_path, recorder, seen):
    made = Hospital(tmp_path / "hospital", {"recorder": recorder.port})
    fault = FullDisk(made.journal, tmp_path)
    try:
        made.prepare().start().open_desk()
        nurse = made.hire(NURSE)
        nurse.login(made.origin("recorder") + "/")
        door = Door(made, "recorder", nurse.cookie("recorder"))
        two = Door2(door)
        assert door.ask("GET /pages/a").status == two.ask("POST /write/a", body=b"x").status == 200
        fault.strike()
        wait_until(lambda: two.ask("POST /write/a", body=b"x").status == 503, "the fault is felt")
        # A read's answer is asked for before its record is: it is kept back.
        asked = [r for r in seen.requests if r.method == "POST"]
        answers = [two.ask("POST /write/a", body=b"x"), two.ask("GET /pages/a"), door.ask("POST /write/a", body=b"x"),
                   door.ask("GET /pages/a")]
        assert [answer.status for answer in answers] == [503] * 4 and all(b"ok" not in answer.body for answer in answers)
        assert [r for r in seen.requests if r.method == "POST"] == asked
    finally:
        made.stop()
        fault.clean()

"""What the benchmark makes of its samples: `target/tests-venv/bin/python -m pytest tests/bench`."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import client
import decision_cost
import doors
import journal_cost
import load
import machine
import report
from crowd import of_one, slope, told_of
from hospital import wait_until
from memory import per_one
from peers import page
from rounds import Candidate, Sample, Spread, added, ratio, run
from site_under_load import Journal, made_up, terminal
from soak import growth_percent, more_files


def sample(rate, cpu_us=None):
    requests = rate * 2
    return Sample(requests, 2.0, None if cpu_us is None else cpu_us * requests * 1000, requests * 1000, 1.0, 2.0)


def test_ratios_are_taken_inside_the_round():
    rounds = [{"a": sample(100), "b": sample(200)}, {"a": sample(1000), "b": sample(1500)},
              {"a": sample(10), "b": sample(40)}]
    assert ratio(rounds, "b", "a", "rate") == Spread(2.0, 1.5, 4.0)


def test_every_candidate_runs_once_a_round_and_the_first_round_does_not_count():
    ran = []
    candidates = [Candidate(name, lambda name=name: ran.append(name) or sample(100)) for name in "abc"]
    rounds = run(candidates, 4)
    assert len(rounds) == 4 and all(list(samples) == ["a", "b", "c"] for samples in rounds)
    assert all(sorted(ran[at:at + 3]) == ["a", "b", "c"] for at in range(0, 15, 3)) and len(ran) == 15


def test_what_has_no_processor_time_has_no_ratio_of_it():
    rounds = [{"a": sample(100, 10.0), "b": sample(200)}]
    assert ratio(rounds, "b", "a", "cpu_us") is None
    assert "–" in report.door("t", "w", rounds, "a").terminal()


def test_a_goal_without_a_figure_is_not_written_and_a_missed_one_is_called_missed():
    text = report.goals([("P1", "kept", Spread(1.0, 0.9, 1.2), 1.1, "least"), ("P9", "absent", None, 1, "most"),
                         ("P4", "held", Spread(2.3, 2.0, 2.4), 2.2, "least")]).markdown()
    assert "| P1 | kept | ≥ 1.1 | 1.00 (0.90 … 1.20) | missed |" in text
    assert "| met |" in text and "absent" not in text


def test_a_missed_goal_says_whether_the_bar_below_it_is_met():
    def verdict(rate, cpu):
        rows = report.goals([("P1", "rate", Spread(rate, 1, 2), 1.1, "least", 1.05),
                             ("P1", "cpu", Spread(cpu, 0.5, 1), 0.9, "most", 0.95)]).rows
        return [row[4] for row in rows if row[0] == "P1"]
    assert verdict(1.1, 0.9) == ["met", "met"]
    assert verdict(1.07, 0.93) == ["missed; ≥ 1.05 is met", "missed; ≤ 0.95 is met"]
    assert verdict(1.04, 0.96) == ["missed; ≥ 1.05 is missed too", "missed; ≤ 0.95 is missed too"]


def test_goals_come_in_the_order_of_their_rows_and_plain_http_is_said_not_to_be_offered():
    rows = report.goals([("–", "crowd", Spread.of([150]), 200, "most"), ("P10", "b", Spread.of([1]), 2, "most"),
                         ("P9", "a", Spread.of([1]), 2, "most"), ("P1", "c", Spread.of([1]), 2, "most")]).rows
    assert [row[0] for row in rows] == ["P1", "P2", "P9", "P10", "–"]
    assert rows[1][3:] == ["–", "not offered to clients"]


def test_every_goal_from_p1_to_p12_has_its_verdict_somewhere():
    sources = "".join(file.read_text() for file in pathlib.Path(__file__).parent.glob("*.py") if file.name != "test_bench.py")
    named = set(re.findall(r'[(\[]"(P\d+)", ', sources))
    assert named == {f"P{number}" for number in range(1, 13)}


def waited(p50, p99):
    return Sample(100, 1.0, None, 0, p50, p99)


def test_what_is_added_is_compared_after_what_there_is_anyway_and_inside_the_round():
    rounds = [{"nothing": waited(1.0, 2.0), "base": waited(1.5, 4.0), "ours": waited(2.0, 3.0)},
              {"nothing": waited(2.0, 2.0), "base": waited(2.5, 4.0), "ours": waited(2.125, 6.0)}]
    assert added(rounds, "ours", "base", "nothing", "p50") == Spread.of([2.0, 0.25])
    assert added(rounds, "ours", "base", "nothing", "p99") == Spread.of([0.5, 2.0])


def test_a_round_in_which_the_base_adds_nothing_has_no_ratio():
    rounds = [{"nothing": waited(1.0, 2.0), "base": waited(1.0, 1.0), "ours": waited(2.0, 3.0)}]
    assert added(rounds, "ours", "base", "nothing", "p50") is None
    assert added(rounds, "ours", "base", "nothing", "p99") is None
    assert "–" in report.paced("t", "w", rounds, "nothing", "base").terminal()


def test_a_rate_that_the_generator_does_not_hold_gives_no_verdict():
    rounds = [{"direct": sample(4990), "base": sample(4950)}, {"direct": sample(5000), "base": sample(3000)},
              {"direct": sample(5000), "base": sample(5000)}]
    assert doors.held(rounds, ("direct", "base"), 5000)
    rounds[2]["base"] = sample(4890)
    assert not doors.held(rounds, ("direct", "base"), 5000) and doors.held(rounds, ("direct",), 5000)


def test_a_slope_is_that_of_the_line_through_the_samples():
    assert slope([(0, 5.0), (1, 7.0), (2, 9.0)]) == pytest.approx(2.0)
    assert slope([(0, 1.0), (1, 3.0), (2, 2.0)]) == pytest.approx(0.5)
    assert slope([(3, 1.0)]) is None and slope([]) is None


def test_memory_of_one_is_what_was_added_by_the_many():
    assert per_one(10 * 2**20, 40 * 2**20, 1500) == pytest.approx(20.48)


def test_a_session_is_what_is_loaded_of_it_and_what_its_page_leaves_without_the_first_pages_own():
    # 1,000 sessions: 2 KB each loaded, 1 KB each by its page, and 5 MB once for the very first pages.
    assert of_one(60e6, 62e6, 62e6 + 5e6 + 250e3, 62e6 + 5e6 + 1e6, 1000) == pytest.approx(3000)


def test_a_session_among_few_or_of_less_than_nothing_has_no_figure():
    assert told_of(2048, 10_000) == Spread.of([2.0])
    assert told_of(2048, 200) is None and told_of(-5, 10_000) is None


def test_the_soak_looks_at_the_last_two_thirds_and_sees_a_leak_there():
    # Warms up for three minutes to 100 MB; then flat, or a percent a minute more.
    warm = [(second, 50e6 + second * 50e6 / 180, 40) for second in range(0, 180, 2)]
    flat = warm + [(second, 100e6, 40 + second % 4) for second in range(200, 602, 2)]
    leak = warm + [(second, 100e6 * (1 + second / 6000), 40 + (second - 180) // 20) for second in range(200, 602, 2)]
    assert growth_percent(flat) == pytest.approx(0) and more_files(flat) == 0
    assert growth_percent(leak) == pytest.approx(1.0, rel=0.1) and more_files(leak) >= 9


def test_memory_and_descriptors_are_those_of_the_process_and_its_children():
    with subprocess.Popen(["sh", "-c", "sleep 60 & wait"]) as parent:
        try:
            wait_until(lambda: len(machine.family(parent.pid)) == 2, "the child is there")
            child = machine.family(parent.pid)[1]
            assert machine.resident(parent.pid) > machine.resident(child) > 0
            # Until it is the other program, the child has what the shell had open.
            wait_until(lambda: machine.descriptors(child) == 3, "the child has its three descriptors")
            assert machine.descriptors(parent.pid) == 6
        finally:
            os.kill(machine.family(parent.pid)[1], 15)


def generator(tmp_path, monkeypatch, script):
    file = tmp_path / "generator"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o700)
    monkeypatch.setattr(client, "PROGRAM", file)
    return client.Client("mode", port=1)


def test_the_generator_begins_on_a_word_and_its_figures_are_read(tmp_path, monkeypatch):
    with generator(tmp_path, monkeypatch, 'echo ready; read word; echo ready; read word; echo "{\\"requests\\":7}"') as load:
        load.go_on()
        assert load.go() == {"requests": 7}


def test_a_generator_that_fails_or_is_cut_short_gives_no_figure(tmp_path, monkeypatch):
    with pytest.raises(load.LoadFailed, match="no HTTP/2 here"):
        generator(tmp_path, monkeypatch, "echo no HTTP/2 here >&2; exit 1")
    with generator(tmp_path, monkeypatch, "echo ready; read word; echo closed within >&2; exit 1") as begun:
        with pytest.raises(load.LoadFailed, match="closed within"):
            begun.go()
    with generator(tmp_path, monkeypatch, "echo ready; read word; echo '{}'; echo and then >&2; exit 1") as ended:
        with pytest.raises(load.LoadFailed, match="and then"):
            ended.go()


def test_terminals_have_many_addresses_and_none_is_the_load_generators():
    addresses = {terminal(number) for number in range(600_000, 602_000)}
    assert len(addresses) == 2000 and "127.0.0.1" not in addresses


def test_everybody_has_a_session_of_his_own_and_pages_as_asked():
    browsers = made_up(50)
    assert len({browser.cookies["__Host-sk"] for browser in browsers}) == 50
    assert {len(browser.cookies["__Host-sk"]) for browser in browsers} == {43}
    one = load.prepare(browsers[:2], 8443, "/admin/patients/{patient}", pages=load.PATIENTS)
    assert len(one) == len({request.text for request in one}) == 1200 and {request.patient for request in one} == {None}


def test_only_the_measured_section_of_the_page_is_replaced(tmp_path):
    file = tmp_path / "page.md"
    file.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_document(file, {"machine": "m"}, [report.Section("T", "w", ["a"], [["1"]])])
    text = file.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text and "| 1 |" in text
    file.write_text("no marks")
    with pytest.raises(ValueError):
        report.write_document(file, {}, [])


def test_requests_have_their_size_their_cookies_and_enough_variety():
    prepared = load.prepare(made_up(1000), 8443)
    assert {len(one.text) for one in prepared} == {load.REQUEST_BYTES}
    assert len({one.staff_no for one in prepared}) == 1000
    assert len({one.patient for one in prepared}) >= 500
    assert len({one.text for one in prepared}) > 500
    for one in prepared[:50]:
        head, rest = one.text.split(b"\r\n\r\n")
        assert rest == b"" and f"/patients/{one.patient} ".encode() in head and b"__Host-sk=" in head


def test_the_page_is_a_kibibyte_that_nginx_takes_literally():
    assert len(page(1024)) == 1024 and not set("$'\"\\{};") & set(page(1024))


def test_new_lines_of_the_journal_are_read_once_over_all_segments(tmp_path):
    journal = Journal(tmp_path)
    first, second = tmp_path / "segment-00000001.jsonl", tmp_path / "segment-00000002.jsonl"
    first.write_bytes(b"1\n")
    journal.skip()
    with first.open("ab") as file:
        file.write(b"2\n")
    second.write_bytes(b"3\n")
    assert journal.fresh() == b"2\n3\n" and journal.fresh() == b""


def test_the_crates_own_measurements_are_read():
    run = journal_cost.read("record of 700 bytes in the journal\nappend alone: 2.50 µs\n"
                            "     8        10000         9000     0.90 (0.80 … 1.10)\n")
    assert run == {"line": 700, "append": 2.5,
                   "batches": {8: {"raw": 10000.0, "journal": 9000.0, "ratio": [0.9, 0.8, 1.1]}}}
    text = ("{} people, {} rules: compiled in 1.00ms\n  p50 cold 900 ns, within a page 20 ns, scattered 70 ns\n")
    both = decision_cost.read(text.format(100, 10) + text.format(100000, 10000))
    assert both[1] == {"people": 100000, "rules": 10000, "cold": 900, "page": 20, "scattered": 70}
    with pytest.raises(ValueError):
        decision_cost.read("something else")

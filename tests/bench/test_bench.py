"""What the benchmark makes of its samples: `target/tests-venv/bin/python -m pytest tests/bench`."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import decision_cost
import journal_cost
import load
import report
from peers import page
from rounds import Candidate, Sample, Spread, ratio, run
from site_under_load import Journal, made_up


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

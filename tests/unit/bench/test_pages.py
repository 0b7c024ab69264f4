"""Tests of the pages about a record: the record's file, the README's digest and the chart."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.chart import DARK, LIGHT, Colours, chart
from bench.digest import digest
from bench.pages import DIGEST_PAGE, TABLE_PAGE, pages_of
from bench.record import Failure, Record, newest
from bench.subjects.listing import SUBJECTS
from bench.summary import Sample, Summary

_NAMES = {"ours": "gateway_compiled", "yardstick": "nginx", "no_proxy": "direct"}
_SAMPLES = [
    Sample("json", "direct", 0, {"cpu_us_per_request": 1}),
    Sample("json", "nginx", 0, {"cpu_us_per_request": 20}),
    Sample("json", "gateway_compiled", 0, {"cpu_us_per_request": 18}),
    Sample("json", "litellm", 0, {"cpu_us_per_request": 9000}),
    Sample("json-1", "direct", 0, {"whole_p50_us": 20}),
    Sample("json-1", "nginx", 0, {"whole_p50_us": 120}),
    Sample("json-1", "gateway_compiled", 0, {"whole_p50_us": 140}),
]


def _record(measured_at: str = "2026-01-02T03:04:05+00:00", revision: str = "abc1234") -> Record:
    failures = [Failure("sse", "nginx", "wrong bytes")]
    return Record(measured_at, revision, {"cpu": "Z80"}, {"nginx": "nginx 1"}, 1.0, 1, failures, _SAMPLES)


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    record = _record()
    path = record.write(tmp_path)
    assert path.name == "2026-01-02-abc1234.jsonl"
    assert Record.read(path) == record
    assert record.summary.failed("sse", "nginx")


def test_the_newest_record_is_the_one_measured_last_whatever_its_revision(tmp_path: Path) -> None:
    _record("2026-01-02T03:00:00+00:00", "fff").write(tmp_path)
    latest = _record("2026-01-02T04:00:00+00:00", "000").write(tmp_path)
    assert newest(tmp_path) == latest


def test_the_digest_shows_figures_their_ratio_and_the_peers() -> None:
    lines = digest(Summary(_SAMPLES), SUBJECTS, **_NAMES).splitlines()
    assert "| JSON request, CPU µs | 20.0 | 18.0 | **0.90** |" in lines
    assert "| latency added to a JSON request, µs | 100 | 120 | **1.20** |" in lines
    assert any(line.startswith("| LiteLLM | 9,000.0 |") and "500" in line for line in lines)
    assert not any("Portkey" in line or "upload" in line for line in lines)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_the_chart_is_a_document_with_a_bar_for_each_measured_figure(colours: Colours) -> None:
    drawing = ET.fromstring(chart(Summary(_SAMPLES), colours, **_NAMES))
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.attrib["width"]) for bar in drawing.findall(f"{space}rect")]
    assert len(widths) == 2
    assert widths[0] / widths[1] == pytest.approx(0.9 / 1.2, abs=0.001)
    assert {bar.attrib["fill"] for bar in drawing.findall(f"{space}rect")} == {colours.bar}


def test_a_page_keeps_what_stands_around_the_figures() -> None:
    texts = {
        TABLE_PAGE: "before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n",
        DIGEST_PAGE: "a\n<!-- bench digest -->\n<!-- /bench digest -->\nb\n",
    }
    pages = pages_of(_record(), texts)
    assert pages[TABLE_PAGE].startswith("before\n<!-- bench -->\n| what |")
    assert pages[TABLE_PAGE].endswith("<!-- /bench -->\nafter\n")
    assert "old" not in pages[TABLE_PAGE]
    assert "**0.90**" in pages[DIGEST_PAGE]

"""The page without a browser: what is in the file, and that nothing foreign leaves its place."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import optuna
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_studies import NASTY, Made, nasty, two_objectives, usual
from planted_studies import Plant, planted
from rich.console import Console
from study_makers import adjustment_of, complete, made, mlp

from tunecli.database.records import StudyRecord, TrialRecord, read_study
from tunecli.database.urls import sqlite_url
from tunecli.report.export.study_export import study_json
from tunecli.report.findings.all_findings import all_findings
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, NewSetting
from tunecli.report.page.finding_cards import finding_plots
from tunecli.report.page.html_document import script_json
from tunecli.report.page.plots.interval_bars import on_test
from tunecli.report.page.plots.plot import PALETTES
from tunecli.report.page.plots.scores import ScoreAxis, history
from tunecli.report.page.plots.tradeoff import _front_line, cost_scale
from tunecli.report.page.study_page import study_page
from tunecli.report.screen.terminal import study_parts
from tunecli.training.outcome.evaluation import Baseline, TrialResult
from tunecli.training.outcome.objectives import dominates


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._is_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._is_script = tag == "script"
        if self._is_script:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._is_script = False

    def handle_data(self, data: str) -> None:
        if self._is_script:
            self.scripts[-1] += data
        else:
            self.text += data

    @property
    def payload(self) -> dict[str, Any]:
        return json.loads(self.scripts[0])

    @property
    def drawn(self) -> list[str]:
        return [key for _, attrs in self.tags if (key := attrs.get("data-plot")) is not None]


def page_of(study: StudyRecord, findings: Sequence[Finding] | None = None) -> Page:
    evidence = Evidence.of(study)
    return Page(study_page(evidence, all_findings(evidence) if findings is None else findings))


def painted(value: Any, palette: str, key: str = "") -> Any:
    """What the page's script makes of a figure."""
    if isinstance(value, dict):
        return {name: painted(entry, palette, name) for name, entry in value.items()}
    if isinstance(value, list):
        return [painted(entry, palette, key) for entry in value]
    is_token = isinstance(value, str) and value.startswith("@") and key.endswith("color")
    return PALETTES[palette][value[1:]] if is_token else value


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page_of(read_study(made(tmp_path_factory.mktemp("page"), usual())))


def test_every_place_for_a_plot_has_one(page: Page) -> None:
    families = {key.partition(":")[0] for key in page.drawn}
    assert families >= {"history", "leaders", "importance", "parameter", "learning"}
    assert set(page.drawn) == set(page.payload["plots"])


def test_the_model_has_its_precision_and_recall_on_the_page(tmp_path: Path) -> None:
    attributes = {"adjustment": asdict(adjustment_of(7))}
    shown = page_of(read_study(made(tmp_path, usual(), attributes=attributes)))
    assert "operating" in shown.drawn
    figure = shown.payload["plots"]["operating"]
    line, dots = figure["data"]
    assert (line["x"], line["y"]) == ([0.95, 0.6], [0.1, 0.3])
    assert dots["marker"]["symbol"] == ["circle", "diamond"]  # 0.5 has no precision
    assert dots["hovertext"][1].startswith("threshold 0.231: precision 0.300, recall 0.600")
    for palette in PALETTES:
        go.Figure(painted(figure, palette))
    assert "Diamond: the threshold in use, 0.231." in shown.text
    assert "temperature 1.83" not in shown.text  # trial 7 is not the best


@pytest.mark.parametrize("palette", PALETTES)
def test_plotly_takes_every_figure(page: Page, palette: str) -> None:
    for figure in page.payload["plots"].values():
        go.Figure(painted(figure, palette))  # refuses what it does not know


def test_the_bundle_draws_every_trace(page: Page) -> None:
    """The basic bundle of plotly.js knows only these, and says nothing of others."""
    figures = page.payload["plots"].values()
    types = {trace["type"] for figure in figures for trace in figure["data"]}
    assert types <= {"scatter", "bar", "pie"}


@pytest.mark.slow
def test_a_page_of_fifty_trials_is_small(tmp_path: Path) -> None:
    scores = [0.8 + math.sin(n) / 20 for n in range(50)]
    trials = [
        (mlp(10 ** -(1 + n % 30 / 10), 8 + n), complete(*(score + k / 100 for k in range(5))))
        for n, score in enumerate(scores)
    ]
    evidence = Evidence.of(read_study(made(tmp_path, trials)))
    assert len(study_page(evidence, all_findings(evidence)).encode()) <= 2e6


def test_both_palettes_know_the_same_colours(page: Page) -> None:
    light, dark = PALETTES.values()
    assert light.keys() == dark.keys()
    used = re.findall(r'color":"@([\w-]+)"', page.scripts[0])
    assert set(used) <= light.keys()


def test_outcomes_differ_in_shape(page: Page) -> None:
    symbols = {
        trace["name"]: trace["marker"]["symbol"]
        for trace in page.payload["plots"]["history"]["data"]
        if "marker" in trace
    }
    assert symbols.keys() == {"complete", "pruned", "diverged", "failed", "running"}
    assert len(set(symbols.values())) == len(symbols)


def test_every_trial_is_drawn_and_has_a_row(page: Page) -> None:
    numbers = {
        number
        for trace in page.payload["plots"]["history"]["data"]
        for number in trace.get("customdata", ())
    }
    rows = {attrs["id"] for tag, attrs in page.tags if tag == "tr" and "id" in attrs}
    assert numbers == set(range(28))
    assert rows == {f"trial-{number}" for number in numbers}


def test_the_policy_lets_only_our_scripts_run(page: Page) -> None:
    (policy,) = [attrs["content"] for _, attrs in page.tags if "http-equiv" in attrs]
    assert policy is not None
    allowed = re.findall(r"'sha256-([^']+)'", policy)
    hashes = [
        base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in page.scripts[1:]
    ]
    assert allowed == hashes
    assert policy.startswith("default-src 'none'")
    assert not any("src" in attrs or "http" in (attrs.get("href") or "") for _, attrs in page.tags)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Page:
    finding = Finding(
        "note", NASTY, kind="dead", advice=NASTY, changes=(NewSetting(NASTY, NASTY),)
    )
    return page_of(nasty(tmp_path_factory.mktemp("hostile")), [finding])


def test_foreign_text_stays_text(hostile: Page) -> None:
    assert len(hostile.scripts) == 3
    assert {tag for tag, _ in hostile.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "a", "header", "div", "p", "h1", "h2"),
        *("h3", "button", "svg", "circle", "path", "span", "nav", "main", "noscript", "ul", "li"),
        *("strong", "section", "article", "pre", "code", "figure", "figcaption", "dl", "dt", "dd"),
        *("details", "summary", "label", "input", "output", "table", "thead", "tbody", "tr", "th"),
        *("td", "footer", "script"),
    }
    assert not any(name.startswith("on") for _, attrs in hostile.tags for name in attrs)
    assert hostile.text.count(NASTY) > 10
    assert hostile.payload["plots"].keys() == set(hostile.drawn)


def test_plotly_is_given_no_markup(hostile: Page) -> None:
    """Plotly takes a few tags in its texts; there are none but our line breaks and bold words."""
    for said in hostile.payload["hover"].values():
        assert not re.findall(r"<(?!br>|/?b>)", said)
    titles = json.dumps([figure["layout"] for figure in hostile.payload["plots"].values()])
    assert "<" not in titles


@pytest.mark.parametrize("text", [NASTY, "\u2028", "]]>", "\x00", "<script", "a\nb"])
def test_json_in_a_script_is_the_same_json(text: str) -> None:
    written = script_json({text: [text, math.nan, 1.5]})
    assert not set("<>&") & set(written)
    assert json.loads(written) == {text: [text, None, 1.5]}


STUDIES: dict[str, Made] = {
    "empty": [],
    "running": [(mlp(0.1), None), (mlp(0.2), None)],
    "failed": [(mlp(0.1), TrialResult("failed", "out of memory", traceback="Traceback"))] * 3,
    "diverged": [(mlp(0.1), TrialResult("diverged", "loss is not finite"))] * 2,
    "one": [(mlp(0.1), complete(0.5, 0.6))],
    "one fold": [(mlp(n / 20 + 0.01), complete(n / 20)) for n in range(16)],
    "equal": [(mlp(0.1), complete(0.5, 0.5))] * 12,
    "huge": [(mlp(0.1 + n / 100), complete(10.0 ** (40 * n), 1.0)) for n in range(8)],
    "without parameters": [({}, complete(0.5, 0.6)), ({}, complete(0.7, 0.6))],
}


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        *((name, ("maximize", "minimize")[place % 2]) for place, name in enumerate(STUDIES)),
        pytest.param("huge", "maximize", marks=pytest.mark.slow),
        pytest.param("one fold", "maximize", marks=pytest.mark.slow),
    ],
)
def test_what_is_there_is_shown(name: str, direction: str, tmp_path: Path) -> None:
    page = page_of(read_study(made(tmp_path, STUDIES[name], direction=direction)))  # type: ignore[arg-type]
    assert set(page.drawn) == set(page.payload["plots"])
    for figure in page.payload["plots"].values():
        go.Figure(painted(figure, "light"))
    assert "nan" not in re.sub(r"[A-Za-z]*nan[A-Za-z]+", "", page.text)
    rows = [attrs for tag, attrs in page.tags if tag == "tr" and "id" in attrs]
    assert len(rows) == len(STUDIES[name])


def test_a_study_of_another_program(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "other.db")
    study = optuna.create_study(storage=url, study_name="other")

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -5, 5)
        if trial.suggest_categorical("kind", ["a", "b"]) == "b" and x > 4:
            raise optuna.TrialPruned
        for step in range(3):
            trial.report(x**2 / (step + 1), step)
        return x**2

    study.optimize(objective, n_trials=6)
    page = page_of(read_study(url))
    assert {"history", "parameter:x", "parameter:kind"} <= set(page.drawn)
    for figure in page.payload["plots"].values():
        go.Figure(painted(figure, "dark"))


def test_several_objectives_have_a_front(tmp_path: Path) -> None:
    theirs = two_objectives(tmp_path)
    record = read_study(sqlite_url(tmp_path / "study.db"))
    made = page_of(record)
    assert "tradeoff:1" in made.drawn
    figure = made.payload["plots"]["tradeoff:1"]
    line, *marks = figure["data"]
    best = {(trial.values[1], trial.values[0]) for trial in theirs.best_trials}
    assert set(zip(line["x"], line["y"], strict=True)) == best
    assert line["x"] == sorted(line["x"])
    assert sum(len(trace["x"]) for trace in marks) == 12


def test_the_test_score_stands_beside_that_of_the_search() -> None:
    evidence = planted(Plant(test_noise=0.004), 0)
    test, best = evidence.test, evidence.ranked[0]
    assert test is not None
    (dots,) = on_test(evidence, test).figure()["data"]
    assert dots["x"] == [best.value, test.score]
    assert dots["error_x"]["array"] == pytest.approx([best.spread, test.high - test.score])


def test_each_finding_has_its_plot() -> None:
    found = [
        Finding("advice", "One.", kind="noise", trials=(3,)),
        Finding("advice", "Two.", kind="ties"),
        Finding("advice", "Three.", kind="edge", parameters=("lr",)),
        Finding("note", "Four.", kind="optimism"),
    ]
    shown = [finding_plots(one, ["leaders", "parameter:lr", "test"]) for one in found]
    assert shown == [["leaders"], ["leaders"], ["parameter:lr"], ["test"]]


@pytest.mark.parametrize(
    ("metric", "values", "kind", "ticks"),
    [
        ("latency", [1e-3, 0.1], "log", {1e-3: "1 ms", 2e-3: "2 ms", 0.1: "100 ms"}),
        ("latency", [1e-3, 5e-3], None, {1e-3: "1 ms", 5e-3: "5 ms"}),
        ("latency", [0.0, 100.0], None, {0.0: "0 µs", 20.0: "20 s", 100.0: "100 s"}),
        ("size", [2e4, 9e6], "log", {5e4: "50 KB", 1e6: "1 MB", 1e7: "10 MB"}),
        ("size", [2.0, 9e9], "log", {10.0: "10 B", 1e9: "1 GB"}),
        ("n_weights", [300.0, 9e6], "log", {1e2: "100", 1e5: "100k", 1e6: "1M"}),
        ("macs", [1e9, 3e9], None, {1e9: "1G", 2.5e9: "2.5G"}),
        ("rmse", [0.31, 0.32], None, {0.31: "0.31", 0.316: "0.316"}),
        ("rmse", [0.5], None, {0.5: "0.5"}),
    ],
)
def test_ticks_of_costs_are_round_and_have_their_unit(
    metric: str, values: list[float], kind: str | None, ticks: dict[float, str]
) -> None:
    scale = cost_scale(metric, values)
    assert scale.get("type") == kind
    found = dict(zip(scale["tickvals"], scale["ticktext"], strict=True))
    assert found | ticks == found
    assert min(found) <= min(values) <= max(values) <= max(found)
    assert 1 <= len(found) <= 15
    assert len({*found.values()}) == len(found)


_WAYS = st.sampled_from(["minimize", "maximize"])


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1),
    st.tuples(_WAYS, _WAYS, _WAYS),
)
def test_the_steps_are_the_best_score_within_each_cost(
    values: list[tuple[int, int, int]], ways: tuple[Any, Any, Any]
) -> None:
    """Read the staircase between its corners: no trial within that cost scores better."""
    trials = [TrialRecord(i, i, "complete", values=one) for i, one in enumerate(values)]
    best = [t for t in trials if not any(dominates(o.values, t.values, ways) for o in trials)]
    line = _front_line(tuple(best), 1, ways[:2])
    cost_sign, sign = (1 if way == "maximize" else -1 for way in (ways[1], ways[0]))
    corners = [*zip(line["x"], line["y"], strict=True)]
    is_hv = line["line"]["shape"] == "hv"
    for (x0, y0), (x1, y1) in pairwise(corners):
        between, level = (x0 + x1) / 2, y0 if is_hv else y1
        allowed = [v[0] for v in values if cost_sign * v[1] >= cost_sign * between]
        assert max(sign * score for score in allowed) == sign * level


def test_the_progress_has_a_line_per_baseline(tmp_path: Path) -> None:
    study = read_study(made(tmp_path, usual()))
    scores = ScoreAxis.of(study, study.mean_curves([]))
    known = (
        Baseline("mean", (scores.low - 9, scores.low - 9)),
        Baseline("ridge regression", (scores.high + 1, scores.high + 3)),
        Baseline("gradient-boosted trees", (scores.high, scores.high)),
        Baseline("another", note="left out"),
    )
    study = replace(study, direction="maximize", baselines=known)
    plot = history(study, replace(scores, maximize=True))
    lines = [one["y0"] for one in plot.layout["shapes"] if one["line"]["dash"] == "dash"]
    assert lines == [scores.high + 2, scores.high]
    names = [one["text"] for one in plot.layout["annotations"]]
    assert names == ["ridge regression", "gradient-boosted trees"]
    assert plot.layout["yaxis"]["range"][1] > scores.high + 2
    assert plot.note.startswith("The line is the best complete trial so far. Dashed: untuned")
    assert "Worse than the range shown: mean." in plot.note


def test_each_plot_is_drawn_once_and_findings_link_to_it(tmp_path: Path) -> None:
    evidence = Evidence.of(read_study(made(tmp_path, usual())))
    found = [
        Finding("advice", "One.", kind="noise"),
        Finding("advice", "Two.", kind="ties"),
        Finding("note", "Three.", kind="budget"),
        Finding("note", "Four.", kind="length"),
        *(Finding("note", "Five.", kind="edge", parameters=(n,)) for n in evidence.ranges),
    ]
    shown = Page(study_page(evidence, [*all_findings(evidence), *found]))
    assert sorted(shown.drawn) == sorted(shown.payload["plots"])
    ids = [attrs["id"] for _, attrs in shown.tags if attrs.get("id")]
    assert len({*ids}) == len(ids)
    links = [attrs.get("href", "") or "" for tag, attrs in shown.tags if tag == "a"]
    to_plots = [link for link in links if link.startswith("#plot-")]
    assert {link.removeprefix("#") for link in to_plots} <= {*ids}
    assert len(to_plots) >= len(found)


def test_findings_have_one_order_everywhere(tmp_path: Path) -> None:
    """What to do first comes first on the terminal, on the page and in JSON."""
    evidence = Evidence.of(read_study(made(tmp_path, usual())))
    findings = all_findings(evidence)
    sentences = [one.sentence for one in findings]
    assert len(sentences) > 1
    told = json.loads(study_json(evidence.study))["findings"]
    assert [one["sentence"] for one in told] == sentences
    order = [("problem", "advice", "note").index(one.severity) for one in findings]
    assert order == sorted(order)
    shown = Page(study_page(evidence, findings)).text
    places = [shown.index(sentence) for sentence in sentences]
    assert places == sorted(places)
    screen = io.StringIO()
    for part in study_parts(evidence.study, everything=True):
        Console(width=10_000, file=screen).print(part)
    terminal = screen.getvalue()
    places = [terminal.index(sentence) for sentence in sentences]
    assert places == sorted(places)

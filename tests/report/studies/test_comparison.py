from __future__ import annotations

import io
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from rich.console import Console
from study_makers import CONFIG, SUMMARY, complete, made, mlp

from tunecli.database.records import StudyRecord, read_study
from tunecli.errors import NotComparableError
from tunecli.report.export.markdown import comparison_markdown
from tunecli.report.export.study_export import comparison_json
from tunecli.report.screen.comparison_lines import comparison_parts
from tunecli.report.studies.comparison import Comparison, compared
from tunecli.training.outcome.evaluation import TrialResult


def study(folder: Path, name: str, scores: list[float], **changes: Any) -> StudyRecord:
    trials = [
        (mlp(0.01 * (n + 1), optimizer=("SGD", "AdamW")[n % 2]), complete(x, x + 0.01, x - 0.01))
        for n, x in enumerate(scores)
    ]
    summary = asdict(SUMMARY) | changes.pop("summary", {})
    url = made(folder / name, trials, name=name, attributes={"summary": summary}, **changes)
    return read_study(url, name)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("compared")
    return compared(
        [
            study(folder, "worse", [0.5, 0.7, 0.6]),
            study(folder, "better", [0.6, 0.5, 0.9, 0.8]),
            study(folder, "none", []),
        ]
    )


def test_the_best_comes_first_and_those_without_a_trial_last(comparison: Comparison) -> None:
    assert [one.name for one in comparison.ordered] == ["better", "worse", "none"]
    assert [one.best_so_far() for one in comparison.contenders] == [
        [0.5, pytest.approx(0.7), pytest.approx(0.7)],
        [pytest.approx(0.6), pytest.approx(0.6), pytest.approx(0.9), pytest.approx(0.9)],
        [],
    ]


def test_smaller_is_better_where_it_is_minimized(tmp_path: Path) -> None:
    studies = [
        study(tmp_path, "a", [3.0, 2.0], direction="minimize"),
        study(tmp_path, "b", [4.0, 1.0, 5.0], direction="minimize"),
    ]
    comparison = compared(studies)
    assert [one.name for one in comparison.ordered] == ["b", "a"]
    assert comparison.contenders[1].best_so_far() == pytest.approx([4.0, 1.0, 1.0])


def test_a_tie_is_what_the_folds_cannot_tell(tmp_path: Path) -> None:
    a = made(tmp_path / "a", [(mlp(0.1), complete(0.5, 0.6, 0.7))], name="a")
    b = made(tmp_path / "b", [(mlp(0.1), complete(0.55, 0.56, 0.71))], name="b")
    c = made(tmp_path / "c", [(mlp(0.1), complete(0.3, 0.31, 0.4601))], name="c")
    comparison = compared([read_study(url) for url in (a, b, c)])
    first, second, third = comparison.ordered
    assert [first.name, second.name, third.name] == ["b", "a", "c"]
    verdicts = [comparison.verdict(one) for one in (first, second, third)]
    assert verdicts == ["", "not distinguished", "worse"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"summary": {"fingerprint": "f" * 64}}, "the data fingerprint is 0000"),
        ({"summary": {"validation": "5 folds"}}, "validation is 2 stratified folds in `a`"),
        ({"direction": "minimize"}, "objective is maximize accuracy in `a` and minimize acc"),
    ],
)
def test_scores_that_mean_other_things_are_refused(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    one, other = study(tmp_path, "a", [0.5]), study(tmp_path, "b", [0.5], **changes)
    with pytest.raises(NotComparableError, match=told) as raised:
        compared([one, other])
    assert str(raised.value).count("\n") == 0


def test_other_folds_are_refused(tmp_path: Path) -> None:
    one, other = study(tmp_path, "a", [0.5]), study(tmp_path, "b", [0.5])
    config = CONFIG.model_dump(mode="json")
    config["data"] |= {"split_seed": 1}
    changed = replace(other, trials=(replace(other.trials[0], config=config),))
    with pytest.raises(NotComparableError, match=r"split_seed\) is 0 in `a` and 1 in `b`"):
        compared([one, changed])


def test_a_study_is_not_compared_with_itself(tmp_path: Path) -> None:
    one = study(tmp_path, "a", [0.5])
    with pytest.raises(NotComparableError, match="is named twice"):
        compared([one, one])


def test_choices_are_those_that_several_have(comparison: Comparison) -> None:
    shared = comparison.shared_choices()
    assert list(shared) == ["optimizer"]
    best = {
        (option.choice, name): branch.best
        for option in shared["optimizer"]
        for name, branch in option.branches.items()
    }
    assert best["AdamW", "worse"] == pytest.approx(0.7)
    assert best["SGD", "better"] == pytest.approx(0.9)
    assert best[None, "better"] is None


def test_json_says_the_same(comparison: Comparison) -> None:
    whole = json.loads(comparison_json(comparison))
    assert (whole["format"], whole["metric"], whole["direction"]) == (2, "accuracy", "maximize")
    for stored, one in zip(whole["studies"], comparison.contenders, strict=True):
        assert stored["name"] == one.name
        assert stored["best_so_far"] == one.best_so_far()
        assert stored["value"] == (one.best.value if one.best else None)
    (choice,) = whole["choices"]
    assert [option["choice"] for option in choice["options"]] == ["SGD", "AdamW", None]


def test_the_terminal_shows_all_within_80_columns(comparison: Comparison) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    for part in comparison_parts(comparison):
        console.print(part)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert text.index("better  ") < text.index("worse  ") < text.index("none  ")
    assert re.search(r"worse +▁.* 0.5000 → 0.7000", text)
    assert re.search(r"better +[^▁]*█ +0.6000 → 0.9000", text)


def test_markdown_is_two_tables(comparison: Comparison) -> None:
    html = MarkdownIt("commonmark").enable("table").render(comparison_markdown(comparison))
    assert html.count("<table>") == 2
    assert html.index("<td>better</td>") < html.index("<td>worse</td>")


def test_studies_without_any_result(tmp_path: Path) -> None:
    a = made(tmp_path / "a", [(mlp(0.1), None)], name="a")
    b = made(tmp_path / "b", [(mlp(0.1), TrialResult("failed", "no"))], name="b")
    comparison = compared([read_study(a), read_study(b)])
    assert comparison.ranked == []
    assert json.loads(comparison_json(comparison))["studies"][0]["best"] is None
    Console(file=io.StringIO()).print(*comparison_parts(comparison))

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from study_makers import complete, made, mlp

from tunecli.database.records import read_study
from tunecli.report.export.markdown import code, escaped, to_markdown
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, NewSetting
from tunecli.report.phrases import foreign_text
from tunecli.training.outcome.evaluation import TrialResult

NASTY = "<script>alert(1)</script> | `x` [a](b) *c* _d_ # e $f$ &lt; ~~g~~"


def shown(markdown: str) -> str:
    """The text that a reader sees, by an implementation of CommonMark."""
    rendered = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)
    return html.unescape(re.sub(r"<[^>]+>", "", rendered)).strip()


@given(st.text(min_size=1).map(lambda text: "x" + text))
def test_foreign_text_is_read_letter_by_letter(text: str) -> None:
    seen = shown(escaped(text)).replace("\u200b", "")
    assert seen.split() == foreign_text.plain(text).replace("\u200b", "").split()


@given(st.text(min_size=1).filter(lambda text: text.strip()))
def test_code_is_read_letter_by_letter(text: str) -> None:
    assert shown(f"x {code(text)} y").split() == ["x", *foreign_text.plain(text).split(), "y"]


def evidence(folder: Path, n_trials: int, name: str = "digits") -> Evidence:
    trials = [
        (mlp(0.01 * (n + 1)), complete(0.5 + n / 100, 0.6 + n / 100)) for n in range(n_trials)
    ]
    return Evidence.of(read_study(made(folder, trials, name=name), name))


def test_all_that_is_due(tmp_path: Path) -> None:
    finding = Finding("advice", "It does nothing.", kind="dead", changes=(NewSetting("a.b", 3),))
    text = to_markdown(evidence(tmp_path, 12), [finding])
    assert text.startswith("## digits: maximize accuracy\n")
    assert "- **advice:** It does nothing.\n  - `a.b: 3`\n" in text
    assert "**accuracy 0.6600 ± 0.0707** over 2 folds, trial 11 (12 complete)" in text
    assert text.count("\n|") == 2 + 5
    assert "Data: digits: 1,797 rows" in text
    assert "fingerprint `000000000000`" in text


def test_a_hostile_study_is_only_text(tmp_path: Path) -> None:
    finding = Finding("note", NASTY, kind="dead", advice=NASTY)
    text = to_markdown(evidence(tmp_path, 3, NASTY), [finding])
    rendered = MarkdownIt("commonmark").enable("table").render(text)
    assert not re.search(r"<(script|a|em)\b", rendered)
    assert shown(text).count(NASTY) == 3


@pytest.mark.parametrize("trials", [[], [(mlp(0.1), None)], [(mlp(0.1), TrialResult("failed"))]])
def test_before_a_trial_is_complete(trials: list[object], tmp_path: Path) -> None:
    text = to_markdown(Evidence.of(read_study(made(tmp_path, trials))), [])  # type: ignore[arg-type]
    assert "No trial is complete yet" in text

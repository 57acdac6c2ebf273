from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted_studies import Plant, planted

from tunecli.report.analysis.expected_score import RowCounts
from tunecli.report.findings.evidence import evidence as found_in
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.optimism import expected_luck, optimism

ROWS = RowCounts(fold=400, valid=2000, test=500)


def with_test(below: float, single: float | None = None, seed: int = 0) -> Evidence:
    """A study whose best trial scores that much less on 500 test rows than in the search."""
    study = planted(Plant(), seed)
    best = study.ranked[0].value
    assert best is not None
    n_networks = 5 if single is not None else 1
    test = found_in.TestScore(
        best - below, best - below - 0.02, best - below + 0.02, n_networks, rows=ROWS
    )
    return replace(study, test=replace(test, single=None if single is None else best - single))


def test_without_a_test_score_nothing_is_said() -> None:
    assert optimism(planted(Plant(), 0)) == []


@pytest.mark.parametrize(
    ("below", "severity", "explanation"),
    [
        (-0.01, "note", "The score in the search was not too optimistic."),
        (0.01, "note", "Chance explains the gap: scores on 500 test rows vary"),
        (0.2, "advice", "the test rows differ from the rows of the search, or the training"),
        (
            -0.2,
            "note",
            "are easier than the rows of the search, or the training on all rows helped",
        ),
    ],
)
def test_only_what_chance_does_not_explain_is_advice(
    below: float, severity: str, explanation: str
) -> None:
    (finding,) = optimism(with_test(below))
    assert finding.severity == severity
    assert explanation in finding.sentence
    assert bool(finding.advice) == (severity == "advice")


def test_an_ensemble_is_compared_by_its_networks_one_by_one() -> None:
    """Its mean scores as in the search although its networks are far worse; and the reverse."""
    (hidden,) = optimism(with_test(0.0, single=0.2))
    assert hidden.severity == "advice"
    assert hidden.sentence.startswith("On average, a single network of the best trial scores")
    assert "training" not in hidden.sentence, "nothing was trained anew"
    (explained,) = optimism(with_test(0.2, single=0.0))
    assert explained.severity == "note"


@pytest.mark.parametrize(
    ("of_folds", "cause", "sentence", "advice"),
    [
        (
            0.2,
            "rows",
            "explain this gap: the test rows differ from the rows of the search.",
            "data.test",
        ),
        (0.0, "training", "the training on all rows gave a worse model.", "--as-searched"),
        (-0.2, "training", "the training on all rows gave a worse model.", "--as-searched"),
        (None, "either", "differ from the rows of the search, or the training on", "--seeds 5"),
    ],
)
def test_the_models_of_the_search_tell_whether_the_rows_or_the_training_are_the_cause(
    of_folds: float | None, cause: str, sentence: str, advice: str
) -> None:
    evidence = with_test(0.2)
    best = evidence.ranked[0].value
    assert best is not None
    assert evidence.test is not None
    known = None if of_folds is None else best - of_folds
    (finding,) = optimism(replace(evidence, test=replace(evidence.test, of_folds=known)))
    assert (finding.severity, finding.figures["cause"]) == ("advice", cause)
    assert sentence in finding.sentence
    assert advice in finding.advice


@pytest.mark.parametrize(
    ("of_folds", "cause", "end"),
    [
        (-0.2, "rows", "the test rows are easier than the rows of the search."),
        (0.0, "either", "or the training on all rows helped."),
        (0.2, "either", "or the training on all rows helped."),
        (None, "either", "or the training on all rows helped."),
    ],
)
def test_easier_rows_are_the_cause_of_a_better_score_if_the_models_of_the_search_gain_too(
    of_folds: float | None, cause: str, end: str
) -> None:
    evidence = with_test(-0.2)
    best = evidence.ranked[0].value
    assert best is not None
    assert evidence.test is not None
    known = None if of_folds is None else best - of_folds
    (finding,) = optimism(replace(evidence, test=replace(evidence.test, of_folds=known)))
    assert (finding.severity, finding.advice) == ("note", "")
    assert (finding.figures["side"], finding.figures["cause"]) == ("better", cause)
    assert finding.sentence.endswith(end)
    assert "optimistic" not in finding.sentence


def test_only_the_rows_are_new_to_the_networks_of_an_ensemble() -> None:
    (finding,) = optimism(with_test(0.0, single=-0.2))
    assert (finding.figures["side"], finding.figures["cause"]) == ("better", "rows")


def test_a_model_as_expected_is_no_finding_on_rows_whatever_the_fold_models_score() -> None:
    evidence = with_test(0.01)
    assert evidence.test is not None
    (finding,) = optimism(replace(evidence, test=replace(evidence.test, of_folds=-5.0)))
    assert (finding.severity, finding.figures["cause"]) == ("note", None)


def test_a_score_without_known_noise_is_only_shown() -> None:
    """One holdout of an unknown number of rows."""
    study = with_test(0.2).study
    one_fold = tuple(
        replace(trial, fold_scores=trial.fold_scores[:1], config=None) for trial in study.trials
    )
    evidence = replace(with_test(0.2), study=replace(study, trials=one_fold))
    evidence = replace(evidence, test=found_in.TestScore(0.5, 0.49, 0.51))
    (finding,) = optimism(evidence)
    assert finding.severity == "note"
    assert finding.sentence.count(".") == 3, "one sentence with two scores"
    assert expected_luck(evidence) is None


@pytest.mark.parametrize("seed", range(3))
def test_the_worse_end_is_the_upper_one_of_a_loss(seed: int) -> None:
    evidence = with_test(0.2, seed=seed)
    trials = tuple(
        replace(trial, value=-trial.value, fold_scores=tuple(-s for s in trial.fold_scores))
        for trial in evidence.study.trials
        if trial.value is not None
    )
    study = replace(evidence.study, trials=trials, direction="minimize")
    assert evidence.test is not None
    score, low, high = (-evidence.test.score, -evidence.test.high, -evidence.test.low)
    turned = replace(evidence, study=study, test=found_in.TestScore(score, low, high, rows=ROWS))
    (one,), (other,) = optimism(evidence), optimism(turned)
    assert other.severity == one.severity == "advice"
    assert other.figures["side"] == one.figures["side"] == "worse"
    assert other.figures["expected_high"] == pytest.approx(-one.figures["expected_low"])
    assert other.figures["luck"] == pytest.approx(one.figures["luck"])


def test_luck_is_unknown_without_folds() -> None:
    study = planted(Plant(), 0)
    luck = expected_luck(study)
    assert luck is not None
    assert 0 <= luck < np.ptp([trial.value for trial in study.ranked[:10]])


def test_luck_explains_a_gap_only_if_it_is_a_good_part_of_it() -> None:
    study = with_test(0.0)
    assert study.expected is not None
    drop, reach = study.expected.drop, study.expected.score - study.expected.low
    assert 0 < drop < reach / 4
    for below, is_lucky in ((3.9 * drop, True), (4.1 * drop, False), (drop + 0.9 * reach, False)):
        evidence = with_test(below)
        (finding,) = optimism(evidence)
        assert finding.figures["side"] == "expected"
        told = "Chance explains the gap: scores on 500 test rows vary by this much."
        assert ("the best of 60 trials is partly lucky" in finding.sentence) == is_lucky
        assert finding.sentence.endswith(told) != is_lucky


def test_a_single_trial_is_not_the_luckiest() -> None:
    evidence = with_test(0.001)
    alone = replace(evidence.study, trials=(evidence.ranked[0],))
    (finding,) = optimism(replace(evidence, study=alone))
    assert "lucky" not in finding.sentence
    assert "scores on 500 test rows vary" in finding.sentence

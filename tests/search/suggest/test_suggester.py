from __future__ import annotations

from collections.abc import Sequence

import optuna
import pytest
from optuna.trial import TrialState

from tunecli.database.trials import Trial
from tunecli.search.suggest.suggester import Suggester
from tunecli.search.suggest.visible_trials import VisibleTrials
from tunecli.study_file.study_file import StudyFile
from tunecli.training.outcome.evaluation import Outcome

STUDY = """
data: digits
model: {MLP: {width: {int: [8, 256], log: true}}}
optimizer: {AdamW: {lr: {float: [1e-4, 1], log: true}}}
search: {parallel: 1, sampler: %s}
"""


def suggester(sampler: str) -> Suggester:
    study = StudyFile.from_text(STUDY % sampler, "a.yaml").completed("classification", 1797)
    return Suggester(study, [], [], VisibleTrials([(0, 1)]))


def ended(
    suggesting: Suggester, number: int, outcome: Outcome, reason: str, value: float | None
) -> Trial:
    asked = suggesting.ask(number)
    assert asked is not None
    trial = Trial(number, asked.params, asked.distributions, asked.config)
    trial.outcome, trial.reason, trial.value = outcome, reason, value
    return trial


ENDS: Sequence[tuple[Outcome, str, float | None]] = [
    ("complete", "", 0.9),
    ("complete", "", 0.7),
    ("diverged", "training loss of fold 0 is nan", None),
    ("failed", "out of memory: Unable to allocate 3.1 GiB", None),
    ("failed", "out of memory", None),
    ("failed", "error: ValueError: no", None),
    ("failed", "timeout: it trained longer than 2 s", None),
    ("failed", "worker died: killed by SIGSEGV", None),
]


def seen_by(sampler: str) -> list[optuna.trial.FrozenTrial]:
    suggesting = suggester(sampler)
    trials = []
    for number, end in enumerate(ENDS):
        trials.append(ended(suggesting, number, *end))
        suggesting.show(trials, number + 1)
    return suggesting._study.get_trials()


def test_tpe_sees_out_of_memory_as_pruned_and_infeasible() -> None:
    seen = seen_by("TPE")
    states = [trial.state for trial in seen]
    assert states == [TrialState.COMPLETE] * 2 + [TrialState.PRUNED] * 3 + [TrialState.FAIL] * 3
    assert [trial.constraints for trial in seen[2:5]] == [{}, {"memory": 1.0}, {"memory": 1.0}]
    assert not any(trial.constraints for trial in (*seen[:2], *seen[5:]))
    assert not any(trial.intermediate_values for trial in seen[2:])


@pytest.mark.parametrize("sampler", ["GP", "CmaEs"])
def test_others_see_the_worst_value_there(sampler: str) -> None:
    seen = seen_by(sampler)
    assert [trial.value for trial in seen[:5]] == [0.9, 0.7, 0.7, 0.7, 0.7]
    assert {trial.state for trial in seen[5:]} == {TrialState.FAIL}
    assert not any(trial.constraints for trial in seen)


def pruned_as_seen_by(sampler: str) -> optuna.trial.FrozenTrial:
    """A trial that was pruned after its third evaluation, with a mean of 0.4."""
    suggesting = suggester(sampler)
    trial = ended(suggesting, 0, "pruned", "", 0.4)
    trial.curve = [0.2, 0.5, 0.4]
    suggesting.show([trial], 1)
    return suggesting._study.get_trials()[0]


def test_tpe_sees_how_far_a_pruned_trial_got() -> None:
    seen = pruned_as_seen_by("TPE")
    assert seen.state == TrialState.PRUNED
    assert seen.intermediate_values == {2: 0.4}


@pytest.mark.parametrize("sampler", ["GP", "CmaEs", "NSGAII"])
def test_others_see_a_pruned_trial_as_complete_with_its_last_mean(sampler: str) -> None:
    seen = pruned_as_seen_by(sampler)
    assert seen.state == TrialState.COMPLETE
    assert seen.value == 0.4


def test_tpe_leaves_what_does_not_fit_into_memory() -> None:
    suggesting = suggester("{TPE: {n_startup_trials: 8}}")
    trials: list[Trial] = []
    for number in range(40):
        trial = ended(suggesting, number, "complete", "", None)
        width = trial.params["model.MLP.width"]
        if width > 64:
            trial.outcome, trial.reason = "failed", "out of memory"
        else:
            trial.value = width / 64  # better and better up to the edge
        trials.append(trial)
        suggesting.show(trials, number + 1)
    late = [trial.outcome for trial in trials[20:]]
    assert late.count("failed") <= 14  # shown as a mere failure, it would be all of them

"""What the user's own training keeps: the model of the evaluation that the trial's value is of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from training_cases import CPU, classification, trial

from tunecli.data.user_code import import_user_code
from tunecli.errors import DataError, UserCodeError
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.trial_end import conclude
from tunecli.training.user_loop.kept_files import kept_folders
from tunecli.training.user_loop.user_trial import UserTrial

CODE = '''
import os

def fit(config, fold, report):
    """Saves after its reports, and checkpoints if it is told to."""
    file = fold.checkpoints / "step"
    first = int(file.read_text()) + 1 if file.exists() else 0
    for step in range(first, len(config["scores"])):
        if report({"accuracy": config["scores"][step][fold.number]}, step):
            (fold.keep / "model").write_text(f"{fold.study} {fold.trial} {fold.number} {step}")
        if config.get("saves"):
            file.write_text(str(step))

def generate(config, fold):
    for step, scores in enumerate(config["scores"]):
        is_best = yield {"accuracy": scores[fold.number]}
        if is_best:
            (fold.keep / "model").write_text(f"{fold.study} {fold.trial} {fold.number} {step}")

def forever(config, fold, report):
    step = 0
    while True:
        scores = config["scores"][min(step, len(config["scores"]) - 1)]
        if report({"accuracy": scores[fold.number]}, step):
            (fold.keep / "model").write_text(f"{fold.study} {fold.trial} {fold.number} {step}")
        step += 1

def keeps_nothing(config, fold, report):
    report({"accuracy": 0.5})

def keeps_a_link(config, fold, report):
    if report({"accuracy": 0.5}):
        (fold.keep / "model").symlink_to("/etc/hostname")

def fails_to_keep(config, fold, report):
    if report({"accuracy": 0.5}):
        raise OSError("no space left")
'''

Scores = Sequence[Sequence[float]]


@pytest.fixture(autouse=True)
def permitted(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "own.py").write_text(CODE + f"# {tmp_path}\n")
    import_user_code.permit(AllowedCode.of(tmp_path, [str(tmp_path / "own.py")]))
    yield
    import_user_code.permit(AllowedCode(Path()))


def config(function: str, epochs: int | None = None, **arguments: object) -> TrialConfig:
    base = trial(epochs=epochs, batch_size=32)
    train = Component(name=f"own.py:{function}", arguments=arguments)
    return base.model_copy(update={"train": train})


def training(trained: TrialConfig, folder: Path) -> CrossValidation:
    own = UserTrial("digits", 7, folder / "checkpoints" / "7", folder / "best" / "7")
    return CrossValidation(trained, [classification(0), classification(1)], CPU, own)


def kept(trained: TrialConfig, folder: Path) -> list[str]:
    """Train to the end as a worker does, and read what was kept."""
    with closing(training(trained, folder)) as cross_validation:
        for _ in cross_validation:
            pass
        conclude(cross_validation).keep(folder / "best" / "7")
    return [(path / "model").read_text() for path in kept_folders(folder / "best" / "7", trained)]


def best_step(scores: Scores) -> int:
    means = [fmean(row) for row in scores]
    return means.index(max(means))


SCORES = st.lists(
    st.lists(st.sampled_from([0.1, 0.25, 0.5, 0.75]), min_size=2, max_size=2),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize("function", ["fit", "generate", "forever"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(scores=SCORES)
@example(scores=[[0.1, 0.1], [0.5, 0.5]])
def test_the_model_of_the_best_mean_is_kept(
    function: str, scores: Scores, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trained = config(
        function, epochs=len(scores) if function == "forever" else None, scores=scores
    )
    found = kept(trained, tmp_path_factory.mktemp("study"))
    assert found == [f"digits 7 {fold} {best_step(scores)}" for fold in range(2)]


@pytest.mark.parametrize("saves", [True, False])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(scores=SCORES, n_before=st.integers(0, 5))
def test_a_killed_trial_keeps_the_same_model(
    saves: bool, scores: Scores, n_before: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("study")
    trained = config("fit", scores=scores, saves=saves)
    killed = training(trained, folder)  # and no word to it after that
    for _ in range(min(n_before, len(scores))):
        next(killed)
    assert kept(trained, folder) == [f"digits 7 {fold} {best_step(scores)}" for fold in range(2)]
    killed.close()


def test_a_trial_that_keeps_nothing_leaves_no_folder(tmp_path: Path) -> None:
    trained = config("keeps_nothing")
    with pytest.raises(DataError, match="there are no models in"):
        kept(trained, tmp_path)
    assert not (tmp_path / "best" / "7").exists()


def test_without_kept_models_the_folder_goes_with_the_checkpoints(tmp_path: Path) -> None:
    own = UserTrial("digits", 7, tmp_path / "7")
    trained = config("fit", scores=[[0.5, 0.5], [0.1, 0.1]])
    with closing(CrossValidation(trained, [classification(0)], CPU, own)) as alone:
        assert len(list(alone)) == 2
    [model] = tmp_path.rglob("model")
    assert model.relative_to(tmp_path / "7").parts[0] == "own"


def test_a_link_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(UserCodeError, match=r"model is not a regular file\. .* instead of a link"):
        kept(config("keeps_a_link"), tmp_path)


def test_an_error_while_saving_is_the_user_s(tmp_path: Path) -> None:
    with pytest.raises(UserCodeError, match=r"OSError: no space left \(own.py, line "):
        kept(config("fails_to_keep"), tmp_path)


@pytest.mark.parametrize("name", ["best/7", "best/7/keep", "best/7/keep/0"])
def test_no_link_is_written_through(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).symlink_to(victim)
    with pytest.raises(OSError, match="is a symbolic link to"):
        training(config("fit", scores=[[0.5, 0.5]]), tmp_path)
    assert not [*victim.iterdir()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("edit", "the checksum of 0/model is wrong"),
        ("add", "tunecli did not write 1/more"),
        ("remove", "1/model is missing"),
        ("config", "they belong to another trial"),
    ],
)
def test_changed_files_are_refused(tmp_path: Path, change: str, message: str) -> None:
    trained = config("fit", scores=[[0.5, 0.5]])
    kept(trained, tmp_path)
    best = tmp_path / "best" / "7"
    if change == "edit":
        (best / "keep" / "0" / "model").write_text("other")
    elif change == "add":
        (best / "keep" / "1" / "more").write_text("other")
    elif change == "remove":
        (best / "keep" / "1" / "model").unlink()
    other = config("fit", scores=[[0.1, 0.5]]) if change == "config" else trained
    with pytest.raises(DataError, match=message):
        kept_folders(best, other)

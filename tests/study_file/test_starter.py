"""`tunecli init`: a first study of any data, which runs as it is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from auto_model_cases import mini_lm
from churn_table import write_churn_table
from commands import call_in, run_in
from PIL import Image
from torchvision_files import make_mnist
from transformers_studies import write_base
from typer.testing import CliRunner

from tunecli.cli import app
from tunecli.cli.shared.streams import write_output
from tunecli.data.first_looks import first_look
from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset as load_data
from tunecli.errors import DataError, OutputError, TunecliError
from tunecli.study_file.settings.ranges import Categories, FloatRange
from tunecli.study_file.starter import (
    SCHEMA,
    FirstLook,
    first_size,
    reading_settings,
    starter,
    starter_name,
)
from tunecli.study_file.study_file import StudyFile, read_study_file
from tunecli.study_file.text_starters import FineTuning


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("digits", "digits"),
        ("data/Train Set.csv.gz", "Train-Set"),
        ("pictures/flowers/", "flowers"),
        ("my_data.py:load", "load"),
        ("x.npz", "x"),
        ("x.jsonl.gz", "x"),
        ("corpus.txt", "corpus"),
        ("…/…", "study"),
    ],
)
def test_study_names(source: str, name: str) -> None:
    assert starter_name(source) == name


LOOKS = [
    FirstLook("digits", "classification", 1797, (1, 8, 8), 10, 0.1),
    FirstLook("diabetes", "regression", 442, (10,)),
    FirstLook("CIFAR10", "classification", 60_000, (3, 32, 32), 10, 0.1, has_test=True),
    FirstLook("KMNIST", "classification", 70_000, (1, 28, 28), 10, 0.1, True, root="my sets"),
    FirstLook("KMNIST", "classification", 70, (1, 28, 28), 10, 0.1, root="a: b", download=True),
    FirstLook("big/", "classification", 500, (3, 128, 96), 3, 0.4, has_validation=True),
    FirstLook(
        "a b: c.csv",
        "classification",
        99,
        (4,),
        2,
        0.95,
        target="y: yes",
        common="no",
        positive="1",
    ),
    FirstLook("three.csv", "classification", 99, (4,), 3, 0.9, target="y"),
    FirstLook("uneven/", "classification", 500, (3, 64, 64), 3, 0.4, median_side=1234),
    FirstLook("s.csv", "regression", 99, (4,), target="y", in_order_of="when: day", group="shop"),
    FirstLook("t.csv", "classification", 9_000, (1,), 3, 0.4, target="y", text=("review",)),
    FirstLook("t.csv", "regression", 900, (5,), target="y", text=("a: b", "no")),
    FirstLook("texts/", "classification", 900, (1,), 3, 0.4, text=("text",)),
    FirstLook(
        *("t.csv", "classification", 900, (2,), 3, 0.4),
        target="y",
        text=("review",),
        fine_tuning=FineTuning("an/encoder", 9 * 10**7, 128, ("a/larger", "b/larger")),
    ),
    FirstLook(
        *("t.csv", "regression", 900, (1,)),
        target="y",
        text=("review",),
        fine_tuning=FineTuning("models/large one", 9 * 10**9, 512),
    ),
    FirstLook("tiny.npz", "classification", 99, (1, 4, 4), 2, 0.5, common="0", positive="1"),
]


def test_several_numbers_are_scored_without_their_units() -> None:
    look = FirstLook("t.csv", "regression", 900, (4,), reading={"targets": ["grams", "days"]})
    study = StudyFile.from_text(starter(look, "first.yaml"), "first.yaml")
    completed = study.completed("regression", look.n_rows, [], None)
    assert completed.data.targets == ["grams", "days"]
    assert completed.objective.metric.name == "r2"
    assert completed.objective.direction == "maximize"


@pytest.mark.parametrize(("n_rows", "scales"), [(10_000, ["quantile", "standard"]), (10_001, [])])
def test_few_rows_may_be_fitted_by_a_linear_model(n_rows: int, scales: list[str]) -> None:
    look = FirstLook("t.csv", "regression", n_rows, (4,), target="y")
    study = StudyFile.from_text(starter(look, "first.yaml"), "first.yaml")
    ranges = {one.name: one.range for one in study.parameters}
    options = {name: [*one.choices] for name, one in ranges.items() if isinstance(one, Categories)}
    assert ("Linear" in options["model"]) == bool(scales)
    assert options.get("data.scale", []) == scales


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.source)
def test_every_starter_is_a_study_without_mistakes(look: FirstLook) -> None:
    text = starter(look, "first.yaml")
    brought = {"test": look.has_test, "validation": look.has_validation}
    given = [name for name, there in brought.items() if there]
    read = StudyFile.from_text(text, "first.yaml")
    study = read.completed(look.task, look.n_rows, given, look.positive or None)
    assert study.data.source == look.source
    assert study.data.target == look.target
    assert (study.data.root, study.data.download) == (look.root, look.download)
    assert study.data.test == (None if look.has_test else 0.2)
    uneven = look.commonest > 0.65
    names = {"regression": "rmse", "classification": "accuracy"}
    assert study.objective.metric.name == ("log_loss" if uneven else names[look.task])
    assert study.data.positive == (look.positive or None)
    assert all(len(line) <= 99 for line in text.splitlines())


@pytest.mark.parametrize(
    ("n_rows", "shape", "epochs", "patience"),
    [
        (900, (8,), 40, 10),
        (199_999, (100,), 40, 10),
        (200_000, (8,), 10, 10),
        (900, (101,), 20, 5),
        (900, (1, 8, 8), 20, 5),
        (90_000, (1, 8, 8), 10, 5),
    ],
)
def test_models_that_embed_numbers_train_for_longer(
    n_rows: int, shape: tuple[int, ...], epochs: int, patience: int
) -> None:
    look = FirstLook("t.npz", "classification", n_rows, shape, 3, 0.4)
    study = StudyFile.from_text(starter(look, "first.yaml"), "first.yaml")
    training = study.completed(look.task, n_rows).first_config.training
    assert training.early_stopping is not None
    assert (training.epochs, training.early_stopping.patience) == (epochs, patience)


@pytest.mark.parametrize(
    ("columns", "target", "has_scale"),
    [(["review"], "y", False), (["review", "title"], "y", True), (["text"], None, False)],
)
def test_text_gets_models_of_text_and_a_tokenizer(
    columns: list[str], target: str | None, has_scale: bool
) -> None:
    shape = (len(columns) + has_scale,)
    look = FirstLook("t.csv" if target else "texts/", "classification", 900, shape, 3, 0.4)
    text = starter(replace(look, target=target, text=tuple(columns)), "first.yaml")
    study = StudyFile.from_text(text, "first.yaml")
    assert study.data.text == (columns if target else [])
    assert ("EmbeddingBag" in text, "TextCNN" in text, "MLP" in text) == (True, True, False)
    assert "min_frequency" in text
    assert ("scale: standard" in text) == has_scale


def test_texts_without_spaces_are_read_by_characters() -> None:
    look = FirstLook("t.csv", "classification", 900, (1,), 3, 0.4, target="y", text=("t",))
    text = starter(replace(look, has_spaces=False), "first.yaml")
    StudyFile.from_text(text, "first.yaml")
    assert "tokenizer: characters " in text


def test_a_large_pretrained_model_is_trained_by_an_adapter_alone() -> None:
    look = FirstLook("t.csv", "classification", 900, (1,), 3, 0.4, target="y", text=("review",))
    for n_bytes, variants in (
        (10**8, ("from_scratch", "fine_tuning", "adapter")),
        (10**10, ("from_scratch", "adapter")),
    ):
        with_model = replace(look, fine_tuning=FineTuning("an/encoder", n_bytes, 64))
        study = StudyFile.from_text(starter(with_model, "first.yaml"), "first.yaml")
        assert study.tree.variants is not None
        assert study.tree.variants.choices == variants


def test_rates_of_an_adapter_are_larger_than_those_of_a_whole_model() -> None:
    look = FirstLook("t.csv", "classification", 900, (1,), 3, 0.4, target="y", text=("review",))
    look = replace(look, fine_tuning=FineTuning("an/encoder", 10**8, 64))
    study = StudyFile.from_text(starter(look, "first.yaml"), "first.yaml")
    ranges = {parameter.name: parameter.range for parameter in study.parameters}
    whole = ranges["variant.fine_tuning.optimizer.AdamW.lr"]
    adapter = ranges["variant.adapter.optimizer.AdamW.lr"]
    assert isinstance(whole, FloatRange)
    assert isinstance(adapter, FloatRange)
    assert (whole.low, whole.high) == (1e-5, 2e-4)
    assert (adapter.low, adapter.high) == (1e-4, 3e-3)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def in_hub(hub: Path, name: str, source: Path, without: str = "") -> None:
    """Put the files of a model into the cache, as a download does."""
    folder = hub / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0" * 40)
    for file in source.iterdir():
        if file.is_file() and file.name != without:
            (snapshot / file.name).symlink_to(file)


def sentences(folder: Path, n_words: int) -> None:
    rows = "".join(f"{'word ' * n_words} number {i},{i % 2}\n" for i in range(60))
    (folder / "t.csv").write_text(f"review,y\n{rows}")


@pytest.mark.parametrize(("n_words", "max_length"), [(4, 32), (50, 64), (900, 256)])
def test_a_model_of_the_hubs_cache_is_fine_tuned(
    tmp_path: Path, hub: Path, n_words: int, max_length: int
) -> None:
    in_hub(hub, "owner/MiniLM", mini_lm())
    sentences(tmp_path, n_words)
    look = first_look("t.csv", "y", Workspace(tmp_path))
    n_bytes = (mini_lm() / "model.safetensors").stat().st_size
    assert look.fine_tuning == FineTuning("owner/MiniLM", n_bytes, max_length)
    text = starter(look, "t.yaml")
    assert StudyFile.from_text(text, "t.yaml").data.text == ["review"]
    assert text.count("pretrained: owner/MiniLM") == 2
    assert first_look("t.csv", "y", Workspace(tmp_path), pretrained="").fine_tuning is None


def test_the_smallest_usable_model_is_chosen_and_the_others_are_named(
    tmp_path: Path, hub: Path
) -> None:
    write_base(tmp_path / "base")
    for name in ("b/small", "a/small"):
        in_hub(hub, name, tmp_path / "base")
    in_hub(hub, "owner/MiniLM", mini_lm())
    for lacks in ("tokenizer.json", "model.safetensors", "config.json"):
        in_hub(hub, f"a/without-{lacks}", tmp_path / "base", lacks)
    (tmp_path / "t5").mkdir()
    for file in (tmp_path / "base").iterdir():
        (tmp_path / "t5" / file.name).write_bytes(file.read_bytes())
    config = {"model_type": "t5", "is_encoder_decoder": True}
    (tmp_path / "t5" / "config.json").write_text(json.dumps(config))
    in_hub(hub, "a/t5", tmp_path / "t5")
    sentences(tmp_path, 4)
    look = first_look("t.csv", "y", Workspace(tmp_path))
    assert look.fine_tuning is not None
    assert look.fine_tuning.name == "a/small"
    assert look.fine_tuning.others == ("b/small", "owner/MiniLM")
    assert "# Also in the hub's cache, for pretrained: b/small, owner/MiniLM" in starter(look, "t")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no/such", r"'no/such' is neither a folder, .* Fetch it with `hf download no/such`"),
        ("t5", r"'t5' is a model of type 't5', which AutoModelForSequenceClassification does not"),
    ],
)
def test_a_named_model_that_cannot_be_used_is_refused(
    tmp_path: Path, hub: Path, name: str, message: str
) -> None:
    write_base(tmp_path / "t5")
    config = {"model_type": "t5", "is_encoder_decoder": True}
    (tmp_path / "t5" / "config.json").write_text(json.dumps(config))
    sentences(tmp_path, 4)
    with pytest.raises(DataError, match=message):
        first_look("t.csv", "y", Workspace(tmp_path), pretrained=name)


def test_a_model_to_fine_tune_needs_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--pretrained applies only to texts with a target"):
        first_look("iris", None, Workspace(tmp_path), pretrained="some/model")


def test_without_a_cached_model_the_file_says_how_to_get_one(tmp_path: Path, hub: Path) -> None:
    sentences(tmp_path, 4)
    look = first_look("t.csv", "y", Workspace(tmp_path))
    assert look.fine_tuning is None
    assert "# run init again with --pretrained NAME" in starter(look, "t.yaml")


@pytest.mark.parametrize(("n_bytes", "tokenizer"), [(10**6, "characters"), (10**8, "BPE")])
def test_a_text_gets_a_language_model(n_bytes: int, tokenizer: str) -> None:
    look = FirstLook(
        *("corpus.txt", "language_modeling", 10_000, (1,)),
        text=("text",),
        text_bytes=n_bytes,
        is_one_text=True,
    )
    text = starter(look, "corpus.yaml")
    study = StudyFile.from_text(text, "corpus.yaml")
    assert text.startswith("# A first study of corpus.txt: one text, to predict each next token.")
    assert study.data.task == "language_modeling"
    assert f"tokenizer: {tokenizer}" in text.replace("{BPE:", "BPE:")
    assert study.objectives[0].metric.name == "perplexity"
    assert all(len(line) <= 99 for line in text.splitlines())


def test_a_pretrained_language_model_is_refused_with_the_lines_to_write(
    tmp_path: Path, hub: Path
) -> None:
    """A study with these lines passes check."""
    from transformers import GPT2Config, GPT2LMHeadModel

    write_base(tmp_path / "base")
    config = GPT2Config(vocab_size=130, n_embd=16, n_layer=1, n_head=2, n_positions=64)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "base")
    (tmp_path / "corpus.txt").write_text("a good and a fine review of many words. " * 100)
    with pytest.raises(
        DataError, match=r"remove data\.tokenizer, since the model has its"
    ) as error:
        first_look("corpus.txt", None, Workspace(tmp_path), pretrained="base")
    line = str(error.value).splitlines()[-1].strip()
    text = starter(first_look("corpus.txt", None, Workspace(tmp_path)), "corpus.yaml")
    text = re.sub(r"\n  tokenizer: .*", "", text)
    text = re.sub(r"\nmodel:\n(?:  .*\n)+", f"\n{line}\n", text)
    (tmp_path / "corpus.yaml").write_text(text)
    assert "OK: " in call_in(tmp_path, "check", "corpus.yaml").stdout


def test_unequal_classes_are_told_with_the_reason_and_the_positive_class(tmp_path: Path) -> None:
    look = first_look(
        str(write_churn_table(tmp_path / "churn.csv")), "churned", Workspace(tmp_path)
    )
    assert (look.commonest, look.common, look.positive) == (0.95, "no", "yes")
    text = starter(look, "churn.yaml")
    assert "\n  positive: yes " in text
    assert (
        "# 95% of the rows are 'no', so a guess has an accuracy of 95%. log_loss scores\n"
        "# the predicted probabilities; roc_auc and average_precision score how well they\n"
        "# rank the rows. 'yes' is the positive class.\n"
        "objective: {minimize: log_loss}\n"
        "metrics: [roc_auc, average_precision, balanced_accuracy, f1]"
    ) in text


def test_it_looks_at_the_data(tmp_path: Path) -> None:
    rows = "".join(f"{i / 7},{i % 5},{'yes' if i % 10 else 'no'}\n" for i in range(60))
    (tmp_path / "table.csv").write_text("a,b,bought\n" + rows)
    look = first_look("table.csv", "bought", Workspace(tmp_path))
    assert look.task == "classification"
    assert look.commonest == 0.9
    assert look.n_rows == 60
    np.savez(tmp_path / "pair.npz", x=np.random.rand(30, 3), y=np.random.rand(30))
    assert first_look("pair.npz", None, Workspace(tmp_path)).task == "regression"


def test_a_table_that_is_refused_as_it_is_gets_a_study_with_the_lines_that_the_message_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{i},5;{i % 3 or 'k.A.'};{i % 7 / 2}\n".replace(".", ",") for i in range(60))
    (tmp_path / "t.csv").write_text("a;b;y\n" + rows.replace("k,A,", "k.A."))
    refused = run_in(tmp_path, "init", "t.csv", "--target", "a", code=2)
    assert "For example, `decimal: ','` becomes\n  --set 'data.decimal=,'\n" in refused.stderr
    assert not list(tmp_path.glob("*.yaml"))
    sets = ("--set", "data.decimal=,", "--set", "data.missing=[k.A.]")
    run_in(tmp_path, "init", "t.csv", "--target", "a", *sets)
    study = read_study_file(tmp_path / "t.yaml")
    assert (study.data.decimal, study.data.missing) == (",", ["k.A."])


@pytest.mark.parametrize(
    "override", ["data.scale=none", "seed=3", "data.decimal", "data.dates=no"]
)
def test_other_settings_are_no_way_to_read_a_table(override: str) -> None:
    with pytest.raises(TunecliError):
        reading_settings([override])


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("digts", None, "Did you mean `digits`"),
        ("nothing.csv", "y", "file 'nothing.csv' does not exist"),
        ("table.csv", None, "a table needs --target"),
        ("table.csv", "bougt", "Did you mean `bought`"),
    ],
)
def test_what_it_cannot_look_at_is_told(
    source: str, target: str | None, message: str, tmp_path: Path
) -> None:
    (tmp_path / "table.csv").write_text("a,bought\n1,2\n3,4\n")
    with pytest.raises(DataError, match=message):
        first_look(source, target, Workspace(tmp_path))


def test_it_writes_a_study_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["init", "iris"]).exit_code == 0
    assert read_study_file(tmp_path / "iris.yaml").name == "iris"
    (tmp_path / "iris.yaml").write_text("mine")
    again = CliRunner().invoke(app, ["init", "iris"])
    assert again.exit_code == 2
    assert "iris.yaml already exists" in again.output
    assert (tmp_path / "iris.yaml").read_text() == "mine"


@pytest.mark.parametrize("theirs", [None, "{}", "not ours"])
def test_editors_find_the_schema_beside_the_file_and_init_says_how_it_is_made(
    theirs: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if theirs is not None:
        (tmp_path / SCHEMA).write_text(theirs)
    said = CliRunner().invoke(app, ["init", "iris"]).output
    told = "For completion in an editor, also run:\n  tunecli schema > study.schema.json\n"
    assert (told in said) == (theirs is None)
    line = f"# yaml-language-server: $schema={SCHEMA}"
    assert line in (tmp_path / "iris.yaml").read_text().splitlines()
    found = (tmp_path / SCHEMA).read_text() if theirs is not None else None
    assert found == theirs


@pytest.mark.slow
def test_a_set_of_torchvision_is_looked_at_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_mnist(tmp_path / "sets", n_train=100)
    without = CliRunner().invoke(app, ["init", "MNIST"])
    assert "MNIST needs --root, the folder" in str(without.exception)
    there = CliRunner().invoke(app, ["init", "MNIST", "--root", "elsewhere"])
    assert "no MNIST in 'elsewhere'" in str(there.exception)
    assert "(init: --download)" in str(there.exception)
    other = CliRunner().invoke(app, ["init", "digits", "--root", "sets"])
    assert "--root and --download apply only to torchvision data sets, not to digits" in str(
        other.exception
    )
    assert not list(tmp_path.glob("*.yaml"))
    assert CliRunner().invoke(app, ["init", "MNIST", "--root", "sets"]).exit_code == 0
    study = read_study_file(tmp_path / "MNIST.yaml")
    assert (study.data.root, study.data.download, study.data.test) == ("sets", False, None)
    done = run_in(
        tmp_path,
        "search",
        "MNIST.yaml",
        "--trials",
        "1",
        "--jobs",
        "1",
        "--set",
        "training.epochs=1",
    )
    assert "1 complete" in done.stderr


def test_it_runs_no_code_unless_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text("open('canary', 'w')\ndef load(): ...\n")
    found = CliRunner().invoke(app, ["init", "own.py:load"])
    assert isinstance(found.exception, TunecliError)
    assert not (tmp_path / "canary").exists()
    assert not (tmp_path / "load.yaml").exists()


@pytest.mark.parametrize(
    ("median", "size"), [(0, 8), (7, 8), (31, 24), (64, 64), (71, 64), (5000, 64)]
)
def test_pictures_are_made_small_and_not_blown_up(median: int, size: int) -> None:
    assert first_size(median) == size


def uneven_pictures(folder: Path, *sides: tuple[int, int]) -> None:
    for name in ("ants", "bees"):
        (folder / name).mkdir(parents=True)
        for number, (height, width) in enumerate(sides * 6):
            pixels = np.full((height, width, 3), 20 * number, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def test_pictures_that_differ_in_size_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    uneven_pictures(tmp_path / "insects", (40, 50), (45, 55))
    look = first_look("insects", None, Workspace(tmp_path))
    assert (look.shape, look.median_side) == ((3, 48, 48), 48)
    assert CliRunner().invoke(app, ["init", "insects"]).exit_code == 0
    text = (tmp_path / "insects.yaml").read_text()
    assert "differ in size: the median of heights and widths is 48 pixels" in text
    study = read_study_file(tmp_path / "insects.yaml")
    assert study.data.size == 48
    assert len(load_data(study.data, Workspace(tmp_path)).y) == 24


def test_pictures_of_one_size_keep_theirs(tmp_path: Path) -> None:
    uneven_pictures(tmp_path / "insects", (40, 50))
    look = first_look("insects", None, Workspace(tmp_path))
    assert (look.shape, look.median_side) == ((3, 40, 50), None)


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"^-o: .*a.yaml cannot be written \(Not a dir"):
        write_output(tmp_path / "file" / "a.yaml", "text", "-o")
    with pytest.raises(OutputError, match=r"file cannot be written \(File exists\)"):
        write_output(tmp_path / "file", "text", is_new=True)
    write_output(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"


@pytest.mark.slow
@pytest.mark.parametrize("source", ["digits", "diabetes"])
def test_what_it_writes_runs_unchanged(source: str, tmp_path: Path) -> None:
    run_in(tmp_path, "init", source)
    done = run_in(tmp_path, "search", f"{source}.yaml", "--trials", "1", "--jobs", "1")
    assert "1 complete" in done.stderr

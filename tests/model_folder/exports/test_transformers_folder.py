"""The folder for other programs: the libraries load it and predict what tunecli predicts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from auto_model_cases import mini_lm
from commands import call_in
from safetensors.torch import load_file
from transformers_studies import model_of_study, reviews, studies

import tunecli

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

MINI_LM = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of its weights, those of sentence-transformers/all-MiniLM-L6-v2 on the hub."""


def exported(name: str, tmp_path: Path) -> Path:
    model_of_study(name)
    target = tmp_path / name
    done = call_in(studies(), "export", name, "--to", "transformers", "-o", str(target))
    assert "differs from the model by at most" in done.stdout
    return target


def inputs(folder: Path, texts: list[str]) -> dict[str, torch.Tensor]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    given: dict[str, torch.Tensor] = tokenizer(
        texts, padding=True, truncation=True, return_tensors="pt", return_token_type_ids=False
    )
    return given


def predicted(name: str, texts: list[str]) -> Any:
    model = tunecli.load(model_of_study(name), device="cpu")
    rows = pd.DataFrame({"review": texts, "price": 0.5})
    return model.outputs(rows)


TEXTS = [text for text in reviews()["review"] if text][:20]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whole", "new_base", "adapter", "value"])
def test_a_network_with_its_own_head_predicts_the_same(name: str, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    folder = exported(name, tmp_path)
    facts = json.loads((folder / "tunecli.json").read_text())
    n_outputs = len(facts["classes"]) or 1
    if name == "whole":
        network = AutoModelForSequenceClassification.from_pretrained(folder)
        assert network.config.id2label == dict(enumerate(facts["classes"]))
    else:
        base = folder / "base" if name == "new_base" else studies() / "base"
        written = json.loads((folder / "adapter_config.json").read_text())
        assert written["base_model_name_or_path"] == str(base.resolve())
        whole = AutoModelForSequenceClassification.from_pretrained(base, num_labels=n_outputs)
        network = PeftModel.from_pretrained(whole, folder)
    with torch.no_grad():
        logits = network.eval()(**inputs(folder, TEXTS)).logits
    if name == "value":
        meaning = facts["meaning"]
        expected = logits[:, 0].double().numpy() * meaning["std"] + meaning["mean"]
    else:
        temperature = facts.get("temperature") or 1.0
        expected = (logits / temperature).softmax(1).numpy()
    np.testing.assert_allclose(predicted(name, TEXTS), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pooled", "prompt"])
def test_a_pooled_network_predicts_the_same_with_its_head(name: str, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModel

    folder = exported(name, tmp_path)
    facts = json.loads((folder / "tunecli.json").read_text())
    if name == "pooled":
        network: Any = AutoModel.from_pretrained(folder)
    else:
        network = PeftModel.from_pretrained(AutoModel.from_pretrained(studies() / "base"), folder)
    given = inputs(folder, TEXTS)
    with torch.no_grad():
        hidden = network.eval()(**given).last_hidden_state[:, -given["input_ids"].shape[1] :]
    mask = given["attention_mask"].unsqueeze(2)
    assert facts["pooling"] == "mean"
    vectors = (hidden * mask).sum(1) / mask.sum(1)
    head = load_file(folder / "head.safetensors")
    logits = vectors @ head["weight"].T + head["bias"]
    temperature = facts.get("temperature") or 1.0
    expected = (logits / temperature).softmax(1).numpy()
    np.testing.assert_allclose(predicted(name, TEXTS), expected, atol=1e-5)


@pytest.mark.slow
def test_a_model_folder_needs_no_other_folder(tmp_path: Path) -> None:
    """It predicts the same after the pretrained folder is gone."""
    source = model_of_study("adapter")
    before = predicted("adapter", TEXTS)
    hidden = studies() / "elsewhere"
    (studies() / "base").rename(hidden)
    try:
        model = tunecli.load(source, device="cpu")
        after = model.outputs(pd.DataFrame({"review": TEXTS}))
    finally:
        hidden.rename(studies() / "base")
    assert np.array_equal(before, after)


@pytest.mark.slow
def test_other_columns_and_odd_texts_are_predicted() -> None:
    model = tunecli.load(model_of_study("beside"), device="cpu")
    texts = ["", "w" * 1000, "🙂 \x00", "\ufeffgut", "schön 好", "fine " * 50]
    rows = pd.DataFrame({"review": texts, "price": [0.0, 1.0, -1.0, 0.5, np.nan, 2.0]})
    outputs = model.outputs(rows)
    assert outputs.shape == (6, 2)
    assert np.isfinite(outputs).all()
    alone = np.concatenate([model.outputs(rows[i : i + 1]) for i in range(len(rows))])
    np.testing.assert_allclose(outputs, alone, atol=1e-6)


@pytest.mark.slow
def test_a_folder_with_files_is_not_replaced(tmp_path: Path) -> None:
    model_of_study("whole")
    (tmp_path / "mine.txt").write_text("mine")
    words = ("export", "whole", "--to", "transformers", "-o", str(tmp_path))
    done = call_in(studies(), *words, code=2)
    assert "the folder is not empty" in done.stderr
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_another_model_is_refused(tmp_path: Path) -> None:
    from model_cases import case

    from tunecli.errors import ExportError
    from tunecli.model_folder.exports.transformers_folder import refuse_other_models

    with pytest.raises(ExportError, match=r"this model is Linear\. Write --to onnx, pt2 or safet"):
        refuse_other_models(case("plateau").refitted.model)


def test_mini_lm_has_the_weights_that_figures_were_measured_with() -> None:
    weights = (mini_lm() / "model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == MINI_LM

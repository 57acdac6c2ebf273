"""Exports of language models: the folder of transformers is equal, and graphs are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tunecli.data.fold_store import FoldStore, FoldStoreCache
from tunecli.data.rows.workspace import Workspace
from tunecli.errors import ExportError
from tunecli.model_folder.exports.exporting import export_model
from tunecli.model_folder.exports.transformers_folder import export_transformers
from tunecli.model_folder.format.model import Model
from tunecli.model_folder.refitting import RefitTrial, refit_seeds
from tunecli.search.workers.summarize_data import read_data
from tunecli.study_file.study_file import StudyFile

STUDY = """
data: {source: c.txt, task: language_modeling, tokenizer: characters, block_size: 8}
model: {MODEL}
optimizer: {AdamW: {lr: 0.01}}
training: {epochs: 1, batch_size: 16}
"""
GPT2 = "{AutoModelForCausalLM: {config: gpt2, n_layer: 1, n_embd: 8, n_head: 2}}"
DECODER = "{TransformerDecoder: {d_model: 8, nhead: 2, num_layers: 1}}"


def refitted(folder: Path, model: str) -> Model:
    (folder / "c.txt").write_text("to be or not to be, that is the question. " * 20)
    workspace = Workspace(folder)
    study = StudyFile.from_text(STUDY.replace("{MODEL}", model), "s.yaml", folder=folder)
    _, config, store = read_data(study, workspace, FoldStoreCache(workspace))
    assert isinstance(store, FoldStore)
    [fit] = refit_seeds(RefitTrial("s", 0, config, best_step=1), store)
    return fit.model


def test_transformers_loads_a_language_model_with_its_tokenizer(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = refitted(tmp_path, GPT2)
    source = str(tmp_path / "c.txt")
    assert export_transformers(model, tmp_path / "hf", source, tmp_path) <= 1e-4
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "hf").eval()
    ids = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")("to be")["input_ids"]
    [member] = model.members
    expected = member.network(torch.tensor([ids]))
    torch.testing.assert_close(loaded(torch.tensor([ids])).logits, expected)


@pytest.mark.parametrize("to", ["onnx", "pt2"])
def test_a_graph_of_a_language_model_is_refused(tmp_path: Path, to: str) -> None:
    model = refitted(tmp_path, DECODER)
    source = str(tmp_path / "c.txt")
    with pytest.raises(ExportError, match=f"cannot be written as {to}. Write --to safetensors"):
        export_model(model, to, tmp_path / "file", source)  # type: ignore[arg-type]
    with pytest.raises(ExportError, match=r"is TransformerDecoder\. Write --to safetensors"):
        export_transformers(model, tmp_path / "hf", source, tmp_path)
    export_model(model, "safetensors", tmp_path / "weights", source)
    assert sum(weight.numel() for weight in load_file(tmp_path / "weights").values()) > 0

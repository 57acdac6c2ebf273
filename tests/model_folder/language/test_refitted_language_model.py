from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tunecli.data.fold_store import FoldStore, FoldStoreCache
from tunecli.data.rows.texts import TextRows
from tunecli.data.rows.workspace import Workspace
from tunecli.errors import DataError
from tunecli.model_folder.format.folder import write_model
from tunecli.model_folder.format.loading import load
from tunecli.model_folder.refitting import RefitTrial, refit_seeds
from tunecli.model_folder.results import results_of
from tunecli.search.workers.summarize_data import describe, read_data
from tunecli.study_file.study_file import StudyFile

STUDY = """
data: {source: c.txt, task: language_modeling, tokenizer: characters, block_size: 8, DOCUMENTS}
model: {TransformerDecoder: {d_model: 8, nhead: 2, num_layers: 1}}
optimizer: {AdamW: {lr: 0.01}}
training: {epochs: 2, batch_size: 16}
metrics: [log_loss, bits_per_byte, token_accuracy]
"""


@pytest.mark.parametrize("documents", ["file", "line"])
def test_a_stored_model_has_the_test_score_and_the_texts_of_the_refitted_one(
    tmp_path: Path, documents: str
) -> None:
    rng = np.random.default_rng(0)
    lines = ["".join(rng.choice([*"abcd "], rng.integers(3, 30))) for _ in range(80)]
    (tmp_path / "c.txt").write_text("\n".join(lines))
    workspace = Workspace(tmp_path)
    text = STUDY.replace("DOCUMENTS", f"documents: {documents}")
    study = StudyFile.from_text(text, "s.yaml", folder=tmp_path)
    _, config, store = read_data(study, workspace, FoldStoreCache(workspace))
    assert isinstance(store, FoldStore)
    summary = describe(config, store)
    assert summary.is_one_text == (documents == "file")
    assert summary.guess["perplexity"] > 2
    trial = RefitTrial("s", 0, config, best_step=1)
    [refitted] = refit_seeds(trial, store)
    results = results_of(trial, store, [refitted], 1)
    write_model(tmp_path / "model", refitted.model, {})
    model = load(tmp_path / "model", folder=tmp_path)
    x, rows = store.dataset.x, store.split.test_rows
    assert isinstance(x, TextRows)
    sums = model.language.sums_of_part(x, rows).sum(0)
    assert results.test["log_loss"].score == pytest.approx(sums[0] / sums[2])
    held_out = [*x[rows].joined()]
    if documents == "line":
        scores = model.score(held_out)
        nats = sum(score.loss * score.tokens for score in scores)
        assert nats == pytest.approx(sums[0], rel=1e-5)
        assert sum(score.tokens for score in scores) == sums[2]
    assert sums[3] == pytest.approx(sum(map(len, held_out)), abs=1)
    assert model.generate(["ab"], 9) == refitted.model.generate(["ab"], 9)
    with pytest.raises(DataError, match="Use score or generate"):
        model.predict(["ab"])

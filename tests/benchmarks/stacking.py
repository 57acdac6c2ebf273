"""What it saves that the folds of a trial train as one stack, against each alone and a bare loop.

    OMP_NUM_THREADS=1 python tests/benchmarks/stacking.py [--rounds 5] [--only digits]

One trial of five folds each: digits (MLP 64-128-10, batches of 32), a table like adult (MLP, 100
features, batches of 256), a table with eight embedded categories (batches of 32), digits as
pictures of 8 × 8 (CNN, batches of 32), and pictures of 28 × 28 (CNN, batches of 64), which do not
train as a stack. The three ways take turns in one process and train the same
number of steps. Prints medians of CPU seconds; the goals are shares of the bare loop.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.settings.settings import (
    Component,
    DataSettings,
    Objective,
    TrainingSettings,
    TrialConfig,
    ValidationSettings,
)
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold import new_model

CPU = torch.device("cpu")
N_FOLDS = 5


@dataclass(frozen=True)
class Case:
    """A trial to measure.

    Attributes:
        goal: largest share of the bare loop's CPU time.
    """

    name: str
    config: TrialConfig
    folds: Sequence[FoldData]
    goal: float


def folded(x: Tensor, y: Tensor, cardinalities: tuple[int, ...] = ()) -> list[FoldData]:
    """Five folds of rows in a random order."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    parts = torch.tensor_split(order, N_FOLDS)
    folds = []
    for number, valid in enumerate(parts):
        train = torch.cat([part for k, part in enumerate(parts) if k != number])
        folds.append(
            FoldData(
                number=number,
                task="classification",
                x_train=x[train],
                y_train=y[train],
                x_valid=x[valid],
                y_valid=y[valid],
                valid_rows=valid,
                n_classes=int(y.max()) + 1,
                cat_cardinalities=cardinalities,
            )
        )
    return folds


def trial(model: Component, batch_size: int, epochs: int) -> TrialConfig:
    """A trial with AdamW."""
    return TrialConfig(
        seed=0,
        data=DataSettings(source="digits"),
        validation=ValidationSettings(folds=N_FOLDS),
        model=model,
        loss=Component(name="CrossEntropyLoss"),
        optimizer=Component(name="AdamW", arguments={"lr": 1e-3}),
        training=TrainingSettings(epochs=epochs, batch_size=batch_size),
        objective=Objective(direction="maximize", metric=Component(name="accuracy")),
    )


def cases() -> list[Case]:
    """The trials in the order of the table."""
    generator = torch.Generator().manual_seed(0)
    digits = load_digits()
    pixels = torch.tensor(digits.data, dtype=torch.float32)
    pixels = (pixels - pixels.mean(0)) / pixels.std(0).clamp(min=1e-3)
    classes = torch.tensor(digits.target)
    wide = torch.randn(10_000, 100, generator=generator)
    two = (wide[:, :5].sum(1) > 0).long()
    codes = torch.randint(0, 20, (4_000, 8), generator=generator)
    table = torch.cat([torch.randn(4_000, 6, generator=generator), codes.float()], dim=1)
    one_of_ten = torch.randint(0, 10, (1_500,), generator=generator)
    even = (codes.sum(1) % 2).long()

    def of(name: str, **arguments: object) -> Component:
        return Component(name=name, arguments=arguments)

    mlp = of("MLP", width=128, depth=1)
    embedding = of("MLP", width=64, depth=2, embed=8)
    cnn = of("CNN", channels=8, depth=2)
    return [
        Case("digits, MLP 64-128-10, 32", trial(mlp, 32, 6), folded(pixels, classes), 0.45),
        Case("100 features, MLP 128-128, 256", trial(of("MLP"), 256, 4), folded(wide, two), 0.7),
        Case(
            "8 embeddings, MLP 64-64, 32",
            trial(embedding, 32, 2),
            folded(table, even, (20,) * 8),
            0.35,
        ),
        Case(
            "8 × 8 pictures, CNN 8-16, 32",
            trial(cnn, 32, 2),
            folded(pixels.view(-1, 1, 8, 8), classes),
            0.45,
        ),
        Case(
            "28 × 28 pictures, CNN 16-16-16, 64",
            trial(of("CNN", channels=16, depth=3), 64, 1),
            folded(torch.randn(1_500, 1, 28, 28, generator=generator), one_of_ten),
            1.05,
        ),
    ]


def bare(case: Case) -> None:
    """The loop that one would write by hand, with the same models."""
    training, lr = case.config.training, case.config.optimizer.arguments["lr"]
    for fold in case.folds:
        torch.manual_seed(fold.number)
        model = new_model(case.config, fold)
        optimizer = torch.optim.AdamW(model.parameters(), lr=lr, fused=True)
        loss_of = nn.CrossEntropyLoss()
        x, y = torch.as_tensor(fold.x_train), fold.y_train
        for _ in range(training.epochs or 0):
            model.train()
            total = torch.zeros(())
            for rows in torch.randperm(len(y)).split(int(training.batch_size)):
                loss = loss_of(model(x.index_select(0, rows)), y.index_select(0, rows))
                loss.backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                total += loss.detach() * len(rows)
            model.eval()
            with torch.no_grad():
                (model(torch.as_tensor(fold.x_valid)).argmax(1) == fold.y_valid).float().mean()
            total.item()


def searched(case: Case, *, stacked: bool) -> None:
    """The trial as a worker trains it."""
    training = CrossValidation(case.config, case.folds, CPU)
    if not stacked:
        training.groups[0].stack = None
    for _ in training:
        pass
    training.result()


def cpu_seconds(run: Callable[[], None]) -> float:
    """CPU time of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="cases whose name has this text")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("case | stack s | alone s | bare s | stack / bare | alone / bare | goal")
    for case in cases():
        if options.only not in case.name:
            continue
        ways: list[Callable[[], None]] = [
            lambda case=case: searched(case, stacked=True),  # type: ignore[misc]
            lambda case=case: searched(case, stacked=False),  # type: ignore[misc]
            lambda case=case: bare(case),  # type: ignore[misc]
        ]
        rounds = [[cpu_seconds(way) for way in ways] for _ in range(options.rounds + 1)][1:]
        stack, alone, by_hand = (median(column) for column in zip(*rounds, strict=True))
        shares = [median(row[way] / row[2] for row in rounds) for way in (0, 1)]
        print(
            f"{case.name} | {stack:.2f} | {alone:.2f} | {by_hand:.2f} | {shares[0]:.2f} | "
            f"{shares[1]:.2f} | {case.goal}",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""The parts of a screen that fit any width."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tunecli.report.phrases import wording
from tunecli.report.phrases.layout import FittedPath, plain_table
from tunecli.report.phrases.layout import folded as column

LORA = "model.AutoModelForSequenceClassification.adapter.LoraConfig.lora_alpha"
NAMES = [LORA, "model.MLP.dropout", "model.CNN.dropout", "optimizer.AdamW.lr", "model"]


def shown(name: str, width: int, names: list[str]) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(FittedPath.of(name, names))
    return console.file.getvalue().rstrip("\n")


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (100, LORA),
        (50, "….adapter.LoraConfig.lora_alpha"),
        (25, "….LoraConfig.lora_alpha"),
        (12, "….lora_alpha"),
        (8, "….lora_a\nlpha"),
    ],
)
def test_a_path_loses_its_first_parts(width: int, text: str) -> None:
    assert shown(LORA, width, NAMES) == text


def test_what_distinguishes_two_paths_stays() -> None:
    assert shown("model.MLP.dropout", 10, NAMES).replace("\n", "") == "….MLP.dropout"


PARTS = st.lists(st.sampled_from(["a", "bb", "model", "AutoModelForCausalLM"]), min_size=1)
PATHS = st.lists(PARTS.map(".".join), min_size=1, max_size=6, unique=True)


@given(PATHS, st.integers(1, 60))
def test_a_shortened_path_is_the_end_of_one_name_alone(names: list[str], width: int) -> None:
    texts = [shown(name, width, names).replace("\n", "") for name in names]
    assert len(set(texts)) == len(names)
    for name, text in zip(names, texts, strict=True):
        assert name == text or name.endswith(text.removeprefix("…"))
        assert name == text or text.startswith("….")


@given(PATHS)
def test_the_shortest_end_is_the_short_name(names: list[str]) -> None:
    short = wording.short_names(names)
    assert [wording.unique_ends(name, names)[-1] for name in names] == [short[n] for n in names]


def test_a_table_gives_long_paths_what_the_other_columns_leave() -> None:
    console = Console(file=io.StringIO(), width=40)
    console.print(
        plain_table([column("name"), column("value")], [[FittedPath.of(LORA, NAMES), "4"]])
    )
    assert console.file.getvalue().splitlines()[-1].split() == [
        "….adapter.LoraConfig.lora_alpha",
        "4",
    ]

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.study_file.catalogue.value_types import one_of, value_in_words, value_type

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("annotation", "accepted", "refused"),
    [
        ("float", [1, 1.5, -2], [True, "1", None, [1]]),
        ("int", [1, -2], [1.0, True, "1", None]),
        ("bool", [True, False], [0, 1, "true", None]),
        ("str", ["a", ""], [1, None, True]),
        ("float | Tensor", [1, 0.5], [None, "x", True]),
        ("int | None", [3, None], [0.5, "none"]),
        ("Optional[int]", [3, None], [0.5]),
        ("Union[int, str, None]", [3, None, "x"], [0.5, True]),
        ("Literal['min', 'max']", ["min"], ["MIN", None]),
        ("Literal[1, 2]", [1], [True, 3]),
        ("tuple[float, float]", [[0.9, 1], (1, 2)], [[0.9], [1, 2, 3], 0.9, ["a", 1]]),
        ("tuple[float | None, float]", [[None, 1]], [[1, None]]),
        ("tuple[int, ...]", [[], [1, 2, 3]], [[0.5], 1]),
        ("Iterable[int]", [[1, 2]], [1, ["a"]]),
        ("list[float] | float", [[1, 2], 1], ["a", ["a"]]),
        ("list", [[1, "a"]], [1]),
        ("'int'", [1], ["a"]),
        ("Annotated[int, 'pixels']", [1], ["a"]),
        ("SomethingElse", [1, "a", None, {}], []),
        ("nn.Weird[int]", [1, "a", None, {}], []),
    ],
)
def test_an_annotation_accepts(
    annotation: str, accepted: list[object], refused: list[object]
) -> None:
    kind = value_type(annotation)
    assert kind.settable
    assert [value for value in accepted if not kind.accepts(value)] == []
    assert [value for value in refused if kind.accepts(value)] == []


@pytest.mark.parametrize(
    "annotation",
    [
        "Callable[[int], float]",
        "Callable[[float], float] | None",
        "Tensor | None",
        "Optional[torch.Tensor]",
        "BaseSampler | None",
        "list[FrozenTrial] | None",
        "np.ndarray",
        "Callable[[int], float] | list[Callable[[int], float]]",
    ],
)
def test_what_no_study_file_can_hold_is_unsettable(annotation: str) -> None:
    assert not value_type(annotation).settable


@pytest.mark.parametrize(
    ("default", "accepted", "refused"),
    [
        (1000, 5, 0.5),
        (0.5, 1, "a"),
        ("uniform", "normal", 1),
        (False, True, 1),
        ((0, 1), [2, 3], [2]),
        (None, "anything", None),
    ],
)
def test_without_an_annotation_the_default_decides(
    default: object, accepted: object, refused: object
) -> None:
    kind = value_type("", default)
    assert kind.accepts(accepted)
    assert refused is None or not kind.accepts(refused)


@given(plain, st.sampled_from(["float", "int | None", "tuple[float, float]", "bool", "Any"]))
def test_any_value_is_judged_and_put_in_words(value: object, annotation: str) -> None:
    assert value_type(annotation).accepts(value) in (True, False)
    assert value_in_words(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a", "the string 'a'"),
        (3, "the number 3"),
        (True, "true"),
        (None, "none"),
        ([1, None, "a"], 'the list [1, none, "a"]'),
        ({"a": 1}, "a mapping"),
    ],
)
def test_values_in_words(value: object, words: str) -> None:
    assert value_in_words(value) == words


def test_types_in_words() -> None:
    assert value_type("tuple[float, float]").words == "a list of 2 values (each a number)"
    assert value_type("tuple[int, str]").words == "a list of 2 values (a whole number; a string)"
    assert value_type("list[float] | None").words == "a list (each a number) or none"
    assert one_of(["a", None]).words == "a or none"

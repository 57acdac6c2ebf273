"""YAML text → plain data with places."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tunecli.errors import StudyFileError
from tunecli.study_file.text.document import DEEPEST, START, Document, TextPosition, dotted
from tunecli.study_file.text.dump import to_text


def parse(text: str) -> Document:
    """What the text holds; a mistake in it is an error."""
    document = Document.parse(text, "a.yaml")
    if document.flaws:
        raise StudyFileError("a.yaml", [flaw.problem for flaw in document.flaws])
    return document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("0o12", 10),
        ("0x1F", 31),
        ("012", 12),
        ("no", "no"),
        ("off", "off"),
        ("12:30", "12:30"),
        ("2001-01-01", "2001-01-01"),
        ("=", "="),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("+3", 3),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("1_000", "1_000"),
        ("'1'", "1"),
        ('"null"', "null"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = parse(f"a: {text}").data["a"]
    assert found == value
    assert type(found) is type(value)


def test_places_of_keys_and_values() -> None:
    document = parse("a: 1\nb:\n  c: [x,\n      y]\n")
    assert document.mark(("a",)) == TextPosition(1, 4)
    assert document.mark(("a",), of_key=True) == TextPosition(1, 1)
    assert document.mark(("b",)) == TextPosition(2, 1), "a block is looked for at its key"
    assert document.mark(("b", "c", 1)) == TextPosition(4, 7)
    assert document.mark(("b", "c", 1, "deeper")) == TextPosition(4, 7), (
        "else the nearest around it"
    )
    assert document.mark(("z",)) == START


def test_dotted() -> None:
    assert dotted(("model", "MLP", "width", 0)) == "model.MLP.width[0]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", r"^a.yaml:3:1: a: this key is already on line 1"),
        ("a: !!python/object:os.system x", r"^a.yaml:1:4: a: YAML tags are not supported"),
        ("a: &x [*x]", r"^a.yaml:1:8: a\[0\]: the alias `\*x` is inside its own anchor"),
        ("a: *x", r"^a.yaml:1:4: a: the alias `\*x` has no anchor `&x` before it"),
        ("a: [1", r"^a.yaml:\d:\d: a\[0\]: invalid YAML"),
        ("a: 1\n\tb: 2", r"^a.yaml:2:1: a: a line must not begin with a tab"),
        ("a: b: c", r"^a.yaml:1:5: a: invalid YAML: a line has a second `:`"),
        ("data: iris\n model: MLP", r"^a.yaml:2:7: .* or is indented further"),
        ("a: &b {c: 1}\nd:\n  <<: *b", r"^a.yaml:3:3: d\.<<: `<<` merges .* not in YAML 1.2"),
        ("a: 1\n---\nb: 2", r"^a.yaml:2:1: a study file must be one YAML document"),
        ("a: \x00", r"^a.yaml:1:4: the character U\+0000 is not allowed"),
        ("a: .inf", r"^a.yaml:1:4: a: numbers must be finite"),
        ("a: 1e999", r"^a.yaml:1:4: a: numbers must be finite"),
        ("a: " + "9" * 5000, r"whole numbers go up to 9223372036854775807"),
        ("a: 9223372036854775808", r"whole numbers go up to"),
        ('a: "\\UFFFFFFFF"', r"invalid YAML: an escape"),
        ("? [a]\n: 1", r"^a.yaml:1:3: a key must be a word"),
        ('"": 1', r"a key must be a plain word"),
        ("[" * 2000, rf"nested at most {DEEPEST} levels"),
        ("{a: " * 2000, rf"nested at most {DEEPEST} levels"),
        ("{" * 5000, rf"word.*mapping.\na.yaml:1:42: .* nested at most {DEEPEST}"),
        ("{[" * 2500, rf"nested at most {DEEPEST} levels"),
        ("? " * 5000, rf"nested at most {DEEPEST} levels"),
        ("# " + "x" * 1_000_001, r"^a.yaml:1:1: a study file has at most 1,000,000"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(StudyFileError, match=message):
        parse(text)


def test_exploding_aliases_are_refused_before_they_explode() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(StudyFileError, match=r"at most 50,000 values"):
        parse("\n".join(lines))


def test_aliases_are_as_deep_as_what_they_stand_for() -> None:
    def nested(n: int) -> str:
        return "- &a0 1\n" + "".join(f"- &a{i} [*a{i - 1}]\n" for i in range(1, n))

    data = parse(nested(DEEPEST)).data
    for _ in range(DEEPEST):
        data = data[-1]
    assert data == 1
    with pytest.raises(StudyFileError, match=rf"nested at most {DEEPEST} levels"):
        parse(nested(DEEPEST + 1))


def test_an_alias_is_a_copy() -> None:
    data = parse("a: &x {k: [1]}\nb: *x").data
    assert data == {"a": {"k": [1]}, "b": {"k": [1]}}
    assert data["a"] is not data["b"]
    assert data["a"]["k"] is not data["b"]["k"]


def test_every_repeated_key_and_tag_is_told_at_once() -> None:
    with pytest.raises(StudyFileError, match="already on line 1") as caught:
        parse("a: 1\na: 2\nb: !x 1\nc: .nan")
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4]


def test_nothing_is_none() -> None:
    assert parse("").data is None
    assert parse("# only a comment\n").data is None


_PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab1.~ 'é#:-", min_size=1), inner)
    ),
    max_leaves=15,
)


def _has_blank_key(data: object) -> bool:
    if isinstance(data, dict):
        return any(not key.strip() or _has_blank_key(value) for key, value in data.items())
    return isinstance(data, list) and any(map(_has_blank_key, data))


@given(_PLAIN.filter(lambda data: not _has_blank_key(data)))
def test_what_is_written_reads_back_exactly(data: object) -> None:
    found = parse(to_text({"key": data})).data["key"]
    assert repr(found) == repr(data), "repr tells 1, 1.0, true and -0.0 apart"


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20))
def test_strings_are_quoted_only_when_needed(text: str) -> None:
    written = to_text({"key": text}).removeprefix("key: ").rstrip("\n")
    if written[:1] not in ("'", '"'):
        return
    try:
        unquoted = yaml.safe_load(f"key: {text}")
    except yaml.YAMLError:
        return
    if isinstance(unquoted, dict) and unquoted.get("key") == text and text.isalpha():
        assert parse(f"key: {text}").data["key"] != text

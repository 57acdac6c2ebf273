from __future__ import annotations

from tunecli.report.phrases.width_text import mup_text, trial_mup_text


def test_the_base_widths_of_models_with_mup_are_named() -> None:
    mup = {"parametrization": "mup", "base_width": 32}
    assert mup_text([{"width": 64}, {}]) == ""
    assert mup_text([mup, {}, mup]).startswith("base width 32: initial weights and learning rates")
    assert mup_text([{"parametrization": "mup"}, mup]).startswith("base width 32 and 128: ")


def test_a_trial_without_a_known_configuration_has_no_base_width() -> None:
    assert trial_mup_text(None) == ""
    assert trial_mup_text({"model": None}) == ""
    config = {"model": {"name": "MLP", "arguments": {"parametrization": "mup"}}}
    assert trial_mup_text(config).startswith("base width 128: ")

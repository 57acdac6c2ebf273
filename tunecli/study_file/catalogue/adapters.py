"""The adapters of peft that a study file can name."""

from __future__ import annotations

from tunecli.study_file.catalogue import signatures
from tunecli.study_file.catalogue.signatures import Signature

_ANYWHERE = ("target_modules", "exclude_modules", "modules_to_save")
_OF_PROMPT = ("num_virtual_tokens",)
ADAPTERS = {
    "LoraConfig": (
        "lora",
        (
            "r",
            "lora_alpha",
            "lora_dropout",
            *_ANYWHERE,
            "bias",
            "use_rslora",
            "use_dora",
            "init_lora_weights",
            "layers_to_transform",
            "layers_pattern",
            "rank_pattern",
            "alpha_pattern",
            "lora_bias",
        ),
    ),
    "IA3Config": ("ia3", (*_ANYWHERE, "feedforward_modules", "init_ia3_weights")),
    "LNTuningConfig": ("ln_tuning", _ANYWHERE),
    "PromptTuningConfig": ("prompt_tuning", (*_OF_PROMPT, "prompt_tuning_init")),
    "PrefixTuningConfig": (
        "prefix_tuning",
        (*_OF_PROMPT, "prefix_projection", "encoder_hidden_size"),
    ),
    "PromptEncoderConfig": (
        "p_tuning",
        (
            *_OF_PROMPT,
            "encoder_reparameterization_type",
            "encoder_hidden_size",
            "encoder_num_layers",
            "encoder_dropout",
        ),
    ),
}
"""Configuration classes of peft: their folder in `peft/tuners`, and the supported arguments."""


def adapter_signature(name: str) -> Signature:
    """Return all fields of a configuration class of peft, those of its bases first."""
    root = signatures.package_folder("peft")
    files = root / "tuners" / ADAPTERS[name][0] / "config.py", root / "config.py"
    return signatures.dataclass_signature(files, name)

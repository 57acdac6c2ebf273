"""How near `tunecli check` estimates the time of a trial, against that trial's real time.

OMP_NUM_THREADS=1 python tests/benchmarks/estimate.py
"""

from __future__ import annotations

import time
from statistics import median

import torch

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.study_file.study_file import StudyFile
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.rehearsal import rehearse


def main() -> None:
    """Estimate and train in pairs, and print."""
    torch.set_num_threads(1)
    for model in ("MLP", "CNN"):
        text = f"data: digits\nmodel: {model}\noptimizer: AdamW\ntraining: {{epochs: 5}}\n"
        study = StudyFile.from_text(text, "estimate.yaml").completed("classification", 1797)
        config = study.resolve(lambda name, range_: 0)
        folds = FoldStore(study.data, study.validation).folds(FeatureForm(study.data.scale), True)
        ratios = []
        for _ in range(5):
            estimated = rehearse(config, folds).seconds
            start = time.perf_counter()
            assert len(list(CrossValidation(config, folds, torch.device("cpu")))) == 5
            ratios.append(estimated / (time.perf_counter() - start))
        print(f"{model}: estimated / real, median ratio: {median(ratios):.2f}")


if __name__ == "__main__":
    main()

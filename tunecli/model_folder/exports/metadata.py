"""What an exported file says about using the model, as one JSON value per key."""

from __future__ import annotations

import json

from tunecli.model_folder.format.manifest import Manifest


def decision_metadata(facts: Manifest) -> dict[str, str]:
    """Return how the model adjusts its networks' predictions, without what it does not adjust.

    The graph of a file, if it has one, applies the temperature. Whoever uses the file applies the
    threshold to its probabilities: from the threshold on, the positive class is predicted.
    """
    known = {
        "temperature": facts.temperature,
        "positive": facts.decision and facts.decision.positive,
        "threshold": facts.decision and facts.decision.threshold,
    }
    return {key: json.dumps(value) for key, value in known.items() if value is not None}

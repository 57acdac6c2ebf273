"""Trainings that must end at a solution known in closed form, or by scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from training_cases import CPU, classification, component, regression, trial

from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.training.fold import FoldTraining


def _descent(**arguments: Any) -> dict[str, Any]:
    """Full-batch gradient descent long enough to end at the minimum."""
    return {
        "model": component("Linear"),
        "optimizer": component("SGD", **{"lr": 0.1, "momentum": 0.9, **arguments}),
        "batch_size": "full",
        "epochs": 600,
        "eval_every": 600,
    }


def _trained(config: TrialConfig, fold: FoldData) -> FoldTraining:
    training = FoldTraining(config, fold, CPU)
    for _ in training:
        training.keep()
    return training


def _weights(training: FoldTraining) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    weight, bias = (p.detach().numpy() for p in training.best_model().parameters())
    return weight, bias


@pytest.mark.parametrize(
    "optimizer",
    [
        component("SGD", lr=0.1, momentum=0.0),
        component("SGD", lr=0.1, momentum=0.9),
        component("SGD", lr=0.1, momentum=0.9, nesterov=True),
        component("LBFGS", max_iter=20),
        component("Adam", lr=0.05),
    ],
)
def test_gradient_descent_ends_at_the_least_squares_solution(optimizer: Component) -> None:
    fold = regression()
    settings = {**_descent(), "optimizer": optimizer}
    if optimizer.name == "LBFGS":
        settings |= {"epochs": 5, "eval_every": 5}
    training = _trained(
        trial(loss="MSELoss", direction="minimize", metric="rmse", **settings), fold
    )
    exact = LinearRegression().fit(fold.x_train.numpy(), fold.y_train.numpy())
    weight, bias = _weights(training)
    np.testing.assert_allclose(weight[0], exact.coef_, atol=1e-3)
    np.testing.assert_allclose(bias, exact.intercept_, atol=1e-3)
    np.testing.assert_allclose(
        training.best_outputs, exact.predict(fold.x_valid.numpy()) * 10 + 50, atol=0.05
    )


def test_weight_decay_of_weights_is_ridge_regression() -> None:
    fold = regression()
    config = trial(
        loss="MSELoss",
        direction="minimize",
        metric="rmse",
        decay="weights",
        **_descent(weight_decay=0.5),
    )
    weight, bias = _weights(_trained(config, fold))
    # ∇ (1/n) ‖r‖² + λ w = 0 is ridge with alpha = n λ / 2
    ridge = Ridge(alpha=40 * 0.5 / 2).fit(fold.x_train.numpy(), fold.y_train.numpy())
    np.testing.assert_allclose(weight[0], ridge.coef_, atol=1e-4)
    np.testing.assert_allclose(bias, ridge.intercept_, atol=1e-4)


def test_softmax_regression_is_scikit_learns() -> None:
    fold = classification(n_train=60)
    config = trial(decay="weights", **_descent(weight_decay=0.1, lr=0.3))
    training = _trained(config, fold)
    # mean loss + λ/2 ‖w‖² is C = 1 / (n λ)
    sklearn = LogisticRegression(C=1 / (60 * 0.1), tol=1e-8, max_iter=1000)
    sklearn.fit(fold.x_train.numpy(), fold.y_train.numpy())
    np.testing.assert_allclose(
        training.best_outputs, sklearn.predict_proba(fold.x_valid.numpy()), atol=1e-3
    )


def test_a_network_learns_a_small_set_by_heart() -> None:
    fold = classification(n_train=32)
    config = trial(
        model=component("MLP", width=64, depth=2),
        epochs=150,
        eval_every=150,
        optimizer=component("AdamW", lr=0.01),
    )
    training = _trained(config, fold)
    hits = training.best_model()(fold.x_train).argmax(1) == fold.y_train
    assert hits.all()

from __future__ import annotations

from threading import Thread
from typing import Any

import pytest
import torch

from tunecli.errors import TunecliError
from tunecli.study_file.settings.settings import TrainingSettings
from tunecli.training.step.precision import Precision, choose_device

CPU = torch.device("cpu")


def _precision(numerics: int = 2, **settings: Any) -> Precision:
    return Precision(TrainingSettings(**settings), CPU, numerics)


def test_auto_is_what_torch_has() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    if not torch.backends.mps.is_available():
        assert choose_device("auto") == torch.device(expected)
    assert choose_device("cpu") == CPU


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_missing_device_is_the_users_error() -> None:
    with pytest.raises(TunecliError, match=r"cuda is not available .* `device: auto`"):
        choose_device("cuda")


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("fp32", torch.float32),
        ("bf16", torch.bfloat16),
    ],
)
def test_matrix_products_have_the_dtype(dtype: str, expected: torch.dtype) -> None:
    precision = _precision(dtype=dtype)
    with precision.forward():
        assert torch.nn.Linear(3, 2)(torch.ones(1, 3)).dtype == expected
    assert not precision.scaler.is_enabled()
    assert precision.autocast == (expected != torch.float32)


@pytest.mark.parametrize("device", ["cpu", "mps"])
@pytest.mark.parametrize("dtype", ["tf32", "fp16"])
def test_formats_of_cuda_are_refused_elsewhere(dtype: Any, device: str) -> None:
    message = f"^training.dtype: {dtype} needs CUDA, but this trial runs on {device}"
    with pytest.raises(TunecliError, match=message):
        Precision(TrainingSettings(dtype=dtype), torch.device(device))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_gradients_are_scaled_in_fp16_on_cuda() -> None:
    precision = Precision(TrainingSettings(dtype="fp16"), torch.device("cuda"))
    assert precision.scaler.is_enabled()
    assert precision.autocast


def test_threads_are_set_inside_only() -> None:
    outside = torch.get_num_threads()
    with _precision(threads=outside + 1, deterministic=False).in_force():
        assert torch.get_num_threads() == outside + 1
    assert torch.get_num_threads() == outside


HALF = 2**22
"""The bits of half the smallest normal number, a denormal one."""


def bits_of_half() -> set[int]:
    """The bits of these halves as all threads compute them; to compare values could flush them."""
    halves = torch.full((200_000,), torch.finfo(torch.float32).tiny) / 2
    return {*halves.view(torch.int32).tolist()}


@pytest.mark.parametrize("outside", [False, True])
def test_denormal_numbers_are_zero_since_version_3_and_only_inside(outside: bool) -> None:
    torch.set_flush_denormal(outside)
    try:
        for numerics, inside in [(2, HALF), (3, 0), (4, 0)]:
            with _precision(numerics).in_force(), _precision(numerics).in_force():
                assert bits_of_half() == {inside}
            assert bits_of_half() == {0 if outside else HALF}
    finally:
        torch.set_flush_denormal(False)


def test_denormal_numbers_stay_where_several_threads_could_differ() -> None:
    with _precision(3).in_force(), _precision(3, threads=2, deterministic=False).in_force():
        assert bits_of_half() == {HALF}


def test_gradients_and_a_thread_that_begins_inside_have_the_same_arithmetic() -> None:
    found: list[set[int]] = []
    x = torch.full((4,), torch.finfo(torch.float32).tiny, requires_grad=True)
    with _precision(3).in_force():
        thread = Thread(target=lambda: found.append(bits_of_half()))
        thread.start()
        thread.join()
        (x * 0.5).sum().mul(torch.finfo(torch.float32).tiny).backward()
    assert found == [{0}]
    assert x.grad is not None
    assert {*x.grad.view(torch.int32).tolist()} == {0}


@pytest.mark.parametrize(("deterministic", "warn_only"), [("auto", True), (True, False)])
def test_determinism_is_asked_for_inside_only(deterministic: Any, warn_only: bool) -> None:
    with _precision(threads=2, deterministic=deterministic).in_force():
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled() == warn_only
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]


@pytest.mark.parametrize("settings", [{}, {"threads": 2, "deterministic": False}])
def test_determinism_is_not_asked_for_in_vain(settings: dict[str, Any]) -> None:
    with _precision(**settings).in_force():
        assert not torch.are_deterministic_algorithms_enabled()


def test_gradients_go_on_with_the_scale_that_was_saved() -> None:
    saved, loaded = _precision(), _precision()
    saved.scaler, loaded.scaler = torch.amp.GradScaler("cpu"), torch.amp.GradScaler("cpu")
    saved.scaler.load_state_dict({**saved.scaler.state_dict(), "scale": 8.0})
    loaded.load_state_dict(saved.state_dict())
    assert loaded.scaler.scale(torch.ones(())) == 8.0
    assert _precision().state_dict() == {}
    _precision().load_state_dict(None)  # as checkpoints of earlier versions have it

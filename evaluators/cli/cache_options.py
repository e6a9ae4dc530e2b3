"""The switch of the cache of model answers, the same for every command that asks models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import click


def cache_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--cache/--no-cache` and `--cache-dir`."""
    where = click.option(
        "--cache-dir", default="", metavar="DIR", help="Folder of the cache; default EVALSPAN_CACHE, which may be off."
    )
    switch = click.option(
        "--cache/--no-cache", default=True, show_default=True, help="Replay what models answered to the same requests."
    )
    return switch(where(command))


def cache_from(options: Mapping[str, Any]) -> AbstractContextManager[None]:
    """The cache as the options say, for targets, judges and embeddings alike."""
    from ..response_cache import use_cache

    return use_cache(options["cache_dir"] if options["cache"] else None)

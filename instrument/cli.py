"""`evalspan run script.py`: any script with its LLM calls traced, without changing it."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import click

from ..errors import UsageError


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--service-name", help="service.name of the spans; default OTEL_SERVICE_NAME, else the script's name.")
@click.option("--endpoint", help="The collector; default OTEL_EXPORTER_OTLP_ENDPOINT, else http://localhost:4318.")
@click.option("-m", "module", is_flag=True, help="The first argument is a module, as in `python -m`.")
@click.argument("target")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(service_name: str | None, endpoint: str | None, module: bool, target: str, arguments: tuple[str, ...]) -> None:
    """Run a Python script with its LLM calls traced, without changing it.

    Everything after the script's name is the script's own. Its exit code is this command's.
    """
    import os

    from .start import init

    if not module and not Path(target).is_file():
        raise UsageError(f"there is no file {target}.", hint="Give a script, or -m and a module.")
    if service_name is None and not os.environ.get("OTEL_SERVICE_NAME"):
        service_name = Path(target).stem
    init(service_name, endpoint)
    sys.argv = [target, *arguments]
    # As `python` does: the script's own folder comes first, or with -m the working directory.
    sys.path.insert(0, str(Path.cwd() if module else Path(target).resolve().parent))
    try:
        if module:
            runpy.run_module(target, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(target, run_name="__main__")
    except Exception:  # noqa: BLE001 - whatever the script raises
        # The script's own failure looks as it does without us.
        sys.excepthook(*sys.exc_info())
        sys.exit(1)

"""`evalspan run app.py`, `evalspan run uvicorn app:app`: any program with its LLM calls traced, without changing it."""

from __future__ import annotations

import builtins
import os
import runpy
import shutil
import sys
from pathlib import Path
from types import ModuleType

import click

from ..errors import UsageError

_AUTOSTART = str(Path(__file__).parent / "autostart")


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--service-name", help="service.name of the spans; default OTEL_SERVICE_NAME, else the program's name.")
@click.option("--endpoint", help="The collector; default OTEL_EXPORTER_OTLP_ENDPOINT, else http://localhost:4318.")
@click.option("-m", "module", is_flag=True, help="The first argument is a module, as in `python -m`.")
@click.argument("target")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(service_name: str | None, endpoint: str | None, module: bool, target: str, arguments: tuple[str, ...]) -> None:
    """Run a script, a module (-m) or a command such as uvicorn, gunicorn, celery or streamlit, traced as it is.

    Everything after the target is the target's own. Its exit code is this command's. Python processes that it
    starts are traced as well.
    """
    is_file = Path(target).is_file()
    command = None if module or is_file else shutil.which(target)
    if not module and not is_file and command is None:
        raise UsageError(
            f"there is no file {target} and no command of that name.",
            hint="Give a script, a command, or -m and a module.",
        )
    if command is not None and Path(target).suffix == ".py":
        raise UsageError(f"there is no file {target}.", hint="Give a script, a command, or -m and a module.")
    name = service_name or os.environ.get("OTEL_SERVICE_NAME") or _name(target, arguments)
    _set_variables(name, endpoint)
    if command is not None:
        sys.stdout.flush()
        os.execv(command, [target, *arguments])  # noqa: S606 - the user's own command, as given
    _run_here(module, target, arguments)


def _run_here(module: bool, target: str, arguments: tuple[str, ...]) -> None:
    from .start import init

    init()
    # What the script prints is its own: it gets the streams as `python` would give them, without our commands' guard.
    sys.stdout, sys.stderr = (getattr(stream, "unfiltered", stream) for stream in (sys.stdout, sys.stderr))
    sys.argv = [target, *arguments]
    # As `python` does: the script's own folder comes first, or with -m the working directory.
    sys.path.insert(0, str(Path.cwd() if module else Path(target).resolve().parent))
    try:
        if module:
            runpy.run_module(target, run_name="__main__", alter_sys=True)
        elif Path(target).suffix == ".py":
            _run_script(target)
        else:
            runpy.run_path(target, run_name="__main__")
    except Exception as error:  # noqa: BLE001 - whatever the script raises
        # The script's own failure looks as it does without us.
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, runpy.__file__, "<frozen runpy>"):
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        sys.exit(1)


def _run_script(path: str) -> None:
    """As `python` runs it: its `__main__` is a module with an absolute `__file__`, so what it defines can be pickled."""
    main = ModuleType("__main__")
    main.__file__ = os.path.abspath(path)  # noqa: PTH100 - as python does, which follows no links
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    exec(compile(Path(path).read_bytes(), main.__file__, "exec"), main.__dict__)  # noqa: S102 - the user's own script


def _set_variables(name: str, endpoint: str | None) -> None:
    """What this process and those that it starts are told by: the standard variables, and the folder of `autostart`."""
    os.environ["OTEL_SERVICE_NAME"] = name
    if endpoint:
        from .config import base_url

        os.environ.pop("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", None)
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = base_url(endpoint, "--endpoint")
    path = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place and place != _AUTOSTART]
    os.environ["PYTHONPATH"] = os.pathsep.join([_AUTOSTART, *path])


def _name(target: str, arguments: tuple[str, ...]) -> str:
    """The app's name out of `uvicorn shop.main:app`, else the target's own."""
    app = next((one for one in arguments if ":" in one and not one.startswith("-") and "/" not in one), None)
    return app.split(":")[0] if app else Path(target).stem

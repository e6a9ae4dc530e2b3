"""Notebooks: `%load_ext evalspan` is the one line, `%%trace NAME` makes a cell one trace."""

from __future__ import annotations

from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """Called by `%load_ext evalspan`: switches tracing on, as `init()` does, and adds the magic `%%trace`."""
    from .start import init

    init()
    shell.register_magic_function(_trace_magic(shell), magic_kind="cell", magic_name="trace")


def unload_ipython_extension(shell: Any) -> None:
    """Called by `%unload_ext evalspan`."""
    from .start import uninstrument

    shell.magics_manager.magics["cell"].pop("trace", None)
    uninstrument()


def _trace_magic(shell: Any) -> Any:
    from .decorators import span
    from .start import current

    def trace(line: str, cell: str) -> None:
        """Runs the cell as one trace and sends it at once: `%%trace my experiment`."""
        with span(line.strip() or "cell"):
            result = shell.run_cell(cell)
        if (handle := current()) is not None:
            handle.flush()
        if not result.success:
            return

    return trace

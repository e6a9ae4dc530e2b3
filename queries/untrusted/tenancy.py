"""What a project's key can name: a database of views, each of which has filtered its rows before a statement sees them.

A filter beside the statement's own (a setting, a condition put into WHERE) can be overtaken: PREWHERE, the optimiser's
moves and index analysis evaluate the statement's expressions first, and an error then quotes another project's row.
Here the statement reads views in a database of the project's own. Each view ends in LIMIT, which no condition can pass
on its way down, so the engine applies `project = ...` before anything that the statement contains.
Names of the real database are replaced, and whatever still leads there is refused: see `sql_gate.examine`.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping

from ...errors import QueryError
from ..literals import literal
from .tokens import Token, quoted, tokenize

# All tables and views that a key may read; each has a column `project`. A new one is invisible until it is listed.
TENANT_TABLES = (
    "spans", "evaluations", "examples", "experiments", "experiment_results", "alert_rules", "alerts", "cursors",
    "drift_references", "prompt_slots", "saved_views", "alert_notes", "evaluator_rubrics",
    "usage",
)  # fmt: skip
PREFIX = "evalspan_tenant_"
CATALOGUE = f"{PREFIX}catalogue"
ACCESS_DENIED = 497
# No condition is pushed below a LIMIT, however large it is.
_BARRIER = "LIMIT 18446744073709551615"
# How much there is in the store is not one project's to know, nor where it lies.
_HIDDEN_COLUMNS = {
    "total_rows", "total_bytes", "total_bytes_uncompressed", "parts", "active_parts", "total_marks", "data_paths",
    "metadata_path", "data_path", "lifetime_rows", "lifetime_bytes", "data_compressed_bytes", "data_uncompressed_bytes",
    "marks_bytes", "metadata_modification_time", "columns_descriptions_cache_size", "table_rows", "data_length",
    "index_length", "TABLE_ROWS", "DATA_LENGTH", "INDEX_LENGTH",
}  # fmt: skip
# Tables about databases and tables, with the column that names the database.
_ABOUT_DATABASES = {
    ("system", "tables"): "database",
    ("system", "columns"): "database",
    ("system", "databases"): "name",
    ("information_schema", "tables"): "table_schema",
    ("information_schema", "columns"): "table_schema",
    ("information_schema", "schemata"): "schema_name",
    ("information_schema", "views"): "table_schema",
}
# What SHOW may be about: not what goes on in the store for others, such as SHOW MERGES.
_KEY_SHOWS = {
    "TABLES", "FULL", "EXTENDED", "COLUMNS", "FIELDS", "INDEX", "INDEXES", "INDICES", "KEYS", "CREATE", "FUNCTIONS", "DATABASES",
    "DICTIONARIES", "TEMPORARY", "SETTINGS",
}  # fmt: skip
_PRESENT_DATABASE = {"currentdatabase", "current_database", "database", "schema"}

Execute = Callable[[str], str]
"""Runs one statement and returns its answer as TSVRaw, "" when there is none."""


def tenant_database(project: str) -> str:
    """The database of the project's views."""
    return PREFIX + hashlib.sha256(project.encode()).hexdigest()[:16]


class TenantViews:
    """Creates the views of each project once."""

    def __init__(self, own: str, *, engine: str = "", cluster: str = "") -> None:
        """`own` is the database of the tables; `engine` that of the new databases, `Memory` to leave nothing on disk."""
        self._own, self._engine = own, f" ENGINE = {engine}" if engine else ""
        self._everywhere = f" ON CLUSTER '{cluster}'" if cluster else ""
        self._there: set[str] = set()
        self._lock = threading.Lock()

    def ensure(self, project: str, execute: Execute) -> str:
        """The project's database, with all of its views. Raises what `execute` raises."""
        database = tenant_database(project)
        with self._lock:
            if CATALOGUE not in self._there:
                self._create_catalogue(execute)
            if database not in self._there:
                self._create_database(database, execute)
                for table in self._tables(execute):
                    query = f"SELECT * FROM {self._own}.{quoted(table)} WHERE project = {literal(project)} {_BARRIER}"  # noqa: S608 - escaped
                    self._create_view(database, table, query, execute)
                self._there.add(database)
        return database

    def _tables(self, execute: Execute) -> list[str]:
        found = execute(
            f"SELECT DISTINCT table FROM system.columns WHERE database = {literal(self._own)} AND name = 'project'"  # noqa: S608 - a checked name
        ).split()
        return [table for table in TENANT_TABLES if table in found]

    def _create_catalogue(self, execute: Execute) -> None:
        self._create_database(CATALOGUE, execute)
        for (database, table), column in _ABOUT_DATABASES.items():
            columns = execute(
                f"SELECT name, type FROM system.columns WHERE database = '{database}' AND table = '{table}'"  # noqa: S608 - ours
                " AND default_kind != 'ALIAS'"
            )
            kinds = dict(line.split("\t", 1) for line in columns.splitlines() if "\t" in line)
            hidden = [
                f"defaultValueOfTypeName({literal(kind)}) AS {quoted(name)}"
                for name, kind in kinds.items()
                if name in _HIDDEN_COLUMNS
            ]
            selected = f"* REPLACE ({', '.join(hidden)})" if hidden else "*"
            query = f"SELECT {selected} FROM {database}.{table} WHERE NOT startsWith({column}, '{PREFIX}') {_BARRIER}"  # noqa: S608 - ours
            self._create_view(CATALOGUE, f"{database}__{table}", query, execute)
        self._there.add(CATALOGUE)

    def _create_database(self, name: str, execute: Execute) -> None:
        execute(f"CREATE DATABASE IF NOT EXISTS {name}{self._everywhere}{self._engine}")

    def _create_view(self, database: str, name: str, query: str, execute: Execute) -> None:
        execute(f"CREATE OR REPLACE VIEW {database}.{quoted(name)}{self._everywhere} AS {query}")


def confine(sql: str, parameters: Mapping[str, str], own: str, tenant: str) -> str:
    """
    The statement with every name of the database `own` led to `tenant`, and of tables about databases to the catalogue.

    Raises:
        QueryError: it names a database of views itself.
    """
    tokens = _with_identifiers(tokenize(_databases_selected(sql)), parameters)
    places = [place for place, token in enumerate(tokens) if token.kind != "blank"]
    written = [token.text for token in tokens]
    for position, place in enumerate(places):
        token = tokens[place]
        if token.name.startswith(PREFIX):
            raise QueryError(
                f"There is no access to the database {token.name}.", hint="Name tables alone.", code=ACCESS_DENIED
            )
        after = [tokens[following] for following in places[position + 1 : position + 3]]
        before = tokens[places[position - 1]].text if position else ""
        if not token.name or before == "." or not after:
            continue
        if after[0].text == "." and token.name == own:
            written[place] = tenant
        elif (
            len(after) == 2 and after[0].text == "." and (token.name.lower(), after[1].name.lower()) in _ABOUT_DATABASES
        ):
            written[place] = CATALOGUE
            written[places[position + 2]] = f"{token.name.lower()}__{after[1].name.lower()}"
        elif len(after) == 2 and token.name.lower() in _PRESENT_DATABASE and after[0].text + after[1].text == "()":
            written[place], written[places[position + 1]], written[places[position + 2]] = literal(own), "", ""
    return "".join(written)


def _databases_selected(sql: str) -> str:
    """SHOW DATABASES as a SELECT: the engine's own answer names the databases of all projects' views."""
    tokens = [token for token in tokenize(sql) if token.kind != "blank"]
    begin = [token.text.upper() for token in tokens[:2]]
    if begin[:1] == ["SHOW"] and not _KEY_SHOWS.issuperset(begin[1:]):
        raise QueryError(
            f"{' '.join(begin)} is not for a project's key.", hint="docs/sql.md has the list.", code=ACCESS_DENIED
        )
    if begin != ["SHOW", "DATABASES"]:
        return sql
    rest = [token.text for token in tokens[2:]]
    end = next(
        (place for place, word in enumerate(rest) if word.upper() in ("LIMIT", "INTO", "FORMAT", ";")), len(rest)
    )
    pattern = f" WHERE name {' '.join(rest[:end])}" if end else ""
    return f"SELECT name FROM system.databases{pattern} ORDER BY name {' '.join(rest[end:])}"  # noqa: S608 - the caller's own words


def _with_identifiers(tokens: list[Token], parameters: Mapping[str, str]) -> list[Token]:
    """Puts in parameters that are names, `{table:Identifier}`: what they name is to be seen, too."""
    result: list[Token] = []
    at = 0
    while at < len(tokens):
        if tokens[at].text == "{":
            span = next((end for end in range(at, min(at + 12, len(tokens))) if tokens[end].text == "}"), 0)
            inner = [token for token in tokens[at + 1 : span] if token.kind != "blank"]
            if (
                len(inner) == 3
                and inner[1].text == ":"
                and inner[2].name == "Identifier"
                and inner[0].name in parameters
            ):
                result.append(Token("quoted", quoted(parameters[inner[0].name])))
                at = span + 1
                continue
        result.append(tokens[at])
        at += 1
    return result

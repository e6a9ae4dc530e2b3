"""Clients that people have read through the SQL port: Node's official one, aiochclient, SQLAlchemy, pandas, curl; Grafana's and JDBC's statements."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from evalspan.queries.store.client import Store

from .sql_port import ask, client, serving

NODE = Path(__file__).parent / "node_client"


@pytest.fixture(scope="module")
def url(store: Store) -> Iterator[str]:
    row = {
        "project": "clients",
        "trace_id": uuid.uuid4().hex,
        "span_id": uuid.uuid4().hex[:16],
        "start_time": datetime.now(UTC),
        "duration_ns": 5_000_000,
        "name": "chat",
        "service": "shop",
        "attributes": {"plan": "free"},
    }
    store.insert("spans", [row])
    with serving(store, {}) as address:
        yield address


@pytest.mark.slow
def test_the_official_node_client_reads_streams_and_gets_typed_errors(url: str) -> None:
    if not (NODE / "node_modules").exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=NODE, check=True, timeout=240)
    done = subprocess.run(
        ["node", "reads.mjs", url], cwd=NODE, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("rows") == [{"n": n, "s": "it's\n"} for n in range(3)]
    assert {"spans", "evaluations"} <= set(found.pop("tables"))
    assert found == {
        "ping": True,
        "streamed": 300_000,
        "unknown": "47 UNKNOWN_IDENTIFIER",
        "writing": "497 ACCESS_DENIED",
        "inserting": "497 ACCESS_DENIED",
        "late": "395 FUNCTION_THROW_IF_VALUE_IS_NON_ZERO",
    }


async def test_aiochclient_reads(url: str) -> None:
    import aiohttp
    from aiochclient import ChClient

    async with aiohttp.ClientSession() as session:
        reader = ChClient(session, url=url, database="evalspan")
        assert await reader.is_alive()
        assert await reader.fetchval("SELECT plus(1, 1)") == 2
        rows = await reader.fetch("SELECT service, attributes FROM spans WHERE project = 'clients'")
        assert dict(rows[0]) == {"service": "shop", "attributes": {"plan": "free"}}


def test_sqlalchemy_reads_and_reflects_the_tables(url: str) -> None:
    from sqlalchemy import MetaData, Table, create_engine, func, inspect, select

    engine = create_engine(f"clickhousedb://{urlsplit(url).netloc}/evalspan")
    with engine.connect() as connection:
        assert {"spans", "evaluations"} <= set(inspect(engine).get_table_names(schema="evalspan"))
        spans = Table("spans", MetaData(schema="evalspan"), autoload_with=engine)
        asked = select(func.count()).select_from(spans).where(spans.c.project == "clients")
        assert connection.execute(asked).scalar() == 1
    engine.dispose()


def test_pandas_and_arrow_read_spans(url: str) -> None:
    with client(url, database="evalspan") as connected:
        frame = connected.query_df("SELECT * FROM spans WHERE project = 'clients'")
        assert (len(frame), frame["service"][0], str(frame["start_time"].dtype)[:10]) == (1, "shop", "datetime64")
        table = connected.query_arrow("SELECT service, duration_ns FROM spans WHERE project = 'clients'")
        assert table.to_pylist() == [{"service": "shop", "duration_ns": 5_000_000}]


def test_curl_reads_with_compression_and_parameters(url: str) -> None:
    command = [
        "curl",
        "-sS",
        "--compressed",
        f"{url}/?param_p=clients",
        "-d",
        "SELECT service FROM spans WHERE project = {p:String}",
    ]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout == "shop\n"


# What Grafana's ClickHouse data source sends: at connect, in its pickers, and from its query builder with macros expanded.
GRAFANA = [
    "SELECT displayName(), version(), revision(), timezone()",
    "SELECT 1",
    "SHOW DATABASES",
    'SHOW TABLES FROM "evalspan"',
    'DESC TABLE "evalspan"."spans"',
    "SELECT name FROM system.databases ORDER BY name",
    "SELECT name FROM system.tables WHERE database = 'evalspan' ORDER BY name",
    "SELECT name, type, table FROM system.columns WHERE database IN ('evalspan') AND table = 'spans'",
    'SELECT DISTINCT arrayJoin(mapKeys("attributes")) AS keys FROM (SELECT "attributes" FROM "evalspan"."spans" LIMIT 10000) LIMIT 1000',
    'SELECT DISTINCT "service" FROM "evalspan"."spans" WHERE "service" IS NOT NULL LIMIT 1000',
    'SELECT DISTINCT "attributes"[\'plan\'] FROM "evalspan"."spans" WHERE mapContains("attributes", \'plan\') LIMIT 1000',
    (
        'SELECT toStartOfInterval(toDateTime(start_time), INTERVAL 60 second) AS "time", avg(duration_ns) FROM "evalspan"."spans"'
        " WHERE start_time >= toDateTime(1700000000) AND start_time <= toDateTime(1900000000) GROUP BY time ORDER BY time LIMIT 1000"
    ),
    (
        'SELECT toStartOfInterval(toDateTime64(start_time, 3), INTERVAL 100 millisecond) AS "time", service AS "series",'
        ' quantile(0.95)(duration_ns) FROM "evalspan"."spans" WHERE start_time >= fromUnixTimestamp64Milli(1700000000000)'
        " GROUP BY time, series ORDER BY time"
    ),
    (
        'SELECT "trace_id" AS traceID, "span_id" AS spanID, arrayMap(key -> map(\'key\', key, \'value\', "attributes"[key]),'
        ' mapKeys("attributes")) AS tags FROM "evalspan"."spans" WHERE traceID = \'x\' SETTINGS max_execution_time=10'
    ),
    'SELECT * FROM "evalspan"."spans" LIMIT 100',
]


def test_grafanas_statements_are_answered(url: str) -> None:
    refused = {}
    for sql in GRAFANA:
        sent = {
            "default_format": "Native",
            "client_protocol_version": "54483",
            "max_execution_time": "60",
            "limit": "1000",
        }
        answer = ask(url, sql, headers={"Accept-Encoding": "gzip"}, **sent)
        if answer.status != 200:
            refused[sql] = answer.text
    assert refused == {}
    hello = ask(url, GRAFANA[0]).text.split("\t")
    assert (hello[0], hello[3]) == ("evalspan", "UTC\n")


def _setting(name: str) -> str:
    return f"toUInt8(ifnull((select value from system.settings where name = '{name}'), '0')) as {name}"


# What the two generations of the JDBC driver (DBeaver's) send at connect and to draw the tree of tables.
JDBC = [
    f"select currentUser() user, timezone() timezone, version() version, {_setting('readonly')}, {_setting('implicit_transaction')}",
    "SELECT currentUser() AS user, timezone() AS timezone, version() AS version LIMIT 1",
    "select name as TABLE_CAT from system.databases order by name",
    ("SELECT '' AS TABLE_CAT, t.database AS TABLE_SCHEM, t.name AS TABLE_NAME, if(t.is_temporary = 1, concat('Temporary', t.engine),"
    " t.engine) AS TABLE_TYPE, t.comment AS REMARKS, d.engine AS TYPE_SCHEM FROM system.tables t JOIN system.databases d"
    " ON system.tables.database = system.databases.name WHERE t.database LIKE '%' AND t.name LIKE '%'"),
    ("SELECT database AS TABLE_SCHEM, table AS TABLE_NAME, name AS COLUMN_NAME, type AS TYPE_NAME, toInt32(IF (numeric_scale == 0,"
    " NULL, numeric_scale)) as DECIMAL_DIGITS, toInt32(position(type, 'Nullable(') >= 1 ? 1 : 0) as NULLABLE,"
    " system.columns.default_expression AS COLUMN_DEF, character_octet_length::Nullable(Int32) AS CHAR_OCTET_LENGTH,"
    " toInt32(system.columns.position) AS ORDINAL_POSITION FROM system.columns WHERE database LIKE 'evalspan' AND table LIKE 'spans'"),
    "SELECT arrayJoin(['TABLE', 'VIEW']) AS TABLE_TYPE ORDER BY TABLE_TYPE",
    "select name, alias_to from system.data_type_families order by name",
    ("select '' as FUNCTION_CAT, name as FUNCTION_NAME from system.functions where name like '%' union all"
    " select '', name from system.table_functions"),
    "select database, table, sum(rows) as CARDINALITY, uniqExact(name) as PAGES from system.parts where active = 1 group by 1, 2",
    "select * from system.data_skipping_indices where database like 'evalspan'",
    "SELECT 1 AS x LIMIT 0",
]  # fmt: skip


def test_jdbcs_statements_are_answered_in_blocks_of_rowbinary(url: str) -> None:
    refused = {}
    for sql in JDBC:
        answer = ask(url, f"{sql}\nFORMAT RowBinaryWithNamesAndTypes", compress="1")
        if answer.status != 200 or not answer.body:
            refused[sql] = answer.text
    assert refused == {}

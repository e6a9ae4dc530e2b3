"""One HTTP request of ClickHouse's protocol, read into a statement with its parameters, settings and wishes for the answer."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Mapping

import msgspec
from aiohttp import BodyPartReader, web

from ...instrument.errors import QueryError
from .compression import inflate

LONGEST_BODY = 1 << 20
SYNTAX_ERROR, NOT_IMPLEMENTED, AUTHENTICATION_FAILED, UNKNOWN_SESSION, SESSION_TIMEOUT = 62, 48, 516, 372, 374
LONGEST_SESSION_S = 3600

# Consumed by the protocol itself; everything else in the address is a setting.
_TRANSPORT = frozenset(
    "query database default_format query_id session_id session_timeout session_check close_session compress decompress"
    " client_protocol_version buffer_size wait_end_of_query user password quota_key role send_progress_in_http_headers"
    " http_headers_progress_interval_ms enable_http_compression http_zlib_compression_level network_compression_method"
    " stacktrace add_http_cors_header http_make_head_request http_response_buffer_size"
    " http_write_exception_in_output_format cancel_http_readonly_queries_on_client_close".split()
)


class Statement(msgspec.Struct, frozen=True):
    """What a client asks."""

    sql: str
    query_id: str
    database: str
    format: str
    parameters: dict[str, str]
    settings: dict[str, str]
    session: str
    session_check: bool
    session_timeout_s: int
    close_session: bool
    compress: bool
    progress: bool
    whole: bool


class Credentials(msgspec.Struct, frozen=True):
    """User and password, from wherever ClickHouse's clients put them."""

    user: str
    password: str


async def read_statement(request: web.Request) -> Statement:
    """
    Reads the request.

    Raises:
        QueryError: it carries external tables, data that cannot be inflated, or is too long.
    """
    fields = dict(request.query)
    if request.content_type == "multipart/form-data":
        fields.update(await _form(request))
        body = b""
    else:
        body = inflate(await _limited(request), request.headers.get("Content-Encoding", ""), LONGEST_BODY)
    if fields.get("decompress") == "1":
        raise QueryError("decompress=1 is not spoken here.", hint="Use Content-Encoding.", code=NOT_IMPLEMENTED)
    if fields.get("compress") == "1":
        raise QueryError(
            "compress=1 (ClickHouse's own blocks) is not spoken here.",
            hint="Send enable_http_compression=1 with Accept-Encoding: lz4, zstd or gzip; in JDBC: compress=0.",
            code=NOT_IMPLEMENTED,
        )
    try:
        sql = "\n".join(part for part in (fields.get("query", ""), body.decode()) if part)
    except UnicodeDecodeError as error:
        raise QueryError("The statement is not UTF-8.", hint="Send it as UTF-8.", code=SYNTAX_ERROR) from error
    headers = request.headers
    return Statement(
        sql=sql.strip(),
        query_id=fields.get("query_id") or str(uuid.uuid4()),
        database=str(fields.get("database") or headers.get("X-ClickHouse-Database", "")),
        format=str(fields.get("default_format") or headers.get("X-ClickHouse-Format", "TabSeparated")),
        parameters={name[6:]: value for name, value in fields.items() if name.startswith("param_")},
        settings={
            name: value
            for name, value in fields.items()
            if name not in _TRANSPORT and not name.startswith(("param_", "X-ClickHouse-"))
        },
        session=fields.get("session_id", ""),
        session_check=fields.get("session_check") == "1",
        session_timeout_s=_session_timeout(fields),
        close_session=fields.get("close_session") == "1",
        compress=fields.get("enable_http_compression") in ("1", "true"),
        progress=fields.get("send_progress_in_http_headers") in ("1", "true"),
        whole=fields.get("wait_end_of_query") in ("1", "true"),
    )


def credentials(request: web.Request) -> Credentials:
    """From Authorization (Basic or Bearer), X-ClickHouse-User and -Key, or the address."""
    authorization = request.headers.get("Authorization", "")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(token, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return Credentials("", "")
        return Credentials(user, password)
    if scheme.lower() == "bearer":
        return Credentials("", token.strip())
    headers: Mapping[str, str] = request.headers
    return Credentials(
        headers.get("X-ClickHouse-User") or request.query.get("user", ""),
        headers.get("X-ClickHouse-Key") or request.query.get("password", ""),
    )


def _session_timeout(fields: Mapping[str, str]) -> int:
    text = fields.get("session_timeout", "60")
    if not re.fullmatch(r"\d{1,9}", text) or int(text) > LONGEST_SESSION_S:
        raise QueryError(
            f"Session timeout {text!r} is not a number of seconds up to {LONGEST_SESSION_S}.", code=SESSION_TIMEOUT
        )
    return int(text)


async def _limited(request: web.Request) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise QueryError(f"The request's body is longer than {LONGEST_BODY} bytes.", code=SYNTAX_ERROR)
    return bytes(body)


async def _form(request: web.Request) -> dict[str, str]:
    fields: dict[str, str] = {}
    size = 0
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.filename is not None or not part.name:
            raise QueryError(
                "External tables are not possible here.", hint="Put the values into parameters.", code=NOT_IMPLEMENTED
            )
        content = bytearray()
        while chunk := await part.read_chunk():
            content += chunk
            size += len(chunk)
            if size > LONGEST_BODY:
                raise QueryError(f"The request's body is longer than {LONGEST_BODY} bytes.", code=SYNTAX_ERROR)
        fields[part.name] = content.decode(errors="replace")
    return fields

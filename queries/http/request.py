"""One HTTP request of ClickHouse's protocol, read into a statement with its parameters, settings and wishes for the answer."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Mapping

import msgspec
from aiohttp import BodyPartReader, web

from ...errors import QueryError
from ..untrusted.external_tables import MAX_TABLES, ExternalTable, structure_of
from .blocks import CANNOT_DECOMPRESS, unblocked
from .decompression import DecompressionError, UnknownEncoding, decompress

MAX_BODY, MAX_EXTERNAL_DATA = 1 << 20, 16 << 20
BAD_ARGUMENTS, SYNTAX_ERROR, AUTHENTICATION_FAILED, UNKNOWN_SESSION, SESSION_TIMEOUT = 36, 62, 516, 372, 374
MAX_SESSION_S = 3600
NOT_IMPLEMENTED = 48
_ENCODINGS = ("identity", "gzip", "deflate", "zstd", "lz4")
# How much of an answer is waited for before it begins, as in ClickHouse: an error up to there is a plain HTTP error.
MAX_BUFFER = 1 << 20

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

    query: str
    body: bytes
    tables: list[ExternalTable]
    query_id: str
    database: str
    format: str
    parameters: dict[str, str]
    settings: dict[str, str]
    session: str
    session_check: bool
    session_timeout_s: int
    close_session: bool
    revision: int
    compress: bool
    blocks: bool
    whole: bool
    buffer: int
    progress: bool

    @property
    def sql(self) -> str:
        """The text to run: the address and the body, put together. Raises QueryError when it is not UTF-8."""
        try:
            return "\n".join(part for part in (self.query, self.body.decode()) if part).strip()
        except UnicodeDecodeError as error:
            raise QueryError("The statement is not UTF-8.", hint="Send it as UTF-8.", code=SYNTAX_ERROR) from error


class Credentials(msgspec.Struct, frozen=True):
    """User and password, from wherever ClickHouse's clients put them."""

    user: str
    password: str


async def read_statement(request: web.Request, max_length: int = MAX_BODY) -> Statement:
    """
    Reads the request.

    Raises:
        QueryError: it carries data that cannot be inflated, is too long, or describes no table for what it brings.
    """
    fields = dict(request.query)
    body, tables = b"", []
    if request.content_type == "multipart/form-data":
        tables = await _form(request, fields, max_length)
    else:
        body = _decompressed(
            await _limited(request, max_length), request.headers.get("Content-Encoding", ""), max_length
        )
    if fields.get("decompress") == "1":
        body = unblocked(body, max_length)
    headers = request.headers
    return Statement(
        query=fields.get("query", ""),
        body=body,
        tables=tables,
        query_id=_query_id(fields),
        database=str(fields.get("database") or headers.get("X-ClickHouse-Database", "")),
        format=str(fields.get("default_format") or headers.get("X-ClickHouse-Format", "TabSeparated")),
        parameters={name[6:]: value for name, value in fields.items() if name.startswith("param_")},
        settings=_settings(fields, tables),
        session=fields.get("session_id", ""),
        session_check=fields.get("session_check") == "1",
        session_timeout_s=_session_timeout(fields),
        close_session=fields.get("close_session") == "1",
        revision=_number(fields, "client_protocol_version", 0),
        compress=fields.get("enable_http_compression", "1") in ("1", "true"),
        blocks=fields.get("compress") == "1",
        whole=fields.get("wait_end_of_query") in ("1", "true"),
        progress=fields.get("send_progress_in_http_headers") in ("1", "true"),
        buffer=_number(fields, "buffer_size", MAX_BUFFER),
    )


def _decompressed(body: bytes, encoding: str, max_length: int) -> bytes:
    try:
        return decompress(body, encoding if body else "", max_length, known=_ENCODINGS)
    except UnknownEncoding as error:
        raise QueryError(f"{error}.", code=NOT_IMPLEMENTED) from error
    except DecompressionError as error:
        raise QueryError(f"{error}.", code=CANNOT_DECOMPRESS) from error


def _query_id(fields: Mapping[str, str]) -> str:
    named = fields.get("query_id", "")
    if not named.isprintable():
        raise QueryError("query_id has control characters.", hint="Use letters and digits.", code=BAD_ARGUMENTS)
    return named or str(uuid.uuid4())


def _settings(fields: Mapping[str, str], tables: list[ExternalTable]) -> dict[str, str]:
    about_tables = {f"{table.name}_{what}" for table in tables for what in ("format", "structure", "types")}
    return {
        name: value
        for name, value in fields.items()
        if name not in _TRANSPORT and name not in about_tables and not name.startswith(("param_", "X-ClickHouse-"))
    }


def _number(fields: Mapping[str, str], name: str, default: int) -> int:
    text = fields.get(name, "")
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else default


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
    if not re.fullmatch(r"\d{1,9}", text) or int(text) > MAX_SESSION_S:
        raise QueryError(
            f"Session timeout {text!r} is not a number of seconds up to {MAX_SESSION_S}.", code=SESSION_TIMEOUT
        )
    return int(text)


async def _limited(request: web.Request, max_length: int) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > max_length:
            raise _too_long(max_length)
    return bytes(body)


async def _form(request: web.Request, fields: dict[str, str], max_length: int) -> list[ExternalTable]:
    """Reads a form: what has a file's name is a table, the rest goes into `fields` as if the address had it."""
    contents: dict[str, bytes] = {}
    size, limit = 0, max(max_length, MAX_EXTERNAL_DATA)
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or not part.name:
                raise QueryError("A part of the form has no name.", code=SYNTAX_ERROR)
            content = bytearray()
            while chunk := await part.read_chunk():
                content += chunk
                size += len(chunk)
                if size > (limit if part.filename else max_length):
                    raise _too_long(limit if part.filename else max_length)
            if part.filename:
                contents[part.name] = bytes(content)
            else:
                fields[part.name] = content.decode(errors="replace")
    except ValueError as error:
        raise QueryError(f"The form cannot be read: {error}.", code=SYNTAX_ERROR) from error
    if len(contents) > MAX_TABLES:
        raise QueryError(f"More than {MAX_TABLES} external tables.", code=SYNTAX_ERROR)
    return [
        ExternalTable(
            name=name,
            structure=structure_of(name, fields.get(f"{name}_structure", ""), fields.get(f"{name}_types", "")),
            format=fields.get(f"{name}_format", "TabSeparated"),
            data=data,
        )
        for name, data in contents.items()
    ]


def _too_long(max_length: int) -> QueryError:
    return QueryError(f"The request's body is longer than {max_length} bytes.", code=SYNTAX_ERROR)

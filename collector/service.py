"""The composition root: one process that receives, keeps, inserts, evaluates and shows; every part is wired up here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import click
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from .. import dashboard
from ..errors import UsageError
from ..queries import http as sql_http
from ..queries.host import Host
from ..queries.host.auth import KeyRing, refuse_open_door
from ..queries.host.clock import Clock
from ..queries.host.limits import ProjectShares
from ..queries.host.origin import TrustedProxies
from ..queries.host.supervision import Supervisor
from ..queries.host.telemetry import Telemetry
from ..queries.http.access import ACCESS
from ..queries.http.connection_guard import ConnectionGuard, raise_file_limit
from ..queries.nesting import recent_spans
from ..queries.store.client import Store, open_store
from ..queries.store.lock_file import Owner, remove_lock_file, write_lock_file
from . import alerts, online, retention
from .config import Config
from .insert import late_nesting, message_events, prompt_slots, scores
from .insert.inserter import KeepAll, Stage, Strict
from .insert.message_events import insert_message_events
from .insert.nested import StrictSpans
from .insert.pipeline import Pipeline, limits_of
from .insert.prices import Pricing
from .insert.role_changes import RoleChanges
from .insert.scores import insert_scores
from .insert.span_join import SpanJoinStage, Write
from .log.quarantine import Quarantine, log_directory
from .log_output import announce
from .readiness import Readiness
from .receivers.admission import Admission
from .receivers.config import deadlines_of
from .receivers.far_days import FarDays
from .receivers.http import HttpReceiver, statuses_for_all
from .receivers.ingestor import Ingestor
from .receivers.memory import RequestMemory
from .receivers.rows import add_rows_route
from .receivers.tls import certificate_of
from .receivers.tls import follow as follow_certificate
from .receivers.tls import load as load_certificate
from .replay import add_replay_route, add_reprice_route
from .sampling import build_sampler
from .sampling.head import HeadStage
from .sampling.journal import Journal
from .sampling.tail import TailStage

logger = logging.getLogger(__name__)

# How long a stop waits for requests that are being answered, then as long again for those that were told to end.
GRACE_S = 4
# What was stored so long before the start may be a part of a call that comes after it.
_RECALL_S, _RECALL_SPANS = 3600, 20_000


class Service:
    """Wires the parts up, each with the `Host` they share. `run` serves until it is told to stop."""

    def __init__(self, config: Config, *, clock: Clock | None = None) -> None:
        refuse_open_door(config.receive.host, config.auth)
        self.config = config
        self.telemetry = Telemetry()
        self._supervisor = Supervisor(self.telemetry.add)
        self.token = secrets.token_urlsafe(32)
        self.ready = False
        self._certificate = certificate_of(config.receive)
        self.store: Store = open_store(
            config.store.dsn or None, readers=config.store.readers, cluster=config.store.cluster
        )
        self._pricing = Pricing(self.store, config.prices)
        self.keys = KeyRing(config.auth, self.token)
        shares = ProjectShares(
            config.limits,
            projects=self.keys.projects,
            live_listeners=config.dashboard.live_listeners,
            inflight_bytes=config.receive.max_inflight_bytes,
        )
        self.store.share_places(shares.sql_queries)
        self.host = Host(
            self.store,
            clock or Clock(),
            self.telemetry,
            self.keys,
            config.retention,
            self._problem,
            shares=shares,
            supervisor=self._supervisor,
            proxies=TrustedProxies(config.dashboard.trusted_proxies),
            public_url=config.dashboard.public_url,
            tls=load_certificate(self._certificate) if self._certificate else None,
            deadlines=deadlines_of(config.receive),
        )
        changes = RoleChanges(self.store, self._pricing.insert, self.telemetry, self._pricing.reprice)
        self.spans = self._pipeline("spans", changes.insert, self._stage(), strict=StrictSpans())
        write_scores = partial(insert_scores, self.store, self._quarantine("scores"))
        self.scores = self._joined("scores", write_scores, scores.WAIT_S, scores.AGAIN_S)
        write_messages = partial(insert_message_events, self.store, self.telemetry, self._quarantine("messages"))
        self.messages = self._joined(
            "messages", write_messages, message_events.WAIT_S, message_events.AGAIN_S, keep_at_stop=True
        )
        logs = [pipeline.log for pipeline in (self.spans, self.scores, self.messages)]
        self.telemetry.gauge("log_backlog_bytes", lambda: sum(log.backlog_bytes for log in logs))
        self.intake = self._ingestor()
        self.readiness = Readiness(
            self._supervisor,
            self.keys,
            (self.spans, self.scores, self.messages),
            embedded=self._store_directory() if self.store.embedded else None,
        )
        self._memory = RequestMemory(shares)
        self._guard = ConnectionGuard(
            header_timeout_s=self.host.deadlines.header_s,
            max_connections=config.limits.connections,
            max_per_peer=config.limits.connections_per_peer,
            files_share=0.25,
        )
        self.app = self._application()

    def _ingestor(self) -> Ingestor:
        return Ingestor(
            self.spans.log,
            self.scores.log,
            self.messages.log,
            self.telemetry,
            self.config.receive.max_attribute_bytes,
            self._pricing.announce,
            keep_days=self.config.retention.spans_days,
            far_days=FarDays(self.host.shares.far_days),
        )

    async def run(self) -> None:
        """Serves until SIGTERM or SIGINT, then drains: what was acknowledged is in the store or in the log."""
        raise_file_limit()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with self._serving():
            await stop.wait()
            announce("stopping: finishing what was accepted")

    @contextlib.asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._close_store)
            # Spans stop last: scores and messages ask for theirs.
            for pipeline in (self.spans, self.scores, self.messages):
                pipeline.open()
                stack.push_async_callback(self._drain, pipeline)
            # Before the first insert: what waits in the logs is read where it is.
            self.intake.recall(recent_spans(self.store, _RECALL_S, _RECALL_SPANS))
            for pipeline in (self.spans, self.scores, self.messages):
                pipeline.start()
            stack.callback(self.intake.close)
            runner = web.AppRunner(
                self.app,
                auto_decompress=False,  # it would decompress without our bound
                access_log=None,
                handle_signals=False,
                keepalive_timeout=self.host.deadlines.idle_s,
                shutdown_timeout=GRACE_S,
            )
            stack.callback(self.spans.log.end)
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            server = await self._listen(runner)
            stack.callback(server.close)
            if self._certificate and self.host.tls:
                following = asyncio.create_task(
                    self._supervisor.keep_running(
                        "certificate", partial(follow_certificate, self._certificate, self.host.tls)
                    )
                )
                stack.callback(following.cancel)
            await self._start_grpc(stack)
            self._write_lock_file()
            self.ready = self.readiness.accepting = True
            self._say_ready()
            yield
            self.ready = self.readiness.accepting = False

    async def _listen(self, runner: web.AppRunner) -> asyncio.Server:
        receive = self.config.receive
        assert runner.server is not None
        try:
            server = await asyncio.get_running_loop().create_server(
                self._guard.connections(runner.server), receive.host, receive.port, backlog=1024, ssl=self.host.tls
            )
        except OSError as error:
            raise UsageError(
                f"Cannot listen on {receive.host}:{receive.port}: {error.strerror or error}.",
                hint="Choose another port with --port (0 picks a free one).",
            ) from error
        self.host.http_url = self._url(server.sockets[0].getsockname()[1])
        return server

    async def _start_grpc(self, stack: contextlib.AsyncExitStack) -> None:
        receive = self.config.receive
        if receive.grpc_port < 0:
            return
        from .receivers.grpc_server import GrpcReceiver

        receiver = GrpcReceiver(self.intake, receive, self.keys, self.telemetry, self._memory, self.config.limits)
        stack.push_async_callback(receiver.stop)
        self.host.grpc_url = self._url(await receiver.start())

    async def _drain(self, pipeline: Pipeline) -> None:
        if not await pipeline.stop(self.config.receive.drain_s):
            left = pipeline.log.backlog_bytes
            announce(f"{left} bytes of {pipeline.log.name} stay in the log, for the next start")

    async def _close_store(self) -> None:
        if self.store.embedded:
            remove_lock_file(self._store_directory())
        await asyncio.to_thread(self.store.cancel_untrusted)
        await asyncio.to_thread(self.store.close)

    def _joined(
        self, name: str, write: Write, wait_s: float, again_s: float, *, keep_at_stop: bool = False
    ) -> Pipeline:
        """What waits for spans in a log of its own."""
        directory = self._log_directory() / name
        stage = SpanJoinStage(write, directory, self.spans.log, wait_s, again_s, keep_at_stop=keep_at_stop)
        return self._pipeline(name, stage.insert, stage)

    def _pipeline(
        self, name: str, insert: Callable[[bytes, str], None], stage: Stage, *, strict: Strict | None = None
    ) -> Pipeline:
        return Pipeline(
            name,
            self._log_directory(),
            limits_of(self.config.receive, store_is_embedded=self.store.embedded),
            insert,
            stage,
            self.telemetry,
            supervisor=self._supervisor,
            strict=strict,
            store_answers=self.store.answers,
        )

    def _quarantine(self, name: str) -> Quarantine:
        return Quarantine(self._log_directory(), name, self.telemetry)

    def _stage(self) -> Stage:
        sampler = build_sampler(self.config.sampling)
        if sampler.keeps_everything:
            return KeepAll()
        if self.config.sampling.mode == "tail":
            log = self._log_directory()
            return TailStage(sampler, self.telemetry, Journal(log / "tail", log / "spans"))
        return HeadStage(sampler, self.telemetry)

    def _write_lock_file(self) -> None:
        if self.store.embedded:
            owner = Owner(
                os.getpid(),
                http=self.host.http_url,
                sql=self.host.sql_url,
                token=self.token,
                address=self.host.address,
                certificate=str(self._certificate.chain.resolve()) if self._certificate else "",
            )
            write_lock_file(self._store_directory(), owner)

    def _say_ready(self) -> None:
        keys = "one for each project" if self.config.auth.keys else "none needed on this machine"
        announce(
            f"evalspan: OTLP at {self.host.http_url}, gRPC at {self.host.grpc_url or 'off'}, SQL at {self.host.sql_url or 'off'}"
        )
        announce(f"store: {self.store.dsn}, log: {self._log_directory()}, API keys: {keys}")
        click.echo("ready")
        sys.stdout.flush()

    def _application(self) -> web.Application:
        receive = self.config.receive
        app = web.Application(
            client_max_size=receive.max_body_bytes,
            middlewares=[self._spoken, Admission(self.keys, self.host.proxies).middleware, statuses_for_all],
        )
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self.readiness.answer)
        app.router.add_get("/metrics", self._metrics)
        HttpReceiver(self.intake, receive, self.telemetry, self._memory).add_routes(app)
        add_rows_route(app, self.store, self.keys)
        by_signal = {pipeline.log.name: pipeline.log for pipeline in (self.spans, self.scores, self.messages)}
        add_replay_route(app, self._log_directory(), by_signal, self.keys)
        add_reprice_route(app, self._pricing.reprice, self.keys)
        self._attach_parts(app)
        return app

    def _attach_parts(self, app: web.Application) -> None:
        config, host = self.config, self.host
        port_was_chosen = config.origin("receive", "sql_port") != "default"
        sql_http.attach(app, host, config.receive.host, config.receive.sql_port, port_was_chosen=port_was_chosen)
        online.attach(app, host, config)
        alerts.attach(app, host, config)
        prompt_slots.attach(app, host)
        late_nesting.attach(app, host, self._pricing.reprice)
        dashboard.attach(app, host, config.dashboard)
        retention.attach(app, host)

    @property
    def _spoken(self) -> Middleware:
        @web.middleware
        async def spoken(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._guard.has_spoken(request.protocol)
            return await handler(request)

        return spoken

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    def _problem(self) -> str:
        return self.readiness.problem()

    async def _metrics(self, request: web.Request) -> web.Response:
        text = self.telemetry.prometheus(request[ACCESS].scope)
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4"})

    def _store_directory(self) -> Path:
        return Path(self.store.location.path)

    def _log_directory(self) -> Path:
        return log_directory(self.config.receive.log_path, self.store.location)

    def _url(self, port: int) -> str:
        """The address to connect to: what was bound, or this machine when that was everything."""
        host = self.config.receive.host
        name = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
        scheme = "https" if self.host.tls else "http"
        return f"{scheme}://[{name}]:{port}" if ":" in name else f"{scheme}://{name}:{port}"

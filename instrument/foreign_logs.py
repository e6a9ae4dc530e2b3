"""Log events of other instrumentations on their way through logger providers of the app, under our content policy.

The official instrumentors can put prompts and answers into log events beside their spans. The policy acts where every
provider of OpenTelemetry's SDK hands a record to its processors, so that it holds for providers made later, too.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from .content import ContentPolicy
from .foreign_content import ForeignContent, is_content
from .frameworks.patches import Patches
from .import_hooks import when_imported

log = logging.getLogger(__name__)

_GENAI_EVENT = "gen_ai."
_SDK = "opentelemetry.sdk._logs._internal"
_HAND_ON = ("SynchronousMultiLogRecordProcessor", "ConcurrentMultiLogRecordProcessor")


class ForeignLogs:
    """Masks GenAI events, or takes their content away where none may leave; all other records stay as they are."""

    def __init__(self, policy: ContentPolicy) -> None:
        self._policy = policy
        self._content = ForeignContent(policy)
        self._patches = Patches()
        self._on = True

    def attach(self, module: Any) -> None:
        """From here on every record passes the policy before any processor of any provider sees it."""
        if not self._on:
            return
        for name in _HAND_ON:
            if (kind := getattr(module, name, None)) is not None:
                self._patches.wrap(kind, "on_emit", self._before)

    def detach(self) -> None:
        """Records are left alone from now on."""
        self._on = False
        self._patches.restore()

    def _before(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def on_emit(processors: Any, log_record: Any) -> Any:
            self.clean(log_record)
            return original(processors, log_record)

        return on_emit

    def clean(self, log_record: Any) -> None:
        """Changes a record in place; what could not be masked does not leave."""
        record = log_record.log_record
        scope = log_record.instrumentation_scope
        name = record.event_name or (record.attributes or {}).get("event.name") or ""
        ours = scope is not None and scope.name == "evalspan"
        if not self._on or ours or not str(name).startswith(_GENAI_EVENT):
            return
        try:
            self._apply(record)
        except Exception:
            log.debug("the content of a log event could not be masked; it is withheld", exc_info=True)
            record.body = None
            record.attributes = {key: value for key, value in record.attributes.items() if not is_content(key)}

    def _apply(self, record: Any) -> None:
        attributes = dict(record.attributes or {})
        if not self._policy.kept:
            record.body = None
        elif self._policy.redactor is not None:
            record.body = self._policy.redactor.value(record.body)
        cleaned = self._content.cleaned(attributes, genai=True, kept=self._policy.kept)
        if cleaned is not None:
            record.attributes = cleaned


def watch_logs(policy: ContentPolicy, given: Any) -> ForeignLogs:
    """Puts the policy in front of the processors of all logger providers, those that the app makes later as well.

    A provider of another make is said: events go through it as they are.
    """
    logs = ForeignLogs(policy)
    when_imported(_SDK, logs.attach)
    provider = given
    if provider is None and "opentelemetry._logs" in sys.modules:
        provider = sys.modules["opentelemetry._logs"].get_logger_provider()
    if provider is not None and type(provider).__name__ != "ProxyLoggerProvider" and not _is_of_sdk(provider):
        log.warning(
            "log events of other instrumentations go through %s as they are: evalspan cannot mask them there",
            type(provider).__name__,
        )
    return logs


def _is_of_sdk(provider: Any) -> bool:
    kinds = tuple(kind for name in _HAND_ON if (kind := getattr(sys.modules.get(_SDK), name, None)) is not None)
    chain = getattr(provider, "_multi_log_record_processor", None)
    return isinstance(chain, kinds)

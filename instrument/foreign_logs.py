"""Log events of other instrumentations on their way through the app's own logger provider, under our content policy.

The official instrumentors can put prompts and answers into log events beside their spans.
"""

from __future__ import annotations

import logging
from typing import Any

from opentelemetry._logs import get_logger_provider
from opentelemetry.sdk._logs import LogRecordProcessor

from .content import ContentPolicy
from .foreign_content import ForeignContent, is_content
from .safe_call import safe_call

log = logging.getLogger(__name__)

_GENAI_EVENT = "gen_ai."


class ForeignLogs(LogRecordProcessor):
    """Masks GenAI events, or takes their content away where none may leave; all other records stay as they are."""

    def __init__(self, policy: ContentPolicy) -> None:
        self._policy = policy
        self._content = ForeignContent(policy)
        self.active = True

    def on_emit(self, log_record: Any) -> None:
        """Changes the record before any later processor sees it."""
        record = log_record.log_record
        scope = log_record.instrumentation_scope
        name = record.event_name or (record.attributes or {}).get("event.name") or ""
        ours = scope is not None and scope.name == "evalspan"
        if not self.active or ours or not str(name).startswith(_GENAI_EVENT):
            return
        try:
            self._apply(record)
        except Exception:
            # What could not be masked does not leave.
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

    def shutdown(self) -> None:
        """Nothing waits here."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002 - the base class's signature
        """Nothing waits here."""
        return True


def watch_logs(policy: ContentPolicy, given: Any) -> ForeignLogs | None:
    """Puts the policy in front of the processors of the app's logger provider; None where there is nothing to do.

    A provider that takes no processor in front is said: events go through it as they are.
    """
    provider = given if given is not None else get_logger_provider()
    if type(provider).__name__ == "ProxyLoggerProvider":
        return None
    processor = ForeignLogs(policy)
    if safe_call(_put_first, provider, processor) is None:
        log.warning(
            "log events of other instrumentations go through %s as they are: evalspan cannot mask them there",
            type(provider).__name__,
        )
        return None
    return processor


def _put_first(provider: Any, processor: ForeignLogs) -> bool:
    """In front of those that are there: added behind them, it would change what they have sent."""
    chain = provider._multi_log_record_processor  # noqa: SLF001 - there is no public way to the front
    with chain._lock:  # noqa: SLF001
        chain._log_record_processors = (processor, *chain._log_record_processors)  # noqa: SLF001
    return True

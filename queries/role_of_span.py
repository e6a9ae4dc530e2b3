"""What a span is: one role each, decided when it is received and stored in the column `role`; all that counts reads it.

The decoder's view (schema/009_roles_and_costs.sql) decides by the same table; a test holds the two together.
"""

from __future__ import annotations

CALL, AGENT, TOOL, RETRIEVAL, WORKFLOW, OTHER = ROLES = (
    "call",
    "agent",
    "tool",
    "retrieval",
    "workflow",
    "other",
)

ROLE_OF_OPERATION = {
    "chat": CALL,
    "text_completion": CALL,
    "generate_content": CALL,
    "embeddings": CALL,
    "moderate": CALL,
    "invoke_agent": AGENT,
    "create_agent": AGENT,
    "execute_tool": TOOL,
    "retrieval": RETRIEVAL,
    "vector_db_retrieve": RETRIEVAL,
    "search_memory": RETRIEVAL,
    "invoke_workflow": WORKFLOW,
}
_RUNNING = ("queued", "in_progress")


def role_of(
    operation: str,
    *,
    model: str = "",
    has_usage: bool = False,
    failed: bool = False,
    status: str = "",
    stated: str = "",
) -> str:
    """
    The role of a span by what it says about itself.

    `stated` is its `evalspan.role`, which counts before all else. A span without an operation that names a model and
    its tokens is a call. A run in the background (`status` queued or in_progress) is a call where its answer is fetched.
    """
    if stated in ROLES:
        return stated
    role = ROLE_OF_OPERATION.get(operation)
    if role == CALL:
        return OTHER if status in _RUNNING and not has_usage and not failed else CALL
    if role is None and operation in ("", "fetch_response") and has_usage and model:
        return CALL
    return role or OTHER

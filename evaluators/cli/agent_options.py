"""The options of commands that run agents: who plays simulated users, and whether tools answer from their recording."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ..trajectory.case_run import CaseSettings

Command = TypeVar("Command", bound=Callable[..., Any])


def agent_options(command: Command) -> Command:
    """Adds --user-model, --user-base-url, --user-seed and --replay-tools."""
    for option in (
        click.option(
            "--replay-tools",
            is_flag=False,
            flag_value="error",
            default=None,
            type=click.Choice(["error", "live"]),
            help="Tools answer from the case's recording; a call that is not in it fails, or runs with =live.",
        ),
        click.option(
            "--user-seed", default=0, show_default=True, type=int, help="Varies what the simulated user says."
        ),
        click.option(
            "--user-base-url", default=None, metavar="URL", help="Where that model is; default: its provider's."
        ),
        click.option("--user-model", default="", metavar="MODEL", help="Plays the simulated users of the cases."),
    ):
        command = option(command)
    return command


def case_settings(options: dict[str, Any]) -> CaseSettings:
    """What the options say, taken out of them. Raises UsageError for a model that cannot be asked."""
    from ..trajectory.case_run import CaseSettings
    from ..trajectory.simulated_user import SimulatedUser

    model, url, seed = (options.pop(name) for name in ("user_model", "user_base_url", "user_seed"))
    user = SimulatedUser(model=model, base_url=url, seed=seed) if model else None
    return CaseSettings(user, options.pop("replay_tools"))

"""The rules that come with the service; `[alerts]` replaces one by a rule of the same name."""

from __future__ import annotations

from .rule import AlertRule

# A score is compared in windows of six hours with the four weeks before; a false alarm on a score within 100 windows
# has a probability of 5 %. The comparison of segments is made again and again, so its bar is a thousandth.
_WINDOWS = {"window_s": 21600, "horizon": 100}
_CHANGE = "{mean_before} to {mean_since} ({difference}, 95 % interval {difference_low} to {difference_high}; {n_since} values)"

BUILT_IN = (
    AlertRule(
        name="quality_degradation",
        query="e_detector",
        parameters={"direction": "decrease", **_WINDOWS},
        condition="alarm != ''",
        by=("metric",),
        severity="high",
        every_s=300,
        message="{metric} fell from " + _CHANGE + ", since about {since}",
    ),
    AlertRule(
        name="mix_degradation",
        query="e_detector",
        parameters={"direction": "decrease", "adjust": 0, **_WINDOWS},
        condition="alarm != ''",
        by=("metric",),
        severity="low",
        every_s=300,
        message="the mean of {metric}, changes of mix included, fell from " + _CHANGE + ", since about {since}",
    ),
    AlertRule(
        name="segment_degradation",
        query="segments",
        parameters={"by": "segment", "baseline_s": 2419200, "q": 0.001},
        condition="value != '' AND moved = 1 AND difference < 0",
        by=("metric", "value"),
        severity="medium",
        every_s=300,
        message="{metric} in segment {value} fell from {mean_before} to {mean} ({n} scores, p {p_adjusted})",
    ),
    AlertRule(
        name="operations_degradation",
        query="e_detector",
        parameters={"of": "usage", "direction": "increase", "adjust": 0, **_WINDOWS},
        condition="metric IN ('error_rate', 'latency', 'ttft', 'cost') AND alarm != ''",
        by=("metric",),
        severity="medium",
        every_s=300,
        message="{metric} of the model calls rose from " + _CHANGE + ", since about {since}",
    ),
    AlertRule(
        name="pass_rate_low",
        query="score_trend",
        parameters={"since_s": 86400, "window_s": 21600},
        condition="pass_n >= 20 AND pass_high < 0.5",
        by=("metric",),
        severity="high",
        every_s=300,
        message="{metric}: {pass_rate} passed [{pass_low}, {pass_high}] in the window from {window_start}",
    ),
    AlertRule(
        name="evaluator_stopped",
        query="evaluator_silence",
        condition="calls_since >= 20 OR failures_since >= 20",
        by=("metric",),
        severity="high",
        every_s=300,
        message="{metric} made no score for {silent_s} s while {calls_since} calls came in. {reason}",
    ),
    AlertRule(
        name="evaluation_rule_stopped",
        query="evaluators_stopped",
        condition="1",
        by=("rule",),
        severity="high",
        every_s=300,
        message="online evaluation rule {rule}: {reason}",
    ),
    AlertRule(
        name="budget_reached",
        query="evaluation_funnel",
        condition="positionCaseInsensitive(waiting_for, 'budget') > 0",
        by=("rule",),
        severity="low",
        every_s=300,
        message="online evaluation rule {rule} waits: {waiting_for}",
    ),
    AlertRule(
        name="calibration_drift",
        query="judge_agreement",
        parameters={"window_s": 2419200},
        condition="pairs >= 20 AND kappa < 0.4",
        by=("metric", "evaluator_version"),
        severity="medium",
        every_s=3600,
        message="people and {metric} agree with kappa {kappa} only ({pairs} labels)",
    ),
    AlertRule(
        name="calibration_too_old",
        query="judge_agreement",
        parameters={"since_s": 31536000},
        condition="age_days > 90",
        by=("metric",),
        severity="low",
        every_s=3600,
        message="the newest human label of {metric} is {age_days} days old: `evalspan annotate` draws new ones",
    ),
    AlertRule(
        name="new_prompt_fingerprint",
        query="changes",
        parameters={"since_s": 86400, "baseline_s": 604800},
        condition="dimension = 'system_hash' AND is_new = 1",
        by=("value",),
        severity="info",
        every_s=300,
        message="a new system prompt {value} is used since {first_seen}, share {share_after}; before: {previous}",
    ),
    AlertRule(
        name="log_backlog",
        telemetry="log_backlog_bytes",
        condition="value > 1e9",
        severity="high",
        message="{value} bytes wait to be inserted: the store is slower than the traffic",
    ),
)

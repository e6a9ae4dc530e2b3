"""The gate's report as JUnit XML (pytest's xunit2 shape): a suite per dataset and partition, a test case per example.

A failed case is a <failure>, one that could not be judged an <error>. What else keeps the gate from passing (approvals,
the baseline) stands as cases of a suite of its own, so that the file is never greener than the verdict.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from ..experiments.case_verdict import describe
from ..experiments.record import CaseResult
from ..gate.report import GateReport, Reason

PER_CASE = ("golden_failed", "regression_failed", "unmeasured")
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(report: GateReport) -> bytes:
    """The XML document."""
    root = ET.Element("testsuites", name="evalspan gate")
    for partition in report.partitions:
        results = [result for result in report.results if result.partition == partition]
        suite = _suite(root, f"{report.experiment['dataset']}.{partition}", report.timestamp)
        properties = ET.SubElement(suite, "properties")
        _property(properties, "pass_means", report.partitions[partition].pass_means)
        _property(properties, "rule", report.partitions[partition].rule)
        for result in results:
            _case(suite, result)
        _count(suite)
    own = [reason for reason in report.reasons if reason.code not in PER_CASE]
    if own or not report.partitions:
        suite = _suite(root, "evalspan.gate", report.timestamp)
        for reason in own:
            _reason(suite, reason)
        _count(suite)
    for total in ("tests", "failures", "errors"):
        root.set(total, str(sum(int(suite.get(total, 0)) for suite in root)))
    ET.indent(root)
    body: bytes = ET.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + body + b"\n"


def _suite(root: ET.Element, name: str, timestamp: str) -> ET.Element:
    return ET.SubElement(root, "testsuite", name=_clean(name), timestamp=timestamp)


def _case(suite: ET.Element, result: CaseResult) -> None:
    name = result.example_id + (f"[{result.repeat}]" if result.repeat else "")
    case = ET.SubElement(
        suite,
        "testcase",
        classname=suite.get("name", ""),
        name=_clean(name),
        time=f"{result.latency_ms / 1000:.3f}",
    )
    properties = ET.SubElement(case, "properties")
    for outcome in result.metrics:
        said = f"unscored: {outcome.unscored}" if outcome.unscored is not None else repr(outcome.value)
        _property(properties, f"{outcome.name} ({outcome.version})", said)
    if result.root_cause:
        _property(properties, "root_cause", result.root_cause)
    if result.status == "passed":
        return
    tag = "failure" if result.status == "failed" else "error"
    problem = ET.SubElement(case, tag, message=_clean(result.failure_reason or result.status), type=result.status)
    lines = [f"input: {result.input}", f"output: {result.model_output}"]
    lines += [f"{one.name}: {one.unscored or describe(one)}" for one in result.metrics]
    problem.text = _clean("\n".join(lines))


def _reason(suite: ET.Element, reason: Reason) -> None:
    case = ET.SubElement(suite, "testcase", classname="evalspan.gate", name=reason.code, time="0.000")
    tag = "failure" if reason.verdict == "failed" else "error"
    problem = ET.SubElement(case, tag, message=_clean(reason.message), type=reason.code)
    problem.text = _clean("\n".join([reason.hint, *reason.example_ids]))


def _count(suite: ET.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", str(sum(case.find("error") is not None for case in cases)))
    suite.set("skipped", "0")
    suite.set("time", f"{sum(float(case.get('time', 0)) for case in cases):.3f}")


def _property(parent: ET.Element, name: str, value: str) -> None:
    ET.SubElement(parent, "property", name=_clean(name), value=_clean(value))


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold: an answer may contain any."""
    return FORBIDDEN.sub("\ufffd", text)

"""Files that people deploy with are read by their own tools where those are here, and name only what exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalspan.collector.config import TABLES

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
WORKFLOWS = sorted((ROOT / ".github").rglob("*.yml"))
MANIFESTS = sorted(DEPLOY.rglob("*.yaml"))


@pytest.mark.parametrize("path", [*WORKFLOWS, *MANIFESTS], ids=lambda path: path.name)
def test_every_yaml_file_is_yaml(path: Path) -> None:
    assert list(yaml.safe_load_all(path.read_text()))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_actions_are_pinned_and_jobs_have_the_least_permissions(path: Path) -> None:
    text = path.read_text()
    loose = [
        line.strip() for line in text.splitlines() if "uses:" in line and not re.search(r"@[0-9a-f]{40} # v\S+", line)
    ]
    assert not [line for line in loose if "uses: ./" not in line]
    document = yaml.safe_load(text)
    if path.parent.name != "workflows":
        return
    assert document["permissions"] == {"contents": "read"}
    for name, job in document["jobs"].items():
        assert job["timeout-minutes"] <= 60, name


def test_variables_of_deployments_are_settings_that_exist() -> None:
    own = {"EVALSPAN_STORE", "EVALSPAN_KEY", "EVALSPAN_CONFIG"}
    for path in [DEPLOY / "Dockerfile", DEPLOY / "evalspan.service", *MANIFESTS]:
        for name in set(re.findall(r"\bEVALSPAN_[A-Z_]+\b", path.read_text())) - own:
            table, _, key = name.removeprefix("EVALSPAN_").lower().partition("_")
            assert key in TABLES[table].__struct_fields__, f"{path.name}: {name}"


def test_the_image_runs_as_nobody_special_with_a_health_check_and_one_volume() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER")][-1] != "USER root"
    assert any(line.startswith("HEALTHCHECK") for line in lines)
    assert sum(line.startswith("VOLUME") for line in lines) == 1
    assert not any("latest" in line for line in lines if line.startswith("FROM"))


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        return  # on a system without systemd nobody installs the unit
    unit = tmp_path / "evalspan.service"
    unit.write_text((DEPLOY / "evalspan.service").read_text().replace("/opt/evalspan/bin/evalspan", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if "evalspan" in line], done.stderr


BIN = Path(sys.executable).parent


def lint(*command: str | Path) -> str:
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_hadolint_has_nothing_to_say_about_the_image() -> None:
    assert lint("hadolint", DEPLOY / "Dockerfile") == ""


def test_workflows_and_the_action_keep_githubs_schemas() -> None:
    lint(
        "check-jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
        *sorted((ROOT / ".github" / "workflows").glob("*.yml")),
    )
    lint(
        "check-jsonschema",
        "--builtin-schema",
        "vendor.github-actions",
        ROOT / ".github" / "actions" / "gate" / "action.yml",
    )


def test_workflows_and_the_action_are_safe_as_zizmor_sees_them() -> None:
    lint("zizmor", "--offline", "--quiet", ".github")


def test_compose_files_keep_the_specification_and_start_something_by_themselves() -> None:
    lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", *sorted(DEPLOY.glob("compose*.yaml")))
    for path in DEPLOY.glob("compose*.yaml"):
        for name, service in yaml.safe_load(path.read_text())["services"].items():
            assert "profiles" not in service, f"{path.name}: {name} would not start"


def test_kubernetes_accepts_the_manifests() -> None:
    assert lint("kubernetes-validate", "--strict", DEPLOY / "kubernetes" / "evalspan.yaml").count("passed") == 2


def panels() -> list[Any]:
    dashboard = json.loads((DEPLOY / "grafana" / "evalspan.json").read_text())
    return [pytest.param(panel["targets"][0]["rawSql"], id=panel["title"]) for panel in dashboard["panels"]]


@pytest.mark.parametrize("sql", panels())
def test_grafanas_panels_ask_what_the_sql_port_answers(sql: str, store: Any) -> None:
    written = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 >= toDateTime(0) AND \1 <= now()", sql)
    written = re.sub(r"\$__timeInterval\((\w+)\)", r"toStartOfInterval(\1, INTERVAL 60 second)", written)
    written = written.replace("$__interval_s", "60").replace("${service:raw}", "%")
    assert "$" not in written
    store.query_untrusted(written, project="grafana-panels")


STUB = """#!/usr/bin/env python3
import json, os, sys
json.dump(sys.argv[1:], open(os.environ["SEEN"], "w"))
print("# report")
sys.exit(int(os.environ["CODE"]))
"""


@pytest.mark.parametrize(
    ("code", "allow", "exit_code", "verdict"),
    [
        (0, "false", 0, "passed"),
        (3, "false", 3, "failed"),
        (4, "false", 4, "inconclusive"),
        (4, "true", 0, "inconclusive"),
        (2, "true", 2, "error"),
    ],
)
def test_the_actions_step_keeps_every_argument_and_reports_the_verdict(
    tmp_path: Path, code: int, allow: str, exit_code: int, verdict: str
) -> None:
    stub, seen, outputs = tmp_path / "evalspan", tmp_path / "seen.json", tmp_path / "outputs"
    stub.write_text(STUB)
    stub.chmod(0o755)
    arguments = "--training \"my training.jsonl\"\n--prompts 'a $(id) `id`.md'  # why\n--margin pass=0.1\n"
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "SEEN": str(seen),
        "CODE": str(code),
        "REPORTS": str(tmp_path / "reports"),
        "GITHUB_OUTPUT": str(outputs),
        "DATASET": "cases.jsonl",
        "TARGET": "app:answer",
        "SUITE": "checks:SUITE",
        "PARTITION": "golden",
        "BASELINE": "",
        "ARGUMENTS": arguments,
        "ALLOW_INCONCLUSIVE": allow,
    }
    (tmp_path / "python").symlink_to(sys.executable)
    script = ROOT / ".github" / "actions" / "gate" / "gate.sh"
    done = subprocess.run(["bash", str(script)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == exit_code, done.stderr
    given = json.loads(seen.read_text())
    assert given[-8:] == [
        *("--training", "my training.jsonl", "--prompts", "a $(id) `id`.md", "--margin", "pass=0.1"),
        *("--partition", "golden"),
    ]
    assert f"verdict={verdict}" in outputs.read_text()
    assert (tmp_path / "reports" / "gate.md").read_text() == "# report\n"

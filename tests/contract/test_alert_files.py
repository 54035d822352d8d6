import json
import re
from typing import Any

import pytest
import yaml
from grafana import ALERTING, DASHBOARDS, AlertRule, alert_rules, panels
from grafana_foundation_sdk.models.alerting import ContactPoint, NotificationSettings, Rule

from deposit.settings import REPOSITORY

RULES = alert_rules()
FIELDS = {"uid", "title", "condition", "for", "noDataState", "execErrState", "dashboardUid", "panelId", "labels",
          "annotations", "data"}  # fmt: skip
"""Of a rule in a file, as Grafana's provisioning reads them; a name it does not know it passes over in silence."""


@pytest.mark.parametrize("alert", RULES, ids=lambda alert: alert.title)
def test_grafana_can_read_a_rule(alert: AlertRule) -> None:
    rule = alert.rule
    assert set(rule) == FIELDS
    assert [each["refId"] for each in rule["data"]] == ["A", rule["condition"]]
    read = Rule.from_json({**rule, "orgID": 1, "folderUID": "deposit", "ruleGroup": "deposit"})
    assert (read.no_data_state, read.exec_err_state) == ("OK", "Error")
    assert read.for_val == rule["for"]
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", rule["uid"])
    assert re.fullmatch(r"\d+[sm]", rule["for"])
    # in a label, unlike in an annotation, Grafana puts variables of its environment in the place of names
    assert "$" not in "".join(rule["labels"].values())
    assert rule["annotations"].keys() == {"summary", "description"}


@pytest.mark.parametrize("alert", RULES, ids=lambda alert: alert.title)
def test_a_rule_asks_the_one_data_source_and_points_to_a_panel(alert: AlertRule) -> None:
    source = {"type": "grafana-postgresql-datasource", "uid": "deposit"}
    assert (alert.query["datasourceUid"], alert.query["model"]["datasource"]) == ("deposit", source)
    assert alert.query["model"]["format"] == "table"
    assert alert.condition["datasourceUid"] == "__expr__"
    assert (alert.condition["model"]["type"], alert.condition["model"]["expression"]) == ("threshold", "A")
    boards = {json.loads(path.read_text())["uid"]: path for path in DASHBOARDS}
    assert alert.rule["panelId"] in {panel["id"] for panel in panels(boards[alert.rule["dashboardUid"]])}
    # the same alert when monitoring's month or the shipper's clock goes on: macros of a panel's time have no place here
    assert "$__" not in alert.query["model"]["rawSql"]


def test_each_rule_is_one_of_its_kind() -> None:
    assert [alert.title for alert in RULES] == [
        "Data fault", "Decay", "Model stale", "Unknown outcomes", "Spool age", "Shipper stopped", "No traffic",
        "DAG failed", "Monitoring overdue", "Part restarts often",
    ]  # fmt: skip
    assert len({alert.rule["uid"] for alert in RULES}) == len(RULES)


def test_alerts_go_to_a_webhook_whose_address_is_never_empty() -> None:
    document = _read()
    (point,), (policy,) = document["contactPoints"], document["policies"]
    (receiver,) = point["receivers"]
    ContactPoint.from_json(receiver | {"name": point["name"]})
    NotificationSettings.from_json({name: value for name, value in policy.items() if name != "orgId"})
    assert policy["receiver"] == point["name"]
    assert receiver["settings"]["url"] == "$ALERT_WEBHOOK_URL"
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    given = compose["services"]["grafana"]["environment"]["ALERT_WEBHOOK_URL"]
    assert re.fullmatch(r"\$\{ALERT_WEBHOOK_URL:-http://.+\}", given)


def _read() -> dict[str, Any]:
    return dict(yaml.safe_load((ALERTING / "contact.yaml").read_text()))

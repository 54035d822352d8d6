import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

LOADED = """
import json, sys
from airflow import plugins_manager
plugins = {plugin["name"]: plugin for plugin in plugins_manager.get_plugin_info(["name", "external_views"])}
print(json.dumps({
    "errors": plugins_manager.get_import_errors(),
    "views": plugins["deposit"]["external_views"],
    "modules": {
        name: module.__file__ for name, module in sys.modules.items() if getattr(module, "__file__", None)
    },
}))
"""
"""What Airflow has loaded after it looked for plugins, as its API server does."""


@pytest.fixture(scope="module")
def loaded() -> dict:
    environment = os.environ | {"DEPOSIT_LINKS__API": "http://localhost:8000", "DEPOSIT_LINKS__MLFLOW": "http://here:5"}
    done = subprocess.run(
        [sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_plugin_has_its_page_and_links_to_what_has_an_address(loaded: dict) -> None:
    assert loaded["errors"] == {}
    assert [(view["name"], view["href"]) for view in loaded["views"]] == [
        ("Deposit", "/deposit/"),
        ("Whom to call", "http://localhost:8000"),
        ("Experiments (MLflow)", "http://here:5"),
    ]


def test_airflow_runs_no_module_of_the_package_as_a_plugin(loaded: dict) -> None:
    # it would run each as a module of its bare name: deposit/errors.py as `errors`
    package = str(ROOT / "plugins" / "deposit")
    ours = {name for name, file in loaded["modules"].items() if file.startswith(f"{package}/")}
    assert "deposit.settings" in ours
    assert {name for name in ours if name.partition(".")[0] != "deposit"} == set()

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deposit.keys import add
from deposit.settings import REPOSITORY, Settings

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method", "allow_header_conformance", "negative_data_rejection",
    "ignored_auth", "no_stack_trace",
)  # fmt: skip
SLOWEST_SECONDS = 10


def _command(url: str, key: str, examples: int, report: Path) -> list[str]:
    return [
        str(Path(sys.executable).with_name("schemathesis")), "run", url,
        "--phases", "examples,coverage,fuzzing", "--max-examples", str(examples), "--seed", "7",
        "--checks", ",".join(CHECKS), "--header", f"Authorization: Bearer {key}",
        "--max-response-time", str(SLOWEST_SECONDS), "--request-timeout", str(2 * SLOWEST_SECONDS),
        "--continue-on-failure", "--no-shrink", "--suppress-health-check", "all", "--generation-database", "none",
        "--report", "json", "--report-json-path", str(report), "--no-color",
    ]  # fmt: skip


@pytest.mark.servers
@pytest.mark.timeout(3600)
def test_every_answer_is_one_that_the_document_promises(
    request: pytest.FixtureRequest, tmp_path: Path, serve: Callable[[Settings], Any]
) -> None:
    cases = request.config.getoption("fuzz_cases")
    keys = tmp_path / "keys.json"
    settings = Settings(state_dir=tmp_path / "state").changed("serve", keys_file=keys)
    _, key = add(keys, "fuzz", ["admin"], None, None)
    with serve(settings) as service:
        status, _, content = service.request("GET", "/docs.json")
        assert status == 200
        takers = sum("post" in operations for operations in json.loads(content)["paths"].values())
        report = tmp_path / "report.json"
        done = subprocess.run(
            _command(f"http://127.0.0.1:{service.port}/docs.json", key, -(-cases // takers), report),
            env={
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": str(REPOSITORY / "tests" / "support"),
                "SCHEMATHESIS_HOOKS": "no_stack_trace",
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
        assert json.loads(report.read_text())["test_cases"]["generated"] >= cases
        assert service.request("GET", "/readyz")[0] == 200
    log = service.log.read_text()
    assert "Traceback" not in log, log[-4000:]

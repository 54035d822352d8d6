import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ABSENT = ("mlflow", "sqlalchemy", "pandas", "psycopg", "boto3")
"""What the image of services has not, or is not to load before it is needed."""
CODE = """
import importlib, sys
# as if they were not installed: libraries such as XGBoost take those that they find
sys.modules.update(dict.fromkeys({absent}))
for module in {modules}:
    importlib.import_module(module)
print([name for name in {absent} if sys.modules[name] is not None])
"""


def _imports(path: Path) -> list[str]:
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    return [node.module for node in nodes if node.module and node.module.startswith(("deposit", "serving"))]


@pytest.mark.parametrize("start", ["service.py", "serving/application.py"])
def test_a_service_starts_without_what_only_training_and_the_database_need(start: str) -> None:
    modules = _imports(ROOT / "bento" / start)
    assert "deposit.log.destination" in modules
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(absent=ABSENT, modules=modules)],
        env={"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT / 'bento'}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr

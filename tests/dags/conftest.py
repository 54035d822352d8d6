import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# before Airflow is imported: a home of its own, so that a running stack is never touched
HOME = tempfile.mkdtemp(prefix="deposit-dags-")
for name in [name for name in os.environ if name.startswith(("DEPOSIT_", "AIRFLOW"))]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": HOME,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    # nothing listens there: a query or a connection while parsing fails the test
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://nobody@127.0.0.1:1/none",
    "DEPOSIT_STATE_DIR": f"{HOME}/state",
}

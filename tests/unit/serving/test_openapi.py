import re
from pathlib import Path

from serving import openapi

SERVING = Path(openapi.__file__).parent


def test_every_error_status_of_the_service_is_documented() -> None:
    sources = "".join(path.read_text() for path in SERVING.rglob("*.py"))
    raised = set(re.findall(r"(?:http_error|RequestError)\(\s*(\d{3})", sources))
    documented = openapi.document(max_customers=10)["paths"]["/predict"]["post"]["responses"]
    assert {"400", "502"} <= raised <= documented.keys()

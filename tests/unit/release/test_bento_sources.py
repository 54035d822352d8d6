import re

from deposit.release.packaging import pinned_requirements, source_files


def test_a_bento_holds_what_it_imports_and_no_more() -> None:
    names = set(source_files())
    assert {"service.py", "launch.py", "README.md", "serving/application.py"} <= names
    assert {"deposit/data/columns.py", "deposit/model/encoder.py", "deposit/model/artifact.py"} <= names
    assert {"deposit/keys.py", "deposit/registry/catalog.py", "deposit/store.py"} <= names
    forbidden = ("deposit/release", "deposit/stack", "deposit/database", "deposit/cli", "deposit/model/registry")
    assert [name for name in names if name.startswith(forbidden)] == []


def test_requirements_are_pinned_and_lean() -> None:
    pins = pinned_requirements()
    assert all("==" in pin for pin in pins)
    names = {pin.split("==")[0] for pin in pins}
    assert {"bentoml", "msgspec", "numpy", "uvicorn", "xgboost-cpu"} <= names
    assert names.isdisjoint({"mlflow", "pandas", "evidently", "scikit-learn", "supervisor"})


def test_a_bento_imports_nothing_that_its_image_lacks() -> None:
    lacking = {"alembic", "mlflow", "pandas", "pandera", "scipy", "sklearn", "sqlalchemy"}
    for name, path in source_files().items():
        imported = re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE) if name.endswith(".py") else []
        assert lacking.isdisjoint(imported), name

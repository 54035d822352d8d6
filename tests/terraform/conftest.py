import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What destroys comes last, whatever other files do with what was applied."""
    items.sort(key=lambda item: item.path.stem == "test_destroy")

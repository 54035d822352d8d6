import pytest
from sqlalchemy.dialects import postgresql

from deposit import tables
from deposit.log import predictions, staging


@pytest.mark.parametrize("staged", [predictions.STAGING, staging.OUTCOMES], ids=lambda staged: staged.table)
def test_what_is_staged_has_the_types_of_its_table(staged: staging.Staging) -> None:
    dialect = postgresql.dialect()
    columns = tables.metadata.tables[staged.table].columns
    assert staged.types == {name: columns[name].type.compile(dialect) for name in staged.types}
    needed = {column.name for column in columns if column.server_default is None and column.identity is None}
    assert staged.types.keys() == needed

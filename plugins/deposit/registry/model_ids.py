"""Ids of models, `<registered model>-v<version>`."""


def registered_name(model_id: str) -> str:
    """Name of the registered model that an id is of; empty if it is none.

    >>> registered_name("deposit-v7"), registered_name("")
    ('deposit', '')
    """
    return model_id.rpartition("-v")[0]

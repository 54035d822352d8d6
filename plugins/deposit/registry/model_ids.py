"""Model ids: `<registered model>-v<version>`."""


def registered_name(model_id: str) -> str:
    """Name of the registered model in a model id; empty if it is not a model id.

    >>> registered_name("deposit-v7"), registered_name("")
    ('deposit', '')
    """
    return model_id.rpartition("-v")[0]

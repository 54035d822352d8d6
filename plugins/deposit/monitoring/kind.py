"""The four verdicts. Needs no other module, so that Airflow's environment can import it."""

from enum import IntEnum


class Kind(IntEnum):
    """What is to be done: nothing; nothing yet; retrain; call somebody, and do not retrain on it."""

    STABLE = 0
    POPULATION_SHIFT = 1
    DECAY = 2
    DATA_FAULT = 3

    @property
    def title(self) -> str:
        """In words."""
        return self.name.lower().replace("_", " ")

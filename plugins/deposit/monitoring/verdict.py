"""The verdict on a period: one of four, in one sentence. The whole rule is `judge`. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from deposit.monitoring.kind import Kind
from deposit.monitoring.quality import Fault


@dataclass(frozen=True)
class Verdict:
    """A kind with its reason as a sentence."""

    kind: Kind
    sentence: str


def judge(faults: Sequence[Fault], declines: Sequence[str] | None, moved: Sequence[str], ranked: bool) -> Verdict:
    """The first of these that holds.

    Args:
        faults: what is broken in the data; nothing else can be believed then.
        declines: in what the model does worse than expected; None if too few outcomes are known.
        moved: columns whose distribution has moved, the score and the rate among them.
        ranked: whether `declines` can tell how well the model ranks, and not its probabilities alone.
    """
    if faults:
        return Verdict(Kind.DATA_FAULT, "The data is broken: " + "; ".join(f"{f.column}: {f.what}" for f in faults))
    shifted = f"the population has moved ({', '.join(moved)})" if moved else "the population is as in training"
    if declines:
        return Verdict(Kind.DECAY, f"The model has decayed: {' and '.join(declines)}; {shifted}")
    kind = Kind.POPULATION_SHIFT if moved else Kind.STABLE
    return Verdict(kind, f"{shifted[0].upper()}{shifted[1:]}; {_held(declines is not None, ranked)}")


def _held(calibrated: bool, ranked: bool) -> str:
    if not calibrated:
        return "too few outcomes are known to tell how good it was"
    if not ranked:
        return "the model's probabilities are as good as ever, how well it ranks cannot be told"
    return "the model is as good as ever"

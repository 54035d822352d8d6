"""Names and values of the tags by which the project finds its runs and versions in MLflow again."""

from enum import StrEnum


class Tag(StrEnum):
    """Names of tags."""

    # of a training's run
    ROLE = "deposit.role"
    DATASET = "deposit.dataset"
    TRAINING_KEY = "deposit.training_key"
    REVISION = "deposit.revision"
    LOCK_SHA256 = "deposit.lock_sha256"
    CREATED = "deposit.created"
    INGESTED = "deposit.ingested"
    EXCLUDED_PERIODS = "deposit.left_out"
    SETTINGS = "deposit.settings"
    CHALLENGER = "deposit.challenger"
    CHALLENGER_RUN = "deposit.challenger_run"
    # of a training's run once it has a model; an earlier version kept models with candidates' runs
    RECIPE = "deposit.recipe"
    TRAIN_START = "deposit.trained_from"
    TRAIN_END = "deposit.trained_through"
    TEST_START = "deposit.tested_from"
    TEST_END = "deposit.tested_through"
    DEVELOPMENT_ROWS = "deposit.development_rows"
    DEVELOPMENT_RATE = "deposit.development_rate"
    MODEL_SHA256 = "deposit.model_sha256"
    MODEL_URI = "deposit.model_uri"
    # of a trial's run
    TRIAL_STATE = "deposit.state"
    # of a version, which has DATASET and MODEL_SHA256 too
    METRICS = "deposit.metrics"
    DECISION = "deposit.decision"
    GATE = "deposit.gate"
    GATE_LOG_LOSS = "deposit.gate.log_loss_difference_upper_end"
    GATE_LOG_LOSS_LOWER = "deposit.gate.log_loss_difference_lower_end"
    GATE_ROC_AUC_UPPER = "deposit.gate.roc_auc_difference_upper_end"
    GATE_ROC_AUC = "deposit.gate.roc_auc_difference"
    GATE_ACCURACY = "deposit.gate.accuracy_difference"
    GATE_F1 = "deposit.gate.f1_difference"
    GATE_LARGER = "deposit.gate.larger_of_both_differences"
    # of the registered model: the version that was made champion last, should its alias be deleted
    CHAMPION = "deposit.champion"


class RunRole(StrEnum):
    """What a run is of: values of `Tag.ROLE`; a fallback is trained as others are, from one recipe."""

    TRAINING = "training"
    FALLBACK = "fallback"
    CANDIDATE = "candidate"
    TRIAL = "trial"


class TrialState(StrEnum):
    """How a trial ended: values of `Tag.TRIAL_STATE`."""

    COMPLETE = "complete"
    PRUNED = "pruned"


class RunState(StrEnum):
    """How a run ended, as MLflow names it."""

    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class GateOutcome(StrEnum):
    """What became of a version: values of `Tag.GATE`."""

    PASSED = "passed"
    REFUSED = "refused"
    FALLBACK = "fallback"
    MANUAL = "by hand"

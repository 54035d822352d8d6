"""MLflow tags of runs and versions: names, and the values of those with a fixed set of values."""

from enum import StrEnum


class Tag(StrEnum):
    """Names of tags."""

    # of a training run
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
    # of a training run that has a model; earlier versions of the code logged models to candidate runs
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
    # of the registered model: id of the last champion, in case its alias is deleted
    CHAMPION = "deposit.champion"


class RunRole(StrEnum):
    """Role of a run: values of `Tag.ROLE`; a fallback is a training with a single recipe."""

    TRAINING = "training"
    FALLBACK = "fallback"
    CANDIDATE = "candidate"
    TRIAL = "trial"


class TrialState(StrEnum):
    """How a trial ended: values of `Tag.TRIAL_STATE`."""

    COMPLETE = "complete"
    PRUNED = "pruned"


class RunState(StrEnum):
    """Final status of a run, as named by MLflow."""

    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class GateOutcome(StrEnum):
    """Outcome of the gate for a version: values of `Tag.GATE`."""

    PASSED = "passed"
    REFUSED = "refused"
    FALLBACK = "fallback"
    MANUAL = "by hand"

import pytest

from deposit.selection.report import print_training
from deposit.training.training import TrainedCandidate, TrainingResult


def test_what_could_not_be_measured_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    measured = {"log_loss": 0.3, "log_loss_low": 0.2, "log_loss_high": 0.4, "profit": 1234.0, "roc_auc": 0.5}
    candidate = TrainedCandidate("logistic", "r", {"roc_auc": 0.7, "log_loss": 0.3}, measured)
    print_training(TrainingResult("r", "d", False, (candidate,), "logistic"))
    cells = [
        [cell.strip() for cell in line.split("│")]
        for line in capsys.readouterr().out.splitlines()
        if line.count("│") == 2
    ]
    assert ["ROC AUC, all months pooled", "0.700", "0.500 [-, -]"] in cells
    assert ["Log loss", "0.300", "0.300 [0.200, 0.400]"] in cells
    assert ["PR AUC (average precision)", "-", "-"] in cells
    assert ["Profit of calling whom it pays to call", "-", "1,234 [-, -]"] in cells

import pytest

from deposit.selection.report import print_training, print_worth
from deposit.training.training import TrainedRecipe, TrainingResult

MEASURED = {
    "log_loss": 0.3, "log_loss_low": 0.2, "log_loss_high": 0.4, "log_loss_month_low": 0.1, "log_loss_month_high": 0.5,
    "roc_auc": 0.5, "profit": 1234.0, "profit_month_low": 900.0, "profit_month_high": 1500.0,
    "profit_call_everyone": 1300.0, "capture_30_month_mean": 0.428,
}  # fmt: skip
RESULT = TrainingResult("r", "d", False, "mixture", MEASURED, (TrainedRecipe("rates", "c", 0.25, {"log_loss": 0.6}),))


def test_what_could_not_be_measured_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    print_training(RESULT)
    cells = [[cell.strip() for cell in line.split("│")] for line in capsys.readouterr().out.splitlines()]
    assert ["ROC AUC, all months pooled", "0.500", "- to -", "- to -"] in cells
    assert ["Log loss", "0.300", "0.200 to 0.400", "0.100 to 0.500"] in cells
    assert ["rates", "0.250", "-", "0.600", "-", "-", "-"] in cells


def test_what_choosing_is_worth_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_worth(RESULT, 10, 1)
    text = " ".join(capsys.readouterr().out.split())
    assert text == (
        "Worth at 10 a subscription and 1 a call: 1,234 (900 to 1,500 by which months come), -66 beside calling "
        "everyone; the best 30 % of a month's list hold 43% of its subscribers"
    )

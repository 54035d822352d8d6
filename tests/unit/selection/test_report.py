from dataclasses import replace

import pytest

from deposit.selection.report import print_training, print_worth
from deposit.training.training import TrainedRecipe, TrainingResult

MEASURED = {
    "log_loss": 0.3, "log_loss_low": 0.2, "log_loss_high": 0.4, "log_loss_month_low": 0.1, "log_loss_month_high": 0.5,
    "roc_auc": 0.5, "profit": 1234.0, "profit_month_low": 900.0, "profit_month_high": 1500.0, "profit_expected": 1201.0,
    "profit_random": 700.0, "profit_call_everyone": 1300.0, "profit_oracle": 2900.0, "deposit_value": 10.0,
    "call_cost": 1.0,
}  # fmt: skip
OTHERS, BOUNDS = ("_expected", "_random", "_call_everyone", "_oracle"), ("_month_low", "_month_high")
RESULT = TrainingResult(
    "r", "d", False, "mixture", MEASURED, (TrainedRecipe("rates", "c", 0.25, {"log_loss": 0.6, "profit": 1100.0}),)
)


def test_what_could_not_be_measured_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    print_training(RESULT)
    cells = [[cell.strip() for cell in line.split("│")] for line in capsys.readouterr().out.splitlines()]
    assert ["ROC AUC, all months pooled", "0.500", "- to -", "- to -"] in cells
    assert ["Log loss", "0.300", "0.200 to 0.400", "0.100 to 0.500"] in cells
    assert ["rates", "0.250", "-", "1,100", "-", "0.600", "-"] in cells


def test_what_choosing_is_worth_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_worth(RESULT)
    text = " ".join(capsys.readouterr().out.split())
    assert text == (
        "Worth at 10 a subscription, 1 a call: choosing by the model earned 1,234 (95 %: 900 to 1,500; its "
        "probabilities promised 1,201), calling everyone 1,300, nobody 0, as many at random 700, the rate table 1,100, "
        "knowing the answers 2,900: calling everyone earned more than choosing"
    )


def test_a_capacity_has_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    limited = {f"profit{name}_at_capacity{bound}": 50.0 for name in ("", *OTHERS) for bound in ("", *BOUNDS)}
    print_worth(replace(RESULT, metrics=MEASURED | limited | {"capacity": 1000.0}))
    first, second = "".join(capsys.readouterr().out).split("Worth")[1:]
    assert "calls a month" not in first
    assert "1 a call and at most 1,000 calls a month: choosing by the model earned 50 " in " ".join(second.split())

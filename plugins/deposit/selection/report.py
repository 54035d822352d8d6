"""What a person sees of a training and a selection."""

from rich.markup import escape

from deposit import console
from deposit.selection.selection import Selection
from deposit.training.card import LABELS
from deposit.training.training import TrainedCandidate, TrainingResult


def print_training(result: TrainingResult) -> None:
    """The candidates side by side, on validation and out of time."""
    again = " (done before with the same data, settings and code)" if result.reused else ""
    console.out.print(f"\n[bold]Trained[/] on dataset {result.dataset}: MLflow run {result.run_id}{again}")
    titles = [f"{candidate.name}, {window}" for candidate in result.candidates for window in ("validation", "test")]
    console.table(
        "Candidates (test: months that nothing was chosen on; in brackets 95 %, calls resampled within months)",
        ["metric", *titles],
        [
            [label, *(cell for candidate in result.candidates for cell in _cells(candidate, name))]
            for name, label in LABELS.items()
        ],
    )
    console.out.print(f"Challenger: [bold]{result.challenger}[/], by the lower log loss on validation")


def print_selection(selection: Selection) -> None:
    """The criteria, each with what it was held against, and the outcome."""
    if selection.criteria:
        console.out.print()
        console.table(
            f"Gate of {selection.model_id}",
            ["criterion", "value", "threshold", "passed"],
            [
                [item.name, f"{item.value:+.4f}", f"{item.threshold:+g}", "yes" if item.passed else "no"]
                for item in selection.criteria
            ],
        )
    console.out.print(f"[bold]Verdict[/] {escape(selection.reason)}")


def _cells(candidate: TrainedCandidate, name: str) -> list[str]:
    test = candidate.test
    value, low, high = (console.shown(test.get(name + bound)) for bound in ("", "_low", "_high"))
    interval = f" \\[{low}, {high}]" if name in test else ""
    return [console.shown(candidate.validation.get(name)), value + interval]

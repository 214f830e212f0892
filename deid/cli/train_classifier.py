"""``mami-deid train-classifier``: a disease classifier from labelled images."""

from __future__ import annotations

from deid.cli.training import Training, TrainingCommand


class Command(TrainingCommand):
    """Train a disease classifier on the labelled images of DATA.

    It is what tells whether a de-identified image still shows what the original showed. The run folder RUN
    gets checkpoints, logs and the model folder; the same command goes on with a run that was stopped. Without
    DATA it says what it needs.
    """

    @staticmethod
    def load() -> Training:
        """See `deid.cli.training.TrainingCommand.load`."""
        from deid.workflows.train_classifier import NEEDED, ClassifierOptions, train_classifier

        return Training(NEEDED, ClassifierOptions, train_classifier)

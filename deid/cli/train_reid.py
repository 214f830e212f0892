"""``mami-deid train-reid``: a network that recognises patients."""

from __future__ import annotations

from deid.cli.training import Training, TrainingCommand


class Command(TrainingCommand):
    """Train a network that recognises the patients of DATA, and measure it on patients it has not seen.

    It is the critic that the anonymizer is trained against. The run folder RUN gets checkpoints, logs and the
    model folder; the same command goes on with a run that was stopped. Without DATA it says what it needs.
    """

    @staticmethod
    def load() -> Training:
        """See `deid.cli.training.TrainingCommand.load`."""
        from deid.workflows.train_reid import NEEDED, ReidOptions, train_reid

        return Training(NEEDED, ReidOptions, train_reid)

"""``mami-deid train-unet``: an anonymizer from images of patients with several studies."""

from __future__ import annotations

from deid.cli.training import Training, TrainingCommand


class Command(TrainingCommand):
    """Train an anonymizer on the images of DATA, and attack what it makes.

    A U-Net learns to take the identity out of images, against critics that learn to find it again, while a
    frozen disease classifier must still read them. Then attackers are trained on scrubbed images, and their
    figures on the test patients go into the model's card. The run folder RUN gets checkpoints, logs and the
    model folders; the same command goes on with a run that was stopped. Without DATA it says what it needs.
    """

    @staticmethod
    def load() -> Training:
        """See `deid.cli.training.TrainingCommand.load`."""
        from deid.workflows.train_unet import NEEDED, UnetOptions, train_unet

        return Training(NEEDED, UnetOptions, train_unet)

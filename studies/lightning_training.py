"""A Lightning module: tunecli only needs `report` in a callback (pip install lightning)."""

import logging

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Classifier(lightning.LightningModule):
    """A small network on flat rows."""

    def __init__(self, n_features, n_classes, width, lr):
        super().__init__()
        self.lr = lr
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(n_features, width), nn.ReLU(), nn.Linear(width, n_classes)
        )

    def training_step(self, batch, _):
        x, y = batch
        return nn.functional.cross_entropy(self.layers(x), y)

    def validation_step(self, batch, _):
        x, y = batch
        hits = self.layers(x).argmax(1) == y
        self.log("accuracy", hits.float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)


class Reporting(lightning.Callback):
    """Reports after each validation; TrialStopped propagates through the trainer and ends it."""

    def __init__(self, report):
        self.report = report

    def on_validation_epoch_end(self, trainer, module):
        self.report({"accuracy": trainer.callback_metrics["accuracy"]}, trainer.current_epoch)


def fit(config, fold, report):
    """Train one fold with Lightning's Trainer."""
    lightning.seed_everything(fold.seed % 2**32, verbose=False)
    model = Classifier(fold.x_train[0].numel(), fold.n_classes, config["width"], config["lr"])
    train = DataLoader(TensorDataset(fold.x_train, fold.y_train), batch_size=64, shuffle=True)
    valid = DataLoader(TensorDataset(fold.x_valid, fold.y_valid), batch_size=len(fold.y_valid))
    trainer = lightning.Trainer(
        max_epochs=config["epochs"],
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[Reporting(report)],
    )
    trainer.fit(model, train, valid)

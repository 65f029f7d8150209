"""Lightning: `trainer.fit`, with the learning rate found on the way (pip install 'gammatune[lightning]')."""

import logging

import lightning.pytorch as pl
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from gammatune.integrations.lightning import fit

torch.set_num_threads(1)
pl.seed_everything(0, verbose=False)
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
images, labels = load_digits(return_X_y=True)
data = TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))
train, select, report = random_split(data, [1100, 300, 397])


class Digits(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))

    def training_step(self, batch, batch_idx):
        x, y = batch
        return nn.functional.cross_entropy(self.net(x), y)

    def validation_step(self, batch, batch_idx):
        x, y = batch
        output = self.net(x)
        self.log("val_loss", nn.functional.cross_entropy(output, y))
        self.log("val_acc", (output.argmax(1) == y).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())


best = pl.callbacks.ModelCheckpoint(dirpath="checkpoints", monitor="val_loss", save_weights_only=True)
trainer = pl.Trainer(
    max_epochs=8,
    accelerator="cpu",
    callbacks=[best],
    logger=pl.loggers.CSVLogger("logs"),
    log_every_n_steps=10,
    gradient_clip_val=1.0,
    enable_progress_bar=False,
    enable_model_summary=False,
)
module = Digits()
result = fit(
    trainer, module, DataLoader(train, batch_size=32, shuffle=True), DataLoader(select, batch_size=300)
)

print(result.verdicts[0].reason)
for epoch, outcome in enumerate(result.course):
    rate = result.schedule.lr_at(epoch + 0.5)
    print(f"epoch {epoch + 1}: lr {rate:.3g}, val_loss {outcome.metrics['val_loss']:.3f}")
(measured,) = trainer.validate(module, DataLoader(report, batch_size=397), verbose=False)
print(f"the checkpoint kept is of val_loss {best.best_model_score:.3f}")
print(f"on data it never saw: {measured['val_acc']:.3f}, at {result.cost}")

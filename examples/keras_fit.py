"""Keras 3 on torch: `model.fit`, with the learning rate found on the way (pip install 'gammatune[keras]')."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import torch
from sklearn.datasets import load_digits

from gammatune.integrations.keras import fit

torch.set_num_threads(1)
keras.utils.set_random_seed(0)
images, labels = load_digits(return_X_y=True)
x, y = (images / 16).astype("float32"), labels
train, select, report = slice(0, 1100), slice(1100, 1400), slice(1400, None)

model = keras.Sequential(
    [
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
result = fit(
    model,
    x[train],
    y[train],
    validation_data=(x[select], y[select]),
    epochs=8,
    callbacks=[keras.callbacks.ModelCheckpoint("best.keras", monitor="val_loss", save_best_only=True)],
    verbose=0,
)

print(result.verdicts[0].reason)
for epoch, loss in enumerate(model.history.history["val_loss"]):
    print(f"epoch {epoch + 1}: lr {result.schedule.lr_at(epoch + 0.5):.3g}, val_loss {loss:.3f}")
loss, accuracy = model.evaluate(x[report], y[report], verbose=0)
print(f"on data it never saw: {accuracy:.3f}, at {result.cost}")

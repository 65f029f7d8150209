"""skorch: a net fitted with the learning rate found on the way, by itself and within a search over its width
(pip install 'gammatune[skorch]')."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from skorch import NeuralNetClassifier
from skorch.callbacks import EarlyStopping, GradientNormClipping
from torch import nn

from gammatune.integrations.skorch import GammaTuned, fit

torch.manual_seed(0)
torch.set_num_threads(1)  # a small net is faster on one thread

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split((X / 16).astype(np.float32), y, random_state=0)


class Net(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 10))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return self.layers(X)


class Tuned(GammaTuned, NeuralNetClassifier):
    """Its `fit` finds the rate, whoever calls it."""


common = {
    "criterion": nn.CrossEntropyLoss,
    "optimizer": torch.optim.AdamW,
    "batch_size": 32,
    "iterator_train__shuffle": True,
    "callbacks": [GradientNormClipping(1.0), EarlyStopping(patience=5)],
    "verbose": 0,
}
net = NeuralNetClassifier(Net, max_epochs=8, **common)
result = fit(net, X_train, y_train)
print(result.verdicts[0].reason)
print(
    f"on data it never saw: {net.score(X_test, y_test):.3f} after {len(net.history)} epochs, at {result.cost}"
)

search = GridSearchCV(Tuned(Net, max_epochs=4, **common), {"module__width": [16, 64]}, cv=2)
search.fit(X_train, y_train)
best = search.best_estimator_
print(search.best_params_, f"{best.score(X_test, y_test):.3f}", f"lr {best.result_.schedule[0]['lr']:.3g}")

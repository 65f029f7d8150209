"""A network as one more estimator of scikit-learn: in a pipeline, cross-validated, searched over, kept in a file."""

import pickle

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import gammatune

# A table with numbers and a category. Numbers need no scaling: the estimator standardises what it is given.
rng = np.random.default_rng(0)
people = pd.DataFrame(
    {
        "age": rng.integers(18, 80, 600),
        "hours": rng.normal(30, 10, 600).round(),
        "town": rng.choice(["Busan", "Lyon", "Quito"], 600),
    }
)
well = np.where((people["hours"] < 35) ^ (people["town"] == "Quito"), "rested", "tired")

columns = make_column_transformer(
    (OneHotEncoder(sparse_output=False), ["town"]),  # a network takes no sparse columns
    remainder="passthrough",
)
pipeline = make_pipeline(columns, gammatune.GammaTunedClassifier(epochs=15, random_state=0))
print("accuracy, three folds:", cross_val_score(pipeline, people, well, cv=3).round(3))

x_train, x_test, y_train, y_test = train_test_split(people, well, random_state=0)
pipeline.fit(x_train, y_train)
network = pipeline[-1]
print(f"learning rate {network.schedule_[0]['lr']:.3g}: {network.result_.verdicts[0].reason}")
print(f"on people it never saw: {pipeline.score(x_test, y_test):.3f}")
print(pd.DataFrame(pipeline.predict_proba(x_test[:3]), columns=pipeline.classes_).round(3))

# Kept and read again, it says the same, to the last bit.
again = pickle.loads(pickle.dumps(pipeline))
assert np.array_equal(again.predict_proba(x_test), pipeline.predict_proba(x_test))

# What is no learning rate is searched as scikit-learn searches.
x, y = load_diabetes(return_X_y=True)
regressor = gammatune.GammaTunedRegressor(epochs=15, random_state=0)
search = GridSearchCV(regressor, {"weight_decay": [0.01, 0.3]}, cv=3).fit(x, y)
print(f"diabetes: R2 {search.best_score_:.3f} with weight_decay={search.best_params_['weight_decay']}")

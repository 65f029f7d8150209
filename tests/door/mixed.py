"""Real tables of scikit-learn's, with what people's tables have beside numbers: text, dates, missing cells."""

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes, load_wine


def wine() -> pd.DataFrame:
    """178 wines of three cultivars by name; their colour in words, a day of tasting, a name each, a tenth of the
    alcohol measurements missing."""
    read = load_wine(as_frame=True)
    frame = read.data[["alcohol", "flavanoids", "proline"]].round(2)
    frame["hue"] = pd.cut(read.data["color_intensity"], 3, labels=["pale", "rose", "deep"]).astype(object)
    frame["tasted"] = pd.date_range("2021-03-01", periods=len(frame)).strftime("%Y-%m-%d")
    frame["bottle"] = [f"b{number:03}" for number in range(len(frame))]
    frame["grape"] = np.array(["barolo", "grignolino", "barbera"])[read.target]
    frame.loc[::10, "alcohol"] = np.nan
    frame.loc[5::20, "hue"] = None
    return frame.sample(frac=1, random_state=0).reset_index(drop=True)


def diabetes() -> pd.DataFrame:
    """442 patients, the sex in words, and how far the illness went on after a year."""
    frame = load_diabetes(as_frame=True, scaled=False).frame
    frame["sex"] = frame["sex"].map({1.0: "woman", 2.0: "man"})
    return frame.rename(columns={"target": "progression"})

"""Trains a network on data of your own so that its answers can be proved, and reports what holds.

    python examples/train_your_data.py --out=runs/mine

Replace `examples()` by whatever gives you arrays. Here: scikit-learn's breast cancer table, each of
its 30 features scaled to [0, 1] by what the training rows have.
"""

import argparse

import keras
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import rt_tf

EPS = 0.02  # a move of each feature by 2 % of its range


def examples() -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """(values [n, 30] in [0, 1], labels [n]) to train with, and to test with."""
    values, labels = load_breast_cancer(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(values, labels, random_state=0)
    low, high = train.min(axis=0), train.max(axis=0)
    train, test = (np.clip((part - low) / (high - low), 0.0, 1.0) for part in (train, test))
    return (train.astype("float32"), train_labels), (test.astype("float32"), test_labels)


def main() -> None:
    """Trains, certifies and reports."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="runs/mine", help="the folder of the report")
    parser.add_argument("--epochs", type=int, default=60)
    arguments = parser.parse_args()
    train, test = examples()
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(64, activation="relu") for _ in range(2)]
    model = keras.Sequential([keras.Input((30,)), *hidden, keras.layers.Dense(2)])
    adam = keras.optimizers.Adam(3e-3)
    options = {"epochs": arguments.epochs, "batch_size": 32, "optimizer": adam, "verbose": 2}
    robust = rt_tf.fit(model, train, test, system="crown_ibp", eps=EPS, **options)
    rt_tf.certify(robust, *test, eps=EPS).summary()
    rt_tf.report(robust, test, EPS, arguments.out, title="breast cancer")
    print(f"open {arguments.out}/report/report.html")


if __name__ == "__main__":
    main()

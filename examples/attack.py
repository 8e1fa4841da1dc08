"""Attacks a Keras model by several methods, and shows how far each gets.

    python examples/attack.py --model=runs/digits/ibp/best/network.keras --eps=0.05

Without a model it trains a small one on scikit-learn's digits, without any robustness.
"""

import argparse

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import rt_tf

METHODS = ("fgsm", "pgd", "apgd", "fab_t", "square")


def digits() -> list[np.ndarray]:
    """Images [n, 8, 8, 1] in [0, 1] to train with and to test with, and their labels."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16.0).reshape(-1, 8, 8, 1).astype("float32")
    return train_test_split(images, labels, test_size=360, random_state=0)


def natural_model(images: np.ndarray, labels: np.ndarray) -> keras.Model:
    """A network that nobody made robust."""
    layers = [keras.layers.Flatten(), keras.layers.Dense(100, activation="relu")]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers, keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(images, labels, epochs=20, verbose=0)
    return model


def main() -> None:
    """Prints the share of images that withstand each method, then the worst of a suite."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a .keras file for 8x8 digits")
    parser.add_argument("--eps", type=float, default=0.05)
    arguments = parser.parse_args()
    train, test, train_labels, labels = digits()
    path = arguments.model
    model = keras.models.load_model(path) if path else natural_model(train, train_labels)
    for method in METHODS:
        result = rt_tf.attack(model, test, labels, arguments.eps, method=method, progress=False)
        print(f"{method:8} {100 * result.attacked_accuracy:5.1f} % withstand")
    rt_tf.attack(model, test, labels, arguments.eps, suite="quick").summary()


if __name__ == "__main__":
    main()

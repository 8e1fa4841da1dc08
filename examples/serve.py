"""Serves a network that certifies each of its answers, with TensorFlow alone, and abstains.

    python examples/serve.py --export=runs/digits/ibp/export --eps=0.05

The folder is what `pipelines.export`, or `rt_tf.export(model, "served")`, wrote. This file imports
nothing of this library: a service needs the SavedModel alone.
"""

import argparse
import time

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits


def answers(served: tf.Module, images: np.ndarray, eps: float) -> list[str]:
    """A class where no input within eps would be given another one; else an abstention."""
    certified = served.certify(tf.constant(images), tf.constant(eps))
    rows = zip(certified["label"].numpy(), certified["certified"].numpy(), strict=True)
    return [str(label) if is_certified else "abstains" for label, is_certified in rows]


def main() -> None:
    """Answers some digits, and says how far each answer holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--export", default="runs/digits/ibp/export")
    parser.add_argument("--eps", type=float, default=0.05)
    arguments = parser.parse_args()
    served = tf.saved_model.load(arguments.export)
    images, labels = load_digits(return_X_y=True)
    images = (images[:10] / 16.0).reshape(-1, 8, 8, 1).astype("float32")
    began = time.perf_counter()
    given = answers(served, images, arguments.eps)
    seconds = time.perf_counter() - began
    radii = served.radius(tf.constant(images), tf.constant(1.0))["radius"].numpy()
    for label, answer, radius in zip(labels, given, radii, strict=False):
        print(f"a {label}: {answer}; its class holds within {radius:.3f}")
    print(f"{1000 * seconds / len(images):.1f} ms an image, with the first call's preparation")


if __name__ == "__main__":
    main()

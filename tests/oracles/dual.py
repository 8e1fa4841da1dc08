"""The dual network of Wong 2020 (thesis), section 3.1, for chains of dense layers with ReLU.

In the paper's letters: z_1 = x, zhat_{i+1} = W_i z_i + b_i, z_i = relu(zhat_i); layer i of k.
`x` and `eps` are the centre and radius of the ball; with a pixel box, the centre and half-width
(per pixel) of what is left of it.
"""

from collections.abc import Mapping

import keras
import numpy as np

Array = np.ndarray
Layers = Mapping[int, Array]  # by layer number i


def parameters(model: keras.Model) -> tuple[Layers, Layers]:
    """W_i [units of layer i + 1, units of layer i] and b_i, i from 1, in float64."""
    weights = [w.astype(np.float64) for w in model.get_weights()]
    return dict(enumerate((w.T for w in weights[::2]), 1)), dict(enumerate(weights[1::2], 1))


def activation_bounds(w: Layers, b: Layers, x: Array, eps: Array | float) -> tuple[Layers, Layers]:
    """Algorithm 1: bounds l_i, u_i of zhat_i, i = 2..k."""
    nu_1, gamma, nu = w[1].T, {1: b[1]}, {}
    radius = (eps * np.abs(nu_1).T).sum(axis=1)  # eps ||nu_1||_{1,:}
    lower, upper = {2: x @ nu_1 + b[1] - radius}, {2: x @ nu_1 + b[1] + radius}
    for i in range(2, len(w) + 1):
        through = slopes(lower[i], upper[i])[:, np.newaxis] * w[i].T  # D_i W_i^T
        nu = {j: nu[j] @ through for j in nu} | {i: through}
        gamma = {j: gamma[j] @ through for j in gamma} | {i: b[i]}
        nu_1 = nu_1 @ through
        spans = {j: unstable(lower[j], upper[j]) for j in nu}
        psi = x @ nu_1 + sum(gamma.values())
        radius = (eps * np.abs(nu_1).T).sum(axis=1)
        lower[i + 1] = psi - radius + sum(lower[j][s] @ plus(-nu[j][s]) for j, s in spans.items())
        upper[i + 1] = psi + radius - sum(lower[j][s] @ plus(nu[j][s]) for j, s in spans.items())
    return lower, upper


def dual_network(w: Layers, lower: Layers, upper: Layers, c: Array, alpha: Layers) -> Layers:
    """Eq. 3.9: nu_i, i = k..2, and at 1 the paper's nuhat_1. alpha: a slope for every unit."""
    nu = {len(w) + 1: -c}
    for i in range(len(w), 1, -1):
        nu_hat, s = w[i].T @ nu[i + 1], slopes(lower[i], upper[i])
        leaky = s * plus(nu_hat) - alpha[i] * plus(-nu_hat)
        nu[i] = np.where(unstable(lower[i], upper[i]), leaky, s * nu_hat)
    return nu | {1: w[1].T @ nu[2]}


def objective(b: Layers, x: Array, eps: Array | float, lower: Layers, nu: Layers) -> float:
    """Eq. 3.8: J, a lower bound of c^T zhat_k. l_ij counts where l_ij < 0; nu is 0 if u_ij <= 0."""
    k = len(b) + 1
    constants = sum(nu[i + 1] @ b[i] for i in range(1, k))
    gaps = sum(np.minimum(lower[i], 0.0) @ plus(nu[i]) for i in range(2, k))
    return -constants - x @ nu[1] - np.sum(eps * np.abs(nu[1])) + gaps


def slopes(lower: Array, upper: Array) -> Array:
    """The diagonal of D_i, eq. 3.20; the choice of alpha in eq. 3.18."""
    spans = unstable(lower, upper)
    return np.where(spans, upper / np.where(spans, upper - lower, 1.0), lower >= 0.0)


def unstable(lower: Array, upper: Array) -> Array:
    """The set I_i, as a mask."""
    return (lower < 0.0) & (upper > 0.0)


def plus(v: Array) -> Array:
    """[v]_+"""
    return np.maximum(v, 0.0)

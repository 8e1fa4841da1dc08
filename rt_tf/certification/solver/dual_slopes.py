"""Slopes of lower lines from the dual of a linear program, and the sound bound that they give.

A dual solution has a coefficient c of each unit's z and y of the zhat that the unit reads; it
stands for a lower line of slope y / c (Wong 2020 (thesis), eq. 3.8-3.10).
"""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from rt_tf.bounds.backward import lower_bound
from rt_tf.certification.proof import CROWN, Proof, unsplit
from rt_tf.certification.solver.examples import Example
from rt_tf.certification.solver.programs import Program
from rt_tf.certification.solver.solver import Solved
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor


def dual_slopes(program: Program, solved: Solved) -> np.ndarray:
    """The slope in [0, 1] of each unit's lower line, as proofs keep it: float16 [units]."""
    count, pixels = len(program.units), len(program.inputs[0])
    read, triangle = solved.row_duals[:count], solved.row_duals[count : 2 * count]
    used = read + triangle * program.faces()[1] + solved.column_duals[pixels : pixels + count]
    adaptive = (program.upper > -program.lower).astype(np.float64)
    positive = used > 0.0
    slopes = np.where(positive, read / np.where(positive, used, 1.0), adaptive)
    return np.clip(slopes, 0.0, 1.0).astype(np.float16)


def confirmed(
    graph: Graph, example: Example, slopes: Mapping[int, np.ndarray]
) -> tuple[float, Proof]:
    """The least margin of a sound backward bound with these slopes, and its proof.

    slopes: by row, float16 [units]; rows without slopes have the margin and proof of CROWN's rule.
    """
    rows, units = list(slopes), example.program.units
    by_node = _by_node(example, list(slopes.values())) if rows else {}
    margins = example.margins.copy()
    if rows:
        margins[rows] = lower_bound(
            graph,
            example.region.outward(),
            tf.gather(example.spec, rows, axis=1),
            example.enclosure,
            slope=by_node,
            arithmetic="sound",
        ).numpy()[0]
    trees = {int(example.others[k]): unsplit(slopes[k]) for k in rows}
    return float(margins.min()), Proof(CROWN, units.astype(np.int32), trees)


def _by_node(example: Example, slopes: list[np.ndarray]) -> dict[int, Tensor]:
    """The rows' slopes by activation: [1, rows, ...].

    slopes: of each row, float16 [units]. Stable units, whose slopes are of no effect, get 0.
    """
    units, by_node = example.program.units, {}
    for node in np.unique(units[:, 0]):
        shape = example.enclosure.shapes[int(node)]
        here = units[:, 0] == node
        values = np.zeros((len(slopes), int(np.prod(shape))), np.float32)
        values[:, units[here, 1]] = np.stack(slopes)[:, here]
        by_node[int(node)] = tf.constant(values.reshape(1, len(slopes), *shape))
    return by_node

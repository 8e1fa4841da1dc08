"""Sums that Keras computes along another axis than it should.

`keras.ops.add` takes a second operand with one axis longer than 1 for a vector, and adds it along
the last axis, or else along the first after the batch, wherever the length of that axis is equal.
"""

import keras

from rt_tf.errors import UserError

Shape = tuple[int, ...]  # without batch


def refuse_misplaced(layer: keras.Operation, left: Shape, right: Shape) -> None:
    """Raises UserError where Keras adds values of the right shape along another axis of the left.

    Both shapes have equally many axes.
    """
    longer = [axis for axis, length in enumerate(right) if length > 1]
    if len(longer) != 1:
        return
    axis = longer[0]
    alike = [place for place in (len(left) - 1, 0) if left[place] == right[axis]]
    if alike and alike[0] != axis:
        raise UserError(
            f"layer '{layer.name}': expected a sum that Keras adds along its own axis; received "
            f"values of shape {(None, *right)}, which it adds to {(None, *left)} along axis "
            f"{alike[0] + 1}"
        )

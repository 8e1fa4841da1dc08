"""Maps of sequences [batch, length, channels], by those of images with one row."""

import dataclasses

import tensorflow as tf

from rt_tf.network.maps.groups import Bilinear
from rt_tf.network.ops import Tensor


@dataclasses.dataclass(frozen=True)
class OneRow:
    """A map of images, of sequences as their only row, with so many zeros before each sequence."""

    of_images: Bilinear
    before: int = 0

    def __call__(self, x: Tensor, kernel: Tensor) -> Tensor:
        """The map of x [batch, length, channels]. kernel: that of the images, without rows."""
        padded = tf.pad(x, [[0, 0], [self.before, 0], [0, 0]]) if self.before else x
        image = self.of_images(padded[:, tf.newaxis], kernel[tf.newaxis])
        return tf.squeeze(image, axis=1)

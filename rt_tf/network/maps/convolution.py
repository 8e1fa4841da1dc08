"""Convolution and its transpose, with the transpose computed the fastest way measured.

The stock transpose of a convolution of few channels leaves most of a processor's lanes idle: it is
replaced by a dense convolution that computes blocks of the input's pixels as channels.
Both maps are bilinear in (value, kernel), and each is the other's gradient.
"""

import contextlib
import contextvars
import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from rt_tf.network.ops import Tensor, Window

FEW_CHANNELS = 4
LANES = 16  # channels that a processor computes at once
MOST_WASTE = 16.0  # multiplications by zero for each that counts, still faster in a matrix product


_without_gradients = contextvars.ContextVar("_without_gradients", default=False)


@contextlib.contextmanager
def without_gradients() -> Iterator[None]:
    """Leaves the gradients out of convolutions that are computed within the block.

    For functions that are saved: TensorFlow saves the gradients of ours, but not their own
    gradients, and warns of that whenever the functions are loaded. The block's results must not be
    differentiated.
    """
    token = _without_gradients.set(True)
    try:
        yield
    finally:
        _without_gradients.reset(token)


def same_padding(size: int, taps: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """The padding before and after an axis by which TensorFlow has a window for each stride.

    size: of the axis. taps: of the kernel.
    """
    missing = max((-(-size // stride) - 1) * stride + (taps - 1) * dilation + 1 - size, 0)
    return missing // 2, missing - missing // 2


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A 2-D convolution of images [batch, height, width, channels]."""

    strides: tuple[int, int]
    padding: str
    dilations: tuple[int, int]

    def __call__(self, x: Tensor, kernel: Tensor) -> Tensor:
        """The convolution of x with a kernel [rows, columns, channels, filters]."""
        height, width = x.shape[1:3]
        if _without_gradients.get():
            return self._convolve(x, kernel)

        @tf.custom_gradient
        def convolve(x: Tensor, kernel: Tensor) -> tuple[Tensor, object]:
            def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
                down = self.transpose(upstream, kernel, height, width)
                return down, self._kernel_gradient(x, kernel, upstream)

            return self._convolve(x, kernel), gradient

        return convolve(x, kernel)

    def window(self, image: tuple[int, ...], kernel: tuple[int, ...]) -> Window:
        """The convolution as it acts on windows. image: [height, width, channels]."""
        axes = zip(image[:2], kernel[:2], self.dilations, self.strides, strict=True)
        top, left = (self._before(*axis) for axis in axes)
        valid = dataclasses.replace(self, padding="VALID")
        return Window(valid, (kernel[0], kernel[1]), self.strides, self.dilations, (top, left))

    def transpose(self, y: Tensor, kernel: Tensor, height: int, width: int) -> Tensor:
        """The transpose: from values y at the output to images [batch, height, width, channels]."""
        if self._is_small(y, kernel, height, width):
            return self._transpose_by_matrix(y, kernel, height, width)
        if _without_gradients.get():
            return self._transpose(y, kernel, height, width)

        @tf.custom_gradient
        def transposed(y: Tensor, kernel: Tensor) -> tuple[Tensor, object]:
            def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
                return self(upstream, kernel), self._kernel_gradient(upstream, kernel, y)

            return self._transpose(y, kernel, height, width), gradient

        return transposed(y, kernel)

    def _is_small(self, y: Tensor, kernel: Tensor, height: int, width: int) -> bool:
        """Whether the dense matrix of the map, of windows' size, is faster than a convolution."""
        waste = height * width / (kernel.shape[0] * kernel.shape[1])
        few = kernel.shape[2] <= FEW_CHANNELS and waste <= MOST_WASTE
        single = tuple(y.shape[1:3]) == (1, 1) and waste == 1.0
        return self.padding == "VALID" and (few or single)

    def _transpose_by_matrix(self, y: Tensor, kernel: Tensor, height: int, width: int) -> Tensor:
        """y times the matrix from all output to all input values, picked from the kernel."""
        taps, inputs = kernel.shape[:2], (height, width)
        rows, columns = (
            self._taps(y.shape[1 + k], inputs[k], taps[k], self.strides[k], self.dilations[k])
            for k in range(2)
        )
        zero = taps[0] * taps[1]
        place = rows[:, np.newaxis, :, np.newaxis] * taps[1] + columns[:, np.newaxis, :]
        beyond = (rows[:, np.newaxis, :, np.newaxis] < 0) | (columns[:, np.newaxis, :] < 0)
        place = np.where(beyond, zero, place)  # [y rows, y columns, height, width]
        flat = tf.pad(tf.reshape(kernel, [zero, *kernel.shape[2:]]), [[0, 1], [0, 0], [0, 0]])
        matrix = tf.transpose(tf.gather(flat, place), [0, 1, 5, 2, 3, 4])
        matrix = tf.reshape(matrix, [-1, height * width * kernel.shape[2]])
        product = tf.reshape(y, [-1, matrix.shape[0]]) @ matrix
        return tf.reshape(product, [-1, height, width, kernel.shape[2]])

    @staticmethod
    def _taps(outputs: int, inputs: int, taps: int, stride: int, dilation: int) -> np.ndarray:
        """Along an axis, the tap by which an output reads an input, or -1: [outputs, inputs]."""
        distance = np.arange(inputs) - stride * np.arange(outputs)[:, np.newaxis]
        read = (distance >= 0) & (distance % dilation == 0) & (distance // dilation < taps)
        return np.where(read, distance // dilation, -1)

    def _convolve(self, x: Tensor, kernel: Tensor) -> Tensor:
        return tf.nn.conv2d(x, kernel, self.strides, self.padding, dilations=self.dilations)

    def _transpose(self, y: Tensor, kernel: Tensor, height: int, width: int) -> Tensor:
        stride, channels = self.strides[0], kernel.shape[2]
        block = stride * max(1, math.isqrt(LANES // channels) // stride)
        plain = self.strides == (stride, stride) and self.dilations == (1, 1)
        if plain and block > 1 and channels <= FEW_CHANNELS:
            return self._transpose_by_block(y, kernel, (height, width), block)
        shape = tf.stack([tf.shape(y)[0], height, width, channels])
        return tf.nn.conv2d_transpose(
            y, kernel, shape, self.strides, self.padding, dilations=self.dilations
        )

    def _transpose_by_block(
        self, y: Tensor, kernel: Tensor, image: tuple[int, int], block: int
    ) -> Tensor:
        """The pixels of each block at once, as channels of a convolution, then put apart."""
        step = block // self.strides[0]
        taps = [_block_taps(kernel.shape[k], self.strides[k], block) for k in range(2)]
        first = [self._before(image[k], kernel.shape[k], 1, self.strides[k]) for k in range(2)]
        around = []
        for k in range(2):
            after = -(-(first[k] + image[k]) // block) * step - y.shape[k + 1]
            around.append([len(taps[k]) - step, max(after, 0)])
        by_block = tf.nn.conv2d(y, _block_kernel(kernel, *taps), step, [[0, 0], *around, [0, 0]])
        pixels = _put_apart(by_block, block, kernel.shape[2])
        top, left = first
        return pixels[:, top : top + image[0], left : left + image[1]]

    def _before(self, size: int, taps: int, dilation: int, stride: int) -> int:
        """The number of zeros before an axis."""
        if self.padding == "VALID":
            return 0
        return same_padding(size, taps, stride, dilation)[0]

    def _kernel_gradient(self, x: Tensor, kernel: Tensor, upstream: Tensor) -> Tensor:
        """The gradient in the kernel, by the raw operation: a tape would not see an outer kernel.

        A kernel of one tap gets the pixels that are read and no stride: with oneDNN,
        TensorFlow 2.21 writes beyond its memory where an image does not end with such a
        pixel.
        """
        rows, columns = self.strides
        if tuple(kernel.shape[:2]) == (1, 1) and max(self.strides) > 1:
            x, rows, columns = x[:, ::rows, ::columns], 1, 1
        return tf.raw_ops.Conv2DBackpropFilter(
            input=x,
            filter_sizes=kernel.shape,
            out_backprop=upstream,
            strides=[1, rows, columns, 1],
            padding=self.padding,
            dilations=[1, *self.dilations, 1],
        )


def _put_apart(by_block: Tensor, block: int, channels: int) -> Tensor:
    """The pixels of blocks, as `tf.nn.depth_to_space` has them, which is slow for one channel."""
    height, width = by_block.shape[1:3]
    blocks = tf.reshape(by_block, [-1, height, width, block, block, channels])
    rows = tf.transpose(blocks, [0, 1, 3, 2, 4, 5])
    return tf.reshape(rows, [-1, height * block, width * block, channels])


def _block_taps(taps: int, stride: int, block: int) -> np.ndarray:
    """The tap by which an output of a block's window reads a pixel of the block, along an axis.

    [outputs, pixels]; `taps` where it reads none.
    """
    past = (taps - 1) // stride
    outputs = np.arange(past + block // stride)[:, np.newaxis] - past
    tap = np.arange(block) - stride * outputs
    return np.where((tap >= 0) & (tap < taps), tap, taps)


def _block_kernel(kernel: Tensor, rows: np.ndarray, columns: np.ndarray) -> Tensor:
    """A kernel [.., .., channels, filters] as [outputs, outputs, filters, block^2 * channels]."""
    padded = tf.pad(kernel, [[0, 1], [0, 1], [0, 0], [0, 0]])
    picked = tf.gather(tf.gather(padded, rows, axis=0), columns, axis=2)
    apart = tf.transpose(picked, [0, 2, 5, 1, 3, 4])
    return tf.reshape(apart, [*apart.shape[:3], math.prod(apart.shape[3:])])

"""Convolution and its transpose, with the transpose computed the fastest way measured.

The stock transpose of a strided convolution of few channels spends most of its time on zeros: it is
replaced by a dense convolution that computes the input pixels of each stride phase as channels.
Both maps are bilinear in (value, kernel), and each is the other's gradient.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from rt_tf.network.ops import Tensor, Window

FEW_CHANNELS = 4
MOST_WASTE = 16.0  # multiplications by zero for each that counts, still faster in a matrix product


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A 2-D convolution of images [batch, height, width, channels]."""

    strides: tuple[int, int]
    padding: str
    dilations: tuple[int, int]

    def __call__(self, x: Tensor, kernel: Tensor) -> Tensor:
        """The convolution of x with a kernel [rows, columns, channels, filters]."""
        height, width = x.shape[1:3]

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
        """The transpose: from values at the output to images of a given size."""
        if self._is_small(y, kernel, height, width):
            return self._transpose_by_matrix(y, kernel, height, width)

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
        """y [..] times the matrix from all output to all input values, picked from the kernel."""
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
        stride = self.strides[0]
        dense = self.strides == (stride, stride) and self.dilations == (1, 1)
        if dense and stride > 1 and kernel.shape[2] <= FEW_CHANNELS:
            return self._transpose_by_phase(y, kernel, height, width)
        shape = tf.stack([tf.shape(y)[0], height, width, kernel.shape[2]])
        return tf.nn.conv2d_transpose(
            y, kernel, shape, self.strides, self.padding, dilations=self.dilations
        )

    def _transpose_by_phase(self, y: Tensor, kernel: Tensor, height: int, width: int) -> Tensor:
        """Every stride x stride block of input pixels at once, as channels, then put apart."""
        stride = self.strides[0]
        rows, columns = (-(-size // stride) for size in kernel.shape[:2])  # in blocks
        by_phase = tf.nn.conv2d(
            y,
            _phase_kernel(kernel, stride, rows, columns),
            1,
            [[0, 0], [rows - 1, rows - 1], [columns - 1, columns - 1], [0, 0]],
        )
        image = _put_apart(by_phase, stride, kernel.shape[2])
        top = self._before(height, kernel.shape[0], 1, stride)
        left = self._before(width, kernel.shape[1], 1, stride)
        below = max(0, top + height - image.shape[1])
        right = max(0, left + width - image.shape[2])
        image = tf.pad(image, [[0, 0], [0, below], [0, right], [0, 0]])
        return image[:, top : top + height, left : left + width]

    def _before(self, size: int, taps: int, dilation: int, stride: int) -> int:
        """The zeros put before an axis."""
        if self.padding == "VALID":
            return 0
        reach = (taps - 1) * dilation + 1
        return max((-(-size // stride) - 1) * stride + reach - size, 0) // 2

    def _kernel_gradient(self, x: Tensor, kernel: Tensor, upstream: Tensor) -> Tensor:
        """The raw operation: a tape here would see nothing of a kernel from outside of a loop."""
        return tf.raw_ops.Conv2DBackpropFilter(
            input=x,
            filter_sizes=kernel.shape,
            out_backprop=upstream,
            strides=[1, *self.strides, 1],
            padding=self.padding,
            dilations=[1, *self.dilations, 1],
        )


def _put_apart(by_phase: Tensor, stride: int, channels: int) -> Tensor:
    """`tf.nn.depth_to_space`, which is slow for one channel."""
    height, width = by_phase.shape[1:3]
    blocks = tf.reshape(by_phase, [-1, height, width, stride, stride, channels])
    rows = tf.transpose(blocks, [0, 1, 3, 2, 4, 5])
    return tf.reshape(rows, [-1, height * stride, width * stride, channels])


def _phase_kernel(kernel: Tensor, stride: int, rows: int, columns: int) -> Tensor:
    """[r, c, channels, filters] -> [rows, columns, filters, stride * stride * channels], flipped.

    Tap (stride * a + i, stride * b + j) of the kernel takes an output to pixel (i, j) of the block
    a rows and b columns further on.
    """
    height, width, channels, filters = kernel.shape
    missing = [[0, rows * stride - height], [0, columns * stride - width], [0, 0], [0, 0]]
    taps = tf.reshape(tf.pad(kernel, missing), [rows, stride, columns, stride, channels, filters])
    blocks = tf.reverse(tf.transpose(taps, [0, 2, 5, 1, 3, 4]), axis=[0, 1])
    return tf.reshape(blocks, [rows, columns, filters, stride * stride * channels])

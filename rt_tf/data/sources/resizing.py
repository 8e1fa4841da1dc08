"""Images of many sizes, brought to one."""

import tensorflow as tf

MARGIN = 8 / 7  # ratio of the shorter side to the cropped one: 256 pixels to 224


def fitted(image: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """The middle of an image [height, width, channels], in uint8: [*shape].

    The image is first resized to 8/7 of the shape along one axis, and to no less along the other.
    """
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = tf.reduce_max(MARGIN * tf.constant(shape[:2], tf.float32) / size)
    whole = tf.image.resize(image, tf.cast(tf.math.ceil(scale * size), tf.int32), antialias=True)
    middle = tf.image.resize_with_crop_or_pad(whole, *shape[:2])
    return tf.cast(tf.clip_by_value(tf.round(middle), 0, 255), tf.uint8)


def with_channels(image: tf.Tensor, channels: int) -> tf.Tensor:
    """An image [height, width, c] as grey (1 channel) or in colours (3)."""
    present = image.shape[-1]
    if present == channels:
        return image
    return tf.image.rgb_to_grayscale(image) if channels == 1 else tf.image.grayscale_to_rgb(image)

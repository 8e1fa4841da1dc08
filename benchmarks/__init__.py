"""Commands that measure.

`rt_tf` is imported before TensorFlow, which reads its setting of oneDNN when it is first imported.
"""

import rt_tf  # noqa: F401 - for what it sets

"""The elementwise functions that have lines around them, and how their lines are chosen.

`ulps` and `absolute` of a curve (see `ops.Activation`) are four times the largest error measured,
or more: in TensorFlow 2.21 on x86-64, against float64, over all magnitudes and both signs, at 10^7
points eager in whole packets and under XLA, 10^5 in rows of three, which packets leave over, and
10^5 in dense and convolution layers, which graphs fuse with oneDNN. The files of the functions tell
the errors measured, in units of 2^-24.
"""

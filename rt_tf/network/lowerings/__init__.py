"""Lowerings by kind: functions from a call of a layer of Keras to the steps that it becomes."""

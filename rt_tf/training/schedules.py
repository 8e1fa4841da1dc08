"""Schedules: functions of a position (a step, an epoch) that return a value."""


def linear_ramp(position: float, start: float, end: float, begin: float, length: float) -> float:
    """start before `begin`, end after `begin + length`, linear between."""
    return start + (end - start) * _progress(position, begin, length)


def smooth_ramp(position: float, start: float, end: float, begin: float, length: float) -> float:
    """As `linear_ramp`, but quartic over the first quarter: small radii are passed slowly.

    The quartic meets the line with equal value and slope. Source: Shi et al. 2021, appendix B.
    """
    turn = 0.25
    t = _progress(position, begin, length)
    slope = 1.0 / (1.0 - 0.75 * turn)  # of the line from (0.75 turn, 0) to (1, 1)
    quartic = slope * turn / 4.0 * (t / turn) ** 4
    line = slope * (t - 0.75 * turn)
    return start + (end - start) * (quartic if t < turn else line)


RAMPS = {"linear": linear_ramp, "smooth": smooth_ramp}


def step_decay(
    position: float, value: float, boundaries: tuple[float, ...], factor: float
) -> float:
    """value, multiplied by `factor` at every boundary reached."""
    return value * factor ** sum(position >= boundary for boundary in boundaries)


def _progress(position: float, begin: float, length: float) -> float:
    if position < begin:
        return 0.0
    return 1.0 if length <= 0 else min((position - begin) / length, 1.0)

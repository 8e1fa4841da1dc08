"""Published systems of the catalogue are what their flag files say."""

import dataclasses

import pytest
from absl import flags

from pipelines.flags.flag_files import CONFIGS
from pipelines.flags.parsing import parse
from pipelines.flags.read_phases import read_phases
from pipelines.flags.run import training_groups
from rt_tf.catalogue.systems import SYSTEMS
from rt_tf.errors import UserError
from rt_tf.training.systems import phase_of


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_is_the_phase_of_its_flag_file(name: str) -> None:
    system, values = SYSTEMS[name], flags.FlagValues()
    groups = training_groups(values)
    parse(["train", f"--flagfile={CONFIGS / system.flag_file}.cfg"], groups, "")
    (phase,) = read_phases(values)
    own = dataclasses.asdict(phase_of(name, values.epsilon))
    unused = {"kappa_target": own["kappa_target"]}  # of a kappa that adapts
    expected = {**dataclasses.asdict(phase), **unused}
    assert own.pop("eps_from") == pytest.approx(expected.pop("eps_from"))
    assert own == expected
    assert (system.batch_size, system.clip_norm) == (values.batch_size, values.clip_norm)
    assert values.optimizer == "adam"


def test_a_schedule_is_stretched() -> None:
    whole, half = phase_of("shi", 0.1), phase_of("shi", 0.1, epochs=35)
    for epoch in (0.0, 3.0, 11.0, 26.0, 34.0):
        assert half.values(epoch) == pytest.approx(whole.values(2.0 * epoch))


def test_unknown_systems_are_answered_with_those_that_exist() -> None:
    with pytest.raises(UserError, match="system: expected one of natural, .*; received 'ipb'"):
        phase_of("ipb", 0.1)
    with pytest.raises(UserError, match="epochs: expected a whole number >= 1; received 0"):
        phase_of("shi", 0.1, epochs=0)

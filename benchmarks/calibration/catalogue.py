"""All experiments of the study, in the order in which they run."""

from typing import Final

from benchmarks.calibration.experiment import Experiment
from benchmarks.calibration.experiments.data_sets import CURVES, GAINS, MEANS
from benchmarks.calibration.experiments.nulls import NULLS
from benchmarks.calibration.experiments.power import CREATION, ELICITATION
from benchmarks.calibration.experiments.prompts import PROMPTS
from benchmarks.calibration.experiments.scoring import SCORING

CATALOGUE: Final[dict[str, Experiment]] = {
    experiment.name: experiment
    for experiment in (SCORING, PROMPTS, CURVES, NULLS, GAINS, CREATION, ELICITATION, MEANS)
}

"""The hand-written part of this package: special functions behind the generated radius functions.

For NumPy arrays and torch tensors alike, all float64. Every lower bound that leaves it is rounded down: a factor below one
absorbs the rounding of the operations before it (stated at each constant).
"""

from generated.special.arguments import (
    NORMS,
    NUMPY,
    ROUND_DOWN,
    ROUND_UP,
    Array,
    best,
    dimension,
    finish,
    norm_name,
    number,
    positive,
    prepare,
    require,
    small_probability,
)
from generated.special.curve import NODE_SLACK, RadiusCurve, curve_from_nodes
from generated.special.gamma import GammaLaw, gamma_ratio
from generated.special.greedy import NODES, GreedySet, binomial_curve, cone_curve
from generated.special.variates import (
    check_event,
    l1_direction,
    linf_direction,
    signs,
    standard_exponential,
    standard_gamma,
    standard_normal,
    uniform_pm1,
)

__all__ = [
    "NODES",
    "NODE_SLACK",
    "NORMS",
    "NUMPY",
    "ROUND_DOWN",
    "ROUND_UP",
    "Array",
    "GammaLaw",
    "GreedySet",
    "RadiusCurve",
    "best",
    "binomial_curve",
    "check_event",
    "cone_curve",
    "curve_from_nodes",
    "dimension",
    "finish",
    "gamma_ratio",
    "l1_direction",
    "linf_direction",
    "norm_name",
    "number",
    "positive",
    "prepare",
    "require",
    "signs",
    "small_probability",
    "standard_exponential",
    "standard_gamma",
    "standard_normal",
    "uniform_pm1",
]

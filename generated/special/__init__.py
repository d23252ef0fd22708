"""The hand-written part of this package: special functions behind the generated radius functions.

For NumPy arrays and torch tensors alike, all float64. Every lower bound that leaves it is rounded down: a factor below one
absorbs the rounding of the operations before it (stated at each constant).
"""

from generated.special.arguments import (
    NORMS,
    NUMPY,
    Array,
    Functions,
    best,
    dimension,
    norm_name,
    number,
    positive,
    require,
    small_probability,
)
from generated.special.box import box_radius
from generated.special.cdf import GridThresholds
from generated.special.cdf_table import grid_thresholds
from generated.special.compiled import tabled_routes
from generated.special.confidence import Confidence, finish, prepare
from generated.special.cosine import cosine_curve
from generated.special.curve import NODE_ERROR, RadiusCurve, curve_from_nodes
from generated.special.errors import ROUND_DOWN, ROUND_UP
from generated.special.gamma import GammaLaw, gamma_ratio
from generated.special.greedy import NODES, GreedySet, binomial_curve, cone_curve
from generated.special.inverse import InverseCdf, inverse_cdf
from generated.special.levelset import level_set_curve
from generated.special.lookup import MissingTable, compile_command, find_table
from generated.special.monotone import RadialDensity
from generated.special.overlap import ball_curve
from generated.special.quantiles import beta_quantile, gamma_quantile, share
from generated.special.radial import RadialLaw
from generated.special.routes import (
    CLOSED,
    CURVE,
    Route,
    best_radius,
    best_source,
    half_lead,
    method_text,
    runner_up_radius,
)
from generated.special.table import ProvedTable
from generated.special.tabulated import Tabulated, tabulate
from generated.special.thresholds import radial_curve
from generated.special.traced import traceable
from generated.special.variates import (
    beta_prime,
    check_event,
    l1_direction,
    l2_direction,
    linf_direction,
    signs,
    standard_beta,
    standard_exponential,
    standard_gamma,
    standard_normal,
    uniform_pm1,
)

__all__ = [
    "Array",
    "Confidence",
    "CLOSED",
    "CURVE",
    "Functions",
    "GammaLaw",
    "GreedySet",
    "GridThresholds",
    "InverseCdf",
    "MissingTable",
    "NODES",
    "NODE_ERROR",
    "NORMS",
    "NUMPY",
    "ROUND_DOWN",
    "ROUND_UP",
    "ProvedTable",
    "RadialDensity",
    "RadialLaw",
    "RadiusCurve",
    "Route",
    "Tabulated",
    "ball_curve",
    "best",
    "best_radius",
    "best_source",
    "beta_prime",
    "beta_quantile",
    "binomial_curve",
    "box_radius",
    "check_event",
    "compile_command",
    "cone_curve",
    "cosine_curve",
    "curve_from_nodes",
    "dimension",
    "find_table",
    "finish",
    "gamma_quantile",
    "gamma_ratio",
    "grid_thresholds",
    "half_lead",
    "inverse_cdf",
    "l1_direction",
    "l2_direction",
    "level_set_curve",
    "linf_direction",
    "method_text",
    "norm_name",
    "number",
    "positive",
    "prepare",
    "radial_curve",
    "require",
    "runner_up_radius",
    "share",
    "signs",
    "small_probability",
    "standard_beta",
    "standard_exponential",
    "standard_gamma",
    "standard_normal",
    "tabled_routes",
    "tabulate",
    "traceable",
    "uniform_pm1",
]

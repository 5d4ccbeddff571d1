"""Which terms the settings turn on."""

from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.terms.dropout import Dropout
from sparse3d.optim.terms.interface import Term
from sparse3d.optim.terms.uncertainty import Uncertainty


def build_terms(config: OptimConfig, prior: GeometryPrior, params: GaussianParams) -> dict[str, Term]:
    """The terms that the settings turn on, by name.

    Args:
        config: the optimiser's.
        prior: what will be fitted.
        params: the Gaussians at the start.
    """
    terms: dict[str, Term] = {}
    if config.dropout.share > 0:
        terms["dropout"] = Dropout(config.dropout)
    if config.uncertainty.layer or config.uncertainty.rate > 0 or config.uncertainty.weighting:
        terms["uncertainty"] = Uncertainty(config.uncertainty, prior, params)
    return terms

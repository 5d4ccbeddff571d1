"""Which terms the settings turn on."""

from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.terms.coherence import Coherence
from sparse3d.optim.terms.disparity_smoothness import DisparitySmoothness
from sparse3d.optim.terms.dropout import Dropout
from sparse3d.optim.terms.footprint import Footprint
from sparse3d.optim.terms.interface import Term
from sparse3d.optim.terms.normals import Normals
from sparse3d.optim.terms.relative_depth import RelativeDepth


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
    if config.relative_depth.on:
        terms["relative_depth"] = RelativeDepth(config.relative_depth)
    if config.disparity_smoothness.weight > 0:
        terms["disparity_smoothness"] = DisparitySmoothness(config.disparity_smoothness, prior)
    if config.normals.on:
        terms["normals"] = Normals(config.normals)
    if config.footprint.weight > 0:
        terms["footprint"] = Footprint(config.footprint, prior.cameras, params)
    if config.coherence.reach > 0:
        terms["coherence"] = Coherence(config.coherence, prior, params)
    return terms

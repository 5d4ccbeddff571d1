"""Which terms the settings turn on."""

from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.terms.binocular import Binocular
from sparse3d.optim.terms.coherence import Coherence
from sparse3d.optim.terms.densify import Densify
from sparse3d.optim.terms.disparity_smoothness import DisparitySmoothness
from sparse3d.optim.terms.dropout import Dropout
from sparse3d.optim.terms.exposure import Exposure
from sparse3d.optim.terms.floaters import Floaters
from sparse3d.optim.terms.flow import Flow
from sparse3d.optim.terms.footprint import Footprint
from sparse3d.optim.terms.interface import Term
from sparse3d.optim.terms.normals import Normals
from sparse3d.optim.terms.opacity_decay import OpacityDecay
from sparse3d.optim.terms.pseudo_views import PseudoViews
from sparse3d.optim.terms.relative_depth import RelativeDepth
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
    if config.exposure.lr > 0:
        terms["exposure"] = Exposure(config.exposure, len(prior.cameras))
    if config.opacity_decay.enabled:
        terms["opacity_decay"] = OpacityDecay(config.opacity_decay)
    if config.binocular.weight > 0:
        terms["binocular"] = Binocular(config.binocular)
    if config.pseudo_views.weight > 0:
        terms["pseudo_views"] = PseudoViews(config.pseudo_views, prior)
    if config.flow.weight > 0:
        terms["flow"] = Flow(config.flow, prior)
    if config.floaters.at:
        terms["floaters"] = Floaters(config.floaters)
    if config.densify.share > 0:
        terms["densify"] = Densify(config.densify)
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
    if config.uncertainty.layer or config.uncertainty.rate > 0 or config.uncertainty.weighting:
        terms["uncertainty"] = Uncertainty(config.uncertainty, prior, params)
    return terms

"""Gaussians with Adam's moments, whose number changes while they are trained."""

import torch
from jaxtyping import Bool
from torch import Tensor

from sparse3d.core.gaussians import GaussianParams, Gaussians, with_sh_degree
from sparse3d.kernels.adam import SplatArrays, SplatRates, SplatState
from sparse3d.optim.adam import step_splats


class PlainSplats:
    """What is trained, what is drawn of it, and Adam's moments.

    New Gaussians begin with moments of zero and the count of steps of all others, as in 3DGS's own code.

    Attributes:
        drawn: autograd leaves its gradients here; another object after every change of the Gaussians' number or form.

    Args:
        params: where to start.
    """

    def __init__(self, params: GaussianParams) -> None:
        values = {name: getattr(params, name).contiguous() for name in SplatArrays.__dataclass_fields__}
        values = SplatArrays(**values).map(torch.clone)
        self.iteration = 0
        self._assemble(values, values.map(torch.zeros_like), values.map(torch.zeros_like))

    def __len__(self) -> int:
        return len(self.drawn)

    @property
    def values(self) -> SplatArrays:
        """The parameters themselves."""
        return self._state.values

    def step(self, rates: SplatRates, threads: int) -> None:
        """One step of Adam, by the gradients in `drawn`, which are gone then. The result does not depend on the threads."""
        tensors = vars(self.drawn).values()
        gradients = [torch.zeros_like(t) if t.grad is None else t.grad.contiguous() for t in tensors]
        for tensor in tensors:
            tensor.grad = None
        self.iteration += 1
        step_splats(self._state, Gaussians(*gradients), rates, self.iteration, threads)

    def keep(self, mask: Bool[Tensor, " n"]) -> None:
        """Drop all others."""
        state = self._state
        self._assemble(*(part.map(lambda t: t[mask]) for part in (state.values, state.first, state.second)))

    def append(self, further: SplatArrays) -> None:
        """Add Gaussians behind those that are there."""
        state, none = self._state, further.map(torch.zeros_like)
        self._assemble(_joined(state.values, further), _joined(state.first, none), _joined(state.second, none))

    def cap_opacities(self, most: float) -> None:
        """No opacity is larger any more, and the opacities' moments begin anew (3DGS's opacity reset)."""
        logits = self.values.logit_opacities
        logits.clamp_(max=float(torch.logit(torch.tensor(most))))
        self._state.first.logit_opacities.zero_()
        self._state.second.logit_opacities.zero_()
        self._state.drawn.opacities.copy_(logits.sigmoid())

    def raise_sh_degree(self, degree: int) -> None:
        """Colours get further coefficients, of zero: those held back so far would have had no gradient either."""
        state = self._state
        wanted = with_sh_degree(self.params(), degree).sh.shape[1]
        parts = (state.values, state.first, state.second)
        self._assemble(*(_with_coefficients(part, wanted) for part in parts))

    def params(self) -> GaussianParams:
        """A copy of the present state; nobody's confidence, seen by nobody, as for a peer's PLY file."""
        values = self.values.map(torch.clone)
        quats = torch.nn.functional.normalize(values.quats_wxyz, dim=1)
        count = len(quats)
        return GaussianParams(
            **(vars(values) | {"quats_wxyz": quats}),
            confidence=torch.ones(count),
            observations=torch.zeros(count, dtype=torch.int32),
        )

    def _assemble(self, values: SplatArrays, first: SplatArrays, second: SplatArrays) -> None:
        scales, opacities = values.log_scales.exp(), values.logit_opacities.sigmoid()
        drawn = (values.means, values.quats_wxyz, scales, opacities, values.sh)
        self.drawn = Gaussians(*(t.detach().requires_grad_() for t in drawn))
        self._state = SplatState(
            values=values,
            first=first,
            second=second,
            drawn=Gaussians(*(t.detach() for t in vars(self.drawn).values())),
            mean_rates=torch.ones_like(values.means),
            min_log_scales=torch.full_like(values.log_scales, -torch.inf),
            max_log_scales=torch.full_like(values.log_scales, torch.inf),
        )


def _joined(one: SplatArrays, other: SplatArrays) -> SplatArrays:
    return SplatArrays(*(torch.cat([getattr(one, name), getattr(other, name)]) for name in vars(one)))


def _with_coefficients(arrays: SplatArrays, count: int) -> SplatArrays:
    missing = arrays.sh.new_zeros(len(arrays.sh), count - arrays.sh.shape[1], 3)
    return SplatArrays(**(vars(arrays) | {"sh": torch.cat([arrays.sh, missing], 1)}))

// PatchMatch stereo of one view.
#pragma once

#include "platform.h"
#include "sparse3d/patchmatch_frame.h"

namespace s3d {
namespace gpu {

// What a call reads and writes, (height, width) each.
template <class Real>
struct PatchmatchImages {
  const uint32_t* quads;
  Real *inverse, *slope_x, *slope_y, *cost;
};

// Fills the padded maps from the call's images, and the costs with the worst.
template <class Real>
void prepare_patchmatch(const PatchmatchFrame<Real>& f, Real* grey, const PatchmatchImages<Real>& images,
                        cudaStream_t stream);
// One iteration, from f.before to f.after.
template <class Real>
void step_patchmatch(const PatchmatchFrame<Real>& f, cudaStream_t stream);
// Brings f.before back.
template <class Real>
void finish_patchmatch(const PatchmatchFrame<Real>& f, const PatchmatchImages<Real>& images, cudaStream_t stream);

}  // namespace gpu
}  // namespace s3d

// PatchMatch over one view: two sets of padded maps that the iterations go back and forth between, as on the CPU.
#include <utility>

#include "patchmatch.h"
#include "rasteriser.h"
#include "sparse3d/patchmatch_call.h"

namespace s3d {
namespace gpu {

template <class Real>
void patchmatch(Workspace<Real>* w, const s3d_patchmatch& c, cudaStream_t stream) {
  const size_t size = plane_stride(c.width) * plane_rows(c.height);
  Real* memory = w->stereo.reserve(kStereoMaps * size);
  PatchmatchFrame<Real> f = patchmatch_frame(c, memory);
  StereoView<Real> others[kMaxStereoViews];
  for (int v = 0; v < c.views; ++v) others[v] = stereo_view<Real>(c.others[v]);
  StereoView<Real>* on_device = w->stereo_views.reserve(kMaxStereoViews);
  // From memory that is not page-locked: the runtime has read it when the call returns.
  check(cudaMemcpyAsync(on_device, others, size_t(c.views) * sizeof others[0], cudaMemcpyHostToDevice, stream),
        "sending the views of stereo");
  f.others = on_device;
  const PatchmatchImages<Real> images{c.quads, static_cast<Real*>(c.inverse), static_cast<Real*>(c.slope_x),
                                      static_cast<Real*>(c.slope_y), static_cast<Real*>(c.cost)};
  prepare_patchmatch(f, memory + (kStereoMaps - 1) * size, images, stream);
  for (f.iteration = 0; f.iteration < c.iterations; ++f.iteration) {
    f.last = f.iteration + 1 == c.iterations;
    step_patchmatch(f, stream);
    std::swap(f.before, f.after);
  }
  finish_patchmatch(f, images, stream);
}

template void patchmatch<float>(Workspace<float>*, const s3d_patchmatch&, cudaStream_t);
#ifdef S3D_WITH_DOUBLE
template void patchmatch<double>(Workspace<double>*, const s3d_patchmatch&, cudaStream_t);
#endif

}  // namespace gpu
}  // namespace s3d

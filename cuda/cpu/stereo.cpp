// PatchMatch over one view: two sets of padded maps that the iterations go back and forth between.
#include "stereo.h"

#include <algorithm>
#include <utility>

#include "dispatch.h"
#include "sparse3d/patchmatch_call.h"
#include "thread_pool.h"

namespace s3d {
namespace {

template <class Real>
void copy_rows(const Real* from, Real* to, int width, int height, bool inwards) {
  for (int y = 0; y < height; ++y) {
    const size_t padded = size_t(y + kPlanePadding) * plane_stride(width) + kPlanePadding, plain = size_t(y) * width;
    std::copy_n(from + (inwards ? plain : padded), width, to + (inwards ? padded : plain));
  }
}

template <class Real>
void pad_grey(const s3d_patchmatch& c, Real* grey) {
  for (int row = 0; row < int(plane_rows(c.height)); ++row)
    for (int column = 0; column < int(plane_stride(c.width)); ++column) {
      const int y = std::clamp(row - kPlanePadding, 0, c.height - 1);
      const int x = std::clamp(column - kPlanePadding, 0, c.width - 1);
      grey[size_t(row) * plane_stride(c.width) + column] = Real(c.quads[size_t(y) * c.width + x] & 255u);
    }
}

}  // namespace

template <class Real>
void patchmatch(Workspace<Real>* w, const s3d_patchmatch& c) {
  const size_t size = plane_stride(c.width) * plane_rows(c.height);
  Real* memory = w->stereo.reserve(kStereoMaps * size);
  std::fill_n(memory, kStereoMaps * size, Real(0));
  PatchmatchFrame<Real> f = patchmatch_frame(c, memory);
  for (const PlaneMaps<Real>& m : {f.before, f.after}) {
    std::fill_n(m.cost, size, Real(kWorstCost));  // never chosen from the padding or where masked
    copy_rows(static_cast<const Real*>(c.inverse), m.inverse, c.width, c.height, true);
    copy_rows(static_cast<const Real*>(c.slope_x), m.slope_x, c.width, c.height, true);
    copy_rows(static_cast<const Real*>(c.slope_y), m.slope_y, c.width, c.height, true);
  }
  pad_grey(c, memory + 8 * size);
  if (c.view_costs)
    std::fill_n(static_cast<Real*>(c.view_costs), size_t(c.views) * c.width * c.height, Real(kWorstCost));
  StereoView<Real> others[kMaxStereoViews];
  for (int v = 0; v < c.views; ++v) others[v] = stereo_view<Real>(c.others[v]);
  f.others = others;
  for (f.iteration = 0; f.iteration < c.iterations; ++f.iteration) {
    f.last = f.iteration + 1 == c.iterations;
    parallel_for(c.threads, c.height, [&](int64_t y, int) { kernels<Real>().patchmatch_row(f, int(y)); });
    std::swap(f.before, f.after);
  }
  copy_rows(f.before.inverse, static_cast<Real*>(c.inverse), c.width, c.height, false);
  copy_rows(f.before.slope_x, static_cast<Real*>(c.slope_x), c.width, c.height, false);
  copy_rows(f.before.slope_y, static_cast<Real*>(c.slope_y), c.width, c.height, false);
  copy_rows(f.before.cost, static_cast<Real*>(c.cost), c.width, c.height, false);
}

template void patchmatch<float>(Workspace<float>*, const s3d_patchmatch&);
template void patchmatch<double>(Workspace<double>*, const s3d_patchmatch&);

}  // namespace s3d

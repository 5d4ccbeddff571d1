// One row of one iteration of PatchMatch, a vector of pixels at a time.
#include <algorithm>

#include "kernels.h"
#include "patchmatch_lanes.h"
#include "sparse3d/patchmatch_pixel.h"
#include "sweep.h"

namespace s3d {
namespace S3D_ISA {
namespace {

template <class Real>
struct RowLanes {
  using T = V<Real>;

  static T load(const Real* p) { return T::load(p); }
  static T load_some(const Real* p, int count) {
    if (count >= kWide) return T::load(p);
    Real values[kWide] = {};
    std::copy(p, p + count, values);
    return T::load(values);
  }
  template <class Value>
  static T each(Value value) {
    Real values[kWide];
    for (int lane = 0; lane < kWide; ++lane) values[lane] = value(lane);
    return T::load(values);
  }
};

template <class Real>
void write(const PatchmatchFrame<Real>& f, const Pixels<RowLanes<Real>, Real>& pixels, int x, int y) {
  const int active = std::min(kWide, f.width - x);
  const uint8_t* mask = f.mask + size_t(y) * f.width + x;
  const size_t at = pixels.place();
  const auto& best = pixels.best();
  const auto best_cost = pixels.best_cost();
  for (int lane = 0; lane < active; ++lane) {
    if (!mask[lane]) continue;
    f.after.inverse[at + lane] = best.inverse[lane];
    f.after.slope_x[at + lane] = best.slope_x[lane];
    f.after.slope_y[at + lane] = best.slope_y[lane];
    f.after.cost[at + lane] = best_cost[lane];
  }
  if (!f.last || !f.view_costs) return;
  for (int v = 0; v < f.views; ++v) {
    const auto cost = pixels.best_cost_in(v);
    Real* out = f.view_costs + (size_t(v) * f.height + y) * f.width + x;
    for (int lane = 0; lane < active; ++lane) out[lane] = cost[lane];
  }
}

}  // namespace

template <class Real>
void patchmatch_row(const PatchmatchFrame<Real>& f, int y) {
  for (int x = 0; x < f.width; x += kWide) {
    const uint8_t* mask = f.mask + size_t(y) * f.width;
    if (std::none_of(mask + x, mask + std::min(x + kWide, f.width), [](uint8_t m) { return m != 0; })) continue;
    Pixels<RowLanes<Real>, Real> pixels(f, x, y);
    pixels.update();
    write(f, pixels, x, y);
  }
}

template void patchmatch_row<float>(const PatchmatchFrame<float>&, int);
#ifdef S3D_WITH_DOUBLE
template void patchmatch_row<double>(const PatchmatchFrame<double>&, int);
#endif

}  // namespace S3D_ISA
}  // namespace s3d

// PatchMatch stereo: one thread a pixel. All threads read the planes of the iteration before and write their own new
// one, so that none meets another's; see sparse3d/patchmatch_pixel.h, which the CPU shares.
#include "patchmatch.h"
#include "sparse3d/patchmatch_pixel.h"

namespace s3d {
namespace gpu {

using namespace s3d::S3D_ISA;

namespace {

// A window and its costs take some hundred values a thread: large blocks would leave no registers. A warp covers two
// rows of 16 pixels, whose windows overlap.
constexpr int kBlockWidth = 16, kBlockHeight = 8, kBlockThreads = kBlockWidth * kBlockHeight;
constexpr int kMapThreads = 256;

template <class Real>
struct OneLane {
  using T = Real;

  S3D_HD static T load(const Real* p) { return *p; }
  S3D_HD static T load_some(const Real* p, int) { return *p; }
  template <class Value>
  S3D_HD static T each(Value value) {
    return value(0);
  }
};

S3D_HD int held(int x, int end) { return x < 0 ? 0 : x < end ? x : end - 1; }

template <class Real>
__global__ __launch_bounds__(kMapThreads) void prepare_kernel(PatchmatchFrame<Real> f, Real* grey,
                                                              PatchmatchImages<Real> images) {
  const size_t i = size_t(blockIdx.x) * kMapThreads + threadIdx.x, stride = plane_stride(f.width);
  if (i >= stride * plane_rows(f.height)) return;
  const int x = int(i % stride) - kPlanePadding, y = int(i / stride) - kPlanePadding;
  const size_t nearest_pixel = size_t(held(y, f.height)) * f.width + held(x, f.width);
  grey[i] = Real(images.quads[nearest_pixel] & 255u);
  const bool inside = x >= 0 && y >= 0 && x < f.width && y < f.height;
  const Real inverse = inside ? images.inverse[nearest_pixel] : Real(0);
  const Real slope_x = inside ? images.slope_x[nearest_pixel] : Real(0);
  const Real slope_y = inside ? images.slope_y[nearest_pixel] : Real(0);
  f.before.inverse[i] = f.after.inverse[i] = inverse;
  f.before.slope_x[i] = f.after.slope_x[i] = slope_x;
  f.before.slope_y[i] = f.after.slope_y[i] = slope_y;
  f.before.cost[i] = f.after.cost[i] = Real(kWorstCost);  // never chosen from the padding or where masked
  if (!inside || !f.view_costs) return;
  const size_t pixels = size_t(f.width) * f.height;
  for (int v = 0; v < f.views; ++v) f.view_costs[v * pixels + nearest_pixel] = Real(kWorstCost);
}

template <class Real>
__global__ __launch_bounds__(kBlockThreads) void step_kernel(PatchmatchFrame<Real> f) {
  const int x = int(blockIdx.x) * kBlockWidth + int(threadIdx.x) % kBlockWidth;
  const int y = int(blockIdx.y) * kBlockHeight + int(threadIdx.x) / kBlockWidth;
  if (x >= f.width || y >= f.height) return;
  const size_t pixel = size_t(y) * f.width + x, pixels = size_t(f.width) * f.height;
  if (!f.mask[pixel]) return;
  Pixels<OneLane<Real>, Real> own(f, x, y);
  own.update();
  const Plane<Real> best = own.best();
  f.after.inverse[own.place()] = best.inverse;
  f.after.slope_x[own.place()] = best.slope_x;
  f.after.slope_y[own.place()] = best.slope_y;
  f.after.cost[own.place()] = own.best_cost();
  if (!f.last || !f.view_costs) return;
  for (int v = 0; v < f.views; ++v) f.view_costs[v * pixels + pixel] = own.best_cost_in(v);
}

template <class Real>
__global__ __launch_bounds__(kMapThreads) void finish_kernel(PatchmatchFrame<Real> f, PatchmatchImages<Real> images) {
  const size_t i = size_t(blockIdx.x) * kMapThreads + threadIdx.x;
  if (i >= size_t(f.width) * f.height) return;
  const size_t at = (i / f.width + kPlanePadding) * plane_stride(f.width) + i % f.width + kPlanePadding;
  images.inverse[i] = f.before.inverse[at];
  images.slope_x[i] = f.before.slope_x[at];
  images.slope_y[i] = f.before.slope_y[at];
  images.cost[i] = f.before.cost[at];
}

}  // namespace

template <class Real>
void prepare_patchmatch(const PatchmatchFrame<Real>& f, Real* grey, const PatchmatchImages<Real>& images,
                        cudaStream_t stream) {
  const int64_t size = int64_t(plane_stride(f.width)) * int64_t(plane_rows(f.height));
  launch("preparing stereo", prepare_kernel<Real>, blocks_for(size, kMapThreads), kMapThreads, stream, f, grey, images);
}

template <class Real>
void step_patchmatch(const PatchmatchFrame<Real>& f, cudaStream_t stream) {
  const dim3 grid(blocks_for(f.width, kBlockWidth), blocks_for(f.height, kBlockHeight));
  launch("matching stereo", step_kernel<Real>, grid, kBlockThreads, stream, f);
}

template <class Real>
void finish_patchmatch(const PatchmatchFrame<Real>& f, const PatchmatchImages<Real>& images, cudaStream_t stream) {
  const int64_t pixels = int64_t(f.width) * f.height;
  launch("finishing stereo", finish_kernel<Real>, blocks_for(pixels, kMapThreads), kMapThreads, stream, f, images);
}

#define S3D_INSTANTIATE(Real)                                                                                \
  template void prepare_patchmatch<Real>(const PatchmatchFrame<Real>&, Real*, const PatchmatchImages<Real>&, \
                                         cudaStream_t);                                                      \
  template void step_patchmatch<Real>(const PatchmatchFrame<Real>&, cudaStream_t);                           \
  template void finish_patchmatch<Real>(const PatchmatchFrame<Real>&, const PatchmatchImages<Real>&, cudaStream_t);
S3D_INSTANTIATE(float)
#ifdef S3D_WITH_DOUBLE
S3D_INSTANTIATE(double)
#endif

}  // namespace gpu
}  // namespace s3d

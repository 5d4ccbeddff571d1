// Each Gaussian's sum and maximum of blending weights: a pass of its own, so that ordinary ones do not carry it.
#include "kernels.h"
#include "sparse3d/blending.h"
#include "tile.h"

namespace s3d {
namespace gpu {
namespace {

constexpr int kBatch = 64;

template <class Real>
struct Weights {
  Real sum, most;
};

template <class Real>
__device__ Weights<Real> over_warp(Real weight) {
  Weights<Real> w{weight, weight};
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    w.sum += __shfl_xor_sync(kFullWarp, w.sum, offset);
    w.most = maximum(w.most, __shfl_xor_sync(kFullWarp, w.most, offset));
  }
  return w;
}

template <class Real>
__global__ __launch_bounds__(kThreads) void weights_kernel(Frame<Real> f) {
  __shared__ Splat<Real> splats[kBatch];
  __shared__ Weights<Real> partial[kWarps][kBatch];
  const Pixel<Real> pixel(f);
  const uint2 range = instances_of_tile(f);
  Real transmittance = pixel.wanted ? Real(1) : Real(0);
  for (uint32_t begin = range.x; begin < range.y; begin += kBatch) {
    const int count = int(range.y - begin < kBatch ? range.y - begin : kBatch);
    for (int k = int(threadIdx.x); k < count; k += kThreads) splats[k] = f.splats[f.pairs_sorted[begin + unsigned(k)]];
    __syncthreads();
    for (int k = 0; k < count; ++k) {
      const Splat<Real> splat = splats[k];
      const Real exponent = exponent_at(splat, pixel.x - splat.x, pixel.y - splat.y);
      const Real alpha = blend_alpha(exponent, transmittance), weight = alpha * transmittance;
      transmittance = multiply_add(-alpha, transmittance, transmittance);
      const Weights<Real> w = over_warp(weight);
      if (pixel.lane == 0) partial[pixel.warp][k] = w;
    }
    __syncthreads();
    for (int k = int(threadIdx.x); k < count; k += kThreads) {
      Weights<Real> total{Real(0), Real(0)};
      for (int warp = 0; warp < kWarps; ++warp) {
        total.sum += partial[warp][k].sum;
        total.most = maximum(total.most, partial[warp][k].most);
      }
      Real* slot = f.statistics_slots + 2 * int64_t(f.instances_sorted[begin + unsigned(k)]);
      slot[0] = total.sum;
      slot[1] = total.most;
    }
  }
}

template <class Real>
__global__ __launch_bounds__(kThreads) void sum_kernel(Frame<Real> f) {
  const int64_t pair = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (pair >= f.pairs()) return;
  Real sum(0), most(0);
  const uint32_t tiles = f.demand->overflow ? 0 : f.pair_instances[pair];
  const Real* slot = f.statistics_slots + 2 * int64_t(f.pair_first[pair]);
  for (uint32_t k = 0; k < tiles; ++k) {
    sum += slot[2 * k];
    most = maximum(most, slot[2 * k + 1]);
  }
  if (f.weight_sum) f.weight_sum[pair] = sum;
  if (f.weight_max) f.weight_max[pair] = most;
}

}  // namespace

template <class Real>
void record_statistics(const Frame<Real>& f, cudaStream_t stream) {
  launch("weighing", weights_kernel<Real>, dim3(unsigned(f.tiles()), unsigned(f.views)), kThreads, stream, f);
  launch("summing weights", sum_kernel<Real>, blocks_for(f.pairs(), kThreads), kThreads, stream, f);
}

template void record_statistics<float>(const Frame<float>&, cudaStream_t);
#ifdef S3D_WITH_DOUBLE
template void record_statistics<double>(const Frame<double>&, cudaStream_t);
#endif

}  // namespace gpu
}  // namespace s3d

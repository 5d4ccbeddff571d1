// L1 + SSIM and its gradient. Windows are separable: each block blurs its tile, with a margin, along rows and then
// along columns in shared memory.
//
//   images -> x, y, x^2 + y^2, x y blurred -> SSIM and three derivatives -> blurred -> gradient
#include "image_loss.h"
#include "warp.h"

namespace s3d {
namespace gpu {
namespace {

constexpr int kSide = kTile + 2 * kHalfWindow;  // of a tile with the window's margin

template <class Real>
struct Place {
  int left, top, column, row, view;
  bool inside;
  int64_t pixel;  // in images of all views

  __device__ explicit Place(const LossFrame<Real>& f) {
    const int tiles_x = (f.width + kTile - 1) / kTile, tile = int(blockIdx.x);
    left = tile % tiles_x * kTile;
    top = tile / tiles_x * kTile;
    column = int(threadIdx.x) % kTile;
    row = int(threadIdx.x) / kTile;
    view = int(blockIdx.y);
    inside = left + column < f.width && top + row < f.height;
    pixel = (int64_t(view) * f.height + top + row) * f.width + left + column;
  }
};

template <class Real>
__device__ Real weight_at(const LossFrame<Real>& f, int64_t pixel) {
  return f.weights ? f.weights[pixel] : Real(1);
}

// Calls body(place, x, y, inside) for every pixel of the tile and its margin.
template <class Real, class Body>
__device__ void for_margin(const LossFrame<Real>& f, const Place<Real>& place, Body body) {
  for (int i = int(threadIdx.x); i < kSide * kSide; i += kThreads) {
    const int x = place.left + i % kSide - kHalfWindow, y = place.top + i / kSide - kHalfWindow;
    body(i, x, y, x >= 0 && y >= 0 && x < f.width && y < f.height);
  }
}

// Windowed sum of kWindow values `stride` apart.
template <class Real>
__device__ Real blur(const Real* first, int stride) {
  constexpr double kTaps[kHalfWindow + 1] = {kWindowTaps[0], kWindowTaps[1], kWindowTaps[2],
                                             kWindowTaps[3], kWindowTaps[4], kWindowTaps[5]};
  Real sum = Real(kTaps[kHalfWindow]) * first[kHalfWindow * stride];
#pragma unroll
  for (int k = 0; k < kHalfWindow; ++k)
    sum = multiply_add(Real(kTaps[k]), first[k * stride] + first[(kWindow - 1 - k) * stride], sum);
  return sum;
}

// Rows first, for the tile's columns and all rows of the margin.
template <int kMaps, class Real>
__device__ void blur_rows(const Real (&in)[kMaps][kSide * kSide], Real (&out)[kMaps][kSide * kTile]) {
  for (int i = int(threadIdx.x); i < kSide * kTile; i += kThreads)
    for (int m = 0; m < kMaps; ++m) out[m][i] = blur(&in[m][i / kTile * kSide + i % kTile], 1);
}

template <class Real>
__device__ Real blur_column(const Real (&rows)[kSide * kTile], const Place<Real>& place) {
  return blur(&rows[place.row * kTile + place.column], kTile);
}

template <class Real>
__device__ void store_sums(const LossFrame<Real>& f, const double (&sums)[kLossSums]) {
  __shared__ double partial[kWarps][kLossSums];
  const int lane = int(threadIdx.x) % kWarpSize, warp = int(threadIdx.x) / kWarpSize;
  const double total = sum_over_warp(sums, lane);
  const int place = sum_of_lane<kLossSums>(lane);
  if (place >= 0) partial[warp][place] = total;
  __syncthreads();
  if (threadIdx.x >= kLossSums) return;
  double sum = 0;
  for (int w = 0; w < kWarps; ++w) sum += partial[w][threadIdx.x];
  f.partials[(int64_t(blockIdx.y) * gridDim.x + blockIdx.x) * kLossSums + threadIdx.x] = sum;
}

template <class Real>
__device__ Real* map_of(const LossFrame<Real>& f, int view, int colour, int map) {
  return f.maps + ((int64_t(view) * 3 + colour) * kLossMaps + map) * f.width * f.height;
}

template <class Real>
__global__ __launch_bounds__(kThreads) void compare_kernel(LossFrame<Real> f) {
  __shared__ Real maps[4][kSide * kSide];  // x, y, x^2 + y^2, x y
  __shared__ Real rows[4][kSide * kTile];
  const Place<Real> place(f);
  const int64_t view_pixels = int64_t(f.width) * f.height, at = place.pixel - place.view * view_pixels;
  const Real weight = place.inside ? weight_at(f, place.pixel) : Real(0);
  double sums[kLossSums] = {0, 0, double(weight), 0};
  for (int colour = 0; colour < 3; ++colour) {
    for_margin(f, place, [&](int i, int x, int y, bool inside) {
      Real judged(0), target(0);
      if (inside) {
        const int64_t pixel = place.view * view_pixels + int64_t(y) * f.width + x;
        target = f.target[3 * pixel + colour];
        const Real rendered = f.rendered[3 * pixel + colour];
        judged = f.weights ? target + f.weights[pixel] * (rendered - target) : rendered;
      }
      maps[0][i] = judged;
      maps[1][i] = target;
      maps[2][i] = judged * judged + target * target;
      maps[3][i] = judged * target;
    });
    __syncthreads();
    blur_rows(maps, rows);
    __syncthreads();
    if (place.inside) {
      const SsimMoments<Real> moments{blur_column(rows[0], place), blur_column(rows[1], place),
                                      blur_column(rows[2], place), blur_column(rows[3], place)};
      const SsimPoint<Real> point = ssim_point(moments);
      const Real difference = f.rendered[3 * place.pixel + colour] - f.target[3 * place.pixel + colour];
      sums[0] += double(weight * (difference < Real(0) ? -difference : difference));
      sums[1] += double(weight * point.value);
      sums[3] += double(weight * difference * difference);
      if (f.gradient) {
        map_of(f, place.view, colour, 0)[at] = weight * point.d_mean_x;
        map_of(f, place.view, colour, 1)[at] = weight * point.d_squares;
        map_of(f, place.view, colour, 2)[at] = weight * point.d_product;
      }
    }
    __syncthreads();
  }
  store_sums(f, sums);
}

// One block sums the blocks' sums in an order that depends on their number alone.
template <class Real>
__global__ __launch_bounds__(kThreads) void total_kernel(LossFrame<Real> f, unsigned blocks) {
  __shared__ double partial[kThreads][kLossSums];
  for (int i = 0; i < kLossSums; ++i) {
    double sum = 0;
    for (unsigned b = threadIdx.x; b < blocks; b += kThreads) sum += f.partials[b * kLossSums + i];
    partial[threadIdx.x][i] = sum;
  }
  __syncthreads();
  if (threadIdx.x > 0) return;
  double sums[kLossSums] = {};
  for (int t = 0; t < kThreads; ++t)
    for (int i = 0; i < kLossSums; ++i) sums[i] += partial[t][i];
  const double covered = 3 * sums[2], total = covered > 1 ? covered : 1, share = double(f.ssim_weight);
  *f.inverse_total = Real(1 / total);
  f.loss[0] = Real(((1 - share) * sums[0] + share * (covered - sums[1])) / total);
  f.loss[1] = Real(sums[3] / total);
}

template <class Real>
__global__ __launch_bounds__(kThreads) void gradient_kernel(LossFrame<Real> f) {
  __shared__ Real maps[kLossMaps][kSide * kSide];
  __shared__ Real rows[kLossMaps][kSide * kTile];
  const Place<Real> place(f);
  const Real scale = *f.inverse_total, l1 = Real(1) - f.ssim_weight;
  for (int colour = 0; colour < 3; ++colour) {
    for_margin(f, place, [&](int i, int x, int y, bool inside) {
      for (int m = 0; m < kLossMaps; ++m)
        maps[m][i] = inside ? map_of(f, place.view, colour, m)[int64_t(y) * f.width + x] : Real(0);
    });
    __syncthreads();
    blur_rows(maps, rows);
    __syncthreads();
    if (place.inside) {
      const int64_t at = 3 * place.pixel + colour;
      const Real weight = weight_at(f, place.pixel), target = f.target[at], difference = f.rendered[at] - target;
      const Real judged = target + weight * difference;
      const Real sign = (difference > Real(0) ? l1 : Real(0)) - (difference < Real(0) ? l1 : Real(0));
      const Real d_ssim = blur_column(rows[0], place) + Real(2) * judged * blur_column(rows[1], place) +
                          target * blur_column(rows[2], place);
      f.gradient[at] = scale * weight * (sign - f.ssim_weight * d_ssim);
    }
    __syncthreads();
  }
}

}  // namespace

unsigned loss_blocks(int views, int width, int height) {
  return unsigned(views) * blocks_for(width, kTile) * blocks_for(height, kTile);
}

template <class Real>
void image_loss(const LossFrame<Real>& f, cudaStream_t stream) {
  const unsigned blocks = loss_blocks(f.views, f.width, f.height);
  const dim3 grid(f.views ? blocks / unsigned(f.views) : 0, unsigned(f.views));
  launch("comparing images", compare_kernel<Real>, grid, kThreads, stream, f);
  launch("summing the loss", total_kernel<Real>, 1, kThreads, stream, f, blocks);
  if (f.gradient) launch("differentiating the loss", gradient_kernel<Real>, grid, kThreads, stream, f);
}

template void image_loss<float>(const LossFrame<float>&, cudaStream_t);
#ifdef S3D_WITH_DOUBLE
template void image_loss<double>(const LossFrame<double>&, cudaStream_t);
#endif

}  // namespace gpu
}  // namespace s3d

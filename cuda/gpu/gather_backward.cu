// Collects each splat's tile sums and carries them through blending, projection and spherical harmonics to the Gaussian
// and the cameras. One thread per Gaussian; it sums over the views in registers.
#include "kernels.h"
#include "sparse3d/normal.h"
#include "sparse3d/spherical_harmonics.h"
#include "warp.h"

namespace s3d {
namespace gpu {
namespace {

constexpr int kPointWarps = kPointThreads / kWarpSize;
// Colour, depth and normal: the channels that lead back to the Gaussian's geometry and colour.
constexpr int kOwnChannels = 3 + 1 + 3;

template <class Real>
struct Gaussian {
  Vec3<Real> mean, scale;
  Quat<Real> quat;
  Real opacity;
};

// What leaves one view's splat.
template <class Real>
struct SplatGradient {
  ProjectionOut<Real> geometry;
  Vec3<Real> view_mean;  // through the view direction of the spherical harmonics
  Real opacity, centre_x, centre_y;
};

// A Gaussian's gradients over all views.
template <int kCoefficients, class Real>
struct Total {
  Vec3<Real> mean, scale;
  Quat<Real> quat;
  Real opacity;
  Real sh[3 * kCoefficients];
};

template <class Real>
struct SplatSums {
  Real moments[kMoments];
  Vec3<Real> colour, normal;
  Real depth, upstream;
};

template <class Real>
__device__ Real sum_column(const Frame<Real>& f, int64_t pair, int column) {
  const uint32_t tiles = f.pair_instances[pair];
  const Real* slot = f.slots + int64_t(f.pair_first[pair]) * f.slot_stride + column;
  Real sum(0);
  for (uint32_t k = 0; k < tiles; ++k) sum += slot[int64_t(k) * f.slot_stride];
  return sum;
}

template <class Real>
__device__ SplatSums<Real> collect(const Frame<Real>& f, int64_t pair) {
  Real own[kMoments + kOwnChannels + 1] = {};  // one more for the median depth
  const uint32_t tiles = f.pair_instances[pair];
  const Real* slot = f.slots + int64_t(f.pair_first[pair]) * f.slot_stride;
  for (uint32_t k = 0; k < tiles; ++k, slot += f.slot_stride) {
#pragma unroll
    for (int i = 0; i < kMoments + kOwnChannels; ++i)
      if (i < kMoments + f.first_feature) own[i] += slot[i];
    if (f.with_median_depth) own[kMoments + kOwnChannels] += slot[kMoments + f.channels];
  }
  SplatSums<Real> s;
  s.upstream = Real(0);
#pragma unroll
  for (int i = 0; i <= kMoments + kOwnChannels; ++i) s.upstream += own[i];
#pragma unroll
  for (int i = 0; i < kMoments; ++i) s.moments[i] = own[i];
  const Real* channel = own + kMoments;
  s.colour = {channel[0], channel[1], channel[2]};
  s.depth = (f.with_depth ? channel[3] : Real(0)) + channel[kOwnChannels];
  s.normal = f.first_normal == 3 ? Vec3<Real>{channel[3], channel[4], channel[5]}
                                 : Vec3<Real>{channel[4], channel[5], channel[6]};
  return s;
}

// Through blending, the normal and the projection.
template <class Real>
__device__ void splat_backward(const Frame<Real>& f, const Camera<Real>& camera, const Gaussian<Real>& gaussian,
                               const SplatSums<Real>& sums, SplatGradient<Real>* out) {
  const Projection<Real> p = project(camera.pinhole, gaussian.mean, gaussian.quat, gaussian.scale);
  const Real inverse_det = Real(1) / p.det, half(0.5);
  const Real a = p.cov_yy * inverse_det, b = -p.cov_xy * inverse_det, c = p.cov_xx * inverse_det;
  const Real* m = sums.moments;
  // ln(alpha) = ln(opacity) - d^T Q d / 2 with d = pixel - centre: the gradient to the centre is Q d, to the
  // covariance Q d d^T Q / 2.
  ProjectionIn<Real> g;
  g.x = out->centre_x = a * m[1] + b * m[2];
  g.y = out->centre_y = b * m[1] + c * m[2];
  const Real ax = a * m[3] + b * m[4], ay = a * m[4] + b * m[5];
  const Real bx = b * m[3] + c * m[4], by = b * m[4] + c * m[5];
  g.cov_xx = half * (ax * a + ay * b);
  g.cov_xy = half * (ax * b + ay * c);
  g.cov_yy = half * (bx * b + by * c);
  g.depth = sums.depth;
  g.log_compensation = f.antialias ? m[0] : Real(0);
  out->opacity = m[0] / gaussian.opacity;
  out->geometry = project_backward(camera.pinhole, p, gaussian.mean, gaussian.scale, g);
  if (!f.with_normals) return;
  const Vec3<Real> choice = choose_normal(p.axes, gaussian.scale, gaussian.mean - camera.centre);
  const Quat<Real> turn = normal_backward(p.unit_quat, p.inverse_norm, choice, sums.normal);
  Quat<Real>& q = out->geometry.quat;
  q = {q.w + turn.w, q.x + turn.x, q.y + turn.y, q.z + turn.z};
}

// Adds the gradient of the coefficients and returns that of the mean through the view direction.
template <int kCoefficients, class Real>
__device__ Vec3<Real> colour_backward(const Real* sh, const ViewDirection<Real>& direction, Vec3<Real> g,
                                      Real (&total)[3 * kCoefficients]) {
  Real basis[kCoefficients], g_basis[kCoefficients];
  sh_basis<kCoefficients>(direction.unit, basis);
#pragma unroll
  for (int k = 0; k < kCoefficients; ++k) {
    total[3 * k] = multiply_add(basis[k], g.x, total[3 * k]);
    total[3 * k + 1] = multiply_add(basis[k], g.y, total[3 * k + 1]);
    total[3 * k + 2] = multiply_add(basis[k], g.z, total[3 * k + 2]);
    g_basis[k] = k > 0 ? sh[3 * k] * g.x + sh[3 * k + 1] * g.y + sh[3 * k + 2] * g.z : Real(0);
  }
  if constexpr (kCoefficients == 1) return {Real(0), Real(0), Real(0)};
  return view_direction_backward(direction, sh_basis_backward<kCoefficients>(direction.unit, g_basis));
}

template <class Real>
__device__ bool gradient_finite(const SplatGradient<Real>& g) {
  const auto& o = g.geometry;
  Real sum = o.mean.x + o.mean.y + o.mean.z + o.scale.x + o.scale.y + o.scale.z + o.quat.w + o.quat.x + o.quat.y +
             o.quat.z + o.fx + o.fy + o.cx + o.cy + g.opacity + g.view_mean.x + g.view_mean.y + g.view_mean.z;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) sum = sum + o.rotation.m[i][j];
  return is_finite(sum);
}

template <int kCoefficients, class Real>
__device__ void add(const SplatGradient<Real>& g, Total<kCoefficients, Real>* total) {
  const auto& o = g.geometry;
  total->mean = total->mean + o.mean + g.view_mean;
  total->scale = total->scale + o.scale;
  total->quat = {total->quat.w + o.quat.w, total->quat.x + o.quat.x, total->quat.y + o.quat.y,
                 total->quat.z + o.quat.z};
  total->opacity += g.opacity;
}

// The block's sum of every camera gradient: over each warp in the call's type, over the warps in double.
template <class Real>
__device__ void sum_camera(const Frame<Real>& f, int view, const SplatGradient<Real>& g) {
  __shared__ Real partial[kPointWarps][kCameraSums];
  const auto& r = g.geometry.rotation.m;
  const auto& o = g.geometry;
  const Real values[kCameraSums] = {
      r[0][0], r[0][1], r[0][2],         r[1][0],         r[1][1],         r[1][2], r[2][0],
      r[2][1], r[2][2], o.translation.x, o.translation.y, o.translation.z, o.fx,    o.fy,
      o.cx,    o.cy,    -g.view_mean.x,  -g.view_mean.y,  -g.view_mean.z};
  const int lane = int(threadIdx.x) % kWarpSize, warp = int(threadIdx.x) / kWarpSize;
  const Real total = sum_over_warp(values, lane);
  const int place = sum_of_lane<kCameraSums>(lane);
  if (place >= 0) partial[warp][place] = total;
  __syncthreads();
  if (threadIdx.x < kCameraSums) {
    double sum = 0;
    for (int w = 0; w < kPointWarps; ++w) sum += double(partial[w][threadIdx.x]);
    f.camera_partials[(int64_t(view) * gridDim.x + blockIdx.x) * kCameraSums + threadIdx.x] = sum;
  }
  __syncthreads();
}

// One view's gradient of one Gaussian; zero where it is not drawn.
template <int kCoefficients, class Real>
__device__ void view_backward(const Frame<Real>& f, int view, int64_t index, const Gaussian<Real>& gaussian,
                              SplatGradient<Real>* g, Total<kCoefficients, Real>* total) {
  const int64_t pair = view * f.count + index;
  const Camera<Real>& camera = f.cameras[view];
  const SplatSums<Real> sums = collect(f, pair);
  const Shade<Real> shade = f.shades[pair];
  const Real zero(0);
  const Vec3<Real> g_colour{shade.red > zero ? sums.colour.x : zero, shade.green > zero ? sums.colour.y : zero,
                            shade.blue > zero ? sums.colour.z : zero};
  g->view_mean = colour_backward<kCoefficients>(f.sh + 3 * kCoefficients * index,
                                                view_direction(gaussian.mean, camera.centre), g_colour, total->sh);
  splat_backward(f, camera, gaussian, sums, g);
  // A chain rule that overflows for a degenerate Gaussian gives it nothing; a loss that is not finite stays visible.
  if (is_finite(sums.upstream) && !gradient_finite(*g)) *g = SplatGradient<Real>{};
  add(*g, total);
}

template <int kCoefficients, class Real>
__device__ void store(const Frame<Real>& f, int64_t index, const Total<kCoefficients, Real>& total) {
  Real *mean = f.g_means + 3 * index, *scale = f.g_scales + 3 * index, *quat = f.g_quats + 4 * index;
  mean[0] = total.mean.x, mean[1] = total.mean.y, mean[2] = total.mean.z;
  scale[0] = total.scale.x, scale[1] = total.scale.y, scale[2] = total.scale.z;
  quat[0] = total.quat.w, quat[1] = total.quat.x, quat[2] = total.quat.y, quat[3] = total.quat.z;
  f.g_opacities[index] = total.opacity;
#pragma unroll
  for (int k = 0; k < 3 * kCoefficients; ++k) f.g_sh[3 * kCoefficients * index + k] = total.sh[k];
}

template <class Real>
__device__ bool is_drawn(const Frame<Real>& f, int64_t pair) {
  return f.pair_instances[pair] > 0 && !f.demand->overflow;
}

template <int kCoefficients, class Real>
__global__ __launch_bounds__(kPointThreads) void gather_kernel(Frame<Real> f) {
  const int64_t index = int64_t(blockIdx.x) * kPointThreads + threadIdx.x;
  const bool active = index < f.count;
  Gaussian<Real> gaussian{};
  if (active) {
    gaussian.mean = {f.means[3 * index], f.means[3 * index + 1], f.means[3 * index + 2]};
    gaussian.scale = {f.scales[3 * index], f.scales[3 * index + 1], f.scales[3 * index + 2]};
    gaussian.quat = {f.quats[4 * index], f.quats[4 * index + 1], f.quats[4 * index + 2], f.quats[4 * index + 3]};
    gaussian.opacity = f.opacities[index];
  }
  Total<kCoefficients, Real> total{};
  for (int view = 0; view < f.views; ++view) {
    SplatGradient<Real> g{};
    if (active && is_drawn(f, view * f.count + index)) view_backward(f, view, index, gaussian, &g, &total);
    if (active && f.g_centres) {
      f.g_centres[2 * (view * f.count + index)] = g.centre_x;
      f.g_centres[2 * (view * f.count + index) + 1] = g.centre_y;
    }
    if (f.camera_partials) sum_camera(f, view, g);
  }
  if (active) store(f, index, total);
}

template <class Real>
__global__ __launch_bounds__(kPointThreads) void gather_features_kernel(Frame<Real> f) {
  const int64_t i = int64_t(blockIdx.x) * kPointThreads + threadIdx.x;
  if (i >= f.count * f.features) return;
  const int64_t index = i / f.features;
  const int column = kMoments + f.first_feature + int(i % f.features);
  Real sum(0);
  for (int view = 0; view < f.views; ++view)
    if (is_drawn(f, view * f.count + index)) sum += sum_column(f, view * f.count + index, column);
  f.g_features[i] = sum;
}

constexpr int kCameraThreads = 256;

// Entry (i, j) of the pose's gradient: the centre's is carried to the rotation and the translation.
template <class Real>
__device__ double pose_gradient(const Camera<Real>& camera, const double* sums, int i, int j) {
  const double* centre = sums + 16;
  const auto& pose = camera.pinhole;
  if (j < 3) return sums[3 * i + j] - double(pose.translation[i]) * centre[j];
  double g = sums[9 + i];
  for (int k = 0; k < 3; ++k) g -= double(pose.rotation[i][k]) * centre[k];
  return g;
}

// One block per view sums the blocks' partial sums in an order that depends on their number alone.
template <class Real>
__global__ __launch_bounds__(kCameraThreads) void camera_kernel(Frame<Real> f, unsigned blocks) {
  __shared__ double partial[kCameraThreads / kWarpSize][kCameraSums];
  __shared__ double sums[kCameraSums];
  const int view = int(blockIdx.x), thread = int(threadIdx.x);
  double own[kCameraSums] = {};
  for (unsigned b = threadIdx.x; b < blocks; b += kCameraThreads)
    for (int i = 0; i < kCameraSums; ++i) own[i] += f.camera_partials[(int64_t(view) * blocks + b) * kCameraSums + i];
  const double total = sum_over_warp(own, thread % kWarpSize);
  const int place = sum_of_lane<kCameraSums>(thread % kWarpSize);
  if (place >= 0) partial[thread / kWarpSize][place] = total;
  __syncthreads();
  if (thread < kCameraSums) {
    sums[thread] = 0;
    for (int w = 0; w < kCameraThreads / kWarpSize; ++w) sums[thread] += partial[w][thread];
  }
  __syncthreads();
  if (f.g_cam_from_world && thread < 16)
    f.g_cam_from_world[16 * view + thread] =
        thread < 12 ? pose_gradient(f.cameras[view], sums, thread / 4, thread % 4) : 0.0;
  if (f.g_intrinsics && thread < 9) {
    const int source[9] = {12, -1, 14, -1, 13, 15, -1, -1, -1};
    f.g_intrinsics[9 * view + thread] = source[thread] < 0 ? 0.0 : sums[source[thread]];
  }
}

}  // namespace

template <class Real>
void gather_backward(const Frame<Real>& f, cudaStream_t stream) {
  const unsigned blocks = blocks_for(f.count, kPointThreads);
  const auto kernel = f.sh_coefficients == 1   ? gather_kernel<1, Real>
                      : f.sh_coefficients == 4 ? gather_kernel<4, Real>
                      : f.sh_coefficients == 9 ? gather_kernel<9, Real>
                                               : gather_kernel<16, Real>;
  launch("gathering gradients", kernel, blocks, kPointThreads, stream, f);
  launch("gathering features", gather_features_kernel<Real>, blocks_for(f.count * f.features, kPointThreads),
         kPointThreads, stream, f);
  if (f.camera_partials)
    launch("summing the cameras", camera_kernel<Real>, unsigned(f.views), kCameraThreads, stream, f, blocks);
}

template void gather_backward<float>(const Frame<float>&, cudaStream_t);
#ifdef S3D_WITH_DOUBLE
template void gather_backward<double>(const Frame<double>&, cudaStream_t);
#endif

}  // namespace gpu
}  // namespace s3d

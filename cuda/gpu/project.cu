// Cameras and Gaussians become splats: one thread per Gaussian and view.
#include "kernels.h"
#include "reach.h"
#include "sparse3d/normal.h"
#include "sparse3d/spherical_harmonics.h"

namespace s3d {
namespace gpu {
namespace {

template <class Real, class Source>
__device__ void load_camera(const Frame<Real>& f, int view) {
  const Source* pose = static_cast<const Source*>(f.cam_from_world) + 16 * view;
  const Source* k = static_cast<const Source*>(f.intrinsics) + 9 * view;
  Camera<Real>& camera = f.cameras[view];
  double centre[3] = {};
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) {
      camera.pinhole.rotation[i][j] = Real(pose[4 * i + j]);
      centre[j] -= double(pose[4 * i + j]) * double(pose[4 * i + 3]);
    }
    camera.pinhole.translation[i] = Real(pose[4 * i + 3]);
  }
  camera.centre = {Real(centre[0]), Real(centre[1]), Real(centre[2])};
  camera.pinhole.fx = Real(k[0]);
  camera.pinhole.fy = Real(k[4]);
  camera.pinhole.cx = Real(k[2]);
  camera.pinhole.cy = Real(k[5]);
  camera.pinhole.width = Real(f.width);
  camera.pinhole.height = Real(f.height);
  camera.pinhole.near_plane = f.near_plane;
  camera.pinhole.eps2d = f.eps2d;
}

template <class Real>
__global__ void prepare_cameras(Frame<Real> f) {
  const int view = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (view >= f.views) return;
  if (f.double_cameras)
    load_camera<Real, double>(f, view);
  else
    load_camera<Real, float>(f, view);
}

template <int kCoefficients, class Real>
__device__ Vec3<Real> colour_of(const Real* sh, Vec3<Real> direction) {
  Real basis[kCoefficients];
  sh_basis<kCoefficients>(direction, basis);
  Vec3<Real> sum{Real(kColourOffset), Real(kColourOffset), Real(kColourOffset)};
#pragma unroll
  for (int k = 0; k < kCoefficients; ++k) {
    sum.x = multiply_add(basis[k], sh[3 * k], sum.x);
    sum.y = multiply_add(basis[k], sh[3 * k + 1], sum.y);
    sum.z = multiply_add(basis[k], sh[3 * k + 2], sum.z);
  }
  return sum;
}

template <class Real>
__device__ bool features_finite(const Frame<Real>& f, int64_t index) {
  Real sum(0);
  for (int c = 0; c < f.features; ++c) sum += f.values[index * f.features + c];
  return is_finite(sum);
}

// Whether any pixel's centre may lie within centre +- extent along one axis; false for NaN.
template <class Real>
__device__ bool touches(Real centre, Real extent, int pixels) {
  const Real half(0.5);
  return centre + extent - half >= Real(0) && centre - extent - half <= Real(pixels - 1);
}

template <class Real>
__device__ void skip(const Frame<Real>& f, int64_t pair) {
  f.depth_keys[pair] = kNotDrawn;
  f.pair_instances[pair] = 0;
  if (f.radii) f.radii[pair] = Real(0);
}

template <int kCoefficients, class Real>
__device__ void project_pair(const Frame<Real>& f, int view, int64_t index) {
  const Camera<Real>& camera = f.cameras[view];
  const int64_t pair = view * f.count + index;
  f.pair_ids[pair] = uint32_t(pair);
  const Vec3<Real> mean{f.means[3 * index], f.means[3 * index + 1], f.means[3 * index + 2]};
  const Vec3<Real> scale{f.scales[3 * index], f.scales[3 * index + 1], f.scales[3 * index + 2]};
  const Quat<Real> quat{f.quats[4 * index], f.quats[4 * index + 1], f.quats[4 * index + 2], f.quats[4 * index + 3]};
  const Projection<Real> p = project(camera.pinhole, mean, quat, scale);
  const Real opacity = f.antialias ? f.opacities[index] * p.compensation : f.opacities[index];
  const Vec3<Real> colour =
      colour_of<kCoefficients>(f.sh + 3 * kCoefficients * index, view_direction(mean, camera.centre).unit);
  const Real inverse_det = Real(1) / p.det, zero(0);
  const Real conic_a = p.cov_yy * inverse_det, conic_b = -p.cov_xy * inverse_det, conic_c = p.cov_xx * inverse_det;
  const Real x = p.image_x + camera.pinhole.cx, y = p.image_y + camera.pinhole.cy;
  // One sum is finite only if all of its terms are; whatever was NaN, infinite or a zero quaternion ends up in it.
  const Real witness =
      x + y + conic_a + conic_b + conic_c + p.det + p.cov_xx + p.cov_yy + opacity + colour.x + colour.y + colour.z;
  const bool drawable = is_finite(witness) && p.point_cam.z > f.near_plane && opacity > Real(kMinAlpha) &&
                        p.det > zero && features_finite(f, index);
  if (!drawable) return skip(f, pair);

  Splat<Real> splat;
  splat.x = x;
  splat.y = y;
  splat.a = Real(-0.5 * kLog2E) * conic_a;
  splat.b = Real(-kLog2E) * conic_b;
  splat.c = Real(-0.5 * kLog2E) * conic_c;
  splat.log2_opacity = base2_log(opacity);
  // The footprint is where exponent >= log2(kMinAlpha): half-extents sqrt(2 ln 2 reach * cov).
  const Real spread = Real(2 / kLog2E) * maximum(splat.log2_opacity + Real(kLog2InverseMinAlpha), zero);
  splat.extent_x = square_root(spread * p.cov_xx);
  splat.extent_y = square_root(spread * p.cov_yy);
  if (!touches(x, splat.extent_x, f.width) || !touches(y, splat.extent_y, f.height)) return skip(f, pair);

  uint32_t tiles = 0;
  for_each_tile(splat, f.width, f.height, f.tiles_x, [&tiles](int) { ++tiles; });
  f.splats[pair] = splat;
  f.shades[pair] = {maximum(colour.x, zero), maximum(colour.y, zero), maximum(colour.z, zero), p.point_cam.z};
  if (f.with_normals) {
    const Vec3<Real> normal = multiply(p.axes, choose_normal(p.axes, scale, mean - camera.centre));
    f.splat_normals[3 * pair] = normal.x;
    f.splat_normals[3 * pair + 1] = normal.y;
    f.splat_normals[3 * pair + 2] = normal.z;
  }
  f.depth_keys[pair] = depth_key(float(p.point_cam.z));
  f.pair_instances[pair] = tiles;
  if (f.radii) f.radii[pair] = maximum(splat.extent_x, splat.extent_y);
}

// Blocks of the same Gaussians in different views run side by side, so that these are read from memory once.
template <int kCoefficients, class Real>
__global__ __launch_bounds__(kPointThreads) void project_all(Frame<Real> f) {
  const int view = int(blockIdx.x) % f.views;
  const int64_t index = int64_t(blockIdx.x) / f.views * kPointThreads + threadIdx.x;
  if (index < f.count) project_pair<kCoefficients>(f, view, index);
}

}  // namespace

template <class Real>
void project_views(const Frame<Real>& f, cudaStream_t stream) {
  launch("preparing the cameras", prepare_cameras<Real>, blocks_for(f.views, kWarpSize), kWarpSize, stream, f);
  const auto kernel = f.sh_coefficients == 1   ? project_all<1, Real>
                      : f.sh_coefficients == 4 ? project_all<4, Real>
                      : f.sh_coefficients == 9 ? project_all<9, Real>
                                               : project_all<16, Real>;
  launch("projecting", kernel, blocks_for(f.count, kPointThreads) * unsigned(f.views), kPointThreads, stream, f);
}

template void project_views<float>(const Frame<float>&, cudaStream_t);
#ifdef S3D_WITH_DOUBLE
template void project_views<double>(const Frame<double>&, cudaStream_t);
#endif

}  // namespace gpu
}  // namespace s3d

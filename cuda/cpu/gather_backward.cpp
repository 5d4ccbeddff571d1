// Gathers each splat's tile sums and carries them through blending, projection and spherical harmonics to the inputs.
#include <initializer_list>

#include "kernels.h"
#include "lanes.h"
#include "sparse3d/normal.h"
#include "sparse3d/projection.h"
#include "sparse3d/spherical_harmonics.h"

namespace s3d {
namespace S3D_ISA {
namespace {

template <class Real>
using V = Simd<Real, kWide>;
constexpr int kMaxSums = kMoments + kMaxChannels + 1;  // the last one for the median depth

// Camera sums: few terms in float, then double. A hundred thousand terms of float32 would lose three digits.
template <class Real>
class CameraSums {
 public:
  // Adds one value a lane to each of the sums; every 16th time they are moved on to double.
  S3D_HD void add(const V<Real> (&x)[kCameraSums]) {
    for (int i = 0; i < kCameraSums; ++i) lanes_[i] = lanes_[i] + x[i];
    if (++pending_ == 16) flush();
  }
  void store(double* out) {
    flush();
    for (int i = 0; i < kCameraSums; ++i) out[i] = total_[i];
  }

 private:
  void flush() {
    for (int i = 0; i < kCameraSums; ++i) {
      for (int lane = 0; lane < kWide; ++lane) total_[i] += double(lanes_[i][lane]);
      lanes_[i] = V<Real>(Real(0));
    }
    pending_ = 0;
  }

  V<Real> lanes_[kCameraSums] = {};
  double total_[kCameraSums] = {};
  int pending_ = 0;
};

// Sums a splat's instance slots into `out` (slot_stride values, a multiple of four); most splats have one.
template <class Real>
S3D_HD void sum_slots(const Frame<Real>& frame, uint64_t index, int tiles, Real* out) {
  using Quad = Simd<Real, 4>;
  const int stride = frame.slot_stride;
  const Real* slot = frame.slots + (size_t(frame.chunk_slots[index / kChunk]) + frame.records[index].slot) * stride;
  if (tiles == 0) {
    for (int i = 0; i < stride; i += 4) Quad(Real(0)).store(out + i);
    return;
  }
  for (int i = 0; i < stride; i += 4) Quad::load(slot + i).store(out + i);
  for (int k = 1; k < tiles; ++k) {
    slot += stride;
    for (int i = 0; i < stride; i += 4) (Quad::load(out + i) + Quad::load(slot + i)).store(out + i);
  }
}

template <class Real>
struct SplatGradient {
  ProjectionOut<V<Real>> geometry;
  V<Real> opacity, centre_x, centre_y;
  Vec3<V<Real>> view_mean;  // through the view direction of the spherical harmonics
};

// Gradients that leave the splat for its 3D Gaussian, its opacity and the camera.
template <class Real>
S3D_HD void splat_backward(const Frame<Real>& frame, LaneRange lanes, const V<Real>* sums, V<Real> depth_gradient,
                           Vec3<V<Real>> normal_gradient, Vec3<V<Real>> mean, SplatGradient<Real>* out) {
  using Vec = V<Real>;
  const Vec3<Vec> scale = gather3(frame.scales, lanes);
  const Quat<Vec> quat = gather_quat(frame.quats, lanes);
  const auto p = project(frame.camera, mean, quat, scale);
  const Vec inverse_det = Vec(Real(1)) / p.det, half(Real(0.5)), zero(Real(0));
  const Vec a = p.cov_yy * inverse_det, b = -p.cov_xy * inverse_det, c = p.cov_xx * inverse_det;
  // ln(alpha) = ln(opacity) - d^T Q d / 2 with d = pixel - centre: the gradient to the centre is Q d, to the
  // covariance Q d d^T Q / 2.
  ProjectionIn<Vec> g;
  g.x = out->centre_x = a * sums[1] + b * sums[2];
  g.y = out->centre_y = b * sums[1] + c * sums[2];
  const Vec ax = a * sums[3] + b * sums[4], ay = a * sums[4] + b * sums[5];
  const Vec bx = b * sums[3] + c * sums[4], by = b * sums[4] + c * sums[5];
  g.cov_xx = half * (ax * a + ay * b);
  g.cov_xy = half * (ax * b + ay * c);
  g.cov_yy = half * (bx * b + by * c);
  g.depth = depth_gradient;
  g.log_compensation = frame.antialias ? sums[0] : zero;
  out->opacity = sums[0] / gather(frame.opacities, 1, 0, lanes);
  out->geometry = project_backward(frame.camera, p, mean, scale, g);
  if (!frame.with_normals) return;
  const Vec3<Vec> centre{frame.camera_centre[0], frame.camera_centre[1], frame.camera_centre[2]};
  const Vec3<Vec> choice = choose_normal(p.axes, scale, mean - centre);
  const Quat<Vec> turn = normal_backward(p.unit_quat, p.inverse_norm, choice, normal_gradient);
  Quat<Vec>& quat_gradient = out->geometry.quat;
  quat_gradient = {quat_gradient.w + turn.w, quat_gradient.x + turn.x, quat_gradient.y + turn.y,
                   quat_gradient.z + turn.z};
}

template <class Real>
Mask<Real, kWide> geometry_finite(const SplatGradient<Real>& g) {
  const auto& o = g.geometry;
  V<Real> sum = o.mean.x + o.mean.y + o.mean.z + o.scale.x + o.scale.y + o.scale.z + o.quat.w + o.quat.x + o.quat.y +
                o.quat.z + o.fx + o.fy + o.cx + o.cy + g.opacity + g.view_mean.x + g.view_mean.y + g.view_mean.z;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) sum = sum + o.rotation.m[i][j];
  return is_finite(sum);
}

// Writes the gradient of the coefficients and returns that of the mean through the view direction.
template <int kCoefficients, class Real>
S3D_HD Vec3<V<Real>> sh_backward(const Frame<Real>& frame, LaneRange lanes, const ViewDirection<V<Real>>& direction,
                                 const V<Real>* g_colour) {
  using Vec = V<Real>;
  Vec basis[kCoefficients], g_basis[kCoefficients];
  sh_basis<kCoefficients>(direction.unit, basis);
  if constexpr (kCoefficients == 1) {
    scatter3(frame.g_sh, lanes, basis[0] * Vec3<Vec>{g_colour[0], g_colour[1], g_colour[2]}, frame.accumulate);
    return {Vec(Real(0)), Vec(Real(0)), Vec(Real(0))};
  }
  for (int k = 0; k < kCoefficients; ++k) {
    g_basis[k] = Vec(Real(0));
    for (int c = 0; c < 3; ++c) {
      const int at = 3 * k + c;
      scatter(frame.g_sh, 3 * kCoefficients, at, lanes, basis[k] * g_colour[c], frame.accumulate);
      if (k > 0) g_basis[k] = multiply_add(gather(frame.sh, 3 * kCoefficients, at, lanes), g_colour[c], g_basis[k]);
    }
  }
  return view_direction_backward(direction, sh_basis_backward<kCoefficients>(direction.unit, g_basis));
}

template <class Real>
Vec3<V<Real>> colour_backward(const Frame<Real>& frame, LaneRange lanes, Vec3<V<Real>> mean, const V<Real>* g_colour) {
  const Vec3<V<Real>> centre{frame.camera_centre[0], frame.camera_centre[1], frame.camera_centre[2]};
  const auto direction = view_direction(mean, centre);
  switch (frame.sh_coefficients) {
    case 1:
      return sh_backward<1>(frame, lanes, direction, g_colour);
    case 4:
      return sh_backward<4>(frame, lanes, direction, g_colour);
    case 9:
      return sh_backward<9>(frame, lanes, direction, g_colour);
    default:
      return sh_backward<16>(frame, lanes, direction, g_colour);
  }
}

template <class Real>
void mask_gradient(Mask<Real, kWide> keep, SplatGradient<Real>* g) {
  const auto apply = [keep](V<Real>& x) { x = select(keep, x, V<Real>(Real(0))); };
  auto& o = g->geometry;
  for (V<Real>* x :
       {&o.mean.x,        &o.mean.y,        &o.mean.z,        &o.scale.x,  &o.scale.y,   &o.scale.z,   &o.quat.w,
        &o.quat.x,        &o.quat.y,        &o.quat.z,        &o.fx,       &o.fy,        &o.cx,        &o.cy,
        &o.translation.x, &o.translation.y, &o.translation.z, &g->opacity, &g->centre_x, &g->centre_y, &g->view_mean.x,
        &g->view_mean.y,  &g->view_mean.z})
    apply(*x);
  for (auto& r : o.rotation.m)
    for (auto& x : r) apply(x);
}

template <class Real>
void store_gradient(const Frame<Real>& frame, LaneRange lanes, const SplatGradient<Real>& g, CameraSums<Real>* camera) {
  const auto& o = g.geometry;
  scatter3(frame.g_means, lanes, o.mean + g.view_mean, frame.accumulate);
  scatter3(frame.g_scales, lanes, o.scale, frame.accumulate);
  scatter_quat(frame.g_quats, lanes, o.quat, frame.accumulate);
  scatter(frame.g_opacities, 1, 0, lanes, g.opacity, frame.accumulate);
  if (frame.g_centres) {
    scatter(frame.g_centres, 2, 0, lanes, g.centre_x, false);
    scatter(frame.g_centres, 2, 1, lanes, g.centre_y, false);
  }
  const auto& r = o.rotation.m;
  camera->add({r[0][0], r[0][1], r[0][2], r[1][0], r[1][1], r[1][2], r[2][0], r[2][1], r[2][2], o.translation.x,
               o.translation.y, o.translation.z, o.fx, o.fy, o.cx, o.cy, -g.view_mean.x, -g.view_mean.y,
               -g.view_mean.z});
}

template <class Real>
void gather_lanes(const Frame<Real>& frame, LaneRange lanes, CameraSums<Real>* camera) {
  using Vec = V<Real>;
  const int stride = frame.slot_stride;
  alignas(64) Real slots[kWide * ((kMaxSums + 3) / 4 * 4)];
  Mask<Real, kWide> drawn;
  for (int i = 0; i < kWide; ++i) {
    const TileBox box = frame.boxes[lanes.element(i)];
    const int tiles = i < lanes.active ? (box.x1 - box.x0) * (box.y1 - box.y0) : 0;
    drawn.set(i, tiles > 0);
    sum_slots(frame, uint64_t(lanes.element(i)), tiles, slots + i * stride);
  }
  const LaneRange local{0, lanes.active};
  Vec sums[16];  // moments, colour, depth and normal, and what stands behind them in the last four
  const int own = kMoments + frame.first_feature;
  for (int k = 0; k < own; k += 4) {
    Vec four[4];
    gather_fours(slots + k, stride, four);
    for (int i = 0; i < 4; ++i) sums[k + i] = four[i];
  }
  const Vec zero(Real(0));
  Vec upstream(Real(0));
  for (int k = 0; k < own; ++k) upstream = upstream + sums[k];
  Vec depth_gradient = frame.with_depth ? sums[kMoments + kDepthChannel] : zero;
  if (frame.with_median_depth)
    depth_gradient = depth_gradient + gather(slots, stride, kMoments + frame.channels, local);
  upstream = upstream + depth_gradient;
  Vec3<Vec> normal_gradient{zero, zero, zero};
  if (frame.with_normals) {
    const Vec* g = sums + kMoments + frame.first_normal;
    normal_gradient = {g[0], g[1], g[2]};
  }
  for (int c = 0; c < frame.features; ++c)
    scatter(frame.g_features, frame.features, c, lanes, select(drawn, gather(slots, stride, own + c, local), zero),
            frame.accumulate);

  constexpr int kRecordReals = sizeof(Record<Real>) / sizeof(Real);
  const Real* shown = reinterpret_cast<const Real*>(frame.records) + offsetof(Record<Real>, channels) / sizeof(Real);
  Vec3<Vec> mean = gather3(frame.means, lanes);
  const auto safe = [&](Vec x, int axis) { return select(drawn, x, Vec(frame.camera_centre[axis] + Real(1))); };
  mean = {safe(mean.x, 0), safe(mean.y, 1), safe(mean.z, 2)};
  Vec g_colour[3];
  for (int c = 0; c < 3; ++c)
    g_colour[c] = select(drawn & (gather(shown, kRecordReals, c, lanes) > zero), sums[kMoments + c], zero);
  SplatGradient<Real> g;
  g.view_mean = colour_backward(frame, lanes, mean, g_colour);
  splat_backward(frame, lanes, sums, depth_gradient, normal_gradient, mean, &g);
  // A chain rule that overflows for a degenerate Gaussian gives it nothing; a loss that is not finite stays visible.
  const Mask<Real, kWide> bad_loss = ~is_finite(upstream);
  mask_gradient(drawn & (geometry_finite(g) | bad_loss), &g);
  store_gradient(frame, lanes, g, camera);
}

}  // namespace

template <class Real>
void gather_backward_chunk(const Frame<Real>& frame, int64_t chunk) {
  const int64_t begin = chunk * kChunk, end = begin + kChunk < frame.count ? begin + kChunk : frame.count;
  CameraSums<Real> camera;
  for (int64_t i = begin; i < end; i += kWide)
    gather_lanes(frame, LaneRange{i, int(end - i < kWide ? end - i : kWide)}, &camera);
  camera.store(frame.camera_sums + chunk * kCameraSums);
}

template void gather_backward_chunk<float>(const Frame<float>&, int64_t);
#ifdef S3D_WITH_DOUBLE
template void gather_backward_chunk<double>(const Frame<double>&, int64_t);
#endif

}  // namespace S3D_ISA
}  // namespace s3d

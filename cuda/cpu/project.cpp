// Forward projection of a chunk of Gaussians: records, tile boxes and depth keys. kWide Gaussians at a time.
#include <cstring>

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

template <int kCoefficients, class Real>
S3D_HD void sh_colour(const Real* sh, LaneRange lanes, Vec3<V<Real>> direction, V<Real>* colour) {
  V<Real> basis[kCoefficients];
  sh_basis<kCoefficients>(direction, basis);
  for (int c = 0; c < 3; ++c) {
    V<Real> sum{Real(kColourOffset)};
    for (int k = 0; k < kCoefficients; ++k)
      sum = multiply_add(basis[k], gather(sh, 3 * kCoefficients, 3 * k + c, lanes), sum);
    colour[c] = sum;
  }
}

template <class Real>
void colour_of(const Frame<Real>& frame, LaneRange lanes, Vec3<V<Real>> mean, V<Real>* colour) {
  const Vec3<V<Real>> centre{frame.camera_centre[0], frame.camera_centre[1], frame.camera_centre[2]};
  const auto direction = view_direction(mean, centre).unit;
  switch (frame.sh_coefficients) {
    case 1:
      return sh_colour<1>(frame.sh, lanes, direction, colour);
    case 4:
      return sh_colour<4>(frame.sh, lanes, direction, colour);
    case 9:
      return sh_colour<9>(frame.sh, lanes, direction, colour);
    default:
      return sh_colour<16>(frame.sh, lanes, direction, colour);
  }
}

template <class Real>
Mask<Real, kWide> features_finite(const Frame<Real>& frame, LaneRange lanes) {
  V<Real> sum{Real(0)};
  for (int c = 0; c < frame.features; ++c) sum = sum + gather(frame.values, frame.features, c, lanes);
  return is_finite(sum);
}

// First and one-past-last tile along one axis, and whether any pixel centre (at +0.5) lies within centre +- extent.
template <class Real>
struct TileRange {
  V<Real> first_pixel, last_pixel;
  Mask<Real, kWide> touches;

  S3D_HD TileRange(V<Real> centre, V<Real> extent, Real pixels) {
    const V<Real> half(Real(0.5)), zero(Real(0)), last(pixels - 1);
    const V<Real> low = centre - extent - half, high = centre + extent - half;
    touches = (high >= zero) & (last >= low);  // false for NaN
    first_pixel = maximum(low, zero);          // a NaN gives zero
    last_pixel = maximum(minimum(high, last), zero);
  }
};

// Writes all channels of kWide splats together where a record cannot hold them.
template <class Real>
void store_channels(const Frame<Real>& frame, LaneRange lanes, const Projection<V<Real>>& p, Vec3<V<Real>> mean,
                    Vec3<V<Real>> scale, const V<Real>* own) {
  const int stride = frame.channels;
  for (int c = 0; c < frame.first_normal; ++c) scatter(frame.channel_values, stride, c, lanes, own[c], false);
  if (frame.with_normals) {
    const Vec3<V<Real>> centre{frame.camera_centre[0], frame.camera_centre[1], frame.camera_centre[2]};
    const Vec3<V<Real>> normal = multiply(p.axes, choose_normal(p.axes, scale, mean - centre));
    scatter(frame.channel_values, stride, frame.first_normal, lanes, normal.x, false);
    scatter(frame.channel_values, stride, frame.first_normal + 1, lanes, normal.y, false);
    scatter(frame.channel_values, stride, frame.first_normal + 2, lanes, normal.z, false);
  }
  for (int i = 0; i < lanes.active; ++i)
    std::memcpy(frame.channel_values + (lanes.first + i) * stride + frame.first_feature,
                frame.values + (lanes.first + i) * frame.features, size_t(frame.features) * sizeof(Real));
}

// Three fours of numbers begin a record, and one more follows.
static_assert(offsetof(Record<float>, top_dx) == 12 * sizeof(float), "the record begins with its numbers");

template <class Real>
struct LaneValues {
  Real v[kWide];
  S3D_HD LaneValues(V<Real> x) { x.store(v); }
};

template <class Real>
struct ChunkCursor {
  KeyIndex* pairs;
  uint32_t visible = 0, instances = 0;
  KeyRange keys{UINT32_MAX, 0};
};

template <class Real>
void project_lanes(const Frame<Real>& frame, LaneRange lanes, ChunkCursor<Real>* cursor) {
  using Vec = V<Real>;
  const Vec3<Vec> mean = gather3(frame.means, lanes), scale = gather3(frame.scales, lanes);
  const Quat<Vec> quat = gather_quat(frame.quats, lanes);
  const Vec opacity_in = gather(frame.opacities, 1, 0, lanes);
  const auto p = project(frame.camera, mean, quat, scale);
  const Vec opacity = frame.antialias ? opacity_in * p.compensation : opacity_in;

  Vec channels[4];
  colour_of(frame, lanes, mean, channels);
  const Vec inverse_det = Vec(Real(1)) / p.det;
  const Vec conic_a = p.cov_yy * inverse_det, conic_b = -p.cov_xy * inverse_det, conic_c = p.cov_xx * inverse_det;
  const Vec x = p.image_x + Vec(frame.camera.cx), y = p.image_y + Vec(frame.camera.cy);
  const Vec zero(Real(0));
  // One sum is finite only if all of its terms are; whatever was NaN, infinite or a zero quaternion ends up in it.
  const Vec witness = x + y + conic_a + conic_b + conic_c + p.det + p.cov_xx + p.cov_yy + opacity + channels[0] +
                      channels[1] + channels[2];
  Mask<Real, kWide> drawn = is_finite(witness) & (p.point_cam.z > Vec(frame.camera.near_plane)) &
                            (opacity > Vec(Real(kMinAlpha))) & (p.det > zero);
  if (frame.features) drawn = drawn & features_finite(frame, lanes);

  const Vec safe_opacity = select(drawn, opacity, Vec(Real(1)));
  const Vec log2_opacity = base2_log(safe_opacity);
  const Vec reach = maximum(log2_opacity + Vec(Real(kLog2InverseMinAlpha)), zero);
  // The footprint is where exponent >= log2(kMinAlpha): half-extents sqrt(2 ln 2 reach * cov).
  const Vec spread = Vec(Real(2 / kLog2E)) * reach;
  const Vec extent_x = square_root(spread * p.cov_xx), extent_y = square_root(spread * p.cov_yy);
  const Vec scale_conic(Real(-0.5 * kLog2E)), two(Real(2));

  const TileRange<Real> range_x(x, extent_x, frame.camera.width), range_y(y, extent_y, frame.camera.height);
  drawn = drawn & range_x.touches & range_y.touches;

  const Vec own[4] = {maximum(channels[0], zero), maximum(channels[1], zero), maximum(channels[2], zero),
                      p.point_cam.z};
  if (frame.channel_values) store_channels(frame, lanes, p, mean, scale, own);
  const LaneFours<Real> fours[] = {{x, y, scale_conic * conic_a, two * scale_conic * conic_b},
                                   {scale_conic * conic_c, log2_opacity, own[0], own[1]},
                                   {own[2], own[3], extent_x, extent_y}};
  const LaneValues<Real> top_dx(extent_y * p.cov_xy / p.cov_yy), depths(own[3]);
  const LaneValues<Real> left(range_x.first_pixel), right(range_x.last_pixel), top(range_y.first_pixel),
      bottom(range_y.last_pixel), radius(maximum(extent_x, extent_y));
  for (int i = 0; i < lanes.active; ++i) {
    const int64_t index = lanes.first + i;
    Record<Real>& r = frame.records[index];
    for (int k = 0; k < 3; ++k) fours[k].copy(i, &r.x + 4 * k);
    r.top_dx = top_dx.v[i];
    const bool seen = drawn[i];
    TileBox box{0, 0, 0, 0};
    if (seen) {
      box = {uint16_t(unsigned(int(left.v[i])) / kTile), uint16_t(unsigned(int(top.v[i])) / kTile),
             uint16_t(unsigned(int(right.v[i])) / kTile + 1), uint16_t(unsigned(int(bottom.v[i])) / kTile + 1)};
      const float depth = float(depths.v[i]);  // positive floats order like their bits
      uint32_t key;
      std::memcpy(&key, &depth, sizeof key);
      cursor->pairs[cursor->visible++] = KeyIndex{key, uint32_t(index)};
      cursor->keys.least = key < cursor->keys.least ? key : cursor->keys.least;
      cursor->keys.most = key > cursor->keys.most ? key : cursor->keys.most;
    }
    r.tile_x0 = box.x0;
    r.tile_y0 = box.y0;
    r.tile_x1 = box.x1;
    r.tile_y1 = box.y1;
    r.slot = cursor->instances;
    cursor->instances += uint32_t(box.x1 - box.x0) * uint32_t(box.y1 - box.y0);
    frame.boxes[index] = box;
    if (frame.radii) frame.radii[index] = seen ? radius.v[i] : Real(0);
  }
}

}  // namespace

template <class Real>
void project_chunk(const Frame<Real>& frame, int64_t chunk) {
  const int64_t begin = chunk * kChunk, end = begin + kChunk < frame.count ? begin + kChunk : frame.count;
  ChunkCursor<Real> cursor{frame.chunk_pairs + begin};
  for (int64_t i = begin; i < end; i += kWide)
    project_lanes(frame, LaneRange{i, int(end - i < kWide ? end - i : kWide)}, &cursor);
  frame.chunk_visible[chunk] = cursor.visible;
  frame.chunk_keys[chunk] = cursor.keys;
  frame.chunk_instances[chunk] = cursor.instances;
}

template void project_chunk<float>(const Frame<float>&, int64_t);
#ifdef S3D_WITH_DOUBLE
template void project_chunk<double>(const Frame<double>&, int64_t);
#endif

}  // namespace S3D_ISA
}  // namespace s3d

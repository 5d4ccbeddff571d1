// Forward projection of a chunk of Gaussians: records, tile boxes and depth keys. Eight Gaussians at a time.
#include <cstring>

#include "kernels.h"
#include "lanes.h"
#include "sparse3d/projection.h"
#include "sparse3d/spherical_harmonics.h"

namespace s3d {
namespace S3D_ISA {
namespace {

template <class Real>
using V = Simd<Real, kLanes>;

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
Mask<Real, kLanes> features_finite(const Frame<Real>& frame, LaneRange lanes) {
  V<Real> sum{Real(0)};
  for (int c = 0; c < frame.features; ++c) sum = sum + gather(frame.values, frame.features, c, lanes);
  return is_finite(sum);
}

// Tile ranges touched by a centre +- extent; empty (0, 0) when outside. Comparisons are false for NaN.
template <class Real>
S3D_HD bool tile_range(Real centre, Real extent, int pixels, uint16_t* begin, uint16_t* end) {
  // First and last pixel whose centre (at +0.5) lies in the footprint.
  const Real low = centre - extent - Real(0.5), high = centre + extent - Real(0.5);
  if (!(high >= Real(0)) || !(low <= Real(pixels - 1))) return false;
  const int first = low > Real(0) ? int(low) : 0;  // truncation takes in at most one pixel too many
  const int last = high < Real(pixels - 1) ? int(high) : pixels - 1;
  *begin = uint16_t(first / kTile);
  *end = uint16_t(last / kTile + 1);
  return true;
}

template <class Real>
struct Lanes8 {
  Real v[kLanes];
  Lanes8(V<Real> x) { x.store(v); }
};

template <class Real>
struct ChunkCursor {
  uint32_t visible = 0, instances = 0;
  KeyIndex* pairs;
};

template <class Real>
void project_lanes(const Frame<Real>& frame, LaneRange lanes, ChunkCursor<Real>* cursor) {
  using Vec = V<Real>;
  const Vec3<Vec> mean = gather3(frame.means, lanes), scale = gather3(frame.scales, lanes);
  const Quat<Vec> quat{gather(frame.quats, 4, 0, lanes), gather(frame.quats, 4, 1, lanes),
                       gather(frame.quats, 4, 2, lanes), gather(frame.quats, 4, 3, lanes)};
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
  Mask<Real, kLanes> drawn = is_finite(witness) & (p.point_cam.z > Vec(frame.camera.near_plane)) &
                             (opacity > Vec(Real(kMinAlpha))) & (p.det > zero);
  if (frame.features) drawn = drawn & features_finite(frame, lanes);

  const Vec safe_opacity = select(drawn, opacity, Vec(Real(1)));
  const Vec log2_opacity = base2_log(safe_opacity);
  const Vec reach = maximum(log2_opacity + Vec(Real(kLog2InverseMinAlpha)), zero);
  // The footprint is where exponent >= log2(kMinAlpha): half-extents sqrt(2 ln 2 reach * cov).
  const Vec spread = Vec(Real(2 / kLog2E)) * reach;
  const Vec extent_x = square_root(spread * p.cov_xx), extent_y = square_root(spread * p.cov_yy);
  const Vec scale_conic(Real(-0.5 * kLog2E)), two(Real(2));

  const Lanes8<Real> lx(x), ly(y), ea(scale_conic * conic_a), eb(two * scale_conic * conic_b),
      ec(scale_conic * conic_c);
  const Lanes8<Real> lo(log2_opacity), z(p.point_cam.z), ex(extent_x), ey(extent_y),
      top(extent_y * p.cov_xy / p.cov_yy);
  const Lanes8<Real> red(maximum(channels[0], zero)), green(maximum(channels[1], zero)),
      blue(maximum(channels[2], zero));
  for (int i = 0; i < lanes.active; ++i) {
    const int64_t index = lanes.first + i;
    Record<Real>& r = frame.records[index];
    TileBox box{0, 0, 0, 0};
    const bool seen = drawn.v[i] && tile_range(lx.v[i], ex.v[i], int(frame.camera.width), &box.x0, &box.x1) &&
                      tile_range(ly.v[i], ey.v[i], int(frame.camera.height), &box.y0, &box.y1);
    if (!seen) box = TileBox{0, 0, 0, 0};
    r = Record<Real>{
        lx.v[i],          ly.v[i], ea.v[i],  eb.v[i], ec.v[i], lo.v[i], {red.v[i], green.v[i], blue.v[i], z.v[i]},
        ex.v[i],          ey.v[i], top.v[i], box.x0,  box.y0,  box.x1,  box.y1,
        cursor->instances};
    frame.boxes[index] = box;
    if (frame.radii) frame.radii[index] = seen ? (ex.v[i] > ey.v[i] ? ex.v[i] : ey.v[i]) : Real(0);
    if (!seen) continue;
    const float depth = float(z.v[i]);  // positive floats order like their bits
    uint32_t key;
    std::memcpy(&key, &depth, sizeof key);
    cursor->pairs[cursor->visible++] = KeyIndex{key, uint32_t(index)};
    cursor->instances += uint32_t(box.x1 - box.x0) * uint32_t(box.y1 - box.y0);
  }
}

}  // namespace

template <class Real>
void project_chunk(const Frame<Real>& frame, int64_t chunk) {
  const int64_t begin = chunk * kChunk, end = begin + kChunk < frame.count ? begin + kChunk : frame.count;
  ChunkCursor<Real> cursor{0, 0, frame.chunk_pairs + begin};
  for (int64_t i = begin; i < end; i += kLanes)
    project_lanes(frame, LaneRange{i, int(end - i < kLanes ? end - i : kLanes)}, &cursor);
  frame.chunk_visible[chunk] = cursor.visible;
  frame.chunk_instances[chunk] = cursor.instances;
}

template void project_chunk<float>(const Frame<float>&, int64_t);
#ifdef S3D_WITH_DOUBLE
template void project_chunk<double>(const Frame<double>&, int64_t);
#endif

}  // namespace S3D_ISA
}  // namespace s3d

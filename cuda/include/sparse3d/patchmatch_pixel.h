// One iteration of PatchMatch at a pixel: it tries its neighbours' planes and perturbed ones, and keeps the best.
//
// All pixels read the planes of the iteration before and write new ones, so that the order of pixels and the number of
// threads do not matter, on a CPU or a GPU. Candidates come from eight regions, the best of each (Xu & Tao 2019); how
// much each view counts at a pixel follows from the candidates' costs in it.
#pragma once

#include <cstddef>

#include "sparse3d/patchmatch_frame.h"

namespace s3d {
namespace S3D_ISA {

struct Offset {
  int x, y;
};

constexpr int kQuarters = 4, kPlaces = 7, kCandidates = 1 + 2 * kQuarters;

// The regions above the pixel, near and far, place by place: tables could not be read by a GPU's threads.
// (0, -1), (-1, -2), (1, -2), (-2, -3), (2, -3), (-3, -4), (3, -4)
S3D_HD Offset near_place(int i) {
  const int row = (i + 1) / 2;
  return {i % 2 ? -row : row, -1 - row};
}
// (0, -3), (0, -5), (0, -8), (0, -12), (0, -17), (0, -23), (0, -30)
S3D_HD Offset far_place(int i) { return {0, -3 - i * (i + 3) / 2}; }
static_assert(3 + (kPlaces - 1) * (kPlaces + 2) / 2 <= kPlanePadding, "candidates are read unchecked");

// The other regions follow by quarter turns.
S3D_HD Offset turned(Offset o, int quarter) {
  for (int i = 0; i < quarter; ++i) o = {-o.y, o.x};
  return o;
}

// A number in [-1, 1) that depends on nothing but its arguments (the finaliser of MurmurHash3).
S3D_HD float noise(uint32_t seed, uint32_t pixel, uint32_t draw) {
  uint32_t h = seed ^ (pixel * 0x9e3779b1u) ^ (draw * 0x85ebca6bu);
  h ^= h >> 16;
  h *= 0x85ebca6bu;
  h ^= h >> 13;
  h *= 0xc2b2ae35u;
  h ^= h >> 16;
  return float(int32_t(h)) * (1.0f / 2147483648.0f);
}

// One pixel, or those of a row that a vector holds. Lanes says which:
//   T                     the value type
//   load(p)               the values from p on
//   load_some(p, count)   likewise; zero from the count-th on
//   each(f)               the values f(0), f(1), ...
template <class Lanes, class Real>
class Pixels {
 public:
  using T = typename Lanes::T;

  S3D_HD_LARGE Pixels(const PatchmatchFrame<Real>& frame, int x, int y)
      : f_(frame),
        at_(size_t(y + kPlanePadding) * plane_stride(frame.width) + size_t(x + kPlanePadding)),
        x_(x),
        y_(y) {
    // Pixel centres stand at +0.5 in the reference; see StereoView for the other side.
    column_ = Lanes::each([&](int lane) { return Real(x + lane); }) + T(Real(0.5));
    row_ = T(Real(y) + Real(0.5));
    const Real* grey = f_.grey + at_;
    const ptrdiff_t stride = ptrdiff_t(plane_stride(f_.width));
    look_at(&window_, Lanes::load(grey), [&](int dx, int dy) { return Lanes::load(grey + dy * stride + dx); });
    for (int v = 0; v < f_.views; ++v) visible_[v] = f_.others[v].visible ? read(f_.others[v].visible) : T(Real(1));
    if (f_.prior_inverse) {
      prior_ = {read(f_.prior_inverse), read(f_.prior_slope_x), read(f_.prior_slope_y)};
      prior_weight_ = read(f_.prior_weight);
    }
  }

  S3D_HD_LARGE void update() {
    gather_candidates();
    for (int c = 0; c < kCandidates; ++c)
      for (int v = 0; v < f_.views; ++v) costs_[c][v] = cost_in(candidates_[c], v);
    weigh_views();
    best_cost_ = T(Real(1e9));
    for (int c = 0; c < kCandidates; ++c) take(candidates_[c], total(candidates_[c], costs_[c]));
    refine();
  }

  S3D_HD_LARGE const Plane<T>& best() const { return best_; }
  S3D_HD_LARGE T best_cost() const { return best_cost_; }
  S3D_HD_LARGE T best_cost_in(int v) const {
    const ViewCost<T> found = cost_in(best_, v);
    return select(found.weight > T(Real(0)), found.cost, T(Real(kWorstCost)));
  }
  // Of the pixel in the padded maps.
  S3D_HD_LARGE size_t place() const { return at_; }

 private:
  // From a map of the image's own size, zero beyond its end.
  S3D_HD_LARGE T read(const Real* map) const {
    return Lanes::load_some(map + size_t(y_) * f_.width + x_, f_.width - x_);
  }

  S3D_HD_LARGE Plane<T> plane_at(Offset o) const {
    const size_t at = at_ + ptrdiff_t(o.y) * ptrdiff_t(plane_stride(f_.width)) + o.x;
    const PlaneMaps<Real>& m = f_.before;
    const T slope_x = Lanes::load(m.slope_x + at), slope_y = Lanes::load(m.slope_y + at);
    const T inverse = Lanes::load(m.inverse + at) - T(Real(o.x)) * slope_x - T(Real(o.y)) * slope_y;
    return {inverse, slope_x, slope_y};
  }

  // The plane with the least cost in a region.
  S3D_HD_LARGE Plane<T> best_of(bool far, int quarter) const {
    const Offset first = turned(far ? far_place(0) : near_place(0), quarter);
    Plane<T> best = plane_at(first);
    T least = cost_before(first);
    for (int i = 1; i < kPlaces; ++i) {
      const Offset o = turned(far ? far_place(i) : near_place(i), quarter);
      const T cost = cost_before(o);
      const auto better = cost < least;
      const Plane<T> other = plane_at(o);
      best = {select(better, other.inverse, best.inverse), select(better, other.slope_x, best.slope_x),
              select(better, other.slope_y, best.slope_y)};
      least = select(better, cost, least);
    }
    return best;
  }

  S3D_HD_LARGE T cost_before(Offset o) const {
    return Lanes::load(f_.before.cost + at_ + ptrdiff_t(o.y) * ptrdiff_t(plane_stride(f_.width)) + o.x);
  }

  S3D_HD_LARGE void gather_candidates() {
    candidates_[0] = plane_at({0, 0});
    for (int q = 0; q < kQuarters; ++q) {
      candidates_[1 + q] = best_of(false, q);
      candidates_[1 + kQuarters + q] = best_of(true, q);
    }
  }

  S3D_HD_LARGE ViewCost<T> cost_in(const Plane<T>& plane, int v) const {
    return view_cost(window_, plane, column_, row_, f_.others[v], f_.grey_share, f_.geometric_share, f_.max_error);
  }

  // A view counts as far as the candidates match in it and as it is known to see the pixel.
  S3D_HD_LARGE void weigh_views() {
    for (int v = 0; v < f_.views; ++v) {
      T sum(Real(0));
      for (int c = 0; c < kCandidates; ++c) {
        const T cost = costs_[c][v].cost;
        sum = sum + costs_[c][v].weight * e_to(cost * cost * T(Real(-0.5) / Real(kViewSpread * kViewSpread)));
      }
      weights_[v] = (sum * T(Real(1) / kCandidates) + T(Real(1e-3))) * visible_[v];
    }
  }

  S3D_HD_LARGE T total(const Plane<T>& plane, const ViewCost<T>* costs) const {
    const T zero(Real(0));
    T sum = zero, weight(Real(1e-9));
    T seen = zero;
    for (int v = 0; v < f_.views; ++v) {
      // A view that a plane leaves counts as a bad match there, or leaving would pay.
      sum = multiply_add(weights_[v], select(costs[v].weight > zero, costs[v].cost, T(Real(1))), sum);
      weight = weight + weights_[v];
      seen = seen + costs[v].weight * weights_[v];
    }
    T cost = sum / weight;
    if (f_.prior_inverse) {
      const T away = (plane.inverse - prior_.inverse) * T(Real(1) / f_.step);
      cost = multiply_add(prior_weight_, minimum(maximum(away, -away) * T(Real(0.5)), T(Real(1))), cost);
    }
    const T steepest = T(Real(kMaxSlope)) * plane.inverse;
    const auto valid = (seen > zero) & (plane.inverse >= T(f_.far_inverse)) & (plane.inverse < T(f_.near_inverse)) &
                       (maximum(plane.slope_x, -plane.slope_x) < steepest) &
                       (maximum(plane.slope_y, -plane.slope_y) < steepest);
    return select(valid, cost, T(Real(kWorstCost)));
  }

  S3D_HD_LARGE void take(const Plane<T>& plane, T cost) {
    const auto better = cost < best_cost_;
    best_ = {select(better, plane.inverse, best_.inverse), select(better, plane.slope_x, best_.slope_x),
             select(better, plane.slope_y, best_.slope_y)};
    best_cost_ = select(better, cost, best_cost_);
  }

  S3D_HD_LARGE void try_plane(const Plane<T>& plane) {
    ViewCost<T> costs[kMaxStereoViews];
    for (int v = 0; v < f_.views; ++v) costs[v] = cost_in(plane, v);
    take(plane, total(plane, costs));
  }

  S3D_HD_LARGE T draw(int number) const {
    const uint32_t seed = f_.seed + uint32_t(f_.iteration) * 7919u, row = uint32_t(y_) * 65536u;
    return Lanes::each([&](int lane) { return Real(noise(seed, row + uint32_t(x_ + lane), uint32_t(number))); });
  }

  S3D_HD_LARGE void refine() {
    const Real reach = f_.step * f_.reach / Real(1 << (f_.iteration < 6 ? f_.iteration : 6));
    const T shift(reach), tilt(reach / Real(-kWindowFirst));
    if (f_.prior_inverse) try_plane(prior_);
    // The slope that the neighbours' depths have.
    const Plane<T> left = plane_at({-2, 0}), right = plane_at({2, 0}), up = plane_at({0, -2}), down = plane_at({0, 2});
    try_plane({best_.inverse, (at_place(right, 2, 0) - at_place(left, -2, 0)) * T(Real(0.25)),
               (at_place(down, 0, 2) - at_place(up, 0, -2)) * T(Real(0.25))});
    try_plane({multiply_add(shift, draw(0), best_.inverse), best_.slope_x, best_.slope_y});
    try_plane({best_.inverse, multiply_add(tilt, draw(1), best_.slope_x), multiply_add(tilt, draw(2), best_.slope_y)});
    try_plane({multiply_add(shift, draw(3), best_.inverse), multiply_add(tilt, draw(4), best_.slope_x),
               multiply_add(tilt, draw(5), best_.slope_y)});
    try_plane({multiply_add(shift * T(Real(0.25)), draw(6), best_.inverse), best_.slope_x, best_.slope_y});
  }

  // The inverse depth at a place of a plane that plane_at() brought here.
  S3D_HD_LARGE static T at_place(const Plane<T>& p, int dx, int dy) {
    return p.inverse + T(Real(dx)) * p.slope_x + T(Real(dy)) * p.slope_y;
  }

  const PatchmatchFrame<Real>& f_;
  size_t at_;
  int x_, y_;
  T column_, row_;
  Window<T> window_;
  Plane<T> candidates_[kCandidates], best_, prior_;
  ViewCost<T> costs_[kCandidates][kMaxStereoViews];
  T visible_[kMaxStereoViews], weights_[kMaxStereoViews], best_cost_, prior_weight_;
};

}  // namespace S3D_ISA
}  // namespace s3d

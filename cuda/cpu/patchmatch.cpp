// One row of one iteration: every pixel tries its neighbours' planes and perturbed ones, and keeps the best.
//
// All pixels read the planes of the iteration before and write new ones, so that the order of rows and the number of
// threads do not matter. Candidates come from eight regions, the best of each (Xu & Tao 2019); how much each view
// counts at a pixel follows from the candidates' costs in it.
#include <algorithm>

#include "kernels.h"
#include "patchmatch_frame.h"
#include "patchmatch_lanes.h"
#include "sweep.h"

namespace s3d {
namespace S3D_ISA {
namespace {

struct Offset {
  int8_t x, y;
};

// The regions above the pixel, near and far; the others follow by quarter turns.
constexpr Offset kNear[] = {{0, -1}, {-1, -2}, {1, -2}, {-2, -3}, {2, -3}, {-3, -4}, {3, -4}};
constexpr Offset kFar[] = {{0, -3}, {0, -5}, {0, -8}, {0, -12}, {0, -17}, {0, -23}, {0, -30}};
constexpr int kQuarters = 4, kCandidates = 1 + 2 * kQuarters, kRefinements = 4;

S3D_HD Offset turned(Offset o, int quarter) {
  for (int i = 0; i < quarter; ++i) o = {int8_t(-o.y), o.x};
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

template <class Real>
class Pixels {
 public:
  using T = V<Real>;

  Pixels(const PatchmatchFrame<Real>& frame, int x, int y)
      : f_(frame),
        at_(size_t(y + kPlanePadding) * plane_stride(frame.width) + size_t(x + kPlanePadding)),
        x_(x),
        y_(y) {
    Real columns[kWide];
    for (int lane = 0; lane < kWide; ++lane) columns[lane] = Real(x + lane);
    // Pixel centres stand at +0.5 in the reference; see StereoView for the other side.
    column_ = T::load(columns) + T(Real(0.5));
    row_ = T(Real(y) + Real(0.5));
    const Real* grey = f_.grey + at_;
    const ptrdiff_t stride = ptrdiff_t(plane_stride(f_.width));
    look_at(&window_, T::load(grey), [&](int dx, int dy) { return T::load(grey + dy * stride + dx); });
    for (int v = 0; v < f_.views; ++v) visible_[v] = f_.others[v].visible ? read(f_.others[v].visible) : T(Real(1));
    if (f_.prior_inverse) {
      prior_ = {read(f_.prior_inverse), read(f_.prior_slope_x), read(f_.prior_slope_y)};
      prior_weight_ = read(f_.prior_weight);
    }
  }

  void update() {
    gather_candidates();
    for (int c = 0; c < kCandidates; ++c)
      for (int v = 0; v < f_.views; ++v) costs_[c][v] = cost_in(candidates_[c], v);
    weigh_views();
    best_cost_ = T(Real(1e9));
    for (int c = 0; c < kCandidates; ++c) take(candidates_[c], total(candidates_[c], costs_[c]));
    refine();
    write();
  }

 private:
  // From a map of the image's own size, zero beyond its end.
  T read(const Real* map) const {
    const int left = f_.width - x_;
    const Real* p = map + size_t(y_) * f_.width + x_;
    if (left >= kWide) return T::load(p);
    Real values[kWide] = {};
    std::copy(p, p + left, values);
    return T::load(values);
  }

  Plane<T> plane_at(Offset o) const {
    const size_t at = at_ + ptrdiff_t(o.y) * ptrdiff_t(plane_stride(f_.width)) + o.x;
    const PlaneMaps<Real>& m = f_.before;
    const T slope_x = T::load(m.slope_x + at), slope_y = T::load(m.slope_y + at);
    const T inverse = T::load(m.inverse + at) - T(Real(o.x)) * slope_x - T(Real(o.y)) * slope_y;
    return {inverse, slope_x, slope_y};
  }

  // The plane with the least cost among some places.
  template <size_t N>
  Plane<T> best_of(const Offset (&places)[N], int quarter) const {
    Plane<T> best = plane_at(turned(places[0], quarter));
    T least = cost_before(turned(places[0], quarter));
    for (size_t i = 1; i < N; ++i) {
      const Offset o = turned(places[i], quarter);
      const T cost = cost_before(o);
      const auto better = cost < least;
      const Plane<T> other = plane_at(o);
      best = {select(better, other.inverse, best.inverse), select(better, other.slope_x, best.slope_x),
              select(better, other.slope_y, best.slope_y)};
      least = select(better, cost, least);
    }
    return best;
  }

  T cost_before(Offset o) const {
    return T::load(f_.before.cost + at_ + ptrdiff_t(o.y) * ptrdiff_t(plane_stride(f_.width)) + o.x);
  }

  void gather_candidates() {
    candidates_[0] = plane_at({0, 0});
    for (int q = 0; q < kQuarters; ++q) {
      candidates_[1 + q] = best_of(kNear, q);
      candidates_[1 + kQuarters + q] = best_of(kFar, q);
    }
  }

  ViewCost<T> cost_in(const Plane<T>& plane, int v) const {
    return view_cost(window_, plane, column_, row_, f_.others[v], f_.grey_share, f_.geometric_share, f_.max_error);
  }

  // A view counts as far as the candidates match in it and as it is known to see the pixel.
  void weigh_views() {
    for (int v = 0; v < f_.views; ++v) {
      T sum(Real(0));
      for (int c = 0; c < kCandidates; ++c) {
        const T cost = costs_[c][v].cost;
        sum = sum + costs_[c][v].weight * e_to(cost * cost * T(Real(-0.5) / Real(kViewSpread * kViewSpread)));
      }
      weights_[v] = (sum * T(Real(1) / kCandidates) + T(Real(1e-3))) * visible_[v];
    }
  }

  T total(const Plane<T>& plane, const ViewCost<T>* costs) const {
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

  void take(const Plane<T>& plane, T cost) {
    const auto better = cost < best_cost_;
    best_ = {select(better, plane.inverse, best_.inverse), select(better, plane.slope_x, best_.slope_x),
             select(better, plane.slope_y, best_.slope_y)};
    best_cost_ = select(better, cost, best_cost_);
  }

  void try_plane(const Plane<T>& plane) {
    ViewCost<T> costs[kMaxStereoViews];
    for (int v = 0; v < f_.views; ++v) costs[v] = cost_in(plane, v);
    take(plane, total(plane, costs));
  }

  T draw(int number) const {
    Real values[kWide];
    for (int lane = 0; lane < kWide; ++lane)
      values[lane] = Real(noise(f_.seed + uint32_t(f_.iteration) * 7919u, uint32_t(y_) * 65536u + uint32_t(x_ + lane),
                                uint32_t(number)));
    return T::load(values);
  }

  void refine() {
    const Real reach = f_.step * f_.reach / Real(1 << std::min(f_.iteration, 6));
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
  static T at_place(const Plane<T>& p, int dx, int dy) {
    return p.inverse + T(Real(dx)) * p.slope_x + T(Real(dy)) * p.slope_y;
  }

  void write() {
    const int active = std::min(kWide, f_.width - x_);
    const uint8_t* mask = f_.mask + size_t(y_) * f_.width + x_;
    for (int lane = 0; lane < active; ++lane) {
      if (!mask[lane]) continue;
      f_.after.inverse[at_ + lane] = best_.inverse[lane];
      f_.after.slope_x[at_ + lane] = best_.slope_x[lane];
      f_.after.slope_y[at_ + lane] = best_.slope_y[lane];
      f_.after.cost[at_ + lane] = best_cost_[lane];
    }
    if (!f_.last || !f_.view_costs) return;
    for (int v = 0; v < f_.views; ++v) {
      const ViewCost<T> found = cost_in(best_, v);
      const T cost = select(found.weight > T(Real(0)), found.cost, T(Real(kWorstCost)));
      Real* out = f_.view_costs + (size_t(v) * f_.height + y_) * f_.width + x_;
      for (int lane = 0; lane < active; ++lane) out[lane] = cost[lane];
    }
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

}  // namespace

template <class Real>
void patchmatch_row(const PatchmatchFrame<Real>& f, int y) {
  for (int x = 0; x < f.width; x += kWide) {
    const uint8_t* mask = f.mask + size_t(y) * f.width;
    if (std::any_of(mask + x, mask + std::min(x + kWide, f.width), [](uint8_t m) { return m != 0; }))
      Pixels<Real>(f, x, y).update();
  }
}

template void patchmatch_row<float>(const PatchmatchFrame<float>&, int);
#ifdef S3D_WITH_DOUBLE
template void patchmatch_row<double>(const PatchmatchFrame<double>&, int);
#endif

}  // namespace S3D_ISA
}  // namespace s3d

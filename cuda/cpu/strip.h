// Strips of a tile: how their pixels lie in memory and how a splat's exponent is taken from one vector to the next.
#pragma once

#include <cstring>

#include "footprint.h"

namespace s3d {
namespace S3D_ISA {

// Rows of a tile that stand together, pixel by pixel, so that one load brings eight columns of all of them.
#ifdef __AVX512F__
constexpr int kRowGroupBits = 1;
#else
constexpr int kRowGroupBits = 0;
#endif
constexpr int kRowGroup = 1 << kRowGroupBits;
constexpr int kStripLanes = kLanes * kRowGroup;
constexpr int kRowGroups = kTile / kRowGroup;
constexpr int kPlaneStride = kTileStride * kRowGroup;  // from one plane of a row group to the next
static_assert(kTile % kRowGroup == 0 && kRowGroup <= kMaxRowGroup, "row groups fill a tile and fit into its memory");

// Footprints are worked out this many splats ahead, so that loops know their bounds before they begin.
constexpr uint32_t kBatch = 16;

S3D_HD uint32_t minimum_count(uint32_t a, uint32_t b) { return a < b ? a : b; }

template <class Real>
using StripVector = Simd<Real, kStripLanes>;

// The planes of a tile: those of a row group follow one another. Images come and go by lines, single rows of all
// planes, kTileStride apart.
template <class Real>
class Planes {
 public:
  Planes(Real* scratch, int planes)
      : base(scratch), group_stride(planes * kPlaneStride), lines_(scratch + kRowGroups * group_stride) {}

  // fill(y, line) writes the lines of the tile's first rows; what it does not write is zero.
  template <class Fill>
  void fill_lines(int rows, Fill fill) {
    const int width = group_stride / kRowGroup;  // of a line, all planes
    for (int group = 0; group < kRowGroups; ++group) {
      Real* target = base + group * group_stride;
      Real* lines = kRowGroup == 1 ? target : lines_;
      std::memset(lines, 0, size_t(group_stride) * sizeof(Real));
      for_lines(group, rows, lines, fill);
      if constexpr (kRowGroup > 1)
#pragma GCC ivdep
        for (int i = 0; i < width; ++i)
          for (int r = 0; r < kRowGroup; ++r) target[i * kRowGroup + r] = lines_[r * width + i];
    }
  }
  // read(y, line) may write to the line.
  template <class Read>
  void read_lines(int rows, Read read) const {
    const int width = group_stride / kRowGroup;
    for (int group = 0; group * kRowGroup < rows; ++group) {
      Real* source = base + group * group_stride;
      if constexpr (kRowGroup > 1)
#pragma GCC ivdep
        for (int i = 0; i < width; ++i)
          for (int r = 0; r < kRowGroup; ++r) lines_[r * width + i] = source[i * kRowGroup + r];
      for_lines(group, rows, kRowGroup == 1 ? source : lines_, read);
    }
  }

  Real* base;
  int group_stride;

 private:
  template <class Body>
  void for_lines(int group, int rows, Real* lines, Body& body) const {
    for (int r = 0; r < kRowGroup && group * kRowGroup + r < rows; ++r)
      body(group * kRowGroup + r, lines + r * (group_stride / kRowGroup));
  }

  Real* lines_;
};

// The vectors of one strip, from the top. Forward and backward pass take the same steps, so that they round alike.
template <class Real>
struct StripCursor {
  using V = StripVector<Real>;
  int group, last;           // row groups of the tile, inclusive
  V dx, dy;                  // pixel minus centre
  V base, slope, quadratic;  // exponent = base + (slope + quadratic dy) dy

  S3D_HD StripCursor(const Footprint<Real>& footprint, int first) {
    const Record<Real>& s = *footprint.record;
    const Range rows = footprint.rows(first);
    group = rows.first >> kRowGroupBits;
    last = rows.last >> kRowGroupBits;
    V column, row;
    for (int lane = 0; lane < kStripLanes; ++lane) {
      column.set(lane, Real(lane / kRowGroup));
      row.set(lane, Real(lane % kRowGroup));
    }
    dx = V(Real(first) - footprint.x) + column;
    dy = V(Real(group * kRowGroup) - footprint.y) + row;
    base = multiply_add(V(s.a) * dx, dx, V(s.log2_opacity));
    slope = V(s.b) * dx;
    quadratic = V(s.c);
  }
  S3D_HD bool inside() const { return group <= last; }
  S3D_HD V exponent() const { return multiply_add(multiply_add(quadratic, dy, slope), dy, base); }
  S3D_HD void next() {
    ++group;
    dy = dy + V(Real(kRowGroup));
  }
};

}  // namespace S3D_ISA
}  // namespace s3d

// Which tiles and patches a splat's footprint reaches: the ellipse where its opacity passes kMinAlpha.
#pragma once

#include "frame.h"

namespace s3d {
namespace gpu {

// Pixel centres, inclusive.
template <class Real>
struct Rectangle {
  Real left, top, right, bottom;
};

// The exponent of a splat at an offset from its centre. The forward and the backward pass must round alike.
template <class Real>
S3D_HD Real exponent_at(const Splat<Real>& s, Real dx, Real dy) {
  const Real base = multiply_add(s.a * dx, dx, s.log2_opacity), slope = s.b * dx;
  return multiply_add(multiply_add(s.c, dy, slope), dy, base);
}

// Whether a footprint reaches a rectangle: its exponent is concave, so the largest one in the rectangle lies at the
// centre or on a side that faces it. Errs on the side of reaching, by what rounding may do to the pixels' exponents.
template <class Real>
S3D_HD bool reaches(const Splat<Real>& s, const Rectangle<Real>& area) {
  const Real left = area.left - s.x, right = area.right - s.x, top = area.top - s.y, bottom = area.bottom - s.y;
  const Real zero(0), half(Real(-0.5));
  const Real dx = clamp(zero, left, right), dy = clamp(zero, top, bottom);
  const Real slope_x = half * s.b / s.c, slope_y = half * s.b / s.a;  // of the largest exponent along a side
  const Real best_dy = clamp(slope_x * dx, top, bottom), best_dx = clamp(slope_y * dy, left, right);
  const Real most = maximum(exponent_at(s, dx, best_dy), exponent_at(s, best_dx, dy));
  const Real rounding = Real(1e-3) - Real(1e-5) * (s.a * dx * dx + s.c * dy * dy);
  return s.extent_x >= maximum(left, -right) && s.extent_y >= maximum(top, -bottom) &&
         most + rounding >= Real(-kLog2InverseMinAlpha);
}

struct TileBox {
  int x0, y0, x1, y1;  // half-open
};

// Tiles of the pixels within the footprint's bounding box, for a splat that touches the image.
template <class Real>
S3D_HD TileBox tile_box(const Splat<Real>& s, int width, int height) {
  const Real half(0.5), zero(0), last_x = Real(width - 1), last_y = Real(height - 1);
  const int x0 = int(maximum(s.x - s.extent_x - half, zero)), y0 = int(maximum(s.y - s.extent_y - half, zero));
  const int x1 = int(maximum(minimum(s.x + s.extent_x - half, last_x), zero));
  const int y1 = int(maximum(minimum(s.y + s.extent_y - half, last_y), zero));
  return {x0 / kTile, y0 / kTile, x1 / kTile + 1, y1 / kTile + 1};
}

template <class Real>
S3D_HD Rectangle<Real> tile_area(int x, int y, int width, int height) {
  const int right = (x + 1) * kTile < width ? (x + 1) * kTile : width;
  const int bottom = (y + 1) * kTile < height ? (y + 1) * kTile : height;
  const Real half(0.5);
  return {Real(x * kTile) + half, Real(y * kTile) + half, Real(right) - half, Real(bottom) - half};
}

// Calls visit(tile) for every tile that the splat reaches, row by row.
template <class Real, class Visit>
S3D_HD void for_each_tile(const Splat<Real>& s, int width, int height, int tiles_x, Visit visit) {
  const TileBox box = tile_box(s, width, height);
  for (int y = box.y0; y < box.y1; ++y)
    for (int x = box.x0; x < box.x1; ++x)
      if (reaches(s, tile_area<Real>(x, y, width, height))) visit(y * tiles_x + x);
}

}  // namespace gpu
}  // namespace s3d

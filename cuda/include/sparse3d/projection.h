// EWA projection of a 3D Gaussian by a pinhole camera (Zwicker et al. 2001, eq. 24 to 31), and its gradient.
#pragma once

#include "sparse3d/constants.h"
#include "sparse3d/covariance.h"

namespace s3d {

// A pinhole camera. Pixel (i, j) has its centre at (i + 0.5, j + 0.5); (cx, cy) is in the same frame.
template <class S>
struct Pinhole {
  S rotation[3][3];  // of cam_from_world, row-major
  S translation[3];
  S fx, fy, cx, cy;
  S width, height;  // in pixels
  S near_plane;     // in scene units
  S eps2d;          // added to the diagonal of the 2D covariance, in square pixels
};

namespace S3D_ISA {

// Everything the forward projection computes that the backward one reads again.
template <class T>
struct Projection {
  Vec3<T> point_cam;
  T inverse_z;
  T image_x, image_y;      // fx * x / z, fy * y / z: position relative to the principal point, in pixels
  T clamped_x, clamped_y;  // the same, limited to the neighbourhood of the image, for the Jacobian alone
  T j00, j02, j11, j12;    // Jacobian of the projection
  Quat<T> unit_quat;
  T inverse_norm;
  Mat3<T> axes;    // rotation of the Gaussian
  Vec3<T> b0, b1;  // rows of Jacobian * rotation of the camera
  Vec3<T> n0, n1;  // rows of the 2x3 square root of the 2D covariance
  Vec3<T> spread;  // n0 x n1: its square is the determinant before eps2d is added
  T cov_xx, cov_xy, cov_yy, det;
  T compensation;  // sqrt(det before / det after eps2d)
};

// means_cam = cam_from_world * mean. Division by z is left to the caller's validity mask (z > near).
template <class T, class S>
S3D_HD Projection<T> project(const Pinhole<S>& camera, Vec3<T> mean, Quat<T> quat, Vec3<T> scale) {
  Projection<T> p;
  const Mat3<T> rotation = broadcast<T>(camera.rotation);
  const Vec3<T> translation{T(camera.translation[0]), T(camera.translation[1]), T(camera.translation[2])};
  p.point_cam = multiply(rotation, mean) + translation;
  p.inverse_z = T(1) / p.point_cam.z;
  p.image_x = T(camera.fx) * p.point_cam.x * p.inverse_z;
  p.image_y = T(camera.fy) * p.point_cam.y * p.inverse_z;
  const S margin_x = S(kFrustumMargin) * camera.width, margin_y = S(kFrustumMargin) * camera.height;
  p.clamped_x = clamp(p.image_x, T(-camera.cx - margin_x), T(camera.width - camera.cx + margin_x));
  p.clamped_y = clamp(p.image_y, T(-camera.cy - margin_y), T(camera.height - camera.cy + margin_y));
  p.j00 = T(camera.fx) * p.inverse_z;
  p.j11 = T(camera.fy) * p.inverse_z;
  p.j02 = -p.clamped_x * p.inverse_z;
  p.j12 = -p.clamped_y * p.inverse_z;

  p.inverse_norm = T(1) / square_root(norm_squared(quat));
  p.unit_quat = scaled(quat, p.inverse_norm);
  p.axes = rotation_from_unit_quat(p.unit_quat);
  p.b0 = p.j00 * row(rotation, 0) + p.j02 * row(rotation, 2);
  p.b1 = p.j11 * row(rotation, 1) + p.j12 * row(rotation, 2);
  const Vec3<T> w0 = multiply_transposed(p.axes, p.b0), w1 = multiply_transposed(p.axes, p.b1);
  p.n0 = {w0.x * scale.x, w0.y * scale.y, w0.z * scale.z};
  p.n1 = {w1.x * scale.x, w1.y * scale.y, w1.z * scale.z};

  // The determinant by Lagrange's identity: xx * yy - xy^2 would cancel for elongated splats in float32.
  p.spread = cross(p.n0, p.n1);
  const T xx = dot(p.n0, p.n0), yy = dot(p.n1, p.n1), det_before = dot(p.spread, p.spread);
  const T eps(camera.eps2d);
  p.cov_xx = xx + eps;
  p.cov_xy = dot(p.n0, p.n1);
  p.cov_yy = yy + eps;
  p.det = det_before + eps * (xx + yy + eps);
  p.compensation = square_root(det_before / p.det);
  return p;
}

// Gradients of the loss that reach the projection, and those that leave it.
template <class T>
struct ProjectionIn {
  T x, y, depth;             // to the projected centre (pixels) and the z-depth
  T cov_xx, cov_xy, cov_yy;  // to the symmetric 2D covariance: cov_xy is one of the two equal entries
  T log_compensation;        // to ln(compensation); zero when opacities are not compensated
};

template <class T>
struct ProjectionOut {
  Vec3<T> mean, scale;
  Quat<T> quat;
  Mat3<T> rotation;  // to the rotation and the translation of cam_from_world
  Vec3<T> translation;
  T fx, fy, cx, cy;
};

namespace detail {

// Gradients to the Jacobian's entries become gradients to the point, the focal length and the principal point of one
// axis.
template <class T>
struct AxisGradient {
  T point, z, focal, centre;
};

template <class T>
S3D_HD AxisGradient<T> axis_backward(T focal, T point, T inverse_z, T image, T clamped, T g_image, T g_diagonal,
                                     T g_skew) {
  AxisGradient<T> g;
  const T g_clamped = -g_skew * inverse_z;
  const auto inside = clamped == image;
  // Outside, the limit moves against the principal point and does not feel the point.
  const T zero(0);
  const T g_total = g_image + select(inside, g_clamped, zero);
  g.centre = g_image - select(inside, zero, g_clamped);
  g.focal = (g_diagonal + g_total * point) * inverse_z;
  g.point = g_total * focal * inverse_z;
  g.z = (g_skew * clamped * inverse_z - g_diagonal * focal * inverse_z - g_total * image) * inverse_z;
  return g;
}

}  // namespace detail

template <class T, class S>
S3D_HD ProjectionOut<T> project_backward(const Pinhole<S>& camera, const Projection<T>& p, Vec3<T> mean, Vec3<T> scale,
                                         const ProjectionIn<T>& g) {
  ProjectionOut<T> out;
  const T two(2), half(0.5);
  const Mat3<T> rotation = broadcast<T>(camera.rotation);

  // ln(compensation) = ln |spread| - ln(det) / 2.
  const T inverse_det = T(1) / p.det;
  const T g_half_log_det = half * g.log_compensation * inverse_det;
  const T g_xx = g.cov_xx - g_half_log_det * p.cov_yy;
  const T g_xy = g.cov_xy + g_half_log_det * p.cov_xy;
  const T g_yy = g.cov_yy - g_half_log_det * p.cov_xx;
  const T spread_squared = dot(p.spread, p.spread);
  const T tiny(1e-30);
  const Vec3<T> g_spread = (g.log_compensation / maximum(spread_squared, tiny)) * p.spread;
  const Vec3<T> g_n0 = (two * g_xx) * p.n0 + (two * g_xy) * p.n1 + cross(p.n1, g_spread);
  const Vec3<T> g_n1 = (two * g_xy) * p.n0 + (two * g_yy) * p.n1 + cross(g_spread, p.n0);

  // n = b * axes * diag(scale)
  const Vec3<T> s0{g_n0.x * scale.x, g_n0.y * scale.y, g_n0.z * scale.z};
  const Vec3<T> s1{g_n1.x * scale.x, g_n1.y * scale.y, g_n1.z * scale.z};
  const Vec3<T> g_b0 = multiply(p.axes, s0), g_b1 = multiply(p.axes, s1);
  const Vec3<T> w0 = multiply_transposed(p.axes, p.b0), w1 = multiply_transposed(p.axes, p.b1);
  out.scale = {g_n0.x * w0.x + g_n1.x * w1.x, g_n0.y * w0.y + g_n1.y * w1.y, g_n0.z * w0.z + g_n1.z * w1.z};
  const Vec3<T> r0 = p.b0.x * s0 + p.b1.x * s1, r1 = p.b0.y * s0 + p.b1.y * s1, r2 = p.b0.z * s0 + p.b1.z * s1;
  const Mat3<T> g_axes{{{r0.x, r0.y, r0.z}, {r1.x, r1.y, r1.z}, {r2.x, r2.y, r2.z}}};
  out.quat = normalise_backward(p.unit_quat, p.inverse_norm, rotation_from_unit_quat_backward(p.unit_quat, g_axes));

  // b = Jacobian * rotation
  const auto gx = detail::axis_backward(T(camera.fx), p.point_cam.x, p.inverse_z, p.image_x, p.clamped_x, g.x,
                                        dot(g_b0, row(rotation, 0)), dot(g_b0, row(rotation, 2)));
  const auto gy = detail::axis_backward(T(camera.fy), p.point_cam.y, p.inverse_z, p.image_y, p.clamped_y, g.y,
                                        dot(g_b1, row(rotation, 1)), dot(g_b1, row(rotation, 2)));
  out.fx = gx.focal;
  out.fy = gy.focal;
  out.cx = gx.centre;
  out.cy = gy.centre;
  out.translation = {gx.point, gy.point, gx.z + gy.z + g.depth};
  out.mean = multiply_transposed(rotation, out.translation);
  const Vec3<T> g0 = out.translation.x * mean + p.j00 * g_b0;
  const Vec3<T> g1 = out.translation.y * mean + p.j11 * g_b1;
  const Vec3<T> g2 = out.translation.z * mean + p.j02 * g_b0 + p.j12 * g_b1;
  out.rotation = {{{g0.x, g0.y, g0.z}, {g1.x, g1.y, g1.z}, {g2.x, g2.y, g2.z}}};
  return out;
}

}  // namespace S3D_ISA
}  // namespace s3d

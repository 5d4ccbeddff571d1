// Quaternions to rotations, and the gradients back.
#pragma once

#include "sparse3d/linear.h"

namespace s3d {
namespace S3D_ISA {

// Rotation of a unit quaternion (w, x, y, z); columns are the Gaussian's axes in world space.
template <class T>
S3D_HD Mat3<T> rotation_from_unit_quat(Quat<T> q) {
  const T one(1), two(2);
  const T xx = q.x * q.x, yy = q.y * q.y, zz = q.z * q.z;
  const T xy = q.x * q.y, xz = q.x * q.z, yz = q.y * q.z;
  const T wx = q.w * q.x, wy = q.w * q.y, wz = q.w * q.z;
  return {{{one - two * (yy + zz), two * (xy - wz), two * (xz + wy)},
           {two * (xy + wz), one - two * (xx + zz), two * (yz - wx)},
           {two * (xz - wy), two * (yz + wx), one - two * (xx + yy)}}};
}

// Gradient to the unit quaternion from the gradient to its rotation.
template <class T>
S3D_HD Quat<T> rotation_from_unit_quat_backward(Quat<T> q, const Mat3<T>& g) {
  const T two(2);
  const auto& m = g.m;
  const T w = q.x * (m[2][1] - m[1][2]) + q.y * (m[0][2] - m[2][0]) + q.z * (m[1][0] - m[0][1]);
  const T x = q.y * (m[0][1] + m[1][0]) + q.z * (m[0][2] + m[2][0]) + q.w * (m[2][1] - m[1][2]) -
              two * q.x * (m[1][1] + m[2][2]);
  const T y = q.x * (m[0][1] + m[1][0]) + q.z * (m[1][2] + m[2][1]) + q.w * (m[0][2] - m[2][0]) -
              two * q.y * (m[0][0] + m[2][2]);
  const T z = q.x * (m[0][2] + m[2][0]) + q.y * (m[1][2] + m[2][1]) + q.w * (m[1][0] - m[0][1]) -
              two * q.z * (m[0][0] + m[1][1]);
  return {two * w, two * x, two * y, two * z};
}

template <class T>
S3D_HD T norm_squared(Quat<T> q) {
  return q.w * q.w + q.x * q.x + q.y * q.y + q.z * q.z;
}

template <class T>
S3D_HD Quat<T> scaled(Quat<T> q, T s) {
  return {q.w * s, q.x * s, q.y * s, q.z * s};
}

// Gradient through q_unit = q * inverse_norm.
template <class T>
S3D_HD Quat<T> normalise_backward(Quat<T> unit, T inverse_norm, Quat<T> g) {
  const T along = unit.w * g.w + unit.x * g.x + unit.y * g.y + unit.z * g.z;
  return {(g.w - unit.w * along) * inverse_norm, (g.x - unit.x * along) * inverse_norm,
          (g.y - unit.y * along) * inverse_norm, (g.z - unit.z * along) * inverse_norm};
}

}  // namespace S3D_ISA
}  // namespace s3d

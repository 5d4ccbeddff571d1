// The normal of a Gaussian: its shortest axis, turned towards the camera; and its gradient.
#pragma once

#include "sparse3d/covariance.h"

namespace s3d {
namespace S3D_ISA {

// 1 for the axis of the smallest scale (the first of equal ones), 0 for the others.
template <class T>
S3D_HD Vec3<T> shortest_axis(Vec3<T> scale) {
  const T zero(0), one(1);
  const auto second = scale.y < scale.x;
  const auto third = scale.z < minimum(scale.x, scale.y);
  return {select(third, zero, select(second, zero, one)), select(third, zero, select(second, one, zero)),
          select(third, one, zero)};
}

// The shortest axis in the Gaussian's own frame, with the sign that turns it towards the camera; its normal in world
// space is axes * choice. The choice is a constant to the gradient.
template <class T>
S3D_HD Vec3<T> choose_normal(const Mat3<T>& axes, Vec3<T> scale, Vec3<T> camera_to_mean) {
  const Vec3<T> axis = shortest_axis(scale);
  const T along = dot(multiply(axes, axis), camera_to_mean);
  return select(along > T(0), T(-1), T(1)) * axis;
}

// Gradient to the quaternion (of any length) from the gradient to the normal.
template <class T>
S3D_HD Quat<T> normal_backward(Quat<T> unit_quat, T inverse_norm, Vec3<T> choice, Vec3<T> g) {
  const Vec3<T> x = g.x * choice, y = g.y * choice, z = g.z * choice;
  const Mat3<T> g_axes{{{x.x, x.y, x.z}, {y.x, y.y, y.z}, {z.x, z.y, z.z}}};
  return normalise_backward(unit_quat, inverse_norm, rotation_from_unit_quat_backward(unit_quat, g_axes));
}

}  // namespace S3D_ISA
}  // namespace s3d

// Real spherical harmonics of degree 0 to 3 in the order and signs of Kerbl et al. 2023 (Sloan 2008, appendix A2).
#pragma once

#include "sparse3d/linear.h"

namespace s3d {
namespace S3D_ISA {

// Number of coefficients per channel: 1, 4, 9 or 16.
template <int kCoefficients, class T>
S3D_HD void sh_basis(Vec3<T> d, T* basis) {
  basis[0] = T(0.28209479177387814);
  if constexpr (kCoefficients >= 4) {
    const T c1(0.4886025119029199);
    basis[1] = -c1 * d.y;
    basis[2] = c1 * d.z;
    basis[3] = -c1 * d.x;
  }
  if constexpr (kCoefficients >= 9) {
    const T c2(1.0925484305920792), c20(0.31539156525252005), c22(0.5462742152960396);
    const T xx = d.x * d.x, yy = d.y * d.y, zz = d.z * d.z;
    basis[4] = c2 * d.x * d.y;
    basis[5] = -c2 * d.y * d.z;
    basis[6] = c20 * (zz + zz - xx - yy);
    basis[7] = -c2 * d.x * d.z;
    basis[8] = c22 * (xx - yy);
  }
  if constexpr (kCoefficients >= 16) {
    const T c33(0.5900435899266435), c32(2.890611442640554), c31(0.4570457994644658), c30(0.3731763325901154);
    const T c32b(1.445305721320277), two(2), three(3), four(4);
    const T xx = d.x * d.x, yy = d.y * d.y, zz = d.z * d.z;
    basis[9] = -c33 * d.y * (three * xx - yy);
    basis[10] = c32 * d.x * d.y * d.z;
    basis[11] = -c31 * d.y * (four * zz - xx - yy);
    basis[12] = c30 * d.z * (two * zz - three * (xx + yy));
    basis[13] = -c31 * d.x * (four * zz - xx - yy);
    basis[14] = c32b * d.z * (xx - yy);
    basis[15] = -c33 * d.x * (xx - three * yy);
  }
}

// Gradient to the direction from the gradients to the basis values; the basis is taken as polynomials in x, y, z.
template <int kCoefficients, class T>
S3D_HD Vec3<T> sh_basis_backward(Vec3<T> d, const T* g) {
  Vec3<T> out{T(0), T(0), T(0)};
  if constexpr (kCoefficients >= 4) {
    const T c1(0.4886025119029199);
    out = Vec3<T>{-c1 * g[3], -c1 * g[1], c1 * g[2]};
  }
  if constexpr (kCoefficients >= 9) {
    const T c2(1.0925484305920792), c20(0.31539156525252005), c22(0.5462742152960396), two(2), four(4);
    out.x = out.x + c2 * (d.y * g[4] - d.z * g[7]) + two * d.x * (c22 * g[8] - c20 * g[6]);
    out.y = out.y + c2 * (d.x * g[4] - d.z * g[5]) - two * d.y * (c22 * g[8] + c20 * g[6]);
    out.z = out.z - c2 * (d.y * g[5] + d.x * g[7]) + four * c20 * d.z * g[6];
  }
  if constexpr (kCoefficients >= 16) {
    const T c33(0.5900435899266435), c32(2.890611442640554), c31(0.4570457994644658), c30(0.3731763325901154);
    const T c32b(1.445305721320277), two(2), three(3), four(4), six(6), eight(8);
    const T xx = d.x * d.x, yy = d.y * d.y, zz = d.z * d.z;
    const T xy = d.x * d.y, xz = d.x * d.z, yz = d.y * d.z;
    out.x = out.x - six * c33 * xy * g[9] + c32 * yz * g[10] + two * c31 * xy * g[11] - six * c30 * xz * g[12] -
            c31 * (four * zz - three * xx - yy) * g[13] + two * c32b * xz * g[14] - three * c33 * (xx - yy) * g[15];
    out.y = out.y - three * c33 * (xx - yy) * g[9] + c32 * xz * g[10] - c31 * (four * zz - xx - three * yy) * g[11] -
            six * c30 * yz * g[12] + two * c31 * xy * g[13] - two * c32b * yz * g[14] + six * c33 * xy * g[15];
    out.z = out.z + c32 * xy * g[10] - eight * c31 * yz * g[11] + three * c30 * (two * zz - xx - yy) * g[12] -
            eight * c31 * xz * g[13] + c32b * (xx - yy) * g[14];
  }
  return out;
}

// A view direction: unit vector from the camera's centre to the Gaussian.
template <class T>
struct ViewDirection {
  Vec3<T> unit;
  T inverse_length;
};

template <class T>
S3D_HD ViewDirection<T> view_direction(Vec3<T> mean, Vec3<T> camera_centre) {
  const Vec3<T> v = mean - camera_centre;
  const T tiny(1e-30);
  const T inverse_length = T(1) / square_root(maximum(dot(v, v), tiny));
  return {inverse_length * v, inverse_length};
}

// Gradient to the Gaussian's mean (the camera centre's is its negative).
template <class T>
S3D_HD Vec3<T> view_direction_backward(const ViewDirection<T>& direction, Vec3<T> g) {
  const Vec3<T> u = direction.unit;
  return direction.inverse_length * (g - dot(u, g) * u);
}

}  // namespace S3D_ISA
}  // namespace s3d

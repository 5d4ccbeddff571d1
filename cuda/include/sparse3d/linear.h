// Three-vectors and 3x3 matrices on any value type.
#pragma once

#include "sparse3d/scalar.h"

namespace s3d {
namespace S3D_ISA {

template <class T>
struct Vec3 {
  T x, y, z;
};

template <class T>
struct Quat {
  T w, x, y, z;
};

// Row-major: m[row][column].
template <class T>
struct Mat3 {
  T m[3][3];
};

template <class T>
S3D_HD Vec3<T> operator+(Vec3<T> a, Vec3<T> b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z};
}

template <class T>
S3D_HD Vec3<T> operator-(Vec3<T> a, Vec3<T> b) {
  return {a.x - b.x, a.y - b.y, a.z - b.z};
}

template <class T>
S3D_HD Vec3<T> operator*(T s, Vec3<T> a) {
  return {s * a.x, s * a.y, s * a.z};
}

template <class T>
S3D_HD T dot(Vec3<T> a, Vec3<T> b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}

template <class T>
S3D_HD Vec3<T> cross(Vec3<T> a, Vec3<T> b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

template <class T>
S3D_HD Vec3<T> row(const Mat3<T>& a, int i) {
  return {a.m[i][0], a.m[i][1], a.m[i][2]};
}

template <class T>
S3D_HD Vec3<T> multiply(const Mat3<T>& a, Vec3<T> v) {
  return {dot(row(a, 0), v), dot(row(a, 1), v), dot(row(a, 2), v)};
}

template <class T>
S3D_HD Vec3<T> multiply_transposed(const Mat3<T>& a, Vec3<T> v) {
  return v.x * row(a, 0) + v.y * row(a, 1) + v.z * row(a, 2);
}

// Lifts a matrix of scalars to the value type (a broadcast for SIMD types).
template <class T, class S>
S3D_HD Mat3<T> broadcast(const S (&a)[3][3]) {
  Mat3<T> r;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) r.m[i][j] = T(a[i][j]);
  return r;
}

}  // namespace S3D_ISA
}  // namespace s3d

// Error of a rendered depth against a known one: relative, linear beyond `softness` (Charbonnier), weaker beyond
// `cutoff`.
#pragma once

#include "sparse3d/scalar.h"

namespace s3d {
namespace S3D_ISA {

template <class T>
struct DepthError {
  T value, derivative;  // to the rendered depth; the weakening counts as a constant
};

template <class T>
S3D_HD DepthError<T> depth_error(T rendered, T known, T softness, T cutoff) {
  const T one(1), inverse = one / known;
  const T q = (rendered - known) * inverse / softness;
  const T root = square_root(multiply_add(q, q, one));
  const T charbonnier = softness * (root - one), share = cutoff / (cutoff + charbonnier);
  return {charbonnier * share, q / root * share * inverse};
}

}  // namespace S3D_ISA
}  // namespace s3d

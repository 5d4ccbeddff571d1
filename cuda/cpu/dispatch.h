// Chooses the instruction set once, when it is first asked for.
#pragma once

#include "frame.h"

namespace s3d {

struct Dispatch {
  const char* name;
  Kernels<float> float32;
  Kernels<double> float64;  // always of the baseline: the test instrument
};

// Throws std::runtime_error when SPARSE3D_ISA names a set that is unknown, not built or not on this machine.
const Dispatch& dispatch();

template <class Real>
const Kernels<Real>& kernels();
template <>
inline const Kernels<float>& kernels<float>() {
  return dispatch().float32;
}
template <>
inline const Kernels<double>& kernels<double>() {
  return dispatch().float64;
}

}  // namespace s3d

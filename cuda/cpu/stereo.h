// PatchMatch over one view.
#pragma once

#include "sparse3d/c_api.h"
#include "workspace.h"

namespace s3d {

// Throws std::bad_alloc.
template <class Real>
void patchmatch(Workspace<Real>* workspace, const s3d_patchmatch& call);

}  // namespace s3d

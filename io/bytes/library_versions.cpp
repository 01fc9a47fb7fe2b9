#include "io/bytes/library_versions.hpp"

#include <hdf5.h>
#include <htslib/hts.h>
#include <zlib.h>

namespace strandline {

std::vector<std::pair<std::string, std::string>> library_versions() {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned release = 0;
  H5get_libversion(&major, &minor, &release);
  const std::string hdf5 = std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(release);
  return {{"HTSlib", hts_version()}, {"HDF5", hdf5}, {"zlib", zlibVersion()}};
}

}  // namespace strandline

# What the libraries stand on. Each is linked PRIVATE where it is used (see docs/architecture.md).
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)  # so that a project that adds this one as a subdirectory can link
find_package(Threads REQUIRED)
find_package(Boost 1.74 REQUIRED)  # header-only parts
find_package(PkgConfig REQUIRED)
pkg_check_modules(HTSLIB REQUIRED IMPORTED_TARGET GLOBAL htslib)
pkg_search_module(HDF5 REQUIRED IMPORTED_TARGET GLOBAL hdf5-serial hdf5)
pkg_check_modules(OPENSLIDE REQUIRED IMPORTED_TARGET GLOBAL openslide>=3.4.1)
pkg_check_modules(LIBTIFF REQUIRED IMPORTED_TARGET GLOBAL libtiff-4>=4.5)  # from 4.5 on, errors belong to a handle
pkg_check_modules(LIBPNG REQUIRED IMPORTED_TARGET GLOBAL libpng)
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
find_package(OpenCVImgproc REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)

set(STRANDLINE_HAS_CUDA OFF)
if(NOT STRANDLINE_WITH_CUDA STREQUAL "OFF")
  find_package(CUDAToolkit QUIET)
  if(CUDAToolkit_FOUND)
    set(STRANDLINE_HAS_CUDA ON)
  elseif(STRANDLINE_WITH_CUDA STREQUAL "ON")
    message(FATAL_ERROR "STRANDLINE_WITH_CUDA is ON, but the CUDA Toolkit was not found. Install it, or set STRANDLINE_WITH_CUDA=OFF")
  endif()
endif()

if(STRANDLINE_BUILD_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

# OpenCV's core and imgproc alone. Debian splits OpenCV into packages, and only the one that brings everything has the CMake files
# of find_package(OpenCV).
#   OpenCVImgproc::OpenCVImgproc
find_path(OpenCVImgproc_INCLUDE_DIR opencv2/imgproc.hpp PATH_SUFFIXES opencv4)
find_library(OpenCVImgproc_LIBRARY opencv_imgproc)
find_library(OpenCVImgproc_CORE_LIBRARY opencv_core)
mark_as_advanced(OpenCVImgproc_INCLUDE_DIR OpenCVImgproc_LIBRARY OpenCVImgproc_CORE_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenCVImgproc
  REQUIRED_VARS OpenCVImgproc_LIBRARY OpenCVImgproc_CORE_LIBRARY OpenCVImgproc_INCLUDE_DIR)

if(OpenCVImgproc_FOUND AND NOT TARGET OpenCVImgproc::OpenCVImgproc)
  add_library(OpenCVImgproc::OpenCVImgproc INTERFACE IMPORTED GLOBAL)
  target_include_directories(OpenCVImgproc::OpenCVImgproc SYSTEM INTERFACE ${OpenCVImgproc_INCLUDE_DIR})
  target_link_libraries(OpenCVImgproc::OpenCVImgproc INTERFACE ${OpenCVImgproc_LIBRARY} ${OpenCVImgproc_CORE_LIBRARY})
endif()

# One helper per kind of target. Sources are listed by the folders themselves with target_sources().

# Warnings, sanitizers and floating-point rules that every target of ours shares.
function(strandline_configure target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
    $<$<BOOL:${STRANDLINE_WARNINGS_AS_ERRORS}>:-Werror>)
  if(STRANDLINE_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  endif()
endfunction()

# A project that adds us as a subdirectory writes <strandline/...> as one that finds the installed package does.
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/include)
file(CREATE_LINK ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/include/strandline SYMBOLIC)

# strandline_library(core): target strandline_core, alias strandline::core, static or shared as BUILD_SHARED_LIBS says.
function(strandline_library name)
  add_library(strandline_${name})
  add_library(strandline::${name} ALIAS strandline_${name})
  set_target_properties(strandline_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(strandline_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/generated>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/strandline>)
  target_compile_features(strandline_${name} PUBLIC cxx_std_20)
  strandline_configure(strandline_${name})
  strandline_public_headers(${name})
endfunction()

# Every header of the folder is public (installed, and compiled alone by a test), save those of the back ends' insides and
# those that show a third-party library, which are for the folder's own sources.
function(strandline_public_headers name)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${name}/*.hpp)
  list(FILTER headers EXCLUDE REGEX "/core/cpu/simd/|/cuda/(base|ops|plans|kernels|attempts)/")
  set(public_headers "")
  foreach(header IN LISTS headers)
    file(STRINGS ${header} third_party REGEX "^#include <(htslib/|hdf5|H5|zlib|cuda)" LIMIT_COUNT 1)
    if(NOT third_party)
      list(APPEND public_headers ${header})
    endif()
  endforeach()
  target_sources(strandline_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${public_headers})
  set_target_properties(strandline_${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ${PROJECT_IS_TOP_LEVEL})
endfunction()

# strandline_test(ops_tests LIBRARIES strandline::core SOURCES a.cpp b.cpp): a GoogleTest program whose cases CTest knows by name.
function(strandline_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} GTest::gmock GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  strandline_configure(${name})
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 600)
endfunction()

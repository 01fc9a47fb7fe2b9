# One helper per kind of target. Sources are listed by the folders themselves with target_sources().

# Warnings, sanitizers and floating-point rules that every target of ours shares.
function(strandline_configure target)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor>
    $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra --expt-relaxed-constexpr -lineinfo>)
  if(STRANDLINE_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:CXX>:-Werror> $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Werror -Werror=all-warnings>)
  endif()
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

# The headers of a folder are public: installed, and compiled alone by a test. Private are the insides of the back ends, what
# shows a third-party library, and what includes a private header.
function(strandline_public_headers name)
  file(GLOB_RECURSE public RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${name}/*.hpp)
  set(private ${public})
  list(FILTER private INCLUDE REGEX "^core/(cpu|ref)/|^cuda/.*/")
  list(REMOVE_ITEM private core/cpu/cpu_backend.hpp core/cpu/cpu_isa.hpp core/ref/ref_backend.hpp)
  set(shows_private "<(htslib/|hdf5|H5|zlib|openslide|tiff|png|opencv2/|cuda)")
  while(private OR shows_private)
    list(REMOVE_ITEM public ${private})
    foreach(header IN LISTS private)
      string(APPEND shows_private "|\"${header}\"")
    endforeach()
    string(REGEX REPLACE "^\\|" "" shows_private "${shows_private}")
    set(private "")
    foreach(header IN LISTS public)
      file(STRINGS ${PROJECT_SOURCE_DIR}/${header} found REGEX "^#include (${shows_private})" LIMIT_COUNT 1)
      if(found)
        list(APPEND private ${header})
      endif()
    endforeach()
    set(shows_private "")
  endwhile()
  list(TRANSFORM public PREPEND ${PROJECT_SOURCE_DIR}/)
  target_sources(strandline_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${public})
  set_target_properties(strandline_${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ${PROJECT_IS_TOP_LEVEL})
endfunction()

# strandline_uses_headers(io Boost::headers): header-only libraries that our sources alone include, so that who links an
# installed strandline needs none of them.
function(strandline_uses_headers name)
  foreach(library IN LISTS ARGN)
    target_link_libraries(strandline_${name} PRIVATE $<BUILD_INTERFACE:${library}>)
  endforeach()
endfunction()

# strandline_test(ops_tests LIBRARIES strandline::core SOURCES a.cpp b.cpp): a GoogleTest program whose cases CTest knows by name.
# GPU_CASES "*/cuda*" gives those the label "gpu".
function(strandline_test name)
  cmake_parse_arguments(ARG "" "GPU_CASES" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} GTest::gmock GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  strandline_configure(${name})
  if(NOT ARG_GPU_CASES STREQUAL "*")
    set(others "")
    if(ARG_GPU_CASES)
      set(others TEST_FILTER "-${ARG_GPU_CASES}")
    endif()
    gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 ${others} PROPERTIES TIMEOUT 600)
  endif()
  if(ARG_GPU_CASES)
    gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 TEST_FILTER "${ARG_GPU_CASES}" PROPERTIES TIMEOUT 600 LABELS gpu)
  endif()
endfunction()

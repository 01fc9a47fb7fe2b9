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

# strandline_library(core): target strandline_core, alias strandline::core, static or shared as BUILD_SHARED_LIBS says.
function(strandline_library name)
  add_library(strandline_${name})
  add_library(strandline::${name} ALIAS strandline_${name})
  set_target_properties(strandline_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(strandline_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/generated>
    $<INSTALL_INTERFACE:include> $<INSTALL_INTERFACE:include/strandline>)
  target_compile_features(strandline_${name} PUBLIC cxx_std_20)
  strandline_configure(strandline_${name})
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

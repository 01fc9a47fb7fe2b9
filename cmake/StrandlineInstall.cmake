# install, and find_package(strandline) for others:
#   find_package(strandline 0.1 REQUIRED)
#   target_link_libraries(mine PRIVATE strandline::core strandline::io)
# Headers go to include/strandline, so <strandline/core/model/encoder.hpp> and "core/model/encoder.hpp" both work.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/strandline)
install(TARGETS strandline_core EXPORT strandlineTargets
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/strandline
  FILE_SET generated DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/strandline)
install(TARGETS strandline_cuda strandline_io strandline_pipelines EXPORT strandlineTargets
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/strandline)
install(TARGETS strandline RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(EXPORT strandlineTargets NAMESPACE strandline:: DESTINATION ${package_dir})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/strandlineConfig.cmake.in ${PROJECT_BINARY_DIR}/strandlineConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/strandlineConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/strandlineConfig.cmake ${PROJECT_BINARY_DIR}/strandlineConfigVersion.cmake
  ${CMAKE_CURRENT_LIST_DIR}/FindOpenCVImgproc.cmake
  DESTINATION ${package_dir})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

# install, and find_package(strandline) for others.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

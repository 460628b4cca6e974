# libmtf as strangers see it: shared and static library, header, pkg-config file, CMake package and
# man page. Components: `lib` what a running service needs, `dev` what building one needs.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

foreach(kind shared static)
  string(TOUPPER ${kind} type)
  add_library(mtf_${kind} ${type} $<TARGET_OBJECTS:mtf_leaf> $<TARGET_OBJECTS:mtf_serving>)
  set_target_properties(mtf_${kind} PROPERTIES OUTPUT_NAME mtf)
  target_include_directories(mtf_${kind} INTERFACE $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
# Before 1.0 every minor version may break the ABI, so it is in the soname.
set_target_properties(mtf_static PROPERTIES EXPORT_NAME static)
set_target_properties(mtf_shared PROPERTIES EXPORT_NAME mtf VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/libmtf.map)
target_link_libraries(mtf_shared PRIVATE $<BUILD_INTERFACE:mtf_options> PkgConfig::CRYPTO m)
target_link_options(mtf_shared PRIVATE LINKER:--version-script=${CMAKE_CURRENT_SOURCE_DIR}/libmtf.map)
target_link_libraries(mtf_static INTERFACE crypto m Threads::Threads)

# Wherever it is put: the prefix is found from the file's own place.
file(RELATIVE_PATH MTF_PC_UP ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(mtf.pc.in mtf.pc @ONLY)
configure_package_config_file(mtf-config.cmake.in mtf-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/mtf)
write_basic_package_version_file(mtf-config-version.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS mtf_shared EXPORT mtf LIBRARY COMPONENT lib NAMELINK_COMPONENT dev)
install(TARGETS mtf_static EXPORT mtf ARCHIVE COMPONENT dev)
install(EXPORT mtf NAMESPACE mtf:: FILE mtf-targets.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/mtf COMPONENT dev)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/mtf-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/mtf-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/mtf COMPONENT dev)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/mtf.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
install(FILES mtf.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
install(FILES libmtf.3 DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 COMPONENT dev)

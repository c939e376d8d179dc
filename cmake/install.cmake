# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` lays down, so that `find_package(shmpool)` gives shmpool::shmpool.
# Relocatable.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(header_root ${CMAKE_INSTALL_INCLUDEDIR}/shmpool)
set(libraries shmpool_options shmpool_platform shmpool_layout shmpool_pool shmpool_heap
    shmpool_segment shmpool_protocol shmpool_peer)
foreach(library IN LISTS libraries)
    string(REPLACE "shmpool_" "" short_name ${library})
    set_target_properties(${library} PROPERTIES EXPORT_NAME ${short_name})
endforeach()
set_target_properties(shmpool_peer PROPERTIES EXPORT_NAME shmpool)
add_library(shmpool::shmpool ALIAS shmpool_peer)

install(TARGETS ${libraries} EXPORT shmpoolTargets INCLUDES DESTINATION ${header_root})
install(TARGETS shmpoold shmpool_cli)
install(DIRECTORY shmpool protocol peer DESTINATION ${header_root}
    FILES_MATCHING PATTERN "*.hpp" PATTERN "cli" EXCLUDE PATTERN "quantity" EXCLUDE)
install(FILES include/shmpool.hpp DESTINATION ${header_root})
install(FILES config/shmpool.toml config/shmpoold.service DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/shmpool)
install(EXPORT shmpoolTargets NAMESPACE shmpool:: DESTINATION ${package_folder})
configure_package_config_file(cmake/shmpoolConfig.cmake.in shmpoolConfig.cmake
    INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(shmpoolConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/shmpoolConfig.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/shmpoolConfigVersion.cmake DESTINATION ${package_folder})

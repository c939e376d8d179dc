# SPDX-License-Identifier: Apache-2.0
# Tests of the cores: publisher, subscriber, directory, reclaim. The rig plays the host.
set(rig_sources test_host.cpp endpoints.cpp)
add_library(protocol_rig STATIC ${rig_sources})
target_link_libraries(protocol_rig PUBLIC shmpool_protocol GTest::gtest)

shmpool_test(protocol_core_test
    SOURCES channel_directory_test.cpp hostile_tables_test.cpp publish_take_test.cpp rig_test.cpp
    LIBRARIES protocol_rig)

shmpool_test(protocol_threads_test
    LABELS threads
    SOURCES concurrency_test.cpp ending_test.cpp litmus_test.cpp
    LIBRARIES protocol_rig)

shmpool_test(protocol_kill_storm_test
    LABELS processes
    SOURCES kill_storm_test.cpp
    LIBRARIES protocol_rig)

shmpool_test(protocol_single_step_test
    LABELS release-only
    SOURCES locked_instructions_test.cpp single_step_test.cpp
    LIBRARIES protocol_rig)
target_link_options(protocol_single_step_test PRIVATE -Wl,-z,now)  # No steps inside the linker.

# Pool and protocol once more, with crash points: every file of one program must agree on them.
get_target_property(pool_sources shmpool_pool SOURCES)
list(TRANSFORM pool_sources PREPEND ${PROJECT_SOURCE_DIR}/shmpool/pool/)
file(GLOB core_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/protocol/*.cpp)
add_library(protocol_with_crash_points STATIC ${pool_sources} ${core_sources} ${rig_sources}
    ${PROJECT_SOURCE_DIR}/protocol/wire/names.cpp
    crash_rig.cpp scenarios.cpp)
# g++ 12 takes std::regex under a sanitizer for uninitialised.
set_source_files_properties(crash_rig.cpp PROPERTIES
    COMPILE_OPTIONS $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
target_compile_definitions(protocol_with_crash_points PUBLIC SHMPOOL_CRASH_POINTS
    SHMPOOL_PROTOCOL_SOURCES="${PROJECT_SOURCE_DIR}/protocol")
target_link_libraries(protocol_with_crash_points PUBLIC
    shmpool_heap shmpool_segment GTest::gtest)

shmpool_test(protocol_death_test
    LABELS processes
    SOURCES endless_rival_test.cpp heap_builder_test.cpp heap_directory_growth_test.cpp
        heap_directory_test.cpp heap_directory_works_test.cpp heap_works_beside_test.cpp
        host_death_test.cpp peer_death_test.cpp pool_growth_death_test.cpp
        pool_growth_test.cpp pool_shrinking_test.cpp stopped_reader_test.cpp zombie_test.cpp
    LIBRARIES protocol_with_crash_points)

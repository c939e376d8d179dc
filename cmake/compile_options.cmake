# SPDX-License-Identifier: Apache-2.0
# How every target of shmpool is compiled. Link the interface target `shmpool_options`; whoever
# links `shmpool_platform`, the lowest library, has it already. Sanitizers are presets, not options.

set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(SHMPOOL_CCACHE ccache)
if(SHMPOOL_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # Relative to the source tree, so that every clone of it shares what was compiled before.
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
        CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${SHMPOOL_CCACHE})
endif()

# A sanitizer spends most of its compile time on what is never hot.
set(SHMPOOL_COLD_OPTIONS "" CACHE STRING
    "Compile options of the command line and of the tests' own sources; presets set it")

find_package(Threads REQUIRED)

add_library(shmpool_options INTERFACE)
add_library(shmpool::options ALIAS shmpool_options)
target_compile_features(shmpool_options INTERFACE cxx_std_20)
target_include_directories(shmpool_options INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
target_link_libraries(shmpool_options INTERFACE Threads::Threads)
target_compile_options(shmpool_options INTERFACE
    $<BUILD_INTERFACE:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Werror>)

# The 16-byte compare-exchange; v2 is every x86-64 processor since 2009 that has it.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    target_compile_options(shmpool_options INTERFACE -mcx16
        $<BUILD_INTERFACE:-march=x86-64-v2>)
endif()

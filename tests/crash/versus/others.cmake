# SPDX-License-Identifier: Apache-2.0
# The systems of others. Boost is headers only: scripts/crash unpacks the packages of both of
# Debian's versions, which can not be installed beside each other, into folders of their own.
set(SHMPOOL_VERSUS_PACKAGES ${PROJECT_BINARY_DIR}/versus-packages CACHE PATH
    "Where packages of others are unpacked, each in a folder of its name")

function(add_boost_contest system version)
    set(headers ${SHMPOOL_VERSUS_PACKAGES}/libboost${version}-dev/usr/include)
    if(EXISTS ${headers}/boost/version.hpp)
        add_executable(versus_${system}_${version} EXCLUDE_FROM_ALL ${ARGN})
        target_include_directories(versus_${system}_${version} SYSTEM BEFORE PRIVATE ${headers})
        target_link_libraries(versus_${system}_${version} PRIVATE versus_report)
    endif()
endfunction()
add_boost_contest(interprocess 1.74 interprocess.cpp)
add_boost_contest(interprocess 1.81 interprocess.cpp)
add_boost_contest(lockfree 1.81 lockfree.cpp)

find_package(iceoryx_posh 2.0 CONFIG QUIET)
if(iceoryx_posh_FOUND)
    add_executable(versus_iceoryx EXCLUDE_FROM_ALL iceoryx.cpp)
    target_link_libraries(versus_iceoryx PRIVATE versus_report iceoryx_posh::iceoryx_posh)
endif()

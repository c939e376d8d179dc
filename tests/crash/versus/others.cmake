# SPDX-License-Identifier: Apache-2.0
# The systems of others. Boost is headers only: scripts/crash unpacks Debian's package of each version,
# which can not be installed beside each other, into a folder of its own.
set(SHMPOOL_VERSUS_PACKAGES ${PROJECT_BINARY_DIR}/versus-packages CACHE PATH
    "Where packages of others are unpacked, each in a folder of its name")

foreach(version IN ITEMS 1.74 1.81)
    set(headers ${SHMPOOL_VERSUS_PACKAGES}/libboost${version}-dev/usr/include)
    if(EXISTS ${headers}/boost/version.hpp)
        foreach(part IN ITEMS interprocess lockfree)
            add_executable(versus_${part}_${version} EXCLUDE_FROM_ALL ${part}.cpp)
            target_include_directories(versus_${part}_${version} SYSTEM BEFORE PRIVATE ${headers})
            target_link_libraries(versus_${part}_${version} PRIVATE versus_report)
        endforeach()
    endif()
endforeach()

find_package(iceoryx_posh 2.0 CONFIG QUIET)
if(iceoryx_posh_FOUND)
    add_executable(versus_iceoryx EXCLUDE_FROM_ALL iceoryx.cpp)
    target_link_libraries(versus_iceoryx PRIVATE versus_report iceoryx_posh::iceoryx_posh)
endif()

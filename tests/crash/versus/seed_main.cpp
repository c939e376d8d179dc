// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"
#include "seed.hpp"

int main(int argc, char** argv) {
    shmpool::versus::Seed contestant;
    return shmpool::versus::hold_contest(contestant, argc, argv);
}

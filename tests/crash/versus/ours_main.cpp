// SPDX-License-Identifier: Apache-2.0
#include "ours.hpp"
#include "report.hpp"

int main(int argc, char** argv) {
    shmpool::versus::Ours contestant;
    return shmpool::versus::hold_contest(contestant, argc, argv);
}

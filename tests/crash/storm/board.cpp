// SPDX-License-Identifier: Apache-2.0
#include "board.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace shmpool::storm {
namespace {

[[noreturn]] void give_up(const std::string& path) {
    throw std::system_error(errno, std::generic_category(), path);
}

}  // namespace

Board::Board(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    // All zero is what a Notice begins with.
    if (file < 0 || ::ftruncate(file, sizeof(Notice)) != 0) give_up(path);
    void* const memory =
        ::mmap(nullptr, sizeof(Notice), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    if (memory == MAP_FAILED) give_up(path);
    notice_ = static_cast<Notice*>(memory);
}

Board::~Board() {
    ::munmap(notice_, sizeof(Notice));
}

void Board::complain(std::string_view text) const {
    const std::uint64_t number = notice_->totals.violations.fetch_add(1);
    if (number >= complaints_max) return;
    Notice::Complaint& complaint = notice_->complaints[number];
    std::ranges::copy(text.substr(0, complaint.text.size()), complaint.text.begin());
    complaint.written = true;
}

std::vector<std::string> Board::complaints() const {
    std::vector<std::string> texts;
    for (const Notice::Complaint& one : notice_->complaints) {
        if (!one.written) continue;
        const auto* const end = std::ranges::find(one.text, '\0');
        texts.emplace_back(one.text.begin(), end);
    }
    return texts;
}

}  // namespace shmpool::storm

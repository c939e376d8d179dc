// SPDX-License-Identifier: Apache-2.0
/// See byte_stream.hpp. Standard streams without a buffer (_IONBF): the library then passes the
/// caller's memory to read(2) and write(2).
#include "peer/cli/byte_stream.hpp"

#include <array>
#include <cerrno>
#include <filesystem>

#include "peer/cli/patience.hpp"
#include "shmpool/platform/event_descriptor.hpp"

namespace shmpool::cli {
namespace {

constexpr int standard_input = 0;

tl::unexpected<Error> refused(const std::string& what, const std::string& name, int error_number) {
    const bool forbidden = error_number == EACCES || error_number == EPERM;
    return fail_errno(forbidden ? Errc::no_permission : Errc::system, what + " " + name,
                      error_number);
}

std::string quoted(const std::string& path) {
    return "'" + path + "'";
}

/// "e": closed on exec.
Result<File> open_file(const std::string& what, const std::string& path, const char* mode) {
    File file(std::fopen(path.c_str(), mode));
    if (!file) return refused("cannot open the " + what, quoted(path), errno);
    return file;
}

}  // namespace

Result<InputStream> InputStream::open(const std::string& path) {
    if (path == "-") {
        std::setvbuf(stdin, nullptr, _IONBF, 0);
        return InputStream({}, stdin, "standard input");
    }
    auto file = open_file("input", path, "re");
    if (!file) return tl::unexpected(file.error());
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) {  // It opens, but cannot be read.
        return fail(Errc::invalid_argument, "the input " + quoted(path) +
                                                " is a directory; give a file, or - for "
                                                "standard input");
    }
    std::setvbuf(file->get(), nullptr, _IONBF, 0);
    std::FILE* const stream = file->get();
    return InputStream(std::move(*file), stream, quoted(path));
}

Result<std::size_t> InputStream::fill(std::span<std::byte> into, const StopSignal& stop,
                                      const std::function<bool()>& in_vain) {
    std::size_t filled = 0;
    while (filled < into.size() && !stop.requested() && !in_vain()) {
        if (file_ == stdin) {
            const std::array both{standard_input, stop.descriptor()};
            if (wait_readable(both, wait_slice).empty()) continue;
            if (stop.requested()) break;
        }
        std::clearerr(file_);
        filled += std::fread(into.data() + filled, 1, into.size() - filled, file_);
        if (std::feof(file_) != 0) break;
        if (std::ferror(file_) != 0 && errno != EINTR && errno != EAGAIN) {
            return refused("cannot read the input", name_, errno);
        }
    }
    return filled;
}

Result<void> InputStream::rewind() {
    std::clearerr(file_);
    if (std::fseek(file_, 0, SEEK_SET) == 0) return {};
    return fail(Errc::invalid_argument, name_ +
                                            " cannot be read again from its beginning; leave out "
                                            "--repeat, or give a regular file");
}

Result<OutputStream> OutputStream::open(const std::string& path) {
    if (path == "-") {
        std::setvbuf(stdout, nullptr, _IONBF, 0);
        return OutputStream({}, stdout, "standard output");
    }
    auto file = open_file("output", path, "we");
    if (!file) return tl::unexpected(file.error());
    std::setvbuf(file->get(), nullptr, _IONBF, 0);
    std::FILE* const stream = file->get();
    return OutputStream(std::move(*file), stream, quoted(path));
}

Result<bool> OutputStream::write(std::span<const std::byte> bytes, const StopSignal& stop) {
    while (!bytes.empty()) {
        std::clearerr(file_);
        bytes = bytes.subspan(std::fwrite(bytes.data(), 1, bytes.size(), file_));
        if (bytes.empty()) break;
        if (errno == EPIPE) {
            return fail(Errc::system, "whoever read " + name_ +
                                          " has closed it; what was received since is lost");
        }
        if (errno == EAGAIN) {
            stop.sleep_for(std::chrono::milliseconds(1));  // Somebody made it non-blocking.
        } else if (errno != EINTR) {
            return refused("cannot write the output", name_, errno);
        }
        if (stop.requested()) return false;
    }
    return true;
}

Result<void> OutputStream::finish() {
    if (!owned_ || std::fclose(owned_.release()) == 0) return {};
    return refused("cannot write the output", name_, errno);
}

}  // namespace shmpool::cli

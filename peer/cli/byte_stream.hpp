// SPDX-License-Identifier: Apache-2.0
/// Files and pipes without a buffer: bytes are read straight into a loan and written straight out
/// of a sample, one system call per message where the kernel lets it. A stop signal ends every
/// wait.
#pragma once

#include <cstddef>
#include <cstdio>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "peer/cli/stop_signal.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool::cli {

struct CloseFile {
    void operator()(std::FILE* file) const { (void)std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

class InputStream {
public:
    /// "-" is standard input. Fails for what is missing, unreadable, or a directory.
    [[nodiscard]] static Result<InputStream> open(const std::string& path);

    /// Fills `into`; less only at the end of the input, or when `stop` came.
    [[nodiscard]] Result<std::size_t> fill(std::span<std::byte> into, const StopSignal& stop,
                                           const std::function<bool()>& in_vain);

    /// Back to the beginning. Fails for pipes.
    [[nodiscard]] Result<void> rewind();

private:
    InputStream(File owned, std::FILE* file, std::string name)
        : owned_(std::move(owned)), file_(file), name_(std::move(name)) {}

    File owned_;  ///< Empty for standard input, which is not ours to close.
    std::FILE* file_;
    std::string name_;
};

class OutputStream {
public:
    /// "-" is standard output. A file is made, or cut to nothing.
    [[nodiscard]] static Result<OutputStream> open(const std::string& path);

    /// All of `bytes`; false when `stop` came before.
    [[nodiscard]] Result<bool> write(std::span<const std::byte> bytes, const StopSignal& stop);

    /// Closes the file: some file systems say only now that there was no room. Once, at the end.
    [[nodiscard]] Result<void> finish();

    [[nodiscard]] bool is_standard_output() const { return file_ == stdout; }

private:
    OutputStream(File owned, std::FILE* file, std::string name)
        : owned_(std::move(owned)), file_(file), name_(std::move(name)) {}

    File owned_;
    std::FILE* file_;
    std::string name_;
};

}  // namespace shmpool::cli

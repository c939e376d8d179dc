// SPDX-License-Identifier: Apache-2.0
/// A real host with a configuration file of the test, and peers of this process.
#pragma once

#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "peer/peer.hpp"
#include "tests/peer/running_host.hpp"
#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool {

class ConfiguredHost {
public:
    /// `classes` come from the command line; empty: the file says which there are.
    explicit ConfiguredHost(const std::string& config,
                            std::vector<std::string> classes = {"--class", "1KiB:256", "--class",
                                                                "64KiB:16"})
        : file_(write(config)), host_(with_file(std::move(classes))) {}

    [[nodiscard]] Peer attach(const char* name, bool read_only = false,
                              bool control_thread = true) const {
        PeerOptions options;
        options.name = name;
        options.read_only = read_only;
        options.control_thread = control_thread;
        auto peer = Peer::attach(host_.pool(), options);
        if (!peer) throw std::runtime_error(peer.error().message);
        return std::move(*peer);
    }
    /// For the child of a process with threads, which the thread sanitizer lets start none.
    [[nodiscard]] Peer attach_in_child(const char* name, bool read_only = false) const {
        return attach(name, read_only, false);
    }
    /// Kills it, and starts the next one with another configuration.
    void die_and_return(const std::string& config) {
        host_.signal(9);
        host_.wait();
        write(config);
        host_.start();
    }
    [[nodiscard]] RunningHost& host() { return host_; }

private:
    [[nodiscard]] std::vector<std::string> with_file(std::vector<std::string> arguments) const {
        arguments.insert(arguments.end(), {"--config", file_});
        return arguments;
    }
    std::string write(const std::string& config) {
        const std::string path = directory_.file("shmpool.toml");
        std::ofstream(path) << config;
        return path;
    }

    test::TemporaryDirectory directory_;
    std::string file_;
    RunningHost host_;
};

}  // namespace shmpool

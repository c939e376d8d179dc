// SPDX-License-Identifier: Apache-2.0
#include "tests/peer/cli/command_run.hpp"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <sstream>

namespace shmpool::cli {
namespace {

std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();
    return content.str();
}

void write_file(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
}

void redirect(const std::string& path, int flags, int number) {
    const int file = open(path.c_str(), flags, 0600);
    if (file < 0 || dup2(file, number) < 0) _exit(126);
    close(file);
}

}  // namespace

CommandRun::CommandRun(std::vector<std::string> arguments, const std::string& input) {
    write_file(folder_.file("input"), input);
    const int file = open(folder_.file("input").c_str(), O_RDONLY | O_CLOEXEC);
    start(std::move(arguments), file);
    close(file);
}

CommandRun::CommandRun(std::vector<std::string> arguments, int input) {
    start(std::move(arguments), input);
}

void CommandRun::start(std::vector<std::string> arguments, int input) {
    arguments.insert(arguments.begin(), SHMPOOL_PROGRAM);
    std::vector<char*> words;
    for (std::string& word : arguments) words.push_back(word.data());
    words.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(input, STDIN_FILENO) < 0) _exit(126);
    redirect(folder_.file("output"), O_WRONLY | O_CREAT, STDOUT_FILENO);
    redirect(folder_.file("errors"), O_WRONLY | O_CREAT, STDERR_FILENO);
    execv(words[0], words.data());
    _exit(127);
}

CommandRun::~CommandRun() {
    if (pid_ > 0) {
        kill(pid_, SIGCONT);
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
}

void CommandRun::signal(int number) const {
    kill(pid_, number);
}

Finished CommandRun::wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return {WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status),
            content_of(folder_.file("output")), content_of(folder_.file("errors"))};
}

std::string CommandRun::output() const {
    return content_of(folder_.file("output"));
}

Finished run(std::vector<std::string> arguments, const std::string& input) {
    return CommandRun(std::move(arguments), input).wait();
}

nlohmann::json status() {
    const Finished shown = run({"status", "--json"});
    return nlohmann::json::parse(shown.output);  // Throws, and so fails the test.
}

std::string Folder::write(const std::string& name, const std::string& content) const {
    write_file(path(name), content);
    return path(name);
}

std::string Folder::read(const std::string& name) const {
    return content_of(path(name));
}

std::string noise(std::size_t bytes) {
    std::mt19937 random(42);
    std::string content(bytes, '\0');
    for (char& one : content) one = static_cast<char>(random());
    return content;
}

}  // namespace shmpool::cli

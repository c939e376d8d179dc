// SPDX-License-Identifier: Apache-2.0
/// See names.hpp. One scan; the alphabet is spelled out, so no locale has a say in it.
#include "protocol/wire/names.hpp"

#include <array>
#include <cstdio>
#include <string>

#include "protocol/layout/protocol_images.hpp"

namespace shmpool {
namespace {

constexpr std::string_view pool_name_characters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
constexpr std::string_view path_name_characters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/";

constexpr std::string_view path_name_remedy = "use letters, digits, '.', '_', '-' and '/'";

constexpr std::size_t name_length_max = name_bytes - 1;

std::string spell(char character) {
    if (character >= ' ' && character <= '~') return std::string("'") + character + "'";
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "byte 0x%02X", static_cast<unsigned char>(character));
    return text.data();
}

/// A name that may be anything, fit to be printed.
std::string quoted(std::string_view name) {
    std::string text = "\"";
    for (const char character : name.substr(0, name_length_max)) {
        text += character >= ' ' && character <= '~' ? character : '?';
    }
    return text + (name.size() > name_length_max ? "...\"" : "\"");
}

Result<void> check_name(std::string_view what, std::string_view name, std::string_view allowed,
                        std::string_view remedy) {
    if (name.empty()) {
        return fail(Errc::invalid_argument,
                    std::string(what) + " is empty; " + std::string(remedy));
    }
    if (name.size() > name_length_max) {
        return fail(Errc::invalid_argument,
                    std::string(what) + " " + quoted(name) + " has " + std::to_string(name.size()) +
                        " characters, the limit is " + std::to_string(name_length_max));
    }
    const std::size_t wrong = name.find_first_not_of(allowed);
    if (wrong == std::string_view::npos) return {};
    return fail(Errc::invalid_argument, std::string(what) + " " + quoted(name) + ": " +
                                            spell(name[wrong]) + " at position " +
                                            std::to_string(wrong + 1) + " is not allowed; " +
                                            std::string(remedy));
}

}  // namespace

Result<void> check_pool_name(std::string_view name) {
    return check_name("pool name", name, pool_name_characters,
                      "use letters, digits, '.', '_' and '-'");
}

Result<void> check_channel_name(std::string_view name) {
    return check_name("channel name", name, path_name_characters, path_name_remedy);
}

Result<void> check_heap_name(std::string_view name) {
    return check_name("heap name", name, path_name_characters, path_name_remedy);
}

}  // namespace shmpool

// SPDX-License-Identifier: Apache-2.0
#include "fuzz.hpp"

namespace shmpool::fuzz {
namespace {

constexpr std::string_view pool = R"([pool]
name = "cars"
socket = "/run/cars.sock"
[[class]]
slot_size = "1KiB"
slot_count = 256
slot_limit = 4096
grow_when_exhausted = true
[[class]]
slot_size = "64KiB"
slot_count = 16
[limits]
peers = 64
lanes = 256
channels = 64
publishers = 256
subscribers = 256
rings = 1024
ring_entries = 65536
publishers_per_channel = 64
heaps = 32
heap_bytes = "1GiB"
[stop]
grace = "2s"
[death]
suspect_policy = "wait"
suspect_after = "10s"
unseen_peers = "accept"
[takeover]
patience = "5s"
[log]
level = "info"
file = "/var/log/cars.log"
)";

constexpr std::string_view access = R"([access]
socket_mode = "0660"
socket_user = "root"
socket_group = 0
[quota]
peer_slots = 10
peer_bytes = "1MiB"
user_slots = 20
user_bytes = "2MiB"
user_peers = 3
[[user_quota]]
user = "root"
peer_slots = 10
peer_bytes = "1MiB"
user_slots = 20
user_bytes = "2MiB"
user_peers = 3
)";

constexpr std::string_view lists = R"(allow_users = ["*"]
allow_groups = ["root", 44]
deny_users = [1234]
deny_groups = [4242]
)";

constexpr std::string_view heaps = R"([[heap]]
name = "table"
kind = "tlsf"
size = "1MiB"
max_size = "4MiB"
on_death = "reclaim"
alignment = "4KiB"
[[heap]]
name = "pages"
kind = "bitmap_pages"
size = "1MiB"
page_size = "4KiB"
[[heap]]
name = "objects"
kind = "slab_cache"
size = "1MiB"
block_size = 64
[[heap]]
name = "numbers"
kind = "ids"
size = "1MiB"
first_id = 100
ids = 1000
ids_max = 4000
)";

Seed seed_of(std::string name, std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {std::move(name), {bytes.begin(), bytes.end()}};
}

}  // namespace

std::vector<Seed> seeds() {
    std::string rights(access);
    for (const char* right : {"attach", "attach_read_only", "observe", "kick", "grow"}) {
        rights.append("[access.").append(right).append("]\n").append(lists);
    }
    return {seed_of("accepted_pool", pool),
            seed_of("accepted_access", rights),
            seed_of("accepted_heaps", heaps),
            seed_of("refused_key", "[pool]\nnames = 1\n"),
            seed_of("refused_value", "[[class]]\nslot_size = 1\nslot_count = 0\n"),
            seed_of("refused_text", "[pool")};
}

}  // namespace shmpool::fuzz

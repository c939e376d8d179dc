// SPDX-License-Identifier: Apache-2.0
#include "arena.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "heap_share.hpp"
#include "must.hpp"
#include "peer/cli/protocol_audit.hpp"
#include "rival.hpp"
#include "shmpool/platform/monotonic_clock.hpp"
#include "shmpool/pool/pool_audit.hpp"
#include "shmpool/pool/pool_statistics.hpp"

namespace shmpool::sweep {
namespace {

/// Where the large class grows by itself, it has done so when they are counted.
std::uint32_t slot_total(Limits limits) {
    return small_count + middle_count + (limits == Limits::none ? large_count : large_limit);
}

std::string limits_config() {
    constexpr std::uint64_t all =
        small_count * small_bytes + middle_count * middle_bytes + large_limit * large_bytes;
    return "[quota]\npeer_bytes = " + std::to_string(all) + "\nuser_bytes = \"1GiB\"\n";
}

/// Small, because it is compared after every instruction.
std::string config_text(Limits limits) {
    const auto one_class = [](std::uint64_t bytes, std::uint32_t count, std::uint32_t limit) {
        return "[[class]]\nslot_size = " + std::to_string(bytes) +
               "\nslot_count = " + std::to_string(count) +
               "\nslot_limit = " + std::to_string(limit) + "\n";
    };
    return one_class(small_bytes, small_count, small_count) +
           one_class(middle_bytes, middle_count, middle_count) +
           one_class(large_bytes, large_count, large_limit) +
           (limits == Limits::none ? "" : "grow_when_exhausted = true\n" + limits_config()) +
           "[limits]\npeers = 6\nlanes = 12\nchannels = 16\npublishers = 16\nsubscribers = 20\n"
           "rings = 48\nring_entries = 512\npublishers_per_channel = 4\nheaps = 16\n"
           "heap_bytes = \"2MiB\"\n" +
           heaps_config();
}

}  // namespace

/// Of this process, without a name.
class ConfigFile {
public:
    explicit ConfigFile(const std::string& text)
        : descriptor_(::memfd_create("sweep.toml", MFD_CLOEXEC)) {
        const auto size = static_cast<ssize_t>(text.size());
        must(::write(descriptor_, text.data(), text.size()) == size, "writing a configuration");
    }
    ~ConfigFile() { ::close(descriptor_); }
    ConfigFile(const ConfigFile&) = delete;
    ConfigFile& operator=(const ConfigFile&) = delete;
    [[nodiscard]] std::string path() const {
        return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(descriptor_);
    }

private:
    int descriptor_;
};

namespace {

int play_rival(Board& board, const std::string& pool, std::uint32_t number) {
    try {
        Rival(board, pool, number).play();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "rival %u: %s\n", number, error.what());
    }
    return 1;
}

template <typename Image>
std::uint32_t used(const Table<Image>& table) {
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i < table.count; ++i) count += table.at(i).state != 0 ? 1U : 0U;
    return count;
}

std::string describe(const AuditFinding& finding) {
    return finding.invariant + " class " + std::to_string(finding.class_index) + " slot " +
           std::to_string(finding.slot_index) + ": " + finding.text + "; ";
}

}  // namespace

Arena::Arena(ArenaOptions options)
    : options_(std::move(options)),
      config_(std::make_unique<ConfigFile>(config_text(options_.limits) + options_.more_config)) {
    renew();
}
Arena::~Arena() = default;

void Arena::set_patience(std::chrono::seconds patience) {
    patience_ = patience;
    board_->patience_s = static_cast<std::uint32_t>(patience.count());
}

void Arena::renew() {
    rivals_.clear();
    observer_.reset();
    host_.reset();
    std::destroy_at(&*board_);
    std::construct_at(&*board_);
    set_patience(patience_);
    board_->limits = options_.limits;
    host_ = std::make_unique<RunningHost>(
        std::vector<std::string>{"--config", config_->path(), "--log-level", "error"},
        options_.pool);
    for (std::uint32_t i = 0; i < rival_count; ++i) {
        rivals_.emplace_back([&, i] { return play_rival(*board_, pool(), i); });
    }
    cli::CommonOptions options;
    options.pool = pool();
    observer_.emplace(must(cli::Observer::attach(options), "looking at the pool"));
    for (int i = 0; i < 2; ++i) must(play_turn(*board_, Order::work), "the rivals begin");
    must(play_turn(*board_, Order::rest), "the rivals rest");
    living_ = in_use();
    const Account account = settle();
    must(account.is_clean(), "a clean beginning: " + account.text);
}

std::span<const std::byte> Arena::control_memory() const {
    const SegmentHeader& header = observer_->header();
    return {reinterpret_cast<const std::byte*>(&header), header.control_bytes};
}

std::vector<std::uint64_t> Arena::list_heads() const {
    std::vector<std::uint64_t> heads;
    for (const ClassView& one : observer_->pool().all_classes()) {
        for (std::uint32_t extent = 0; extent < one.extent_count(); ++extent) {
            const auto* const halves =
                reinterpret_cast<const std::uint64_t*>(&one.extents[extent].head);
            heads.insert(heads.end(), halves, halves + 2);
        }
    }
    return heads;
}

std::string Arena::InUse::text() const {
    return std::to_string(peers) + " peers, " + std::to_string(lanes) + " lanes, " +
           std::to_string(publishers) + " publishers, " + std::to_string(subscribers) +
           " subscribers, " + std::to_string(rings) + " rings";
}

Arena::InUse Arena::in_use() const {
    const ProtocolView& view = observer_->view();
    InUse now{used(view.peers), 0, used(view.publishers), 0, used(view.rings)};
    // The record of one that is gone stays, with its lease bit, until the host needs one.
    for (std::uint32_t i = 0; i < view.subscribers.count; ++i) {
        const auto state = static_cast<EndpointState>(view.subscribers.at(i).state.load());
        now.subscribers += state == EndpointState::open ? 1U : 0U;
    }
    for (std::uint32_t lane = 1; lane < observer_->pool().lane_count; ++lane) {
        now.lanes += observer_->pool().lanes[lane].owner != 0 ? 1U : 0U;
    }
    return now;
}

std::optional<PeerState> Arena::state_of(pid_t process) const {
    const auto& peers = observer_->view().peers;
    for (std::uint32_t i = 0; i < peers.count; ++i) {
        const auto state = static_cast<PeerState>(peers.at(i).state.load());
        const bool is_it = peers.at(i).pid == static_cast<std::uint32_t>(process);
        if (state != PeerState::empty && is_it) return state;
    }
    return std::nullopt;
}

void Arena::replace_host() {
    host_->signal(SIGKILL);
    host_->wait();
    host_->start();
}

Account Arena::settle() {
    Account account;
    board_->readers_take = true;
    board_->may_wait = false;
    await_end_of_the_dead(account);
    // What may have waited for the dead has been told by now.
    board_->nothing_may_block = true;
    for (const Order order : {Order::work, Order::work, Order::rest, Order::count}) {
        if (account.stuck == 0) let_play(order, account);
    }
    board_->nothing_may_block = false;
    if (account.stuck != 0) return account;
    ask_rivals(account);
    count_slots(account);
    ask_about_heaps(account);
    audit_all(account);
    if (account.is_clean() && board_->heaps_worn) renew();
    return account;
}

void Arena::let_play(Order order, Account& account) {
    if (play_turn(*board_, order)) return;
    account.stuck = 1;
    for (std::uint32_t i = 0; i < rival_count; ++i) {
        if (board_->played[i] != board_->turn) {
            account.text += "rival " + std::to_string(i) + " is stuck; ";
        }
    }
}

/// Until then rivals work beside the host.
void Arena::await_end_of_the_dead(Account& account) {
    const Deadline deadline = Deadline::after(patience_);
    do {
        let_play(Order::work, account);
        if (account.stuck != 0 || in_use() == living_) return;
    } while (!deadline.expired());
    account.stuck = 1;
    account.text += "the host has not done with the dead: " + in_use().text() + " instead of " +
                    living_.text() + "; ";
}

void Arena::ask_rivals(Account& account) {
    account.doubled += board_->changed.exchange(0);
    if (account.doubled != 0) account.text += "somebody wrote into what a rival had; ";
    account.broken += board_->missed.exchange(0);
    if (account.broken != 0) account.text += "a message of a living one is missing; ";
    account.stuck += board_->blocked.exchange(0);
    if (account.stuck != 0) account.text += "a queue stays full; ";
}

void Arena::count_slots(Account& account) {
    if (const std::uint32_t grown = board_->stays_grown.exchange(0); grown != 0) {
        account.lost += grown;
        account.text += "a class keeps " + std::to_string(grown) + " slots that nobody has; ";
    }
    account.doubled += board_->counted_twice.exchange(0);
    const std::uint32_t total = slot_total(options_.limits);
    if (board_->counted == total) return;
    account.lost += total - board_->counted;
    account.text += "of " + std::to_string(total) + " slots " + std::to_string(board_->counted) +
                    " can be had; ";
}

void Arena::ask_about_heaps(Account& account) {
    if (const std::uint32_t left = board_->heaps_left.exchange(0); left != 0) {
        account.lost += left;
        account.text += "in " + std::to_string(left) + " heaps is something of the dead; ";
    }
    if (const std::uint32_t broken = board_->heaps_broken.exchange(0); broken != 0) {
        account.broken += broken;
        account.text += "heaps are broken: " + board_->complaint_text() + "; ";
    }
}

/// The living rest: exact.
void Arena::audit_all(Account& account) const {
    auto findings = audit(observer_->pool());
    const auto more = cli::audit_protocol(observer_->pool(), observer_->view());
    findings.insert(findings.end(), more.begin(), more.end());
    account.broken += static_cast<std::uint32_t>(findings.size());
    for (const AuditFinding& one : findings) account.text += describe(one);
    for (const ClassStatistics& one : read_statistics(observer_->pool())) {
        if (one.free == one.slot_count) continue;
        ++account.broken;
        account.text += std::to_string(one.slot_count - one.free) + " slots of " +
                        std::to_string(one.slot_size) + " bytes are not free; ";
    }
}

}  // namespace shmpool::sweep

// SPDX-License-Identifier: Apache-2.0
#include "scenarios.hpp"

#include <algorithm>

#include "shmpool/platform/membarrier.hpp"

namespace shmpool::testing_protocol {

std::vector<Scenario> peer_scenarios() {
    using P = ChannelPolicy;
    return {
        {"WriterMoves", Role::writer, P::block, 64, 1, 0},
        {"WriterMovesToOneWhoMaySleep", Role::writer, P::block, 64, 1, subscriber_may_sleep},
        {"WriterLeasesToTwo", Role::writer, P::block, 64, 2, 0},
        {"WriterLeasesToThree", Role::writer, P::drop_newest, 64, 3, 0},
        {"WriterDropsTheOldestOfOne", Role::writer, P::drop_oldest, 4, 1, 0},
        {"WriterDropsTheOldestOfThree", Role::writer, P::drop_oldest, 5, 3, 0},
        {"ReaderOfMovedSlots", Role::reader, P::block, 64, 0, 0},
        {"ReaderOfEverything", Role::reader, P::block, 64, 0, 0, Stage::messages + 1},
        {"ReaderOfLeases", Role::reader, P::block, 64, 2, 0},
        {"ReaderOfTheNewest", Role::reader, P::drop_oldest, 16, 0, 0},
        {"ReaderOfTheNewestBesideTwo", Role::reader, P::drop_oldest, 16, 2, 0},
    };
}

Stage::Stage(const Scenario& scenario) : scenario_(scenario), victim_index_(host_.admit()) {
    survivor_ = std::make_unique<TestPeer>(host_, host_.admit());
    if (scenario_.victim == Role::writer) {
        victim_opened_ = host_.open_publisher(victim_index_, scenario_.policy);
    } else {
        victim_opened_ = host_.open_subscriber(victim_index_, scenario_.depth, scenario_.policy);
        writer_opened_ = host_.open_publisher(survivor_->index(), scenario_.policy);
        writer_ =
            std::make_unique<Writer>(*survivor_, writer_opened_, scenario_.policy, survivor_name);
    }
    for (std::size_t i = 0; i < scenario_.surviving_readers; ++i) {
        reader_opened_.push_back(host_.open_subscriber(
            survivor_->index(), scenario_.depth, scenario_.policy, "c", scenario_.reader_flags));
        readers_.push_back(std::make_unique<Reader>(*survivor_, reader_opened_.back(), 2));
    }
    if (scenario_.victim == Role::reader) {
        for (unsigned i = 0; i < messages; ++i) (void)writer_->send();
        sent_before_ = writer_->sent();
    }
}

ChildProcess::End Stage::run_victim(const std::function<void()>& before) {
    child_ = std::make_unique<ChildProcess>([&] {
        before();
        return scenario_.victim == Role::writer ? play_writer() : play_reader();
    });
    return end_ = child_->wait();
}

ChildProcess::End Stage::resume_victim() {
    child_->send(SIGCONT);
    return end_ = child_->wait();
}

int Stage::play_writer() {
    TestPeer me(open_segment(host_.segment()), victim_index_);
    Writer writer(me, victim_opened_, scenario_.policy, victim_name);
    const std::unique_ptr<Lane> of_another_thread = me.another_lane();
    for (unsigned i = 0; i < messages; ++i) {
        writer.loan_on(i % 2 == 0 ? me.lane() : *of_another_thread);
        if (!writer.send(Deadline::passed(), i % 3 == 0 ? 200 : 64)) return 1;
        progress_->done = writer.sent();
    }
    return 0;
}

int Stage::play_reader() {
    TestPeer me(open_segment(host_.segment()), victim_index_);
    Reader reader(me, victim_opened_, 3);
    for (unsigned i = 0; i < scenario_.takes; ++i) {
        if (!reader.next() && i < messages) return 1;
    }
    reader.close();
    reader.release_all();
    return reader.complaints().empty() ? 0 : 2;
}

ChildProcess::End Stage::run_host(const std::function<void()>& before,
                                  const std::function<void(TestHost&)>& script) {
    ChildProcess host([&] {
        TestHost acting(open_segment(host_.segment()));
        before();
        script(acting);
        return 0;
    });
    const ChildProcess::End end = host.wait();
    if (end == ChildProcess::End::exited && host.code() != 0) return ChildProcess::End::stopped;
    next_host_ = std::make_unique<TestHost>(open_segment(host_.segment()));
    return end;
}

std::unique_ptr<Reader> Stage::remove_reader(std::size_t which) {
    const auto at = static_cast<std::ptrdiff_t>(which);
    std::unique_ptr<Reader> reader = std::move(readers_[which]);
    (void)reader->drain();
    reader->close();
    host().directory().subscriber_left(reader_opened_[which].endpoint_index, EndpointState::left);
    readers_.erase(readers_.begin() + at);
    reader_opened_.erase(reader_opened_.begin() + at);
    return reader;
}

Reader& Stage::add_reader() {
    reader_opened_.push_back(
        host().open_subscriber(survivor_->index(), scenario_.depth, scenario_.policy));
    readers_.push_back(std::make_unique<Reader>(*survivor_, reader_opened_.back(), 2));
    return *readers_.back();
}

/// Endpoints of survivors that a dying host had opened, but not yet told them about.
void Stage::leave_unanswered() {
    const ProtocolView& view = host().view();
    for (std::uint32_t i = 0; i < view.subscribers.count; ++i) {
        const bool known = std::ranges::any_of(
            reader_opened_, [i](const Opened& one) { return one.endpoint_index == i; });
        if (!known && view.subscribers.at(i).peer_index.load() == survivor_->index()) {
            host().directory().subscriber_left(i, EndpointState::left);
        }
    }
    for (std::uint32_t i = 0; i < view.publishers.count; ++i) {
        if (view.publishers.at(i).peer_index.load() == survivor_->index() &&
            !(writer_ && i == writer_opened_.endpoint_index)) {
            host().directory().publisher_left(i, EndpointState::left);
        }
    }
}

std::string Stage::what_is_wrong() {
    const bool died = end_ == ChildProcess::End::killed;
    if (end_ == ChildProcess::End::exited && child_->code() != 0) return "the victim complained";
    host().reclaim(victim_index_, died ? EndpointState::died : EndpointState::left);
    if (next_host_) leave_unanswered();
    std::string wrong = what_is_broken(host().pool());
    wrong += wrong_with_streams();
    wrong += wrong_at_the_end();
    return wrong;
}

std::string Stage::wrong_with_streams() {
    std::string wrong;
    const std::uint64_t done = progress_->done;
    const bool gapless = scenario_.policy != ChannelPolicy::drop_oldest;
    for (auto& reader : readers_) {
        const Errc why = reader->drain();
        if (scenario_.victim == Role::writer) {
            const Errc expected =
                end_ == ChildProcess::End::killed ? Errc::ended_by_death : Errc::ended;
            // After a host script the last to leave was a publisher of that script.
            if (why != expected && !(next_host_ && why == Errc::ended)) {
                wrong += "the end was not told; ";
            }
            const std::uint64_t last = reader->last_of(victim_name);
            if (last != done && last != done + 1) {
                wrong += "of " + std::to_string(done) + " messages the last read is " +
                         std::to_string(last) + "; ";
            }
        } else if (reader->last_of(survivor_name) != sent_before_) {
            wrong += "a survivor's message is lost; ";
        }
        if (gapless && reader->gaps() != 0) wrong += "a stream has gaps; ";
    }
    // Life goes on: another writer, or the same, reaches everybody.
    if (!writer_) {
        writer_opened_ = host().open_publisher(survivor_->index(), scenario_.policy);
        writer_ =
            std::make_unique<Writer>(*survivor_, writer_opened_, scenario_.policy, survivor_name);
    }
    for (int i = 0; i < 3; ++i) {
        if (const auto sent = writer_->send(); sent != reader_opened_.size()) {
            wrong += "a later message reached " + std::to_string(sent.value_or(999)) + "; ";
        }
    }
    for (auto& reader : readers_) {
        (void)reader->drain();
        reader->release_all();
        wrong += reader->complaints();
    }
    return wrong;
}

std::string Stage::wrong_at_the_end() {
    std::string wrong;
    for (auto& reader : readers_) reader->close();
    if (writer_) {
        host().directory().publisher_left(writer_opened_.endpoint_index, EndpointState::left);
    }
    for (const Opened& one : reader_opened_) {
        host().directory().subscriber_left(one.endpoint_index, EndpointState::left);
    }
    if (!host().reclaim_lingering()) wrong += "the dead peer lingers for ever; ";
    if (host().directory().maintain()) wrong += "a ring is never freed; ";
    host().directory().recycle_leases();
    survivor_->flush();
    wrong += what_is_missing(host().pool());
    host().reclaim(survivor_->index(), EndpointState::left);
    const ProtocolView& view = host().view();
    const auto count = [&](const auto& table) {
        std::uint32_t used = 0;
        for (std::uint32_t i = 0; i < table.count; ++i) used += table.at(i).state.load() != 0;
        return used;
    };
    const std::uint32_t left =
        count(view.rings) + count(view.publishers) + count(view.subscribers) + count(view.peers);
    if (left != 0) wrong += std::to_string(left) + " records are never freed; ";
    const ChannelImage& channel = view.channels.at(0);
    if (channel.lease_bits.load() != 0 || channel.publisher_count.load() != 0 ||
        channel.subscriber_count.load() != 0) {
        wrong += "the channel's counts do not come back to 0; ";
    }
    for (std::uint32_t lane = 1; lane < host().pool().view().lane_count; ++lane) {
        if (host().pool().view().lanes[lane].owner.load() != 0) wrong += "a lane is lost; ";
    }
    return wrong;
}

}  // namespace shmpool::testing_protocol

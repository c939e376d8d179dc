// SPDX-License-Identifier: Apache-2.0
#include "host/control_server.hpp"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "host/event_tokens.hpp"
#include "protocol/wire/codec.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool::host {
namespace {

// Per turn of the loop, so that many or loud clients leave time for the others.
constexpr int accepts_per_turn = 16;
constexpr int accepts_beside_flood = 2;  // A hello is the dearest that anybody can ask.
constexpr int messages_per_turn = 8;

/// Who comes once and leaves at once shuts the door too, for a moment.
constexpr std::uint32_t times_shut_by_flood = 8;

/// Behind a door that could not be opened.
constexpr std::uint64_t next_try_ns = 100'000'000;

/// Who leaves sooner was hardly there.
constexpr std::uint64_t at_once_ns = 100'000'000;

/// What one who leaves at once has cost, by the time that the host takes for him.
std::uint64_t cost_of(SessionRole role) {
    switch (role) {
        case SessionRole::peer: return 16;
        case SessionRole::observer: return 2;
        default: return 1;
    }
}

Deadline at_once() {
    return Deadline::after(std::chrono::nanoseconds::zero());
}

/// So long the door is shut behind him, 1.6 ms, that the closer is done with more sockets than
/// come.
constexpr std::uint64_t cost_of_who_can_not_stay = 32;

std::string describe(const Session& session) {
    return "the connection of pid " + std::to_string(session.credentials.pid) + " (user " +
           std::to_string(session.credentials.uid) + ")";
}

}  // namespace

ControlServer::ControlServer(LocalListener& listener, const Closer& closer, RequestDesk& desk,
                             Reaper& reaper, EventQueue& queue, const HostLog& log)
    : listener_(listener),
      closer_(closer),
      desk_(desk),
      reaper_(reaper),
      queue_(queue),
      log_(log) {}

/// The server of the next pool finds the door open, and no events of sockets that are being closed.
ControlServer::~ControlServer() {
    open_door();
    for (const auto& [id, session] : sessions_) queue_.remove(session.connection.socket());
}

// --- coming --------------------------------------------------------------------------------------

void ControlServer::accept() {
    const bool is_quiet = door_.is_quiet(monotonic_ns());
    if (is_quiet) times_shut_ = 0;
    for (int i = 0; i < (is_quiet ? accepts_per_turn : accepts_beside_flood); ++i) {
        auto connection = listener_.accept(at_once());
        if (connection) {
            begin_session(std::move(*connection));
            continue;
        }
        if (connection.error().code == Errc::timed_out) return;
        complain(connection.error().message);
        return door_.left_at_once(cost_of_who_can_not_stay, monotonic_ns());
    }
}

/// The listener is level-triggered: out of the queue it wakes nobody.
void ControlServer::shut_door() {
    queue_.remove(listener_.socket());
    is_shut_ = true;
    if (++times_shut_ < times_shut_by_flood) return;
    warn_sparingly(
        log_, floods_,
        "a flood of connections that end at once: who connects waits until it has passed");
}

/// If the kernel has no memory for it, a later tick tries again.
void ControlServer::open_door() {
    if (!is_shut_) return;
    is_shut_ = !queue_.add(listener_.socket(), make_token(TokenKind::listener)).has_value();
    if (is_shut_) door_.stay_shut(monotonic_ns() + next_try_ns);
}

/// Answered at once: who comes back after a host's death comes with all the others, and who has
/// been answered is none of those of whom the oldest must go.
void ControlServer::greet(LocalConnection caller) {
    begin_session(std::move(caller));
    serve(last_session_id_);
}

void ControlServer::begin_session(LocalConnection connection) {
    const auto credentials = connection.credentials();
    if (!credentials) return log_.warn(credentials.error().message);
    if (closer_.is_behind(credentials->uid)) return refuse_who_is_behind(*credentials);
    make_room_for_one_more();
    const std::uint64_t id = ++last_session_id_;
    if (auto watched = queue_.add(connection.socket(), make_token(TokenKind::session, id));
        !watched) {
        return log_.warn(watched.error().message);
    }
    sessions_.emplace(id, Session{id, std::move(connection), *credentials, monotonic_ns(),
                                  SessionRole::unintroduced, PeerId{}});
    ++unintroduced_count_;
}

void ControlServer::refuse_who_is_behind(const Credentials& who) {
    door_.left_at_once(cost_of_who_can_not_stay, monotonic_ns());
    warn_sparingly(log_, refusals_,
                   "user " + std::to_string(who.uid) + " is refused: more than " +
                       std::to_string(Closer::waiting_max) +
                       " descriptors that came from there wait to be closed, last pid " +
                       std::to_string(who.pid));
}

/// The oldest goes, not the newest: who comes in earnest speaks at once.
void ControlServer::make_room_for_one_more() {
    if (unintroduced_count_ < unintroduced_limit) return;
    const auto oldest = oldest_unintroduced();
    if (oldest == sessions_.end()) return;
    // Said at 1, 2, 4, 8, ...: a flood of connections must not become a flood of lines.
    if (std::has_single_bit(++turned_away_)) {
        log_.warn("more than " + std::to_string(unintroduced_limit) +
                  " connections have not said hello; dropped so far: " +
                  std::to_string(turned_away_) + ", last " + describe(oldest->second));
    }
    close(oldest, ClosedBy::host);
}

ControlServer::Sessions::iterator ControlServer::oldest_unintroduced() {
    return std::ranges::find_if(sessions_, [](const auto& entry) {
        return entry.second.role == SessionRole::unintroduced;
    });
}

std::optional<std::uint64_t> ControlServer::next_tick_ns() const {
    const auto drop_ns = next_drop_ns();
    if (!is_shut_) return drop_ns;
    return std::min(door_.reopens_at_ns(), drop_ns.value_or(door_.reopens_at_ns()));
}

void ControlServer::tick(std::uint64_t now_ns) {
    drop_silent(now_ns);
    if (!is_shut_ && door_.should_shut(now_ns)) return shut_door();
    if (is_shut_ && now_ns >= door_.reopens_at_ns()) open_door();
}

std::optional<std::uint64_t> ControlServer::next_drop_ns() const {
    if (unintroduced_count_ == 0) return std::nullopt;
    for (const auto& [id, session] : sessions_) {
        if (session.role == SessionRole::unintroduced) {
            return session.accepted_ns + introduction_limit_ns;
        }
    }
    return std::nullopt;
}

void ControlServer::drop_silent(std::uint64_t now_ns) {
    for (auto next = next_drop_ns(); next && now_ns >= *next; next = next_drop_ns()) {
        const auto oldest = oldest_unintroduced();
        log_.debug(describe(oldest->second) + " has not said hello in 2 s: closed");
        close(oldest, ClosedBy::host);
    }
}

// --- talking -------------------------------------------------------------------------------------

void ControlServer::serve(std::uint64_t session_id) {
    for (int i = 0; i < messages_per_turn; ++i) {
        const auto found = sessions_.find(session_id);
        if (found == sessions_.end()) return;
        Session& session = found->second;
        // Who has left already must not cost an attachment.
        if (session.role == SessionRole::unintroduced && session.connection.has_been_hung_up()) {
            return close(found, ClosedBy::peer);
        }
        if (closer_.is_behind(session.credentials.uid) &&
            session.connection.next_brings_descriptors()) {
            return close_for(session, "more descriptors, while too many of this user wait");
        }
        auto received = session.connection.try_receive();
        if (!received) {
            if (received.error().code == Errc::host_gone) return close(found, ClosedBy::peer);
            return close_for(session, received.error().message);
        }
        if (!received->has_value() || !handle_one(session, **received)) return;
    }
}

/// False: the session is over.
bool ControlServer::handle_one(Session& session, LocalConnection::Received& received) {
    const auto message = wire::decode(received.packet.bytes(), received.descriptors.size());
    if (!message) {
        close_for(session, message.error().message);
        return false;
    }
    const bool was_introduced = session.role != SessionRole::unintroduced;
    const auto answer = desk_.answer(session, *message, received.descriptors.all());
    if (!answer) {
        close_for(session, std::string(wire::name_of(wire::type_of(message->body))) +
                               " is for the host to send");
        return false;
    }
    if (answer->later) return true;
    // Proven to be memory that this host has mapped: to close it is quick.
    if (std::holds_alternative<wire::Rejoined>(answer->body)) (void)received.descriptors.release();
    const bool introduced_now = !was_introduced && session.role != SessionRole::unintroduced;
    if (introduced_now) --unintroduced_count_;
    const wire::Packet packet = wire::encode(answer->body, message->request_id);
    if (const auto ended = deliver(session, packet, *answer)) {
        if (introduced_now && std::holds_alternative<wire::Hello>(message->body)) {
            ++unintroduced_count_;
            desk_.undo_hello(session);
        }
        close(sessions_.find(session.id), *ended);
        return false;
    }
    if (answer->last) {
        close(sessions_.find(session.id), ClosedBy::host);
        return false;
    }
    return true;
}

std::optional<ClosedBy> ControlServer::deliver(Session& session, const wire::Packet& packet,
                                               const Answer& answer) {
    const auto sent = session.connection.send(packet, answer.descriptors, at_once());
    if (sent) return std::nullopt;
    if (sent.error().code == Errc::host_gone) return ClosedBy::peer;
    complain(describe(session) + " does not take its messages: " + sent.error().message);
    return ClosedBy::host;
}

void ControlServer::do_a_piece() {
    for (const LateAnswer& late : desk_.do_a_piece()) {
        const auto session = sessions_.find(late.session_id);
        if (session == sessions_.end()) continue;  // Behind an answer that it did not take.
        const wire::Packet packet = wire::encode(late.body, late.request_id);
        if (const auto ended = deliver(session->second, packet, Answer{})) close(session, *ended);
    }
}

void ControlServer::tell_all(const wire::Body& body) {
    const wire::Packet packet = wire::encode(body, 0);
    for (auto next = sessions_.begin(); next != sessions_.end();) {
        const auto session = next++;
        if (session->second.role == SessionRole::unintroduced) continue;
        if (const auto ended = deliver(session->second, packet, Answer{})) close(session, *ended);
    }
}

// --- going ---------------------------------------------------------------------------------------

void ControlServer::complain(const std::string& text) {
    warn_sparingly(log_, complaints_, text);
}

void ControlServer::close_for(Session& session, const std::string& why) {
    complain(describe(session) + " is closed: " + printable(why));
    close(sessions_.find(session.id), ClosedBy::host);
}

void ControlServer::end_session(std::uint64_t session_id) {
    const auto found = sessions_.find(session_id);
    if (found != sessions_.end()) close(found, ClosedBy::host);
}

void ControlServer::close(Sessions::iterator session, ClosedBy who) {
    queue_.remove(session->second.connection.socket());
    const SessionRole role = session->second.role;
    if (role == SessionRole::unintroduced) --unintroduced_count_;
    const std::uint64_t now_ns = monotonic_ns();
    if (now_ns < session->second.accepted_ns + at_once_ns) {
        door_.left_at_once(cost_of(role), now_ns);
    }
    desk_.session_ended(session->second);
    const uid_t user = session->second.credentials.uid;
    const PeerId peer = session->second.peer;
    const std::uint64_t id = session->first;
    sessions_.erase(session);
    if (role == SessionRole::peer) reaper_.connection_closed(peer, id, who);
    if (role == SessionRole::observer) desk_.observer_left(user);
}

}  // namespace shmpool::host

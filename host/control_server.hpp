// SPDX-License-Identifier: Apache-2.0
/// The host's side of the control socket: one session per connection, none of which can keep the
/// loop busy or waiting. Sends without waiting: a client whose buffer is full is dropped. Reads a
/// few messages per turn. Whoever says nothing for 2 s is dropped, and of those that have not said
/// hello the oldest goes when there are more than 64. Garbage ends its connection, and a flood of
/// those who leave again at once waits outside. Whose descriptors do not end is not let in.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "host/closer.hpp"
#include "host/door.hpp"
#include "host/line_limit.hpp"
#include "host/request_desk.hpp"
#include "host/session.hpp"

namespace shmpool::host {

inline constexpr std::uint64_t introduction_limit_ns = 2'000'000'000;
inline constexpr std::uint32_t unintroduced_limit = 64;

/// The event loop's thread.
class ControlServer {
public:
    ControlServer(LocalListener& listener, const Closer& closer, RequestDesk& desk, Reaper& reaper,
                  EventQueue& queue, const HostLog& log);
    ~ControlServer();

    /// The listener is readable.
    void accept();
    /// Somebody has connected before there was a segment, and may have spoken.
    void greet(LocalConnection caller);
    /// A session is readable.
    void serve(std::uint64_t session_id);
    /// Its peer is dead, whoever else may have inherited the socket.
    void end_session(std::uint64_t session_id);

    /// When `tick` wants to be called; none: everybody has introduced himself.
    [[nodiscard]] std::optional<std::uint64_t> next_tick_ns() const;
    /// Drops who is silent, and opens the door when it was shut for long enough.
    void tick(std::uint64_t now_ns);

    /// There is a piece to do: the loop is not to wait.
    [[nodiscard]] bool has_work() const { return desk_.has_work(); }
    /// A piece of what takes longer than a turn of the loop, if anybody has asked for such a thing;
    /// who waits for it is answered when it is done.
    void do_a_piece();

    /// To everybody who has introduced himself.
    void tell_all(const wire::Body& body);

private:
    using Sessions = std::map<std::uint64_t, Session>;  // Ascending: the oldest first.

    void begin_session(LocalConnection connection);
    [[nodiscard]] std::optional<std::uint64_t> next_drop_ns() const;
    void drop_silent(std::uint64_t now_ns);
    void make_room_for_one_more();
    void refuse_who_is_behind(const Credentials& who);
    void shut_door();
    void open_door();
    [[nodiscard]] bool handle_one(Session& session, LocalConnection::Received& received);
    /// Who ended the connection, if it can not be delivered.
    [[nodiscard]] std::optional<ClosedBy> deliver(Session& session, const wire::Packet& packet,
                                                  const Answer& answer);
    void close(Sessions::iterator session, ClosedBy who);
    void complain(const std::string& text);
    void close_for(Session& session, const std::string& why);
    [[nodiscard]] Sessions::iterator oldest_unintroduced();

    LocalListener& listener_;
    const Closer& closer_;
    RequestDesk& desk_;
    Reaper& reaper_;
    EventQueue& queue_;
    const HostLog& log_;
    Sessions sessions_;
    std::uint64_t last_session_id_ = no_session;
    std::uint32_t unintroduced_count_ = 0;
    std::uint64_t turned_away_ = 0;
    Door door_;
    bool is_shut_ = false;
    std::uint32_t times_shut_ = 0;  ///< Since it was last quiet.
    LineLimit complaints_;
    LineLimit floods_;
    LineLimit refusals_;
};

}  // namespace shmpool::host

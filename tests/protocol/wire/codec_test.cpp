// SPDX-License-Identifier: Apache-2.0
/// The codec lets through what it would itself have written and nothing else. Goal: every check has
/// a test that breaks exactly one field. Method: encode a good message, change bytes, decode.
#include "protocol/wire/codec.hpp"

#include <gmock/gmock.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tests/protocol/wire/good_messages.hpp"

namespace shmpool::wire {
namespace {

using testing::HasSubstr;

Result<Message> decode_of(const Body& body) {
    return decode(encode(body, request_id_for(body)).bytes(), descriptor_count_of(body));
}

/// Decodes `body` and expects a violation whose sentence holds `part`.
void expect_refused(const Body& body, const std::string& part) {
    const auto decoded = decode_of(body);
    ASSERT_FALSE(decoded) << part;
    EXPECT_EQ(decoded.error().code, Errc::protocol_violation);
    EXPECT_THAT(decoded.error().message, HasSubstr(part));
}

void expect_same_bytes(const Packet& left, const Packet& right) {
    ASSERT_EQ(left.length_bytes, right.length_bytes);
    EXPECT_EQ(std::memcmp(left.buffer.data(), right.buffer.data(), left.length_bytes), 0);
}

/// A packet whose header is changed by `change`.
template <typename Change>
Result<Message> decode_with_header(Change change) {
    Packet packet = encode(good_hello(), 42);
    Header header{};
    std::memcpy(&header, packet.buffer.data(), sizeof(header));
    change(header);
    std::memcpy(packet.buffer.data(), &header, sizeof(header));
    return decode(packet.bytes(), 0);
}

TEST(Codec, ReadsBackEveryMessageThatItWrites) {
    ASSERT_EQ(one_of_each().size(), std::variant_size_v<Body>);
    for (const Body& body : one_of_each()) {
        const auto decoded = decode_of(body);
        ASSERT_TRUE(decoded) << decoded.error().message;
        EXPECT_EQ(decoded->body.index(), body.index()) << name_of(type_of(body));
        EXPECT_EQ(decoded->request_id, request_id_for(body));
        expect_same_bytes(encode(decoded->body, decoded->request_id),
                          encode(body, request_id_for(body)));
    }
}

TEST(Codec, NamesEveryMessageType) {
    for (const Body& body : one_of_each()) EXPECT_NE(name_of(type_of(body)), "unknown");
}

TEST(Codec, RefusesEveryLengthButTheRightOne) {
    for (const Body& body : one_of_each()) {
        const Packet packet = encode(body, request_id_for(body));
        const std::span<const std::byte> all(packet.buffer);
        for (std::size_t length = 0; length <= all.size(); ++length) {
            const auto decoded = decode(all.first(length), descriptor_count_of(body));
            EXPECT_EQ(decoded.has_value(), length == packet.length_bytes) << length;
        }
    }
}

TEST(Codec, RefusesABodyOfAnotherTypesSize) {
    const auto decoded = decode_with_header(
        [](Header& header) { header.type = static_cast<std::uint16_t>(MessageType::kick); });
    ASSERT_FALSE(decoded);
    EXPECT_THAT(decoded.error().message, HasSubstr("kick has a body of 144 bytes, must be 8"));
}

TEST(Codec, RefusesAHeaderThatPromisesAnotherBody) {
    const auto decoded = decode_with_header([](Header& header) { header.body_bytes = 145; });
    ASSERT_FALSE(decoded);
    EXPECT_THAT(decoded.error().message, HasSubstr("promises a body of 145 bytes"));
}

TEST(Codec, RefusesAWrongMagicNumber) {
    const auto decoded = decode_with_header([](Header& header) { header.magic ^= 1; });
    ASSERT_FALSE(decoded);
    EXPECT_THAT(decoded.error().message, HasSubstr("magic"));
}

TEST(Codec, NamesBothWireVersionsWhenTheyDiffer) {
    const auto decoded = decode_with_header([](Header& header) { header.wire_version = 77; });
    ASSERT_FALSE(decoded);
    EXPECT_THAT(decoded.error().message, HasSubstr("speaks wire version 77, this side speaks " +
                                                   std::to_string(wire_version)));
}

TEST(Codec, RefusesAnUnknownType) {
    for (const std::uint16_t type : std::vector<std::uint16_t>{0, 34, 999}) {
        const auto decoded = decode_with_header([type](Header& header) { header.type = type; });
        ASSERT_FALSE(decoded);
        EXPECT_THAT(decoded.error().message,
                    HasSubstr("unknown message type " + std::to_string(type)));
    }
}

TEST(Codec, RefusesTextsWithoutAnEnd) {
    Hello hello = good_hello();
    std::memset(hello.pool_name.chars, 'x', name_bytes);
    expect_refused(hello, "hello: pool_name is not terminated");
    hello = good_hello();
    std::memset(hello.peer_name.chars, 'x', name_bytes);
    expect_refused(hello, "peer_name is not terminated");
    OpenPublisher publisher = good_open_publisher();
    std::memset(publisher.channel.chars, 'x', name_bytes);
    expect_refused(publisher, "channel is not terminated");
    OpenSubscriber subscriber = good_open_subscriber();
    std::memset(subscriber.type_name.chars, 'x', type_name_bytes);
    expect_refused(subscriber, "type_name is not terminated");
    Refused refused = good_refused();
    std::memset(refused.text.chars, 'x', refusal_bytes);
    expect_refused(refused, "text is not terminated");
    CreateHeap create = good_create_heap();
    std::memset(create.name.chars, 'x', name_bytes);
    expect_refused(create, "name is not terminated");
    expect_refused(OpenHeap{create.name}, "name is not terminated");
}

TEST(Codec, RefusesBytesBehindTheEndOfAText) {
    Hello hello = good_hello();
    hello.pool_name.chars[name_bytes - 1] = 'x';
    expect_refused(hello, "pool_name has bytes behind its end");
}

TEST(Codec, RefusesFlagsAndReservedFieldsThatItDoesNotKnow) {
    Hello hello = good_hello();
    hello.flags = 1U << 7;
    expect_refused(hello, "flags");
    OpenPublisher publisher = good_open_publisher();
    publisher.flags = 1;
    expect_refused(publisher, "flags");
    publisher = good_open_publisher();
    publisher.reserved = 1;
    expect_refused(publisher, "reserved is 1, must be 0");
    expect_refused(GrowClass{64, 1, 7}, "grow_class: reserved is 7, must be 0");
    expect_refused(RelieveClass{64, 1, 8}, "relieve_class: reserved is 8, must be 0");
    expect_refused(ShrinkClass{64, 1, 9}, "shrink_class: reserved is 9, must be 0");
    OpenSubscriber subscriber = good_open_subscriber();
    subscriber.flags = 2;
    expect_refused(subscriber, "flags");
    Refused refused = good_refused();
    refused.reserved = 5;
    expect_refused(refused, "reserved is 5");
}

TEST(Codec, RefusesNumbersOutOfRange) {
    OpenPublisher publisher = good_open_publisher();
    publisher.policy = 4;
    expect_refused(publisher, "policy is 4, must be 0 to 3");
    publisher = good_open_publisher();
    publisher.type_alignment = 48;
    expect_refused(publisher, "type_alignment is 48");
    publisher.type_alignment = 8192;
    expect_refused(publisher, "type_alignment is 8192");
    expect_refused(SubscriberOpened{0, 0, 60}, "lease_bit is 60, must be 0 to 59");
    Refused refused = good_refused();
    refused.code = 0;
    expect_refused(refused, "code is 0");
    refused.code = 60'000;
    expect_refused(refused, "code is 60000");
    CreateHeap create = good_create_heap();
    create.on_death = 2;
    expect_refused(create, "on_death is 2, must be 0 to 1");
    create = good_create_heap();
    create.ticket = 0;
    expect_refused(create, "ticket is 0");
}

TEST(Codec, RefusesAnObserverThatWantsLanes) {
    Hello hello = good_hello();
    hello.flags = hello_observer;
    expect_refused(hello, "lanes_wanted of an observer is 8, must be 0");
    hello.lanes_wanted = 0;
    EXPECT_TRUE(decode_of(hello));
}

TEST(Codec, RefusesTooManyAndTooFewDescriptors) {
    for (const Body& body : one_of_each()) {
        const std::size_t due = descriptor_count_of(body);
        for (std::size_t count = 0; count <= 5; ++count) {
            const auto decoded = decode(encode(body, request_id_for(body)).bytes(), count);
            EXPECT_EQ(decoded.has_value(), count == due) << name_of(type_of(body)) << count;
        }
    }
}

TEST(Codec, AsksForOneDescriptorForAnObserverAndThreeForAPeer) {
    EXPECT_EQ(descriptor_count_of(good_welcome()), 3U);
    Welcome observer = good_welcome();
    observer.peer_index = no_peer;
    EXPECT_EQ(descriptor_count_of(observer), 1U);
    EXPECT_EQ(descriptor_count_of(good_hello()), 0U);
}

TEST(Codec, RefusesAnAnnouncementThatPosesAsAnAnswer) {
    const auto decoded = decode(encode(Stopping{100}, 7).bytes(), 0);
    ASSERT_FALSE(decoded);
    EXPECT_THAT(decoded.error().message, HasSubstr("request_id 7"));
}

TEST(Codec, AcceptsOfRandomBytesOnlyWhatItWouldHaveWritten) {
    // Fixed seeds: good messages with up to three bytes changed, as a fuzzer begins.
    std::size_t accepted = 0;
    for (std::uint32_t seed = 0; seed < 20'000; ++seed) {
        std::mt19937 chance(seed);
        const std::vector<Body> bodies = one_of_each();
        const Body& body = bodies[chance() % bodies.size()];
        Packet packet = encode(body, request_id_for(body));
        for (std::uint32_t change = chance() % 4; change > 0; --change) {
            packet.buffer[chance() % packet.length_bytes] = static_cast<std::byte>(chance());
        }
        const auto decoded = decode(packet.bytes(), descriptor_count_of(body));
        if (!decoded) continue;
        ++accepted;
        SCOPED_TRACE(seed);
        expect_same_bytes(encode(decoded->body, decoded->request_id), packet);
    }
    EXPECT_GT(accepted, 1000U);
}

TEST(WireText, HoldsWhatFitsWithItsEnd) {
    EXPECT_EQ(Text<8>::of("1234567")->view(), "1234567");
    EXPECT_EQ(Text<8>::of("")->view(), "");
    EXPECT_FALSE(Text<8>::of("12345678"));
    EXPECT_FALSE(Text<8>::of(std::string_view("a\0b", 3)));
}

TEST(Refusal, CarriesCodeNumbersAndSentence) {
    const Refused refused = refusal_of(Error{Errc::wrong_fingerprint, "not the same build"}, 3, 4);
    EXPECT_EQ(refused.wanted, 3U);
    EXPECT_EQ(refused.offered, 4U);
    EXPECT_EQ(error_of(refused).code, Errc::wrong_fingerprint);
    EXPECT_EQ(error_of(refused).message, "not the same build");
}

TEST(Refusal, IsCutBetweenCharacters) {
    // 254 letters leave one byte for a character that takes two.
    const std::string letters(254, 'x');
    const Refused refused = refusal_of(Error{Errc::system, letters + "\xC3\xA9"});
    EXPECT_EQ(refused.text.view(), letters);
    EXPECT_TRUE(decode_of(refused));
    EXPECT_EQ(refusal_of(Error{Errc::system, std::string(900, 'y')}).text.view().size(), 255U);
}

}  // namespace
}  // namespace shmpool::wire

// SPDX-License-Identifier: Apache-2.0
// Creates heaps, lets them grow, works in them and destroys them, and lets size classes grow and
// shrink, while the host that does all that is killed. Of the heap of its own it knows whether it
// is there: so do the next lives of its seat.
#include "actor.hpp"
#include "founded.hpp"

namespace shmpool::storm {

namespace {

constexpr std::array kinds{HeapKind::tlsf, HeapKind::buddy, HeapKind::slab};
constexpr std::uint64_t smallest = 64 << 10;

class Founder {
public:
    explicit Founder(Actor& me) : me_(me), own_(own_name(me.life().seat)) {}

    void found() {
        while (attach()) {
            look_at_own();
            while (me_.goes_on() && !me_.once_in(100)) act();
        }
    }

private:
    bool attach() {
        peer_.reset();
        peer_ = me_.attach();
        return peer_.has_value();
    }

    void act() {
        me_.board()->totals.heap_calls += 1;
        const std::string one = founded_name(me_.below(founded_names));
        switch (me_.below(12)) {
            case 0: return own().has(0) ? destroy_own() : create_own();
            case 1: return grow(own_);
            case 2: return work_in(own_);
            case 3: return destroy(one);
            case 4: return grow(one);
            case 5: return work_in(one);
            case 6: return grow_class();
            case 7: return shrink_class();
            default: return create(one);
        }
    }

    // --- its own

    [[nodiscard]] Record<1>& own() const { return me_.board()->records[me_.life().seat].own_heap; }

    void look_at_own() {
        if (own().settle([&](std::size_t) { return has_heap(*peer_, own_); }) != 0) {
            me_.complain("its heap was lost, or is there again");
        }
    }

    void create_own() {
        own().changes(0);
        const auto made = peer_->create_heap(own_, draw_spec());
        if (!made) me_.complain("create its heap: " + made.error().message);
        own().is(0, made.has_value());
        if (made && !has_heap(*peer_, own_)) me_.complain("its heap is created and not there");
        if (made) me_.board()->totals.heaps_made += 1;
    }

    /// An earlier life of the seat may have it open until it is taken back.
    void destroy_own() {
        own().changes(0);
        const auto done = peer_->destroy_heap(own_);
        if (done) return own().is(0, false);
        own().is_as_before();
        said("destroy its heap", done.error(), {Errc::heap_in_use, Errc::would_block});
    }

    // --- anybody's

    void create(const std::string& name) {
        const auto made = peer_->create_heap(name, draw_spec());
        if (made) {
            me_.board()->totals.heaps_made += 1;
        } else {
            said("create a heap", made.error(), {Errc::name_taken});
        }
    }

    void destroy(const std::string& name) {
        if (const auto done = peer_->destroy_heap(name); !done) {
            said("destroy a heap", done.error(),
                 {Errc::no_heap, Errc::heap_in_use, Errc::would_block});
        }
    }

    void grow(const std::string& name) {
        const auto done = peer_->grow_heap(name, draw_bytes_of_heap());
        if (!done) said("let a heap grow", done.error(), {Errc::no_heap, Errc::would_block});
    }

    void grow_class() {
        const auto done =
            peer_->grow_class(draw_class(), static_cast<std::uint32_t>(1 + me_.below(100)));
        if (!done) return said("let a class grow", done.error(), {Errc::slot_limit_reached});
        me_.board()->totals.classes_grown += 1;
    }

    void shrink_class() {
        const auto done = peer_->shrink_class(draw_class());
        if (!done) {
            return said("let a class shrink", done.error(),
                        {Errc::extent_in_use, Errc::would_block});
        }
        me_.board()->totals.classes_shrunk += 1;
    }

    /// What is allocated now is as it was written when it is freed.
    void work_in(const std::string& name) {
        auto heap = peer_->byte_heap(name);
        if (!heap) return said("open a heap", heap.error(), {Errc::no_heap});
        std::vector<std::pair<HeapOffset, std::size_t>> held;
        for (std::uint64_t left = 1 + me_.below(20); left > 0; --left) {
            const std::size_t bytes = me_.draw_bytes() / 8 * 8;
            const auto block = heap->allocate(bytes);
            if (!block && block.error() == Errc::no_memory) break;
            if (!block) return me_.complain("allocate in a heap", block.error());
            write_payload(bytes_at(*heap, *block, bytes), {me_.name(), ++written_});
            held.emplace_back(*block, bytes);
        }
        for (const auto& [block, bytes] : held) {
            const auto found = read_payload(bytes_at(*heap, block, bytes));
            if (!found || found->writer != me_.name()) {
                me_.complain("somebody has written into its block of a heap");
            }
            if (const auto freed = heap->free(block); !freed) {
                me_.complain("free in a heap", freed.error());
            }
        }
    }

    static std::span<std::byte> bytes_at(SharedByteHeap& heap, HeapOffset block,
                                         std::size_t bytes) {
        return {static_cast<std::byte*>(heap.at(block)), bytes};
    }

    std::uint64_t draw_class() {
        const auto& pool = peer_->pool().view();
        return pool.classes[me_.below(pool.class_count)].slot_bytes;
    }

    std::uint64_t draw_bytes_of_heap() {
        return std::min(founded_bytes_max, (smallest << me_.below(7)) + page_bytes * me_.below(64));
    }

    HeapSpec draw_spec() {
        HeapSpec spec;
        spec.kind = kinds[me_.below(kinds.size())];
        spec.bytes = draw_bytes_of_heap();
        spec.max_bytes = founded_bytes_max;
        spec.on_death = OnDeath::reclaim;
        return spec;
    }

    void said(const char* what, const Error& why, std::initializer_list<Errc> expected) {
        if (std::ranges::find(expected, why.code) == expected.end()) {
            me_.complain(std::string(what) + ": " + why.message);
        }
    }

    Actor& me_;
    std::string own_;
    std::optional<Peer> peer_;
    std::uint64_t written_ = 0;
};

}  // namespace

void play_founder(Actor& me) {
    Founder(me).found();
}

}  // namespace shmpool::storm

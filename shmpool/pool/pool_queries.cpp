// SPDX-License-Identifier: Apache-2.0
/// Read-only questions to a pool. Answers about a moving pool are true for one moment only.
#include "shmpool/pool/var_slot_pool.hpp"

namespace shmpool {
namespace {

/// The position of `ref` in its class while its life lasts.
Outcome<std::uint32_t> living_position(const PoolView& view, const SlotRef& ref) {
    const auto key = view.key_of(ref);
    if (!key) return fail(Errc::invalid_ref);
    const SlotRecord& record = view.classes[ref.class_index].records[position_of(*key)];
    const SlotWord word = record.word.load(std::memory_order_acquire);  // [A-word]
    const bool in_use =
        word_state(word) != SlotState::listed && word_state(word) != SlotState::cached;
    if (!in_use || word_generation(word) != ref.generation) return fail(Errc::double_free);
    return position_of(*key);
}

Outcome<std::span<std::byte>> living_data(const PoolView& pool, const SlotRef& ref) {
    const auto position = living_position(pool, ref);
    if (!position) return tl::unexpected(position.error());
    const ClassView& view = pool.classes[ref.class_index];
    if (view.payload == nullptr) return fail(Errc::no_permission);  // Only observed.
    return std::span<std::byte>(view.data(*position), view.slot_bytes);
}

}  // namespace

Outcome<std::span<const std::byte>> VarSlotPool::slot_data(const SlotRef& ref) const {
    return living_data(*view_, ref);
}

Outcome<std::span<std::byte>> VarSlotPool::slot_data_mut(const SlotRef& ref) {
    return living_data(*view_, ref);
}

std::uint32_t VarSlotPool::extent_count(std::uint32_t class_index) const {
    if (class_index >= view_->class_count) return 0;
    const ClassView& view = view_->classes[class_index];
    view.look_for_growth();
    return view.extent_count();
}

std::optional<std::uint64_t> VarSlotPool::slot_size(std::uint32_t class_index) const {
    if (class_index >= view_->class_count) return std::nullopt;
    return view_->classes[class_index].slot_bytes;
}

std::vector<SizeClassConfig> VarSlotPool::classes() const {
    std::vector<SizeClassConfig> configs;
    for (const ClassView& view : view_->all_classes()) {
        const std::uint32_t at_first = view.extent(0).slot_count;
        const std::uint32_t limit = view.slot_limit == at_first ? 0 : view.slot_limit;
        configs.push_back({view.slot_bytes, at_first, limit});
    }
    return configs;
}

std::optional<SlotState> VarSlotPool::slot_state(const SlotRef& ref) const {
    const auto position = living_position(*view_, ref);
    if (!position) return std::nullopt;
    const SlotRecord& record = view_->classes[ref.class_index].records[*position];
    return word_state(record.word.load(std::memory_order_relaxed));
}

bool VarSlotPool::is_slot_free(const SlotRef& ref) const {
    const auto key = view_->key_of(ref);
    if (!key) return false;
    const SlotRecord& record = view_->classes[ref.class_index].records[position_of(*key)];
    const SlotState state = word_state(record.word.load(std::memory_order_relaxed));
    return state == SlotState::listed || state == SlotState::cached;
}

}  // namespace shmpool

// SPDX-License-Identifier: Apache-2.0
/// Read-only questions to a pool. Answers about a moving pool are true for one moment only.
#include "shmpool/pool/var_slot_pool.hpp"

namespace shmpool {
namespace {

/// The record of `ref` while its life lasts, else null.
SlotRecord* living_record(const PoolView& view, const SlotRef& ref, Errc& why) {
    why = Errc::invalid_ref;
    if (ref.class_index >= view.class_count || ref.extent_index != 0 || ref.reserved != 0) {
        return nullptr;
    }
    SlotRecord* const record = view.classes[ref.class_index].record(ref.slot_index);
    if (record == nullptr) return nullptr;
    why = Errc::double_free;
    const SlotWord word = record->word.load(std::memory_order_acquire);  // [A-word]
    const bool in_use =
        word_state(word) != SlotState::listed && word_state(word) != SlotState::cached;
    return in_use && word_generation(word) == ref.generation ? record : nullptr;
}

}  // namespace

Outcome<std::span<const std::byte>> VarSlotPool::slot_data(const SlotRef& ref) const {
    Errc why{};
    if (living_record(*view_, ref, why) == nullptr) return fail(why);
    const ClassView& view = view_->classes[ref.class_index];
    if (view.payload == nullptr) return fail(Errc::no_permission);  // Only observed.
    return std::span<const std::byte>(view.data(ref.slot_index), view.slot_bytes);
}

Outcome<std::span<std::byte>> VarSlotPool::slot_data_mut(const SlotRef& ref) {
    Errc why{};
    if (living_record(*view_, ref, why) == nullptr) return fail(why);
    const ClassView& view = view_->classes[ref.class_index];
    if (view.payload == nullptr) return fail(Errc::no_permission);  // Only observed.
    return std::span<std::byte>(view.data(ref.slot_index), view.slot_bytes);
}

std::optional<std::uint64_t> VarSlotPool::slot_size(std::uint32_t class_index) const {
    if (class_index >= view_->class_count) return std::nullopt;
    return view_->classes[class_index].slot_bytes;
}

std::vector<SizeClassConfig> VarSlotPool::classes() const {
    std::vector<SizeClassConfig> configs;
    for (const ClassView& view : view_->all_classes()) {
        configs.push_back({view.slot_bytes, view.slot_count});
    }
    return configs;
}

std::optional<SlotState> VarSlotPool::slot_state(const SlotRef& ref) const {
    Errc why{};
    const SlotRecord* const record = living_record(*view_, ref, why);
    if (record == nullptr) return std::nullopt;
    return word_state(record->word.load(std::memory_order_relaxed));
}

bool VarSlotPool::is_slot_free(const SlotRef& ref) const {
    if (ref.class_index >= view_->class_count || ref.extent_index != 0) return false;
    const SlotRecord* const record = view_->classes[ref.class_index].record(ref.slot_index);
    if (record == nullptr) return false;
    const SlotState state = word_state(record->word.load(std::memory_order_relaxed));
    return state == SlotState::listed || state == SlotState::cached;
}

}  // namespace shmpool

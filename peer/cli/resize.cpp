// SPDX-License-Identifier: Apache-2.0
/// `shmpool grow` and `shmpool shrink`: a size class gets more slots, or gives the memory of unused
/// ones back, while everybody works on.
#include "peer/size_classes.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>

#include "peer/cli/observer.hpp"
#include "peer/cli/printing.hpp"
#include "peer/cli/quantity_options.hpp"
#include "shmpool/layout/abi_constants.hpp"
#include "shmpool/quantity/byte_size.hpp"

namespace shmpool::cli {
namespace {

struct Wanted {
    std::uint64_t slot_bytes = 0;
    std::uint32_t slots = 0;
};

Result<int> tell(const CommonOptions& common, std::uint64_t slot_bytes,
                 const Result<std::uint32_t>& slots) {
    if (!slots) return tl::unexpected(slots.error());
    const auto printed = common.json ? print_json({{"slot_size", slot_bytes}, {"slots", *slots}})
                                     : print(fmt::format("the class of {} has {} slots\n",
                                                         format_byte_size(slot_bytes), *slots));
    if (!printed) return tl::unexpected(printed.error());
    return exit_fine;
}

Result<int> run_grow(const CommonOptions& common, const Wanted& wanted) {
    const auto observer = Observer::attach(common);
    if (!observer) return tl::unexpected(observer.error());
    return tell(common, wanted.slot_bytes,
                grow_class(observer->control(), observer->pool(), wanted.slot_bytes, wanted.slots));
}

Result<int> run_shrink(const CommonOptions& common, const Wanted& wanted) {
    const auto observer = Observer::attach(common);
    if (!observer) return tl::unexpected(observer.error());
    return tell(common, wanted.slot_bytes,
                shrink_class(observer->control(), wanted.slot_bytes, wanted.slots));
}

CLI::Option* add_class(CLI::App& command, std::uint64_t& into) {
    return add_bytes(command, "CLASS", into, 1, "Size of its slots, like 64KiB")->required();
}

}  // namespace

void add_grow(CLI::App& program, const CommonOptions& common, Action& action) {
    auto wanted = std::make_shared<Wanted>();
    CLI::App* const command = add_command(
        program, "grow", "Give a size class more slots, while it is in use",
        "Up to the slot_limit that the class has in the host's configuration. Nobody maps\n"
        "anything again, no message is lost. A class that was shrunk gets its old slots back\n"
        "first, which may be more than COUNT. Who asks at the same moment may get the same "
        "ones.\n\n"
        "Example: 512 slots of 64 KiB more\n"
        "  shmpool grow 64KiB 512");
    add_class(*command, wanted->slot_bytes);
    add_count(*command, "COUNT", wanted->slots, 1, slot_count_max, "How many more")->required();
    command->callback([&common, &action, wanted] {
        action = [&common, wanted] { return run_grow(common, *wanted); };
    });
}

void add_shrink(CLI::App& program, const CommonOptions& common, Action& action) {
    auto wanted = std::make_shared<Wanted>();
    CLI::App* const command = add_command(
        program, "shrink", "Give the memory of unused slots back, while the class is in use",
        "Slots came by the start and by each step of 'shmpool grow', and those of a step go\n"
        "together: when none of them is in use, or in the cache of a thread. What was there from\n"
        "the start stays.\n\n"
        "Example: all that was added to the class of 64 KiB and is not needed\n"
        "  shmpool shrink 64KiB");
    add_class(*command, wanted->slot_bytes);
    add_count(*command, "--keep", wanted->slots, 0, slot_count_max,
              "Do not fall below so many slots (default: as many as there were at first)");
    command->callback([&common, &action, wanted] {
        action = [&common, wanted] { return run_shrink(common, *wanted); };
    });
}

}  // namespace shmpool::cli

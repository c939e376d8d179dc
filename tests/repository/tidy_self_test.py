#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants one sin of each kind in a small clean tree and sees that tidy.py finds exactly that one;
then, that the clean tree passes. A rule of tidy.py for which no sin is planted here fails too."""

import pathlib
import re
import tempfile
import unittest

import tidy

LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"
HASH_LICENCE = "# SPDX-License-Identifier: Apache-2.0\n"
CLEAN_TREE = {
    "CMakeLists.txt": HASH_LICENCE + "add_subdirectory(shmpool)\n",
    "README.md": "A line of prose may be as long as it likes. " * 5 + "\n",
    "shmpool/platform/CMakeLists.txt": HASH_LICENCE + "add_library(p futex.cpp)\n",
    "shmpool/platform/futex.cpp": LICENCE + '#include "shmpool/platform/futex.hpp"\n'
                                            "#include <sys/mman.h>\n#include <tl/expected.hpp>\n",
    "shmpool/platform/futex.hpp": LICENCE + "#pragma once\n",
    "shmpool/pool/CMakeLists.txt": HASH_LICENCE + "add_library(q stack.cpp)\n",
    "shmpool/pool/stack.cpp": LICENCE + '#include "shmpool/pool/stack.hpp"\n',
    "shmpool/pool/stack.hpp": LICENCE + '#include "shmpool/platform/futex.hpp"\n'
                                        "a.load(std::memory_order_acquire);  // [A-take]\n"
                                        "// [R-take] also frees.\n"
                                        "a.store(1, std::memory_order_release);\n"
                                        "b.load(std::memory_order_relaxed);\n",
    "shmpool/heap/buddy.hpp": LICENCE + "#include <boost/offset_ptr.hpp>\n",
    "protocol/ring.hpp": LICENCE + '#include "shmpool/pool/stack.hpp"\n',
    "peer/peer.hpp": LICENCE + '#include "protocol/ring.hpp"\n',
    "host/host.hpp": LICENCE + '#include "protocol/ring.hpp"\n#include <spdlog/spdlog.h>\n',
    "tests/crash/CMakeLists.txt": HASH_LICENCE + "add_executable(t deep/kill_test.cpp)\n",
    "tests/crash/deep/kill_test.cpp": LICENCE + "#include <gtest/gtest.h>\n#include <unistd.h>\n"
                                                '#include "host/host.hpp"\n',
    "tests/fuzz/CMakeLists.txt": HASH_LICENCE + "include(more.cmake)\n",
    "tests/fuzz/more.cmake": HASH_LICENCE + "add(${X}/codec.cpp)\nadd(${subject}_fuzz.cpp)\n"
                                            "add(${all}.cpp)\n",
    "tests/fuzz/codec.cpp": LICENCE,
    "tests/fuzz/ring_fuzz.cpp": LICENCE,
    "build/generated.cpp": "nobody looks here\n",
}

# Rule, file, what is appended to it (or, where the file is new, what stands in it).
ACQUIRE = "a.load(std::memory_order_acquire);"
SINS = [
    ("include_arrow", "shmpool/platform/futex.hpp", '#include "shmpool/pool/stack.hpp"\n'),
    ("include_arrow", "shmpool/pool/stack.hpp", '#include "shmpool/heap/buddy.hpp"\n'),
    ("include_arrow", "shmpool/heap/buddy.hpp", '#include "shmpool/pool/stack.hpp"\n'),
    ("include_arrow", "shmpool/pool/stack.hpp", '#include "protocol/ring.hpp"\n'),
    ("include_arrow", "protocol/ring.hpp", '#include "peer/peer.hpp"\n'),
    ("include_arrow", "peer/peer.hpp", '#include "host/host.hpp"\n'),
    ("include_arrow", "host/host.hpp", '  #  include "peer/peer.hpp"\n'),
    ("include_path", "shmpool/pool/stack.hpp", '#include "stack.hpp"\n'),
    ("outside_library", "shmpool/pool/stack.hpp", "#include <spdlog/spdlog.h>\n"),
    ("outside_library", "protocol/ring.hpp", "#include <CLI/CLI.hpp>\n"),
    ("outside_library", "peer/peer.hpp", "#include <boost/offset_ptr.hpp>\n"),
    ("outside_library", "host/host.hpp", "#include <gtest/gtest.h>\n"),
    ("outside_library", "protocol/ring.hpp", "#include <tl/expected.hpp>\n"),
    ("system_header", "shmpool/pool/stack.hpp", "#include <sys/mman.h>\n"),
    ("system_header", "protocol/ring.hpp", "#include <linux/futex.h>\n"),
    ("system_header", "peer/peer.hpp", "#include <unistd.h>\n"),
    ("system_header", "host/host.hpp", "#include <signal.h>\n"),
    ("unknown_folder", "shmpool/attic/old.hpp", LICENCE),
    ("unknown_folder", "attic/notes.txt", "old\n"),
    ("unlabelled_order", "shmpool/pool/stack.hpp", "\n" + ACQUIRE + "\n"),
    ("unlabelled_order", "shmpool/pool/stack.hpp", "\n" + ACQUIRE + "  // sees the giver\n"),
    ("unlabelled_order", "shmpool/pool/stack.hpp", "\nx(std::memory_order::seq_cst);\n"),
    ("lonely_label", "shmpool/pool/stack.hpp", ACQUIRE + "  // [A-nobody]\n"),
    ("long_line", "shmpool/pool/stack.hpp", "// " + "x" * 98 + "\n"),
    ("long_file", "shmpool/pool/stack.hpp", "//\n" * 400),
    ("no_licence", "shmpool/pool/bare.hpp", "#pragma once\n"),
    ("no_licence", "scripts/bare", "#!/bin/bash\ntrue\n"),
    ("no_licence", "host/CMakeLists.txt", "add_library(h)\n"),
    ("not_built", "shmpool/pool/forgotten.cpp", LICENCE),
    ("not_built", "shmpool/pool/ack.cpp", LICENCE),  # Listed only as a part of another name.
    ("not_built", "tests/fuzz/forgotten.cpp", LICENCE),
    ("hiding_name", "shmpool/pool/string_util.hpp", LICENCE),
    ("hiding_name", "shmpool/pool/lane_helpers.hpp", LICENCE),
    ("hiding_name", "tests/common/nothing.txt", "\n"),
    ("left_over", "shmpool/pool/stack.hpp", "// FIX" "ME later\n"),
    ("left_over", "README.md", "XX" "X\n"),
    ("machine_path", "README.md", "see /wor" "k/notes\n"),
    ("machine_path", "shmpool/pool/stack.hpp", "// /tmp/bri" "ef/x\n"),
]

INNOCENT = [
    ("shmpool/pool/stack.hpp", ACQUIRE.replace(";", "") + "\n    ;  // [A-take]\n"),
    ("shmpool/pool/stack.hpp", "std::atomic_signal_fence(std::memory_order_seq_cst);\n"),
    ("shmpool/pool/stack.hpp", "// x(std::memory_order_acquire) is spoken of here only.\n"),
    ("shmpool/pool/stack.hpp", "// " + "x" * 97 + "\n"),
    ("shmpool/pool/futility.hpp", LICENCE),
    ("README.md", "the framework/path is fine\n"),
    ("tests/crash/deep/kill_test.cpp", '#include "kill_test.cpp"\n'),
]


class TidySelfTest(unittest.TestCase):
    def sins_of(self, changed=None, added=""):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            tree = dict(CLEAN_TREE)
            if changed is not None:
                tree[changed] = tree.get(changed, "") + added
            for path, text in tree.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text, encoding="utf-8")
            return tidy.Tidy(root).run()

    def test_a_clean_tree_passes(self):
        self.assertEqual(self.sins_of(), [])

    def test_every_planted_sin_is_found(self):
        for rule, path, added in SINS:
            with self.subTest(rule=rule, path=path, added=added[:60]):
                found = self.sins_of(path, added)
                self.assertEqual([name for name, _ in found], [rule])
                self.assertIn(path, found[0][1])

    def test_the_innocent_are_left_alone(self):
        for path, added in INNOCENT:
            with self.subTest(path=path, added=added[:60]):
                self.assertEqual(self.sins_of(path, added), [])

    def test_every_rule_has_a_planted_sin(self):
        source = pathlib.Path(tidy.__file__).read_text(encoding="utf-8")
        rules = set(re.findall(r'self\.report\("(\w+)"', source))
        self.assertEqual(rules, {rule for rule, _, _ in SINS})


if __name__ == "__main__":
    unittest.main()

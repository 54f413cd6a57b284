# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from image import kernel

DEP = """\
kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz
kernel/fs/jbd2/jbd2.ko.xz:
kernel/lib/crc16.ko.xz:
kernel/drivers/net/tg3.ko.xz: kernel/lib/crc16.ko.xz
"""


def test_what_a_module_needs_comes_with_it() -> None:
    depends = kernel.dependencies(DEP)
    assert kernel.closure(["fs/ext4/*"], depends) == {
        "kernel/fs/ext4/ext4.ko.xz",
        "kernel/fs/jbd2/jbd2.ko.xz",
        "kernel/lib/crc16.ko.xz",
    }
    assert kernel.closure(["drivers/net/tg3.ko"], depends) == {
        "kernel/drivers/net/tg3.ko.xz",
        "kernel/lib/crc16.ko.xz",
    }
    assert kernel.closure(["no/such/*"], depends) == set()


def test_a_list_has_comments_and_empty_lines() -> None:
    assert kernel.patterns("# why\n\nfs/ext4/*\n  lib/*  \n") == ["fs/ext4/*", "lib/*"]


names = st.sampled_from([f"kernel/m{n}.ko" for n in range(8)])


@given(st.dictionaries(names, st.lists(names)), st.sets(names))
def test_a_closure_is_closed_and_ends_in_spite_of_circles(
    depends: dict[str, list[str]], keep: set[str]
) -> None:
    whole = {m: [d for d in needs if d in depends] for m, needs in depends.items()}
    found = kernel.closure([m.removeprefix("kernel/") for m in keep], whole)
    assert keep & whole.keys() <= found
    assert all(set(whole[m]) <= found for m in found)
    assert all(m in keep or any(m in whole[n] for n in found) for m in found)
